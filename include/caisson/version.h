// SPDX-License-Identifier: Apache-2.0
//
// What this build is, and what it can do on this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/status.h"

namespace caisson {

// "0.1.0"
const char* Version();

struct BuildInfo {
  std::string version;
  std::string simd_target;                // in use on this machine
  std::vector<std::string> simd_targets;  // compiled in and runnable here
  // One line for each CUDA device.
  std::vector<std::string> cuda_devices;
  std::string cuda;  // which CUDA, or why there is none
  // Name and version of each library that this build uses.
  std::vector<std::pair<std::string, std::string>> libraries;
};

BuildInfo QueryBuild();

// Which way the bytes of a directory's files go.
struct IoDescription {
  std::string file_system;  // "ext4"

  // Bytes that the caller may still write, where the file system says.
  std::optional<uint64_t> free_bytes;

  // Whether an Engine goes past the page cache (O_DIRECT), and why or why not.
  bool direct = false;
  std::string direct_reason;

  // What queues its transfers, "threads" or "io_uring", and why.
  std::string queue;
  std::string queue_reason;
};

// Finds out by writing a block to a file in `directory` that vanishes at once.
//
// Errors: kNotFound if there is no such directory; kIo if no file can be made
// in it.
Result<IoDescription> DescribeIo(const std::string& directory);

}  // namespace caisson
