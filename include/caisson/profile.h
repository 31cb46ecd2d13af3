// SPDX-License-Identifier: Apache-2.0
//
// Which of torch.save's layouts a PyTorch file has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace caisson {

// The record set, record order and alignment of a file. A State that was read
// remembers its file's profile, and writing keeps it unless told otherwise.
// The default is what torch 2.13 writes. formats.md 1.2, 1.4, 1.8.
struct Profile {
  // The folder that holds every record. None: taken from the path, or
  // "archive" where there is no path.
  std::optional<std::string> prefix;

  // ".format_version", torch >= 2.7. Left out where the layout is not the one
  // that it promises: text order, or an alignment that is not told.
  bool format_version = true;
  bool storage_alignment = true;  // ".storage_alignment", torch >= 2.8
  bool byteorder = true;          // "byteorder", torch >= 2.1
  bool serialization_id = true;   // ".data/serialization_id", torch >= 2.1

  // Storages in the order of their numbers (torch >= 2.7), else in the order
  // of their keys as text: 0, 1, 10, 11, 2.
  bool numeric_order = true;

  // Every record's data starts at a multiple of this. 1 to 32768.
  uint32_t alignment = 64;

  // Whether CRC-32s are stored; without them every stored CRC is 0.
  bool crc32 = true;

  // torch >= 2.7, with the ".storage_alignment" that it has since 2.8.
  static Profile Torch2_7() { return {}; }
  static Profile Torch2_6();
  static Profile Torch1_13();

  friend bool operator==(const Profile&, const Profile&) = default;
};

}  // namespace caisson
