// SPDX-License-Identifier: Apache-2.0
//
// What the reader refuses: the rows of formats.md 8.2, and what else two
// readers could see differently. Every answer is a typed error that names the
// record, and none takes memory for what a file merely declares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "caisson/adapter.h"
#include "core/formats/zip/zip_reader.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson::zip {
namespace {

using testing::HasSubstr;

constexpr StatusCode kCorrupt = StatusCode::kCorrupt;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

Status ReadZip(const std::string& bytes) {
  const ByteSource source(std::make_shared<MemoryAdapter>(
      std::as_bytes(std::span(bytes)), "model.pt"));
  return ReadDirectory(source).status();
}

// Two stored records, the second of which carries the edits.
struct Edits {
  std::function<void(LocalFields&)> local = {};
  std::function<void(DescriptorFields&)> descriptor = {};
  std::function<void(CentralFields&)> central = {};
  std::function<void(EndFields&)> end = {};
};

Status ReadEdited(const Edits& edits, ZipStyle style = ZipStyle::kPyTorch) {
  ZipBuilder zip(style);
  zip.Add("archive/a", "abc");
  ZipEntry& entry = zip.Add("archive/b", "defghi");
  entry.edit_local = edits.local;
  entry.edit_descriptor = edits.descriptor;
  entry.edit_central = edits.central;
  zip.edit_end = edits.end;
  return ReadZip(zip.Build());
}

Status ReadWithLocal(std::function<void(LocalFields&)> edit,
                     ZipStyle style = ZipStyle::kPyTorch) {
  return ReadEdited({.local = std::move(edit)}, style);
}
Status ReadWithDescriptor(std::function<void(DescriptorFields&)> edit) {
  return ReadEdited({.descriptor = std::move(edit)});
}
Status ReadWithCentral(std::function<void(CentralFields&)> edit,
                       ZipStyle style = ZipStyle::kPyTorch) {
  return ReadEdited({.central = std::move(edit)}, style);
}
Status ReadWithEnd(std::function<void(EndFields&)> edit,
                   ZipStyle style = ZipStyle::kPyTorch) {
  return ReadEdited({.end = std::move(edit)}, style);
}

// In ReadEdited's archive, PyTorch style.
constexpr uint32_t kSecondHeader = 64 + 3 + 16;

TEST(ZipAttacks, NothingIsWrongWithTheArchiveThatTheyEdit) {
  EXPECT_THAT(ReadEdited({}), IsOk());
  EXPECT_THAT(ReadEdited({}, ZipStyle::kPython), IsOk());
}

TEST(ZipAttacks, AnErrorNamesFileRecordOffsetExpectedAndFound) {
  EXPECT_EQ(ReadWithLocal([](LocalFields& f) { f.signature = 0; }).message(),
            "model.pt: record 'archive/b': local header at 83: expected "
            "signature 04034b50, found 00000000");
}

TEST(ZipAttacks, AnErrorEscapesWhatIsNotPrintableInAName) {
  ZipBuilder zip;
  zip.Add("archive/\n\x1b[2J\xff", "abc").edit_local = [](LocalFields& f) {
    f.signature = 0;
  };
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("'archive/\\x0a\\x1b[2J\\xff'")));
}

// Overlaps.

TEST(ZipAttacks, RejectsTwoEntriesThatShareALocalHeader) {
  EXPECT_THAT(
      ReadWithCentral([](CentralFields& f) { f.header_offset = 0; }),
      StatusIs(kCorrupt, HasSubstr("shares its local header with record")));
}

TEST(ZipAttacks, RejectsARecordInsideTheDataOfAnother) {
  // The inner archive is one stored record whose header lies in the outer.
  ZipBuilder inner_zip;
  inner_zip.Add("archive/inner", "abc");
  ZipBuilder zip;
  zip.Add("archive/outer", inner_zip.Build());
  zip.Add("archive/inner", "abc").edit_central = [](CentralFields& f) {
    f.header_offset = 64;  // where the outer record's data begins
  };
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("record 'archive/outer': data at "
                                           "64: ")));
}

TEST(ZipAttacks, RejectsDataThatReachesIntoTheNextRecord) {
  ZipBuilder zip(ZipStyle::kPython);
  ZipEntry& entry = zip.Add("archive/a", "abc");
  entry.edit_local = [](LocalFields& f) { f.bytes = f.stored_bytes = 4; };
  entry.edit_central = [](CentralFields& f) { f.bytes = f.stored_bytes = 4; };
  zip.Add("archive/b", "def");
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("4 bytes reach past 42")));
}

TEST(ZipAttacks, RejectsDataThatReachesIntoTheDirectory) {
  const auto longer = [](auto& f) { f.bytes = f.stored_bytes = 7; };
  EXPECT_THAT(
      ReadEdited({.local = longer, .central = longer}, ZipStyle::kPython),
      StatusIs(kCorrupt, HasSubstr("reach past")));
}

