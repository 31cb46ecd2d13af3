// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <istream>
#include <utility>

#include "caisson/adapter.h"
#include "core/base/status_macros.h"
#include "core/io/file.h"
#include "core/io/file_system.h"

namespace caisson {
namespace {

// How many of `wanted` bytes lie between `offset` and `size`.
size_t Available(uint64_t size, uint64_t offset, size_t wanted) {
  if (offset >= size) return 0;
  return static_cast<size_t>(std::min<uint64_t>(wanted, size - offset));
}

constexpr std::streamoff kNowhere = -1;

// The functions below work on the buffer under a stream: the stream's own
// functions depend on its state and, when the user asked for that, throw. A
// buffer of the user's may throw all the same, and libstdc++'s do when a read
// fails.

std::streamoff Seek(std::streambuf* buffer, std::streamoff offset,
                    std::ios_base::seekdir from) {
  try {
    return buffer->pubseekoff(offset, from, std::ios_base::in);
  } catch (...) {
    return kNowhere;
  }
}

// -1 on failure.
std::streamsize ReadSome(std::streambuf* buffer, std::span<std::byte> dst) {
  try {
    return buffer->sgetn(reinterpret_cast<char*>(dst.data()),
                         static_cast<std::streamsize>(dst.size()));
  } catch (...) {
    return -1;
  }
}

}  // namespace

Result<std::shared_ptr<FileAdapter>> FileAdapter::Open(
    const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(File file, File::OpenForRead(path));
  CAISSON_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  return std::shared_ptr<FileAdapter>(
      new FileAdapter(path, file.Release(), size));
}

FileAdapter::FileAdapter(std::string path, int fd, uint64_t size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

FileAdapter::~FileAdapter() { FileSystem::Posix().Close(fd_); }

Result<size_t> FileAdapter::Read(uint64_t offset,
                                 std::span<std::byte> dst) const {
  return ReadUpTo(FileSystem::Posix(), fd_, path_, offset,
                  dst.first(Available(size_, offset, dst.size())));
}

Result<std::shared_ptr<IStreamAdapter>> IStreamAdapter::Open(
    std::istream* stream, std::string name) {
  std::streambuf* const buffer = stream == nullptr ? nullptr : stream->rdbuf();
  if (buffer == nullptr) {
    return Status::InvalidArgument(name + ": open: there is no stream");
  }
  const std::streamoff start = Seek(buffer, 0, std::ios_base::cur);
  const std::streamoff end = Seek(buffer, 0, std::ios_base::end);
  if (start < 0 || end < start ||
      Seek(buffer, start, std::ios_base::beg) != start) {
    return Status::Io(name + ": open: the stream cannot seek");
  }
  return std::shared_ptr<IStreamAdapter>(
      new IStreamAdapter(stream, std::move(name), static_cast<uint64_t>(start),
                         static_cast<uint64_t>(end - start)));
}

IStreamAdapter::IStreamAdapter(std::istream* stream, std::string name,
                               uint64_t start, uint64_t size)
    : stream_(stream), name_(std::move(name)), start_(start), size_(size) {}

Result<size_t> IStreamAdapter::Read(uint64_t offset,
                                    std::span<std::byte> dst) const {
  dst = dst.first(Available(size_, offset, dst.size()));
  if (dst.empty()) return size_t{0};
  const auto position = static_cast<std::streamoff>(start_ + offset);
  const std::lock_guard hold(lock_);
  std::streambuf* const buffer = stream_->rdbuf();
  if (Seek(buffer, position, std::ios_base::beg) != position) {
    return Status::Io(name_ + ": read at " + std::to_string(offset) +
                      ": the stream cannot seek there");
  }
  const std::streamsize got = ReadSome(buffer, dst);
  if (got < 0) {
    return Status::Io(name_ + ": read at " + std::to_string(offset) +
                      ": needed " + std::to_string(dst.size()) +
                      " bytes: the stream failed");
  }
  return static_cast<size_t>(got);
}

MemoryAdapter::MemoryAdapter(std::span<const std::byte> bytes, std::string name,
                             std::shared_ptr<const void> owner)
    : bytes_(bytes), name_(std::move(name)), owner_(std::move(owner)) {}

Result<size_t> MemoryAdapter::Read(uint64_t offset,
                                   std::span<std::byte> dst) const {
  const size_t bytes = Available(bytes_.size(), offset, dst.size());
  // memcpy takes no null pointer, even for 0 bytes.
  if (bytes > 0) std::memcpy(dst.data(), bytes_.data() + offset, bytes);
  return bytes;
}

}  // namespace caisson
