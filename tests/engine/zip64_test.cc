// SPDX-License-Identifier: Apache-2.0
//
// Sizes and header offsets just below, at and just above the value from which
// they move to the zip64 field: what PyTorchStreamWriter puts into a real
// file, what Writer's engine does, and what is read back. Large records are
// holes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "caisson/archive.h"
#include "caisson/archive_writer.h"
#include "core/io/file.h"
#include "tests/engine/huge_file.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson {
namespace {

constexpr uint64_t kLimit = 0xffffffff;
constexpr uint64_t kAround[] = {kLimit - 1, kLimit, kLimit + 1};

// What lies at `offset`.
std::string BytesAt(const File& file, uint64_t offset, uint64_t bytes) {
  std::string content(bytes, '\0');
  EXPECT_THAT(file.ReadAt(offset, AsWritable(content)), IsOk());
  return content;
}

// formats.md 1.3 to 1.6: header, name, zip64 field and padding of a record.
std::string LocalHeader(const std::string& name, uint64_t bytes,
                        uint64_t header, uint64_t alignment) {
  std::string fields;
  if (bytes >= kLimit) fields += Le64(bytes) + Le64(0);
  if (header >= kLimit) fields += Le64(header);
  std::string extra = fields.empty() ? "" : ExtraField(1, fields);
  const uint64_t start = header + 30 + name.size() + extra.size() + 4;
  const uint64_t padding = (alignment - start % alignment) % alignment;
  extra += ExtraField(0x4246, std::string(padding, 'Z'));
  const std::string flags = bytes == 0 ? std::string("\0\x08", 2) : "\x08\x08";
  return Le32(0x04034b50) + std::string(2, '\0') + flags +
         std::string(18, '\0') + Le16(name.size()) + Le16(extra.size()) + name +
         extra;
}

// formats.md 1.5, behind signature and CRC.
std::string DescriptorSizes(uint64_t bytes, uint64_t header) {
  if (bytes == 0) return "";
  const bool wide = bytes >= kLimit || header >= kLimit;
  const std::string size = wide ? Le64(bytes) : Le32(bytes);
  return size + size;
}

// Expects every header and descriptor of the archive as formats.md has it, and
// that the reader finds each record there.
void ExpectLayout(const std::string& path, uint64_t alignment) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const File file, File::OpenForRead(path));
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               PyTorchStreamReader::Open(path));
  uint64_t cursor = 0;
  for (const std::string& name : reader.getAllRecords()) {
    SCOPED_TRACE(path + ": " + name);
    CAISSON_ASSERT_OK_AND_ASSIGN(const uint64_t bytes,
                                 reader.getRecordSize(name));
    const std::string header = LocalHeader(reader.archiveName() + "/" + name,
                                           bytes, cursor, alignment);
    const uint64_t data = cursor + header.size();
    EXPECT_THAT(reader.getRecordHeaderOffset(name), IsOkAndHolds(cursor));
    EXPECT_THAT(reader.getRecordOffset(name), IsOkAndHolds(data));
    EXPECT_EQ(BytesAt(file, cursor, header.size()), header);
    const std::string sizes = DescriptorSizes(bytes, cursor);
    cursor = data + bytes;
    if (sizes.empty()) continue;
    EXPECT_EQ(BytesAt(file, cursor, 4), Le32(0x08074b50));
    EXPECT_EQ(BytesAt(file, cursor + 8, sizes.size()), sizes);
    cursor += 8 + sizes.size();
  }
}

void ExpectContent(const std::string& path, const std::string& name,
                   const std::string& content) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               PyTorchStreamReader::Open(path));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Record record, reader.getRecord(name));
  ASSERT_EQ(record.size, content.size());
  EXPECT_EQ(std::memcmp(record.data.get(), content.data(), record.size), 0);
}

