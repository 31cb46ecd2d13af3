// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/zip_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/byte_sink.h"
#include "core/formats/zip/zip_format.h"
#include "core/formats/zip/zip_layout.h"

namespace caisson::zip {
namespace {

// What stock's zip64 end record says of who made it and who can read it.
constexpr uint16_t kMadeBy = 0x031e;
constexpr uint16_t kNeeded = 0x002d;

uint16_t FlagsFor(uint64_t bytes) {
  return bytes == 0 ? kFlagUtf8 : kFlagDescriptor | kFlagUtf8;
}

// Version needed to extract, as stock has it: 4.4.3.2.
uint16_t VersionFor(uint16_t method) {
  return method == kMethodDeflate ? 20 : 0;
}

uint32_t Clipped(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, kMoved32));
}

// Both sizes move to the zip64 field together.
uint32_t ClippedSize(uint64_t bound, uint64_t bytes) {
  return bound >= kMoved32 ? kMoved32 : static_cast<uint32_t>(bytes);
}

// 4.5.3, in stock's form: only the fields that overflow; both sizes do so
// together, and the header's offset appears in the local copy too.
void PutZip64(uint64_t bound, uint64_t bytes, uint64_t stored_bytes,
              uint64_t offset, ByteSink& sink) {
  const uint64_t field = LocalZip64Bytes(offset, bound);
  if (field == 0) return;
  sink.PutLittle(kExtraZip64);
  sink.PutLittle(static_cast<uint16_t>(field - 4));
  if (bound >= kMoved32) {
    sink.PutLittle(bytes);
    sink.PutLittle(stored_bytes);
  }
  if (offset >= kMoved32) sink.PutLittle(offset);
}

}  // namespace

std::vector<std::byte> ZipWriter::Begin(const std::string& name, uint64_t bytes,
                                        uint64_t offset) {
  return BeginEntry({name, offset, bytes, bytes, kMethodStored, bytes});
}

std::vector<std::byte> ZipWriter::BeginDeflated(const std::string& name,
                                                uint64_t bytes,
                                                uint64_t stored_bytes,
                                                uint64_t offset) {
  return BeginEntry({name, offset, bytes, stored_bytes, kMethodDeflate, bytes});
}

std::vector<std::byte> ZipWriter::BeginEncoded(const std::string& name,
                                               uint16_t method, uint64_t bytes,
                                               uint64_t bound,
                                               uint64_t offset) {
  return BeginEntry({name, offset, bytes, 0, method, std::max(bytes, bound)});
}

void ZipWriter::SetStored(size_t record, uint64_t stored_bytes) {
  Entry& entry = records_[record];
  entry.stored_bytes = stored_bytes;
  if (entry.method == kMethodStored) entry.bytes = stored_bytes;
}

std::vector<std::byte> ZipWriter::BeginEntry(Entry entry) {
  const uint64_t padding =
      PaddingFor(entry.offset, entry.name.size(), entry.bound, alignment_);
  const uint64_t zip64 = LocalZip64Bytes(entry.offset, entry.bound);
  ByteSink sink;
  sink.Reserve(kLocalBytes + entry.name.size() + zip64 + 4 + padding);
  sink.PutLittle(kLocalSignature);
  sink.PutLittle(VersionFor(entry.method));
  sink.PutLittle(FlagsFor(entry.bound));
  sink.PutLittle(entry.method);
  sink.PutLittle(uint32_t{0});  // time and date
  sink.PutLittle(uint32_t{0});  // CRC and sizes: in the descriptor
  sink.PutLittle(uint32_t{0});
  sink.PutLittle(uint32_t{0});
  sink.PutLittle(static_cast<uint16_t>(entry.name.size()));
  sink.PutLittle(static_cast<uint16_t>(zip64 + 4 + padding));
  sink.Put(entry.name);
  PutZip64(entry.bound, entry.bytes, 0, entry.offset, sink);
  sink.PutLittle(kExtraPadding);
  sink.PutLittle(static_cast<uint16_t>(padding));
  sink.PutFill(padding, 'Z');
  records_.push_back(std::move(entry));
  return sink.Take();
}

