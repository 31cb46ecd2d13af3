// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measure/measure_disk.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/engine/arrivals.h"
#include "core/io/temporary.h"

namespace caisson {
namespace {

// A transfer that is done, and the place in memory that is free again.
struct Arrival {
  size_t place;
  Result<size_t> moved;
};

using Submit =
    std::function<void(uint64_t offset, std::span<std::byte>, IoQueue::Done)>;

// Submits windows in file order, each as soon as a place in `memory` is free.
Status MoveAll(uint64_t bytes, size_t window, std::span<std::byte> memory,
               const Submit& submit) {
  Arrivals<Arrival> arrivals;
  std::vector<size_t> free;
  for (size_t i = 0; i < memory.size() / window; ++i) free.push_back(i);
  size_t in_flight = 0;
  uint64_t offset = 0;
  Status failure;
  while (true) {
    while (!free.empty() && offset < bytes && failure.ok()) {
      const size_t place = free.back();
      free.pop_back();
      const auto size =
          static_cast<size_t>(std::min<uint64_t>(window, bytes - offset));
      ++in_flight;
      submit(offset, memory.subspan(place * window, size),
             [&arrivals, place](Result<size_t> moved) {
               arrivals.Add({place, std::move(moved)});
             });
      offset += size;
    }
    if (in_flight == 0) return failure;
    arrivals.Wait();
    for (const Arrival& arrival : arrivals.Take()) {
      --in_flight;
      free.push_back(arrival.place);
      if (failure.ok()) failure = arrival.moved.status();
    }
  }
}

// As much memory as the queue can use at once, and as much again to be ready.
std::span<std::byte> Enough(const IoQueue& queue, size_t window,
                            std::span<std::byte> memory) {
  return memory.first(std::min(memory.size(), 2 * queue.depth() * window));
}

}  // namespace

Result<RawFile> RawFile::Create(const std::string& directory, bool direct) {
  const std::string path = directory + "/" + TemporaryName("caisson-bench");
  CAISSON_ASSIGN_OR_RETURN(File file, File::CreateExclusive(path));
  unlink(path.c_str());
  if (direct && !file.SetDirect(true)) {
    return Status::Unavailable(path + ": no direct transfers");
  }
  return RawFile(std::move(file));
}

Status RawFile::Write(IoQueue& queue, uint64_t bytes, size_t window,
                      std::span<std::byte> memory) {
  // As a save does it, and fio.
  CAISSON_RETURN_IF_ERROR(file_.Allocate(bytes).status());
  CAISSON_RETURN_IF_ERROR(file_.Truncate(bytes));
  CAISSON_RETURN_IF_ERROR(
      MoveAll(bytes, window, Enough(queue, window, memory),
              [&](uint64_t offset, std::span<std::byte> src, auto done) {
                queue.Write(file_, offset, src, std::move(done));
              }));
  return file_.Sync();
}

Status RawFile::Read(IoQueue& queue, uint64_t bytes, size_t window,
                     std::span<std::byte> memory) {
  return MoveAll(bytes, window, Enough(queue, window, memory),
                 [&](uint64_t offset, std::span<std::byte> dst, auto done) {
                   queue.Read(file_, offset, dst, std::move(done));
                 });
}

Status DropFromCache(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(File file, File::OpenForRead(path));
  CAISSON_RETURN_IF_ERROR(file.Sync());
  file.DropCache(0, 0);
  return Status::Ok();
}

}  // namespace caisson
