// SPDX-License-Identifier: Apache-2.0
//
// What the reader refuses in the central directory as a whole, the end
// records and the zip64 fields: see zip_attacks_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "caisson/adapter.h"
#include "core/formats/zip/zip_reader.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson::zip {
namespace {

using testing::HasSubstr;

constexpr StatusCode kCorrupt = StatusCode::kCorrupt;

Status ReadZip(const std::string& bytes) {
  const ByteSource source(std::make_shared<MemoryAdapter>(
      std::as_bytes(std::span(bytes)), "model.pt"));
  return ReadDirectory(source).status();
}

// Two stored records.
std::string BuildWithEnd(std::function<void(EndFields&)> edit,
                         ZipStyle style = ZipStyle::kPyTorch) {
  ZipBuilder zip(style);
  zip.Add("archive/a", "abc");
  zip.Add("archive/b", "defghi");
  zip.edit_end = std::move(edit);
  return zip.Build();
}

Status ReadWithEnd(std::function<void(EndFields&)> edit,
                   ZipStyle style = ZipStyle::kPyTorch) {
  return ReadZip(BuildWithEnd(std::move(edit), style));
}

// One stored record whose headers carry a zip64 field of `payload`.
Status ReadWithCentralZip64(const std::string& payload,
                            std::function<void(CentralFields&)> edit) {
  ZipBuilder zip;
  zip.Add("archive/a", "abcdef").edit_central = [&](CentralFields& f) {
    f.extra = ExtraField(kExtraZip64, payload);
    edit(f);
  };
  return ReadZip(zip.Build());
}

Status ReadWithLocalZip64(const std::string& payload,
                          std::function<void(LocalFields&)> edit,
                          ZipStyle style = ZipStyle::kPyTorch) {
  ZipBuilder zip(style);
  zip.Add("archive/a", "abcdef").edit_local = [&](LocalFields& f) {
    f.extra = ExtraField(kExtraZip64, payload);
    edit(f);
  };
  return ReadZip(zip.Build());
}

void MoveSizes(auto& f) { f.bytes = f.stored_bytes = kMoved32; }

// The directory and its end records.

TEST(ZipDirectoryAttacks, RejectsACountOtherThanTheHeaders) {
  for (const int off : {-1, 1, 1000}) {
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) { f.zip64_entries += off; }),
                StatusIs(kCorrupt));
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) {
                  f.zip64_entries_here = f.zip64_entries += off;
                  f.entries_here = f.entries += off;
                }),
                StatusIs(kCorrupt));
    EXPECT_THAT(
        ReadWithEnd([&](EndFields& f) { f.entries_here = f.entries += off; },
                    ZipStyle::kPython),
        StatusIs(kCorrupt));
  }
}

TEST(ZipDirectoryAttacks, RejectsASizeOrOffsetOffByOne) {
  for (const int off : {-1, 1}) {
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) {
                  f.directory_bytes += off;
                  f.zip64_directory_bytes += off;
                }),
                StatusIs(kCorrupt, HasSubstr("does not end here")));
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) {
                  f.directory_offset += off;
                  f.zip64_directory_offset += off;
                }),
                StatusIs(kCorrupt, HasSubstr("does not end here")));
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) { f.directory_bytes += off; },
                            ZipStyle::kPython),
                StatusIs(kCorrupt, HasSubstr("does not end here")));
    // A directory that ends in the right place but begins in the wrong one.
    EXPECT_THAT(ReadWithEnd(
                    [&](EndFields& f) {
                      f.directory_offset += off;
                      f.directory_bytes -= off;
                    },
                    ZipStyle::kPython),
                StatusIs(kCorrupt));
  }
}

TEST(ZipDirectoryAttacks, RejectsADirectoryThatWraps) {
  EXPECT_THAT(ReadWithEnd([](EndFields& f) {
                f.directory_offset = f.directory_bytes = kMoved32;
                f.zip64_directory_offset = ~0ull;
                f.zip64_directory_bytes = f.locator_offset + 1;
              }),
              StatusIs(kCorrupt, HasSubstr("does not end here")));
}