TEST(ZipAttacks, RejectsADescriptorThatReachesIntoTheNextRecord) {
  ZipBuilder zip;
  zip.Add("archive/a", "abc").edit_descriptor = [](DescriptorFields& f) {
    f.present = false;
  };
  zip.Add("archive/b", "def");
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("data descriptor at 67: expected "
                                           "bytes 16, found 0")));
}

TEST(ZipAttacks, RejectsALocalHeaderThatReachesIntoTheDirectory) {
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.extra_length = 0xffff; }),
              StatusIs(kCorrupt, HasSubstr("reach past")));
}

// Names.

TEST(ZipAttacks, RejectsDuplicateNames) {
  ZipBuilder zip;
  zip.Add("archive/a", "abc");
  zip.Add("archive/b", "abc");
  zip.Add("archive/a", "def");
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("record 'archive/a' at 147: the "
                                           "name of another record at 0")));
}

TEST(ZipAttacks, RejectsANameWithAZeroByte) {
  ZipBuilder zip;
  zip.Add(std::string("archive/data.pkl\0.txt", 21), "abc");
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("zero byte in the name")));
}

TEST(ZipAttacks, RejectsAnEmptyName) {
  ZipBuilder zip;
  zip.Add("", "abc");
  EXPECT_THAT(ReadZip(zip.Build()), StatusIs(kCorrupt, HasSubstr("name")));
}

TEST(ZipAttacks, RejectsAUnicodePathOtherThanTheName) {
  EXPECT_THAT(ReadWithCentral([](CentralFields& f) {
                f.extra = ExtraField(0x7075,
                                     "\1cccc"
                                     "archive/x");
              }),
              StatusIs(kCorrupt, HasSubstr("names 'archive/x'")));
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) {
                f.extra = ExtraField(0x7075,
                                     "\1cccc"
                                     "archive/x");
              }),
              StatusIs(kCorrupt, HasSubstr("names 'archive/x'")));
  EXPECT_THAT(ReadWithCentral([](CentralFields& f) {
                f.extra = ExtraField(0x7075, "\1ccc");
              }),
              StatusIs(kCorrupt, HasSubstr("unicode path")));
}

// A local header that disagrees with the directory.

TEST(ZipAttacks, RejectsALocalNameOtherThanTheCentralOne) {
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.name = "archive/B"; }),
              StatusIs(kCorrupt, HasSubstr("names 'archive/B'")));
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.name = "archive/bb"; }),
              StatusIs(kCorrupt, HasSubstr("expected name length 9")));
}

TEST(ZipAttacks, RejectsALocalMethodOtherThanTheCentralOne) {
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.method = 8; }),
              StatusIs(kCorrupt, HasSubstr("expected method 0, found 8")));
}

TEST(ZipAttacks, RejectsLocalSizesOtherThanTheCentralOnes) {
  for (const ZipStyle style : {ZipStyle::kPyTorch, ZipStyle::kPython}) {
    EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.bytes = 5; }, style),
                StatusIs(kCorrupt, HasSubstr("expected size 6, found 5")));
    EXPECT_THAT(
        ReadWithLocal([](LocalFields& f) { f.stored_bytes = 5; }, style),
        StatusIs(kCorrupt, HasSubstr("expected stored size 6, found 5")));
    EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.crc32 = 5; }, style),
                StatusIs(kCorrupt, HasSubstr("found 00000005")));
  }
}

TEST(ZipAttacks, RejectsLocalZerosWithoutADescriptor) {
  EXPECT_THAT(
      ReadWithLocal([](LocalFields& f) { f.bytes = 0; }, ZipStyle::kPython),
      StatusIs(kCorrupt, HasSubstr("expected size 6, found 0")));
}

TEST(ZipAttacks, RejectsADescriptorOfWhichOnlyOneHeaderKnows) {
  EXPECT_THAT(
      ReadWithCentral([](CentralFields& f) { f.flags ^= kFlagDescriptor; }),
      StatusIs(kCorrupt, HasSubstr("flag bit 3")));
  EXPECT_THAT(ReadWithLocal([](LocalFields& f) { f.flags ^= kFlagDescriptor; }),
              StatusIs(kCorrupt, HasSubstr("flag bit 3")));
}

TEST(ZipAttacks, RejectsADescriptorOtherThanTheCentralHeader) {
  EXPECT_THAT(ReadWithDescriptor([](DescriptorFields& f) { f.signature = 1; }),
              StatusIs(kCorrupt, HasSubstr("expected signature 08074b50")));
  EXPECT_THAT(ReadWithDescriptor([](DescriptorFields& f) { f.crc32 ^= 1; }),
              StatusIs(kCorrupt, HasSubstr("data descriptor at 134: expected "
                                           "crc32")));
  EXPECT_THAT(ReadWithDescriptor([](DescriptorFields& f) { f.bytes = 7; }),
              StatusIs(kCorrupt, HasSubstr("expected size 6, found 7")));
  EXPECT_THAT(
      ReadWithDescriptor([](DescriptorFields& f) { f.stored_bytes = 7; }),
      StatusIs(kCorrupt, HasSubstr("expected stored size 6, found 7")));
  EXPECT_THAT(ReadWithDescriptor([](DescriptorFields& f) {
                f.wide = true;
                f.bytes += 1ull << 32;
              }),
              StatusIs(kCorrupt));
}

