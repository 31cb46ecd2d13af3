// SPDX-License-Identifier: Apache-2.0
#include "core/io/direct_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// How many places of the file are looked at, and how many pages of each.
constexpr uint64_t kSamples = 256;
constexpr size_t kPages = 16;

// A second descriptor of the file that `file` is, whatever its path is now:
// flags belong to the descriptor's open, not to the file.
std::optional<File> Reopened(const File& file, FileSystem& files) {
  const std::string link = "/proc/self/fd/" + std::to_string(file.fd());
  const int fd = Uninterrupted([&] {
    return files.Open(AT_FDCWD, link.c_str(), O_RDONLY | O_CLOEXEC, 0);
  });
  if (fd < 0) return std::nullopt;
  File again(fd, file.path(), files);
  if (!again.SetDirect(true)) return std::nullopt;
  return again;
}

}  // namespace

Result<std::shared_ptr<DirectFile>> DirectFile::Open(const std::string& path,
                                                     FileSystem& files) {
  CAISSON_ASSIGN_OR_RETURN(File file, File::OpenForRead(path, files));
  CAISSON_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  std::optional<File> direct = Reopened(file, files);
  std::shared_ptr<DirectFile> opened(
      new DirectFile(std::move(file), std::move(direct), size));
  opened->cached_at_open_ = opened->CachedShare();
  return opened;
}

Result<size_t> DirectFile::Read(uint64_t offset,
                                std::span<std::byte> dst) const {
  if (offset >= size_) return size_t{0};
  return file_.ReadUpTo(
      offset, dst.first(std::min<uint64_t>(dst.size(), size_ - offset)));
}

double DirectFile::CachedShare() const {
  if (size_ == 0) return 0;
  // Addresses only: nothing is read through the mapping.
  void* const mapping =
      mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.fd(), 0);
  if (mapping == MAP_FAILED) return 0;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t pages = (size_ + page - 1) / page;
  const uint64_t samples = std::clamp<uint64_t>(pages / kPages, 1, kSamples);
  uint64_t seen = 0;
  uint64_t cached = 0;
  for (uint64_t i = 0; i < samples; ++i) {
    const uint64_t first = pages / samples * i;
    const uint64_t count = std::min<uint64_t>(kPages, pages - first);
    unsigned char resident[kPages];
    if (mincore(static_cast<std::byte*>(mapping) + first * page,
                static_cast<size_t>(count * page), resident) != 0) {
      break;
    }
    seen += count;
    for (uint64_t p = 0; p < count; ++p) cached += resident[p] & 1;
  }
  munmap(mapping, size_);
  return seen == 0 ? 0
                   : static_cast<double>(cached) / static_cast<double>(seen);
}

}  // namespace caisson