TEST(ZipDirectoryAttacks, RejectsBytesBetweenTheDirectoryAndItsEnd) {
  std::string bytes = BuildWithEnd({}, ZipStyle::kPython);
  bytes.insert(bytes.size() - kEndBytes, "hidden");
  EXPECT_THAT(ReadZip(bytes), StatusIs(kCorrupt, HasSubstr("not end here")));
}

TEST(ZipDirectoryAttacks, RejectsACountOf32BitsInASmallFile) {
  EXPECT_THAT(ReadWithEnd([](EndFields& f) {
                f.zip64_entries_here = f.zip64_entries = 1ull << 32;
                f.entries_here = f.entries = kMoved16;
              }),
              StatusIs(kCorrupt, HasSubstr("4294967296 entries do not fit")));
}

TEST(ZipDirectoryAttacks, RejectsTwinFieldsThatDisagree) {
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.entries_here = f.entries = 3; }),
              StatusIs(kCorrupt, HasSubstr("expected entries 2, found 3")));
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { ++f.directory_bytes; }),
              StatusIs(kCorrupt, HasSubstr("expected directory size")));
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { ++f.directory_offset; }),
              StatusIs(kCorrupt, HasSubstr("expected directory offset")));
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { --f.entries_here; }),
              StatusIs(kCorrupt, HasSubstr("on this disk")));
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { --f.zip64_entries_here; }),
              StatusIs(kCorrupt, HasSubstr("on this disk")));
}

TEST(ZipDirectoryAttacks, TakesFieldsThatMovedToTheZip64Record) {
  EXPECT_THAT(ReadWithEnd([](EndFields& f) {
                f.disk = f.directory_disk = kMoved16;
                f.entries_here = f.entries = kMoved16;
                f.directory_bytes = f.directory_offset = kMoved32;
              }),
              IsOk());
}

TEST(ZipDirectoryAttacks, RejectsALocatorThatPointsElsewhere) {
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.locator_offset -= 1; }),
              StatusIs(kCorrupt, HasSubstr("expected signature 06064b50")));
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.locator_offset = 0; }),
              StatusIs(kCorrupt, HasSubstr("expected signature 06064b50")));
  for (const uint64_t offset : {~0ull, 1ull << 40, ~0ull - 55}) {
    EXPECT_THAT(
        ReadWithEnd([&](EndFields& f) { f.locator_offset = offset; }),
        StatusIs(kCorrupt, HasSubstr("where no zip64 end record fits")));
  }
}

TEST(ZipDirectoryAttacks, RejectsAZip64RecordOfAnotherSize) {
  for (const uint64_t size : {0ull, 43ull, 45ull, ~0ull}) {
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) { f.zip64_size = size; }),
                StatusIs(kCorrupt, HasSubstr("expected size 44")));
  }
}

TEST(ZipDirectoryAttacks, RejectsAnEndRecordWhoseCommentMissesTheEnd) {
  for (const uint16_t length : {1, 7, 9, 0xffff}) {
    EXPECT_THAT(ReadWithEnd([&](EndFields& f) {
                  f.comment = "comment!";
                  f.comment_length = length;
                }),
                StatusIs(kCorrupt, HasSubstr("end record at ")));
  }
}

TEST(ZipDirectoryAttacks, RejectsDataAfterTheEndRecord) {
  for (const size_t bytes : {1, 22, 4096, 65535, 65536, 100000}) {
    EXPECT_THAT(ReadZip(BuildWithEnd({}) + std::string(bytes, 't')),
                StatusIs(kCorrupt))
        << bytes;
  }
}

