// SPDX-License-Identifier: Apache-2.0
//
// What kind of file system a file lies on. For messages, and for the few
// decisions that no attempt can answer.
#pragma once

#include <string>

namespace caisson {

// "ext4", "xfs", "nfs"; "unknown (0x1234)" by its magic number, or "unknown".
// ext2 and ext3 are told apart from ext4 by nothing, and called ext4.
std::string FileSystemName(int fd);

// Whether a file system of this name keeps its files in memory alone.
bool IsInMemory(const std::string& file_system);

}  // namespace caisson