// Features.

TEST(ZipAttacks, RefusesEncryptionPatchesAndMasksByName) {
  const std::vector<std::pair<uint16_t, std::string>> kFlags = {
      {kFlagEncrypted, "encryption"},
      {kFlagPatched, "patched"},
      {kFlagStrongEncryption, "strong encryption"},
      {kFlagMasked, "masked"}};
  for (const auto& [flag, name] : kFlags) {
    EXPECT_THAT(
        ReadWithCentral([&](CentralFields& f) { f.flags |= flag; }),
        StatusIs(kUnsupported, HasSubstr("central header at 205: " + name)));
    EXPECT_THAT(
        ReadWithLocal([&](LocalFields& f) { f.flags |= flag; }),
        StatusIs(kUnsupported, HasSubstr("local header at 83: " + name)));
  }
}

TEST(ZipAttacks, RefusesOtherMethodsByNumber) {
  for (const uint16_t method : {1, 6, 9, 12, 14, 93, 95, 99, 0xffff}) {
    const auto edit = [&](auto& f) { f.method = method; };
    EXPECT_THAT(ReadEdited({.local = edit, .central = edit}),
                StatusIs(kUnsupported, HasSubstr("compression method " +
                                                 std::to_string(method))));
  }
}

TEST(ZipAttacks, RefusesAnArchiveInSeveralFiles) {
  const auto is_refused =
      StatusIs(kUnsupported, HasSubstr("several files (disk 2)"));
  EXPECT_THAT(ReadWithCentral([](CentralFields& f) { f.disk = 2; }),
              is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.disk = 2; }), is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.directory_disk = 2; }),
              is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.zip64_disk = 2; }), is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.zip64_directory_disk = 2; }),
              is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.locator_disk = 2; }),
              is_refused);
  EXPECT_THAT(ReadWithEnd([](EndFields& f) { f.locator_disks = 3; }),
              is_refused);
}

// Sizes and offsets.

TEST(ZipAttacks, RejectsAStoredRecordOfTwoSizesWhateverItsTime) {
  for (const uint16_t time : {0, 0x6b20}) {
    EXPECT_THAT(ReadWithCentral([&](CentralFields& f) {
                  f.time = time;
                  f.stored_bytes = 5;
                }),
                StatusIs(kCorrupt, HasSubstr("expected stored size 6, found "
                                             "5")));
    EXPECT_THAT(ReadWithCentral([&](CentralFields& f) {
                  f.time = time;
                  f.bytes = 100;
                }),
                StatusIs(kCorrupt, HasSubstr("expected stored size 100, found "
                                             "6")));
  }
}

TEST(ZipAttacks, RejectsAHeaderOffsetThatIsNotOnASignature) {
  for (const uint32_t offset : {1u, kSecondHeader - 1, kSecondHeader + 1}) {
    EXPECT_THAT(
        ReadWithCentral([&](CentralFields& f) { f.header_offset = offset; }),
        StatusIs(kCorrupt, HasSubstr("record 'archive/")));
  }
}

TEST(ZipAttacks, RejectsAHeaderOffsetBehindTheRecords) {
  for (const uint32_t offset : {200u, 300u, 0x7fffffffu, 0xfffffffeu}) {
    EXPECT_THAT(
        ReadWithCentral([&](CentralFields& f) { f.header_offset = offset; }),
        StatusIs(kCorrupt, HasSubstr("does not lie before the directory")));
  }
}

TEST(ZipAttacks, RejectsSizesWhoseSumsWrap) {
  for (const uint64_t value : {~0ull, ~0ull - 63, 1ull << 63, 1ull << 62}) {
    EXPECT_THAT(ReadWithCentral([&](CentralFields& f) {
                  f.bytes = f.stored_bytes = kMoved32;
                  f.extra = ExtraField(kExtraZip64, Le64(value) + Le64(value));
                }),
                StatusIs(kCorrupt, HasSubstr("reach past")));
    EXPECT_THAT(ReadWithCentral([&](CentralFields& f) {
                  f.header_offset = kMoved32;
                  f.extra = ExtraField(kExtraZip64, Le64(value));
                }),
                StatusIs(kCorrupt, HasSubstr("before the directory")));
  }
}

TEST(ZipAttacks, RejectsADeflatedRecordThatCannotHoldItsSize) {
  ZipBuilder zip;
  ZipEntry& entry = zip.Add("archive/a", std::string(100, 'x'));
  entry.method = kMethodDeflate;
  entry.bytes = 1ull << 40;
  EXPECT_THAT(ReadZip(zip.Build()),
              StatusIs(kCorrupt, HasSubstr("100 deflated bytes cannot hold "
                                           "1099511627776")));
  entry.bytes = 1032 * 100 + 1;
  EXPECT_THAT(ReadZip(zip.Build()), StatusIs(kCorrupt));
  entry.bytes = 1032 * 100;
  EXPECT_THAT(ReadZip(zip.Build()), IsOk());
}

}  // namespace
}  // namespace caisson::zip