TEST(ZipDirectoryAttacks, RejectsDataBeforeTheFirstHeader) {
  ZipBuilder zip;
  zip.Add("archive/a", "abc").name = "archive/a";
  const std::string junk = "#!/bin/sh\n";
  // Offsets that count the junk, as self-extracting archives have them.
  ZipBuilder shifted;
  ZipEntry& entry = shifted.Add("archive/a", "abc");
  entry.edit_central = [&](CentralFields& f) { f.header_offset = junk.size(); };
  shifted.edit_end = [&](EndFields& f) {
    f.directory_offset += junk.size();
    f.zip64_directory_offset += junk.size();
    f.locator_offset += junk.size();
  };
  EXPECT_THAT(ReadZip(junk + shifted.Build()),
              StatusIs(kCorrupt, HasSubstr("10 bytes before the first local "
                                           "header")));
  EXPECT_THAT(ReadZip(junk + zip.Build()), StatusIs(kCorrupt));
}

TEST(ZipDirectoryAttacks, TakesTheLastOfTwoEndRecordsOrRejects) {
  // A stored archive inside another: the outer one's record is the last.
  ZipBuilder outer;
  outer.Add("archive/inner.zip", BuildWithEnd({}));
  EXPECT_THAT(ReadZip(outer.Build()), IsOk());
  // An end record in the comment reaches the end too, but its directory does
  // not end there.
  const std::string archive = BuildWithEnd({}, ZipStyle::kPython);
  const std::string end = archive.substr(archive.size() - kEndBytes);
  EXPECT_THAT(
      ReadWithEnd([&](EndFields& f) { f.comment = end; }, ZipStyle::kPython),
      StatusIs(kCorrupt, HasSubstr("does not end here")));
}

TEST(ZipDirectoryAttacks, RejectsFilesTooShortForAnEndRecord) {
  for (size_t bytes = 0; bytes < 22; ++bytes) {
    EXPECT_THAT(ReadZip(std::string(bytes, 'P')), StatusIs(kCorrupt));
  }
  EXPECT_THAT(ReadZip("PK\5\6" + std::string(18, '\0')), IsOk());
}

TEST(ZipDirectoryAttacks, RejectsACentralHeaderThatLeavesTheDirectory) {
  for (const size_t field : {28, 30, 32}) {  // name, extra, comment: 4.3.12
    std::string bytes = BuildWithEnd({});
    const size_t header = bytes.rfind("PK\1\2");
    bytes[header + field + 1] = 0x7f;
    EXPECT_THAT(ReadZip(bytes),
                StatusIs(kCorrupt, HasSubstr("past the end of the directory")));
  }
}

TEST(ZipDirectoryAttacks, RejectsACentralHeaderWithoutItsSignature) {
  std::string bytes = BuildWithEnd({});
  bytes[bytes.rfind("PK\1\2")] = 'p';
  EXPECT_THAT(ReadZip(bytes),
              StatusIs(kCorrupt, HasSubstr("expected signature 02014b50")));
}

// Zip64 fields.

TEST(ZipDirectoryAttacks, RejectsACentralZip64FieldTooShortForWhatMoved) {
  EXPECT_THAT(ReadWithCentralZip64("", MoveSizes<CentralFields>),
              StatusIs(kCorrupt, HasSubstr("16 bytes too short")));
  EXPECT_THAT(ReadWithCentralZip64(Le64(6), MoveSizes<CentralFields>),
              StatusIs(kCorrupt, HasSubstr("8 bytes too short")));
  EXPECT_THAT(ReadWithCentralZip64(Le64(6) + Le32(6), MoveSizes<CentralFields>),
              StatusIs(kCorrupt, HasSubstr("4 bytes too short")));
  EXPECT_THAT(ReadWithCentralZip64(Le64(6) + Le64(6),
                                   [](CentralFields& f) {
                                     MoveSizes(f);
                                     f.header_offset = kMoved32;
                                   }),
              StatusIs(kCorrupt, HasSubstr("8 bytes too short")));
  EXPECT_THAT(ReadWithCentralZip64("",
                                   [](CentralFields& f) {
                                     f.extra.clear();
                                     f.header_offset = kMoved32;
                                   }),
              StatusIs(kCorrupt, HasSubstr("8 bytes too short")));
}

