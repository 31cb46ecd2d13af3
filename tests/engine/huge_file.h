// SPDX-License-Identifier: Apache-2.0
//
// A state of more than 4 GiB that takes a few pages, and a file of it that
// takes a few blocks: nearly all of both is zeros that nobody stored.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "caisson/state.h"
#include "core/base/status_macros.h"
#include "core/engine/write/part_writer.h"
#include "core/formats/torch/torch_writer.h"
#include "core/io/file.h"
#include "tests/engine/hole_file_system.h"
#include "tests/support/pattern_tensor.h"

namespace caisson {

inline constexpr uint64_t k4GiB = uint64_t{1} << 32;
inline constexpr uint64_t kHugeBytes = k4GiB + 7;

// Bytes that are zero and take no memory as long as they are only read.
inline Result<TensorView> ZeroTensor(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return Status::OutOfMemory("no address space");
  const std::shared_ptr<const void> owner(memory, [bytes](const void* old) {
    munmap(const_cast<void*>(old), bytes);
  });
  return DenseTensor(DType::kUInt8, {static_cast<int64_t>(bytes)}, memory,
                     owner);
}

// Zeros but for the first byte and the last five.
inline Result<TensorView> HugeTensor() {
  CAISSON_ASSIGN_OR_RETURN(TensorView tensor, ZeroTensor(kHugeBytes));
  std::byte* data = tensor.storage->region.data;
  data[0] = std::byte{0xab};
  std::memcpy(data + kHugeBytes - 5, "tail!", 5);
  return tensor;
}

// Storages before and after the huge one, and a view of both its ends.
inline Result<State> HugeState() {
  CAISSON_ASSIGN_OR_RETURN(const TensorView huge, HugeTensor());
  State state;
  state["before"] = PatternTensor(DType::kUInt8, {100}, 1);
  state["huge"] = huge;
  state["ends"] = ViewOf(huge, {2, 2}, {static_cast<int64_t>(k4GiB + 5), 1});
  state["after"] = PatternTensor(DType::kFloat32, {1000}, 2);
  state["empty"] = PatternTensor(DType::kFloat32, {0}, 3);
  state["last"] = PatternTensor(DType::kInt16, {3}, 4);
  return state;
}

// Writes `state` to a new file, in the folder "archive", as Writer::Write does
// it, but leaves holes.
inline Result<PartTotals> WriteWithHoles(const State& state,
                                         const std::string& path) {
  Profile profile = state.profile;
  profile.prefix = "archive";
  CAISSON_ASSIGN_OR_RETURN(const auto parts,
                           torch::WriteTorchArchive(state, profile));
  HoleFileSystem files;
  CAISSON_ASSIGN_OR_RETURN(File file, File::CreateExclusive(path, 0666, files));
  std::vector<std::byte> window(size_t{1} << 20);
  return WriteParts(*parts, file, window);
}

// Whether files in `folder` can have holes.
inline bool HasHoles(const std::string& folder) {
  std::string name = folder + "/probe_XXXXXX";
  const int fd = mkstemp(name.data());
  if (fd < 0) return false;
  struct stat found;
  const bool holes = ftruncate(fd, 2 * k4GiB) == 0 && fstat(fd, &found) == 0 &&
                     found.st_blocks < 2048;
  close(fd);
  unlink(name.c_str());
  return holes;
}

}  // namespace caisson