uint64_t ZipWriter::DescriptorBytes(size_t record) const {
  return zip::DescriptorBytes(records_[record].offset, records_[record].bound);
}

std::vector<std::byte> ZipWriter::Descriptor(size_t record,
                                             uint32_t crc32) const {
  const uint64_t width = DescriptorBytes(record);
  if (width == 0) return {};
  const Entry& entry = records_[record];
  ByteSink sink;
  sink.Reserve(width);
  sink.PutLittle(kDescriptorSignature);
  sink.PutLittle(crc32);
  if (width == kDescriptor64Bytes) {
    sink.PutLittle(entry.stored_bytes);
    sink.PutLittle(entry.bytes);
  } else {
    sink.PutLittle(static_cast<uint32_t>(entry.stored_bytes));
    sink.PutLittle(static_cast<uint32_t>(entry.bytes));
  }
  return sink.Take();
}

uint64_t ZipWriter::FinishBytes() const {
  uint64_t bytes = kZip64EndBytes + kZip64LocatorBytes + kEndBytes;
  for (const Entry& entry : records_) {
    bytes += kCentralBytes + entry.name.size() +
             LocalZip64Bytes(entry.offset, entry.bound);
  }
  return bytes;
}

std::vector<std::byte> ZipWriter::Finish(uint64_t offset,
                                         std::span<const uint32_t> crcs) const {
  ByteSink sink;
  sink.Reserve(FinishBytes());
  for (size_t i = 0; i < records_.size(); ++i) {
    const Entry& entry = records_[i];
    sink.PutLittle(kCentralSignature);
    sink.PutLittle(uint16_t{0});  // version made by
    sink.PutLittle(VersionFor(entry.method));
    sink.PutLittle(FlagsFor(entry.bound));
    sink.PutLittle(entry.method);
    sink.PutLittle(uint32_t{0});  // time and date
    sink.PutLittle(crcs[i]);
    sink.PutLittle(ClippedSize(entry.bound, entry.stored_bytes));
    sink.PutLittle(ClippedSize(entry.bound, entry.bytes));
    sink.PutLittle(static_cast<uint16_t>(entry.name.size()));
    sink.PutLittle(
        static_cast<uint16_t>(LocalZip64Bytes(entry.offset, entry.bound)));
    sink.PutLittle(uint16_t{0});  // comment
    sink.PutLittle(uint16_t{0});  // disk
    sink.PutLittle(uint16_t{0});  // internal attributes
    sink.PutLittle(uint32_t{0});  // external attributes
    sink.PutLittle(Clipped(entry.offset));
    sink.Put(entry.name);
    PutZip64(entry.bound, entry.bytes, entry.stored_bytes, entry.offset, sink);
  }
  const uint64_t directory = sink.size();
  const uint64_t count = records_.size();
  sink.PutLittle(kZip64EndSignature);
  sink.PutLittle(uint64_t{kZip64EndBytes - 12});  // of the rest
  sink.PutLittle(kMadeBy);
  sink.PutLittle(kNeeded);
  sink.PutLittle(uint32_t{0});  // this disk, and that of the directory
  sink.PutLittle(uint32_t{0});
  sink.PutLittle(count);
  sink.PutLittle(count);
  sink.PutLittle(directory);
  sink.PutLittle(offset);
  sink.PutLittle(kZip64LocatorSignature);
  sink.PutLittle(uint32_t{0});
  sink.PutLittle(offset + directory);
  sink.PutLittle(uint32_t{1});
  const auto clipped =
      static_cast<uint16_t>(std::min<uint64_t>(count, kMoved16));
  sink.PutLittle(kEndSignature);
  sink.PutLittle(uint32_t{0});  // this disk, and that of the directory
  sink.PutLittle(clipped);
  sink.PutLittle(clipped);
  sink.PutLittle(static_cast<uint32_t>(directory));
  sink.PutLittle(Clipped(offset));
  sink.PutLittle(uint16_t{0});  // comment
  return sink.Take();
}

}  // namespace caisson::zip
