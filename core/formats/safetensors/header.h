// SPDX-License-Identifier: Apache-2.0
//
// The JSON header of a safetensors file. formats.md 4.
//
// A refusal is named as the safetensors crate names it, and the checks come in
// its order, so that both give one answer for one file. Pure functions; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/status.h"

namespace caisson::safetensors {

// The length of the header: formats.md 4.1.
inline constexpr size_t kLengthBytes = 8;
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

// The key that holds text instead of a tensor.
inline constexpr std::string_view kMetadataKey = "__metadata__";

// Ours in there: the CRC-32 of each tensor's bytes in file order, eight
// lower-case hex digits each, one after the other.
inline constexpr std::string_view kCrcKey = "caisson.crc32";
inline constexpr size_t kCrcDigits = 8;

struct Entry {
  std::string name;
  DType dtype = DType::kUInt8;
  std::vector<uint64_t> shape;  // as the file counts: an F4 is one value
  uint64_t begin = 0;           // in the data, which follows the header
  uint64_t end = 0;
};

struct Header {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // as they stand in the JSON
};

// Reads the JSON of a header. One name twice is refused, which the crate does
// not do.
//
// Errors: kCorrupt: InvalidHeader for what is not UTF-8, else
// InvalidHeaderDeserialization. Memory is bounded by `json`.
Result<Header> ParseHeader(std::span<const std::byte> json);

// Puts the entries into the order of their data, and checks that they fill
// `data_bytes` bytes without gap or overlap, each with what its dtype and
// shape take.
//
// Errors: kCorrupt: InvalidOffset, ValidationOverflow, MisalignedSlice,
// TensorInvalidInfo, MetadataIncompleteBuffer.
Status OrderEntries(std::vector<Entry>* entries, uint64_t data_bytes);

}  // namespace caisson::safetensors