TEST(ZipDirectoryAttacks, RejectsACentralZip64FieldThatSaysMoreOrElse) {
  const auto nothing_moved = [](CentralFields&) {};
  EXPECT_THAT(ReadWithCentralZip64(Le64(6) + Le64(6), nothing_moved), IsOk());
  EXPECT_THAT(ReadWithCentralZip64(Le64(7), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("expected value 6, found 7")));
  EXPECT_THAT(ReadWithCentralZip64(Le32(0), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("4 bytes too long")));
  EXPECT_THAT(ReadWithCentralZip64(Le64(6) + Le64(6) + Le64(0) + Le32(0),
                                   MoveSizes<CentralFields>),
              StatusIs(kCorrupt, HasSubstr("4 bytes too long")));
  // Readers that count from the front would take the size for the offset.
  EXPECT_THAT(ReadWithCentralZip64(
                  Le64(6) + Le64(6) + Le64(0),
                  [](CentralFields& f) { f.header_offset = kMoved32; }),
              StatusIs(kCorrupt));
}

TEST(ZipDirectoryAttacks, RejectsTwoZip64Fields) {
  const std::string field = ExtraField(kExtraZip64, Le64(6) + Le64(6));
  EXPECT_THAT(ReadWithCentralZip64("",
                                   [&](CentralFields& f) {
                                     MoveSizes(f);
                                     f.extra = field + field;
                                   }),
              StatusIs(kCorrupt, HasSubstr("two zip64 fields")));
}

TEST(ZipDirectoryAttacks, RejectsAnExtraFieldLongerThanTheRest) {
  const auto cut = [](auto& f) { f.extra = Le16(0x5455) + Le16(5) + "abcd"; };
  EXPECT_THAT(ReadWithCentralZip64("", cut),
              StatusIs(kCorrupt, HasSubstr("an extra field of 5 bytes")));
  EXPECT_THAT(ReadWithLocalZip64("", cut),
              StatusIs(kCorrupt, HasSubstr("an extra field of 5 bytes")));
}

TEST(ZipDirectoryAttacks, RejectsALocalZip64FieldTooShortForWhatMoved) {
  EXPECT_THAT(ReadWithLocalZip64("", MoveSizes<LocalFields>),
              StatusIs(kCorrupt, HasSubstr("16 bytes too short")));
  EXPECT_THAT(ReadWithLocalZip64(Le64(6), MoveSizes<LocalFields>),
              StatusIs(kCorrupt, HasSubstr("8 bytes too short")));
  EXPECT_THAT(ReadWithLocalZip64("",
                                 [](LocalFields& f) {
                                   f.extra.clear();
                                   f.bytes = kMoved32;
                                 }),
              StatusIs(kCorrupt, HasSubstr("8 bytes too short")));
}

TEST(ZipDirectoryAttacks, RejectsALocalZip64FieldOfNoKnownLength) {
  for (const size_t bytes : {1, 7, 12, 20, 32}) {
    EXPECT_THAT(
        ReadWithLocalZip64(std::string(bytes, '\0'), [](LocalFields&) {}),
        StatusIs(kCorrupt, HasSubstr("zip64 field has")));
  }
}

TEST(ZipDirectoryAttacks, RejectsALocalZip64FieldThatDisagrees) {
  const auto nothing_moved = [](LocalFields&) {};
  EXPECT_THAT(ReadWithLocalZip64(Le64(6) + Le64(0), nothing_moved), IsOk());
  EXPECT_THAT(ReadWithLocalZip64(Le64(7) + Le64(0), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("expected size 6, found 7")));
  EXPECT_THAT(ReadWithLocalZip64(Le64(6) + Le64(7), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("expected stored size 6, found 7")));
  EXPECT_THAT(ReadWithLocalZip64(Le64(6) + Le64(0), MoveSizes<LocalFields>,
                                 ZipStyle::kPython),
              StatusIs(kCorrupt, HasSubstr("expected stored size 6, found 0")));
  EXPECT_THAT(ReadWithLocalZip64(Le64(1), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("expected header offset 0")));
  EXPECT_THAT(ReadWithLocalZip64(Le64(6) + Le64(6) + Le64(1), nothing_moved),
              StatusIs(kCorrupt, HasSubstr("expected header offset 0")));
}

}  // namespace
}  // namespace caisson::zip
