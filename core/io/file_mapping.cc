// SPDX-License-Identifier: Apache-2.0
#include "core/io/file_mapping.h"

#include <sys/mman.h>

#include <cerrno>

#include "core/io/file_system.h"

namespace caisson {

Result<std::shared_ptr<const FileMapping>> FileMapping::Map(
    int fd, uint64_t bytes, const std::string& path) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) return FromErrno(errno, path, "map");
  return std::shared_ptr<const FileMapping>(new FileMapping(
      {static_cast<std::byte*>(memory), static_cast<size_t>(bytes)}));
}

FileMapping::~FileMapping() { munmap(bytes_.data(), bytes_.size()); }

}  // namespace caisson
