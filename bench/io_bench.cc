// SPDX-License-Identifier: Apache-2.0
//
// io_bench: the queues of transfers beside each other, with direct I/O.
//
//   io_bench [--dir=D] [--mib=N] [--transfer-mib=N] [--rounds=N]
//            [--depths=N,N] [--prepare=KIND,KIND] [--queues=NAME,NAME]
//            [--buffered] [--small-pages]
//
// In each round every contestant writes a file of its own, syncs it, and reads
// it; the contestants take turns. A contestant is a queue, a depth, and what is
// done to the file before: `none`, `allocate` (fallocate, the size stays),
// `size` (ftruncate) or `both`. Queues are `threads`, `io_uring` and
// `registered`, which is io_uring with pinned memory. With --buffered the page
// cache is used, and dropped before the file is read. With --small-pages the
// memory is in pages of the least size instead of huge ones. Prints the median
// and the extremes of GB/s, sync included, and CPU seconds for each GB: of all
// threads of the process, those that the kernel adds for io_uring included.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/io/io_queue.h"

namespace caisson::bench {
namespace {

struct Options {
  std::string dir = ".";
  size_t mib = 2048;
  size_t transfer_mib = 8;
  size_t rounds = 5;
  std::vector<size_t> depths = {2, 4, 8};
  std::vector<std::string> prepare = {"none"};
  std::vector<std::string> queues = {"threads", "io_uring", "registered"};
  bool direct = true;
  bool huge_pages = true;
};

struct Sample {
  double seconds = 0;
  double cpu_seconds = 0;
};

struct Contestant {
  std::string queue;
  size_t depth;
  std::string prepare;
  std::vector<Sample> writes;
  std::vector<Sample> reads;
};

Sample Now() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) * 1e-6;
  };
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration<double>(now).count(),
          seconds(used.ru_utime) + seconds(used.ru_stime)};
}

Sample Since(const Sample& start) {
  const Sample now = Now();
  return {now.seconds - start.seconds, now.cpu_seconds - start.cpu_seconds};
}

// Moves the whole file through `depth` blocks of memory.
Status Move(IoQueue* queue, File* file, bool writes, std::span<std::byte> pool,
            size_t block, uint64_t total) {
  const size_t depth = pool.size() / block;
  std::counting_semaphore<> free(static_cast<std::ptrdiff_t>(depth));
  Status first;
  std::mutex lock;
  std::vector<size_t> blocks;
  for (size_t i = 0; i < depth; ++i) blocks.push_back(i);
  for (uint64_t offset = 0; offset < total; offset += block) {
    free.acquire();
    std::unique_lock hold(lock);
    const size_t i = blocks.back();
    blocks.pop_back();
    hold.unlock();
    const auto memory = pool.subspan(i * block, block);
    const auto done = [&, i](const Result<size_t>& answer) {
      {
        const std::lock_guard hold_again(lock);
        if (!answer && first.ok()) first = answer.error();
        blocks.push_back(i);
      }
      free.release();
    };
    if (writes) {
      queue->Write(*file, offset, memory, done);
    } else {
      queue->Read(*file, offset, memory, done);
    }
  }
  for (size_t i = 0; i < depth; ++i) free.acquire();
  return first;
}

Status Prepare(File* file, const std::string& prepare, uint64_t bytes) {
  if (prepare == "allocate" || prepare == "both") {
    CAISSON_RETURN_IF_ERROR(file->Allocate(bytes).status());
  }
  if (prepare == "size" || prepare == "both") {
    CAISSON_RETURN_IF_ERROR(file->Truncate(bytes));
  }
  return Status::Ok();
}

Status RunOnce(const Options& options, std::span<std::byte> memory,
               Contestant* contestant) {
  const uint64_t total = uint64_t{options.mib} << 20;
  const size_t block = options.transfer_mib << 20;
  const auto pool = memory.first(contestant->depth * block);
  CAISSON_ASSIGN_OR_RETURN(auto queue, contestant->queue == "threads"
                                           ? MakeThreadQueue(contestant->depth)
                                           : MakeUringQueue(contestant->depth));
  if (contestant->queue == "registered" && !queue->Register(pool)) {
    return Status::Unavailable("the memory cannot be registered");
  }
  const std::string path =
      options.dir + "/io_bench." + std::to_string(getpid());
  CAISSON_ASSIGN_OR_RETURN(File file, File::CreateExclusive(path));
  unlink(path.c_str());
  if (options.direct && !file.SetDirect(true)) {
    return Status::Unavailable("no direct I/O");
  }

  Sample start = Now();
  CAISSON_RETURN_IF_ERROR(Prepare(&file, contestant->prepare, total));
  CAISSON_RETURN_IF_ERROR(
      Move(queue.get(), &file, /*writes=*/true, pool, block, total));
  CAISSON_RETURN_IF_ERROR(file.Sync());
  contestant->writes.push_back(Since(start));

  file.DropCache(0, 0);
  start = Now();
  CAISSON_RETURN_IF_ERROR(
      Move(queue.get(), &file, /*writes=*/false, pool, block, total));
  contestant->reads.push_back(Since(start));
  return Status::Ok();
}

