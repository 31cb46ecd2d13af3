// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/zip_layout.h"

#include "core/formats/zip/zip_format.h"

namespace caisson::zip {
namespace {

constexpr uint64_t kTagAndLength = 2 + 2;

// Where the data would begin without filler.
uint64_t UnpaddedDataOffset(uint64_t header_offset, uint64_t name_bytes,
                            uint64_t bytes) {
  return header_offset + kLocalBytes + name_bytes +
         LocalZip64Bytes(header_offset, bytes) + kTagAndLength;
}

}  // namespace

uint64_t LocalZip64Bytes(uint64_t header_offset, uint64_t bytes) {
  uint64_t field = 0;
  if (bytes >= kMoved32) field += 8 + 8;
  if (header_offset >= kMoved32) field += 8;
  return field == 0 ? 0 : kTagAndLength + field;
}

uint64_t PaddingFor(uint64_t header_offset, uint64_t name_bytes, uint64_t bytes,
                    uint64_t alignment) {
  const uint64_t start = UnpaddedDataOffset(header_offset, name_bytes, bytes);
  return (alignment - start % alignment) % alignment;
}

uint64_t DataOffset(uint64_t header_offset, uint64_t name_bytes, uint64_t bytes,
                    uint64_t alignment) {
  return UnpaddedDataOffset(header_offset, name_bytes, bytes) +
         PaddingFor(header_offset, name_bytes, bytes, alignment);
}

uint64_t DescriptorBytes(uint64_t header_offset, uint64_t bytes) {
  if (bytes == 0) return 0;
  return LocalZip64Bytes(header_offset, bytes) == 0 ? kDescriptorBytes
                                                    : kDescriptor64Bytes;
}

}  // namespace caisson::zip