// 0 if there is no such record, with a failure.
uint64_t HeaderOf(const std::string& path, const std::string& name) {
  const auto reader = PyTorchStreamReader::Open(path);
  EXPECT_THAT(reader.status(), IsOk());
  if (!reader) return 0;
  const auto header = reader->getRecordHeaderOffset(name);
  EXPECT_THAT(header.status(), IsOk());
  return header ? *header : 0;
}

// A hole of `fill` bytes, and behind it two bytes, none, 2^32 - 1, and two.
void WriteRecords(const std::string& path, uint64_t fill, uint32_t alignment) {
  ArchiveWriteOptions options;
  options.alignment = alignment;
  options.sync = false;
  CAISSON_ASSERT_OK_AND_ASSIGN(auto writer,
                               PyTorchStreamWriter::Open(path, options));
  CAISSON_ASSERT_OK(writer.writeRecord("fill", nullptr, fill));
  CAISSON_ASSERT_OK(writer.writeRecord("two", "ab", 2));
  CAISSON_ASSERT_OK(writer.writeRecord("none", nullptr, 0));
  CAISSON_ASSERT_OK(writer.writeRecord("both", nullptr, kLimit));
  CAISSON_ASSERT_OK(writer.writeRecord("end", "ab", 2));
  CAISSON_ASSERT_OK(writer.writeEndOfFile());
  ExpectLayout(path, alignment);
  ExpectContent(path, "two", "ab");
  ExpectContent(path, "end", "ab");
}

// A storage of `fill` zeros, and behind it two bytes, none, and one.
void WriteStorages(const std::string& path, uint64_t fill) {
  State state;
  CAISSON_ASSERT_OK_AND_ASSIGN(state["fill"], ZeroTensor(fill));
  state["two"] = PatternTensor(DType::kUInt8, {2}, 'a');
  state["none"] = PatternTensor(DType::kUInt8, {0}, 0);
  state["one"] = PatternTensor(DType::kUInt8, {1}, 'c');
  state.profile.alignment = 1;
  state.profile.crc32 = false;  // as it takes most of the time
  CAISSON_ASSERT_OK(WriteWithHoles(state, path));
  ExpectLayout(path, 1);
  ExpectContent(path, "data/1", "ab");
  ExpectContent(path, "data/3", "c");
}

class Zip64Test : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasHoles(scratch_.path())) {
      GTEST_SKIP() << scratch_.path() << ": the file system has no holes";
    }
  }

  const ScratchDirectory scratch_;
};

TEST_F(Zip64Test, MovesSizesOfRecordsFromTheLimitOn) {
  for (const uint64_t bytes : kAround) {
    for (const uint32_t alignment : {1u, 64u}) {
      WriteRecords(scratch_ / "f.pt", bytes, alignment);
    }
  }
}

// Unaligned, so that the second header lies exactly there.
TEST_F(Zip64Test, MovesHeaderOffsetsOfRecordsFromTheLimitOn) {
  for (const uint64_t header : kAround) {
    const uint64_t around = LocalHeader("f/fill", 1, 0, 1).size() + 16;
    WriteRecords(scratch_ / "f.pt", header - around, 1);
    EXPECT_EQ(HeaderOf(scratch_ / "f.pt", "two"), header);
  }
}

TEST_F(Zip64Test, MovesSizesAndHeaderOffsetsOfStoragesAlike) {
  uint64_t around = 0;  // bytes before the second storage, but for the first
  for (const uint64_t bytes : kAround) {
    const std::string path = scratch_ / std::to_string(bytes);
    WriteStorages(path, bytes);
    if (bytes < kLimit) around = HeaderOf(path, "data/1") - bytes;
  }
  for (const uint64_t header : {kLimit - 1, kLimit}) {
    const std::string path = scratch_ / ("header" + std::to_string(header));
    WriteStorages(path, header - around);
    EXPECT_EQ(HeaderOf(path, "data/1"), header);
  }
}

}  // namespace
}  // namespace caisson
