// SPDX-License-Identifier: Apache-2.0
#include "core/io/file_system_name.h"

#include <sys/vfs.h>

#include <cstdint>
#include <cstdio>

namespace caisson {
namespace {

// statfs(2), linux/magic.h; zfs, lustre and gpfs from their own sources.
constexpr struct {
  uint32_t magic;
  const char* name;
} kNames[] = {
    {0x0000EF53, "ext4"},     {0x58465342, "xfs"},   {0x9123683E, "btrfs"},
    {0xF2F52010, "f2fs"},     {0x2FC12FC1, "zfs"},   {0xCA451A4E, "bcachefs"},
    {0x01021994, "tmpfs"},    {0x858458F6, "ramfs"}, {0x794C7630, "overlay"},
    {0x0000F15F, "ecryptfs"}, {0x00006969, "nfs"},   {0xFF534D42, "cifs"},
    {0xFE534D42, "smb2"},     {0x00C36400, "ceph"},  {0x0BD00BD0, "lustre"},
    {0x47504653, "gpfs"},     {0x65735546, "fuse"},  {0x01021997, "9p"},
    {0x00004D44, "msdos"},    {0x2011BAB0, "exfat"}, {0x958458F6, "hugetlbfs"},
    {0x7366746E, "ntfs3"},
};

}  // namespace

std::string FileSystemName(int fd) {
  struct statfs found;
  if (fstatfs(fd, &found) != 0) return "unknown";
  const auto magic = static_cast<uint32_t>(found.f_type);
  for (const auto& known : kNames) {
    if (known.magic == magic) return known.name;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "unknown (0x%x)", magic);
  return text;
}

bool IsInMemory(const std::string& file_system) {
  return file_system == "tmpfs" || file_system == "ramfs" ||
         file_system == "hugetlbfs";
}

}  // namespace caisson
