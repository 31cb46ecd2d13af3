// SPDX-License-Identifier: Apache-2.0
//
// Loads files of stock torch and saves them again with engines of every size:
//
//   engine_matrix FOLDER EVERY FILE...
//
// Each engine saves every EVERY-th file, another share of them for each.
// Windows of 64 KiB to 16 MiB, pools of one window up, 1 to 8 threads, both
// I/O queues, direct and buffered, blocking and asynchronous. Every save must
// have the bytes of its file, and every engine's load must save to them too.
// Prints what was compared. Exit status: 0 all identical, 1 not, 2 with a
// message if something failed.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/reader.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

constexpr size_t kKiB = 1024;

std::string Content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<EngineOptions> Configurations() {
  std::vector<EngineOptions> all;
  for (const size_t window : {64 * kKiB, 1024 * kKiB, 16384 * kKiB}) {
    for (const size_t windows : {1, 2, 7}) {
      for (const size_t threads : {1, 2, 8}) {
        for (const IoKind io : {IoKind::kThreads, IoKind::kUring}) {
          for (const bool direct : {true, false}) {
            EngineOptions options;
            options.window_bytes = window;
            options.pool_bytes = window * windows;
            options.threads = threads;
            options.io = io;
            options.direct = direct;
            all.push_back(options);
          }
        }
      }
    }
  }
  return all;
}

struct File {
  std::string path;
  std::string content;
  State state;
};

Result<File> Loaded(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Reader::Open(path));
  LoadOptions options;
  options.keep_unknown = true;
  CAISSON_ASSIGN_OR_RETURN(State state, reader.Load(options));
  return File{path, Content(path), std::move(state)};
}

struct Counts {
  int same = 0;
  int different = 0;
  int absent = 0;  // engines that this machine cannot have

  void Add(bool is_same) { ++(is_same ? same : different); }
};

// Saves `state` blocking or not, and compares.
Status Compare(Engine& engine, const State& state, const File& file,
               const std::string& target, bool asynchronous, Counts* counts) {
  SaveOptions save;
  save.sync = false;
  if (asynchronous) {
    AsyncOptions options;
    options.save = save;
    CAISSON_ASSIGN_OR_RETURN(const Ticket ticket,
                             engine.SaveAsync(state, target, options));
    CAISSON_RETURN_IF_ERROR(ticket.Wait().status());
  } else {
    CAISSON_RETURN_IF_ERROR(engine.Save(state, target, save).status());
  }
  counts->Add(Content(target) == file.content);
  return Status::Ok();
}

Status CompareAll(const std::string& folder, size_t every,
                  const std::vector<File>& files, Counts* counts) {
  size_t round = 0;
  for (const EngineOptions& options : Configurations()) {
    CAISSON_ASSIGN_OR_RETURN(Engine engine, Engine::Create(options));
    for (size_t i = round % every; i < files.size(); i += every) {
      const File& file = files[i];
      // The folder in the archive is named after the file.
      const std::string target =
          folder + "/" + std::filesystem::path(file.path).filename().string();
      const Status status = Compare(engine, file.state, file, target,
                                    (round + i / every) % 2 == 0, counts);
      if (status.code() == StatusCode::kUnavailable) {
        ++counts->absent;  // no io_uring here
        break;
      }
      CAISSON_RETURN_IF_ERROR(status.WithContext(file.path));
      if (i / every % 8 != 0) continue;
      LoadOptions keep;
      keep.keep_unknown = true;
      CAISSON_ASSIGN_OR_RETURN(const State state, engine.Load(file.path, keep));
      CAISSON_RETURN_IF_ERROR(
          Compare(engine, state, file, target, false, counts));
    }
    ++round;
  }
  return Status::Ok();
}

int Main(int argc, char** argv) {
  std::vector<File> files;
  for (int i = 3; i < argc; ++i) {
    auto file = Loaded(argv[i]);
    if (!file) {
      std::fprintf(stderr, "%s\n", file.error().ToString().c_str());
      return 2;
    }
    files.push_back(std::move(*file));
  }
  const int every = argc > 2 ? std::atoi(argv[2]) : 0;
  if (files.empty() || every < 1) {
    std::fprintf(stderr, "engine_matrix FOLDER EVERY FILE...\n");
    return 2;
  }
  Counts counts;
  const Status status =
      CompareAll(argv[1], static_cast<size_t>(every), files, &counts);
  std::printf("%d identical, %d different, %d engines not available\n",
              counts.same, counts.different, counts.absent);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 2;
  }
  return counts.different == 0 && counts.same > 0 ? 0 : 1;
}

}  // namespace
}  // namespace caisson

int main(int argc, char** argv) { return caisson::Main(argc, argv); }
