// SPDX-License-Identifier: Apache-2.0
#include "core/formats/plane_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "tests/support/status_matchers.h"

namespace caisson::plane {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

PlaneChunk RawChunk(uint32_t elems, uint32_t crc) {
  PlaneChunk chunk;
  chunk.type = PlaneType::kBFloat16;
  chunk.elems = elems;
  chunk.raw_bytes = 2 * elems;
  chunk.crc32 = crc;
  return chunk;
}

// A record of two chunks, 65 536 elements and 3, which are all zero.
Bytes MakeRecord() {
  IndexWriter writer;
  Bytes record;
  for (const uint32_t elems : {65536u, 3u}) {
    const Bytes zeros(2 * elems);
    const PlaneChunk chunk = RawChunk(elems, Crc32(0, zeros));
    EXPECT_EQ(writer.offset(), record.size());
    writer.Add(chunk);
    record.resize(record.size() + PlaneStoredBytes(chunk));
  }
  const Bytes end = writer.Finish();
  record.insert(record.end(), end.begin(), end.end());
  return record;
}

Result<Index> Read(const Bytes& record, uint64_t offset, uint64_t bytes) {
  const ByteSource source(std::make_shared<MemoryAdapter>(record));
  return ReadIndex(source, offset, bytes, "record 'x'");
}
Result<Index> Read(const Bytes& record) {
  return Read(record, 0, record.size());
}

// Makes the CRC of index and trailer right again.
void Seal(Bytes* record, size_t index_offset) {
  const auto covered = std::span(*record).subspan(
      index_offset, record->size() - index_offset - 4);
  StoreLittle(caisson::Crc32(0, covered), &(*record)[record->size() - 4]);
}

constexpr size_t kIndexAt = 131072 + 16;
constexpr size_t kTrailerAt = kIndexAt + 2 * kEntryBytes;

TEST(PlaneRecord, ReadsWhatItWrites) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Index index, Read(MakeRecord()));
  EXPECT_EQ(index.type, PlaneType::kBFloat16);
  EXPECT_EQ(index.shift, 0);
  EXPECT_EQ(index.elems, 65539u);
  EXPECT_EQ(index.bytes(), 131078u);
  ASSERT_EQ(index.entries.size(), 2u);
  EXPECT_EQ(index.entries[1].offset, 131072u);
  EXPECT_EQ(index.entries[1].chunk.elems, 3u);
  EXPECT_EQ(index.ChunkOf(65535), 0u);
  EXPECT_EQ(index.ChunkOf(65536), 1u);
  EXPECT_EQ(index.Crc32(), caisson::Crc32(0, Bytes(131078)));
}

TEST(PlaneRecord, MayBeEmptyAndLieAnywhere) {
  const Bytes empty = IndexWriter().Finish();
  EXPECT_EQ(empty.size(), kTrailerBytes);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Index none, Read(empty));
  EXPECT_EQ(none.elems, 0u);
  EXPECT_EQ(none.Crc32(), 0u);

  Bytes file(100);
  const Bytes record = MakeRecord();
  file.insert(file.end(), record.begin(), record.end());
  file.resize(file.size() + 7);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Index index,
                               Read(file, 100, record.size()));
  EXPECT_EQ(index.entries.size(), 2u);
}

TEST(PlaneRecord, NamesEveryFieldThatIsWrong) {
  const struct {
    size_t at;
    uint8_t value;
    StatusCode code;
    const char* message;
  } kEdits[] = {
      {kTrailerAt, 'c', StatusCode::kCorrupt, "CAIPLANE"},
      {kTrailerAt + 8, 2, StatusCode::kUnsupported, "version 2"},
      {kTrailerAt + 10, 1, StatusCode::kCorrupt, "expected flags 0, found 1"},
      {kTrailerAt + 12, 3, StatusCode::kCorrupt, "an index of 3 chunks"},
      {kTrailerAt + 16, 0, StatusCode::kCorrupt, "does not end here"},
      {kTrailerAt + 24, 1, StatusCode::kCorrupt, "reserved"},
      {kIndexAt, 3, StatusCode::kUnsupported, "mode 3"},
      {kIndexAt, 4, StatusCode::kCorrupt, "chunk 0: its fields"},
      {kIndexAt + 1, 1, StatusCode::kCorrupt, "chunk 0: its fields"},
      {kIndexAt + 2, 10, StatusCode::kCorrupt, "chunk 0: its fields"},
      {kIndexAt + 32 + 2, 4, StatusCode::kCorrupt, "chunk 1: expected type 3"},
      {kIndexAt + 32 + 3, 1, StatusCode::kCorrupt,
       "chunk 1: expected segment shift 0, found 1"},
      {kIndexAt + 3, 1, StatusCode::kCorrupt,
       "chunk 0: expected elements 131072, found 65536"},
      {kIndexAt + 8, 1, StatusCode::kCorrupt,
       "chunk 0: expected offset 0, found 1"},
      {kIndexAt + 16, 1, StatusCode::kCorrupt, "chunk 0: its fields"},
      {kIndexAt + 20, 16, StatusCode::kCorrupt, "chunk 0: its fields"},
      {kIndexAt + 28, 1, StatusCode::kCorrupt,
       "chunk 0: expected reserved 0, found 1"},
  };
  for (const auto& edit : kEdits) {
    Bytes record = MakeRecord();
    record[edit.at] = std::byte{edit.value};
    Seal(&record, kIndexAt);
    EXPECT_THAT(Read(record), StatusIs(edit.code, HasSubstr(edit.message)))
        << "byte " << edit.at;
  }
}

TEST(PlaneRecord, NoticesAnyFlippedBitOfIndexAndTrailer) {
  const Bytes good = MakeRecord();
  for (size_t at = kIndexAt; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes record = good;
      record[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(Read(record).has_value()) << at << " bit " << bit;
    }
  }
}

TEST(PlaneRecord, NoticesWhereItEnds) {
  const Bytes good = MakeRecord();
  for (size_t bytes = 0; bytes < good.size();
       bytes += bytes < 40 || bytes > kIndexAt - 2 ? 1 : 4099) {
    const Bytes record(good.begin(),
                       good.begin() + static_cast<ptrdiff_t>(bytes));
    EXPECT_THAT(Read(record), StatusIs(StatusCode::kCorrupt, HasSubstr("'x'")))
        << bytes << " bytes";
  }
  EXPECT_THAT(Read(good, 1, good.size()),
              StatusIs(StatusCode::kCorrupt, HasSubstr("does not lie in")));
}

// An index that says it has 2^32 - 1 chunks asks for no memory.
TEST(PlaneRecord, BelievesNoCountThatDoesNotFit) {
  Bytes record = MakeRecord();
  StoreLittle(uint32_t{0xFFFFFFFF}, &record[kTrailerAt + 12]);
  Seal(&record, kIndexAt);
  EXPECT_THAT(Read(record), StatusIs(StatusCode::kCorrupt));
  StoreLittle(~uint64_t{0}, &record[kTrailerAt + 16]);
  Seal(&record, kIndexAt);
  EXPECT_THAT(Read(record), StatusIs(StatusCode::kCorrupt));
}

}  // namespace
}  // namespace caisson::plane