// "1.23 (1.10 to 1.30)"
std::string Spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  char text[64];
  std::snprintf(text, sizeof(text), "%.3f (%.3f to %.3f)",
                values[values.size() / 2], values.front(), values.back());
  return text;
}

void PrintRow(const Contestant& contestant, const char* verb,
              const std::vector<Sample>& samples, double gigabytes) {
  if (samples.empty()) return;
  std::vector<double> speed;
  std::vector<double> cost;
  for (const Sample& sample : samples) {
    speed.push_back(gigabytes / sample.seconds);
    cost.push_back(sample.cpu_seconds / gigabytes);
  }
  std::printf("| %-5s | %-10s | %5zu | %-8s | %-24s | %-24s |\n", verb,
              contestant.queue.c_str(), contestant.depth,
              contestant.prepare.c_str(), Spread(speed).c_str(),
              Spread(cost).c_str());
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ',') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

bool ParseNumber(std::string_view text, size_t* number) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() &&
         *number > 0;
}

bool Parse(std::string_view argument, Options* options) {
  if (argument == "--buffered") {
    options->direct = false;
    return true;
  }
  if (argument == "--small-pages") {
    options->huge_pages = false;
    return true;
  }
  const size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = argument.substr(0, equals);
  const std::string_view value = argument.substr(equals + 1);
  if (name == "--dir") {
    options->dir = value;
    return true;
  }
  if (name == "--prepare" || name == "--queues") {
    (name == "--queues" ? options->queues : options->prepare) = Split(value);
    return true;
  }
  if (name == "--mib") return ParseNumber(value, &options->mib);
  if (name == "--rounds") return ParseNumber(value, &options->rounds);
  if (name == "--transfer-mib") {
    return ParseNumber(value, &options->transfer_mib);
  }
  if (name != "--depths") return false;
  options->depths.clear();
  for (const std::string& word : Split(value)) {
    size_t depth = 0;
    if (!ParseNumber(word, &depth)) return false;
    options->depths.push_back(depth);
  }
  return true;
}

std::vector<Contestant> Contestants(const Options& options) {
  std::vector<Contestant> contestants;
  for (const std::string& prepare : options.prepare) {
    for (const size_t depth : options.depths) {
      for (const std::string& queue : options.queues) {
        contestants.push_back({queue, depth, prepare, {}, {}});
      }
    }
  }
  return contestants;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (Parse(argv[i], &options)) continue;
    std::fprintf(stderr, "io_bench: %s makes no sense\n", argv[i]);
    return 2;
  }
  if (!options.huge_pages && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
    std::fprintf(stderr, "io_bench: the kernel insists on huge pages\n");
    return 1;
  }
  std::vector<Contestant> contestants = Contestants(options);
  const size_t deepest =
      *std::max_element(options.depths.begin(), options.depths.end());
  Result<Buffer> buffer =
      Buffer::Allocate(deepest * options.transfer_mib << 20);
  if (!buffer) {
    std::fprintf(stderr, "io_bench: %s\n", buffer.error().ToString().c_str());
    return 1;
  }
  std::memset(buffer->data(), 0x5a, buffer->size());
  bool failed = false;
  for (size_t round = 0; round < options.rounds; ++round) {
    for (Contestant& contestant : contestants) {
      const Status status = RunOnce(options, buffer->bytes(), &contestant);
      if (status.ok()) continue;
      // What this machine lacks has no row, and that is all.
      failed |= status.code() != StatusCode::kUnavailable;
      std::fprintf(stderr, "io_bench: %s: %s\n", contestant.queue.c_str(),
                   status.ToString().c_str());
    }
  }
  const double gigabytes =
      static_cast<double>(uint64_t{options.mib} << 20) * 1e-9;
  std::printf(
      "%zu MiB in transfers of %zu MiB, %zu rounds, %s, %s pages, "
      "in %s\n\n",
      options.mib, options.transfer_mib, options.rounds,
      options.direct ? "direct" : "buffered",
      options.huge_pages ? "huge" : "small", options.dir.c_str());
  std::printf("| | queue | depth | before | GB/s | CPU s/GB |\n");
  std::printf("|---|---|---|---|---|---|\n");
  for (const Contestant& contestant : contestants) {
    PrintRow(contestant, "write", contestant.writes, gigabytes);
  }
  for (const Contestant& contestant : contestants) {
    PrintRow(contestant, "read", contestant.reads, gigabytes);
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace caisson::bench

int main(int argc, char** argv) { return caisson::bench::Main(argc, argv); }
