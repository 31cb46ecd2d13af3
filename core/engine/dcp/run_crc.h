// SPDX-License-Identifier: Apache-2.0
//
// The CRC-32 of a record that is read in runs, in any order and on any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>

namespace caisson {

class RunCrc {
 public:
  // `bytes`: of the record.
  explicit RunCrc(uint64_t bytes) : bytes_(bytes) {}

  // Takes the run of the record at `offset`, of which what was taken before
  // does not count again: who gives the bytes away keeps one for each call. The
  // CRC of the whole record when its last byte was taken, after which it begins
  // anew; else none.
  //
  // Thread safety: any number of threads.
  std::optional<uint32_t> Add(uint64_t offset, std::span<const std::byte> run);

 private:
  struct Known {
    uint64_t end;
    uint32_t crc;
  };

  // Of bytes that nobody took; joins what touches it.
  void Insert(uint64_t begin, std::span<const std::byte> run);

  const uint64_t bytes_;
  std::mutex lock_;
  std::map<uint64_t, Known> known_;  // by their first byte; they do not touch
};

}  // namespace caisson
