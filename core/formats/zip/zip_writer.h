// SPDX-License-Identifier: Apache-2.0
//
// The headers of an archive as PyTorch writes them, made one record at a
// time. formats.md 1.3 to 1.7. Moves no payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace caisson::zip {

class ZipWriter {
 public:
  // REQUIRES: 1 <= alignment <= 32768.
  explicit ZipWriter(uint32_t alignment) : alignment_(alignment) {}

  // Begins a stored record of `bytes` whose local header lies at `offset`:
  // header, name and padding. `name` includes the folder.
  std::vector<std::byte> Begin(const std::string& name, uint64_t bytes,
                               uint64_t offset);

  // The same for a deflated record that takes `stored_bytes` in the file.
  std::vector<std::byte> BeginDeflated(const std::string& name, uint64_t bytes,
                                       uint64_t stored_bytes, uint64_t offset);

  // The same for a record that is encoded as it is written: deflated, or stored
  // as another codec gives it, which takes at most `bound` in the file. `bytes`
  // are its decoded ones; 0 for a stored record, whose are its stored ones.
  // Whether it has 64-bit sizes is decided by the bound.
  std::vector<std::byte> BeginEncoded(const std::string& name, uint16_t method,
                                      uint64_t bytes, uint64_t bound,
                                      uint64_t offset);

  // What such a record takes. REQUIRED before its Descriptor() and Finish().
  void SetStored(size_t record, uint64_t stored_bytes);

  size_t records() const { return records_.size(); }

  // Of a record by its position: 0, 16 or 24.
  uint64_t DescriptorBytes(size_t record) const;

  // What follows the payload of a record.
  std::vector<std::byte> Descriptor(size_t record, uint32_t crc32) const;

  // Bytes of Finish().
  uint64_t FinishBytes() const;

  // The directory and the end records, to lie at `offset`. `crcs` has one
  // CRC for each record.
  std::vector<std::byte> Finish(uint64_t offset,
                                std::span<const uint32_t> crcs) const;

 private:
  struct Entry {
    std::string name;
    uint64_t offset;
    uint64_t bytes;
    uint64_t stored_bytes;
    uint16_t method;
    uint64_t bound;  // at least both sizes: what decides their width
  };

  std::vector<std::byte> BeginEntry(Entry entry);

  const uint32_t alignment_;
  std::vector<Entry> records_;
};

}  // namespace caisson::zip
