// SPDX-License-Identifier: Apache-2.0
//
// Where PyTorch puts things inside a record: the arithmetic that its writer,
// ours, and readers that compute offsets have in common. formats.md 1.4-1.6.
//
// Pure functions of sizes; any thread. Offsets count from the archive's start.
#pragma once

#include <cstdint>

namespace caisson::zip {

// What PyTorch aligns to, unless it is told otherwise.
inline constexpr uint32_t kDefaultAlignment = 64;

// The most that fits, since the length of an extra field has 16 bits.
inline constexpr uint32_t kMaxAlignment = 32768;

// A name's length has 16 bits: APPNOTE 4.4.10. With the folder.
inline constexpr uint32_t kMaxNameBytes = 0xffff;

// The most bytes that a record takes besides its content, its padding and its
// name, which stands there twice: local header 30, its zip64 field 28 and the
// padding's tag and length 4, descriptor 24, entry 46 with a zip64 field 28.
inline constexpr uint64_t kMaxRecordOverhead = 160;

// The most bytes that end the archive: zip64 record 56, its locator 20, end
// record 22.
inline constexpr uint64_t kMaxEndBytes = 98;

// Bytes of a local header's zip64 field with its tag and length, or 0 if a
// record of `bytes` decoded bytes at `header_offset` needs none. It holds both
// sizes, the header's offset, or all three: 20, 12 or 28 bytes.
uint64_t LocalZip64Bytes(uint64_t header_offset, uint64_t bytes);

// Filler bytes after the tag and length of the padding field, 0 to
// alignment - 1: as many as make the data begin at a multiple of `alignment`.
// The name counts with its folder. REQUIRES: alignment > 0.
uint64_t PaddingFor(uint64_t header_offset, uint64_t name_bytes, uint64_t bytes,
                    uint64_t alignment);

// Where the data begins: a multiple of `alignment`. REQUIRES: alignment > 0.
uint64_t DataOffset(uint64_t header_offset, uint64_t name_bytes, uint64_t bytes,
                    uint64_t alignment);

// Bytes of the data descriptor that follows the data: 0 for an empty record,
// 24 where the local header has a zip64 field, otherwise 16.
uint64_t DescriptorBytes(uint64_t header_offset, uint64_t bytes);

}  // namespace caisson::zip
