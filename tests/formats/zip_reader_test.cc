// SPDX-License-Identifier: Apache-2.0
//
// What the reader accepts: PyTorch's own archives, those of other writers,
// and every way in which zip64 may be used. What it refuses is in
// zip_attacks_test.cc.
#include "core/formats/zip/zip_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caisson/adapter.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson::zip {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

Result<Directory> ReadZip(const std::string& bytes, uint64_t start = 0) {
  return ReadDirectory(
      ByteSource(std::make_shared<MemoryAdapter>(
                     std::as_bytes(std::span(bytes)), "model.pt"),
                 start));
}

// The entries, or none and a failed test.
std::vector<Entry> Entries(const Result<Directory>& directory) {
  EXPECT_THAT(directory, IsOk());
  return directory.has_value() ? directory->entries : std::vector<Entry>();
}

auto HasEntry(uint64_t header, uint64_t data, uint64_t bytes, uint32_t crc) {
  return AllOf(Field(&Entry::header_offset, header),
               Field(&Entry::data_offset, data), Field(&Entry::bytes, bytes),
               Field(&Entry::stored_bytes, bytes), Field(&Entry::crc32, crc));
}

// An archive of one stored record in the given style.
ZipBuilder OneRecord(ZipStyle style, std::string content = "abcdef") {
  ZipBuilder zip(style);
  zip.Add("archive/a", std::move(content));
  return zip;
}

TEST(ZipReader, KeepsNamesMethodsAndFlags) {
  ZipBuilder zip;
  zip.Add("archive/stored", "abc");
  zip.AddDeflated("archive/deflated", "abc");
  const std::vector<Entry> entries = Entries(ReadZip(zip.Build()));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "archive/stored");
  EXPECT_EQ(entries[0].method, kMethodStored);
  EXPECT_EQ(entries[0].flags, kFlagDescriptor | kFlagUtf8);
  EXPECT_EQ(entries[1].name, "archive/deflated");
  EXPECT_EQ(entries[1].method, kMethodDeflate);
  EXPECT_EQ(entries[1].bytes, 3u);
  EXPECT_EQ(entries[1].stored_bytes, 8u);
  EXPECT_EQ(entries[1].crc32, entries[0].crc32);
}

TEST(ZipReader, ReadsPythonsZipfile) {
  EXPECT_THAT(Entries(ReadZip(OneRecord(ZipStyle::kPython).Build())),
              ElementsAre(HasEntry(0, 39, 6, 0x4b8e39ef)));
}

TEST(ZipReader, ReadsPythonsZipfileWrittenToAPipe) {
  EXPECT_THAT(Entries(ReadZip(OneRecord(ZipStyle::kPythonStreamed).Build())),
              ElementsAre(HasEntry(0, 39, 6, 0x4b8e39ef)));
  EXPECT_THAT(
      Entries(ReadZip(OneRecord(ZipStyle::kPythonStreamed, "").Build())),
      ElementsAre(HasEntry(0, 39, 0, 0)));
}

// zipfile's force_zip64: both sizes moved, whatever they are.
TEST(ZipReader, ReadsForcedZip64) {
  ZipBuilder zip(ZipStyle::kPython);
  zip.Add("archive/a", "abcdef").edit_local = [](LocalFields& f) {
    f.extra = ExtraField(kExtraZip64, Le64(f.bytes) + Le64(f.stored_bytes));
    f.bytes = f.stored_bytes = kMoved32;
  };
  EXPECT_THAT(Entries(ReadZip(zip.Build())),
              ElementsAre(HasEntry(0, 59, 6, 0x4b8e39ef)));
}

TEST(ZipReader, ReadsForcedZip64WrittenToAPipe) {
  ZipBuilder zip(ZipStyle::kPythonStreamed);
  ZipEntry& entry = zip.Add("archive/a", "abcdef");
  entry.edit_local = [](LocalFields& f) {
    f.extra = ExtraField(kExtraZip64, Le64(0) + Le64(0));
    f.bytes = f.stored_bytes = kMoved32;
  };
  entry.edit_descriptor = [](DescriptorFields& f) { f.wide = true; };
  zip.Add("archive/b", "");
  EXPECT_THAT(
      Entries(ReadZip(zip.Build())),
      ElementsAre(HasEntry(0, 59, 6, 0x4b8e39ef), HasEntry(89, 128, 0, 0)));
}

// APPNOTE 4.3.9.3 makes the signature optional.
TEST(ZipReader, ReadsDescriptorsOfAllFourForms) {
  for (const bool has_signature : {true, false}) {
    for (const bool wide : {true, false}) {
      ZipBuilder zip;
      zip.Add("archive/a", "abcdef").edit_descriptor =
          [&](DescriptorFields& f) {
            f.has_signature = has_signature;
            f.wide = wide;
          };
      zip.Add("archive/b", "ghi");
      EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 2u)
          << has_signature << wide;
    }
  }
}

TEST(ZipReader, ReadsACrcThatLooksLikeADescriptorsSignature) {
  ZipBuilder zip;
  ZipEntry& entry = zip.Add("archive/a", "abcdef");
  entry.crc32 = kDescriptorSignature;
  entry.edit_descriptor = [](DescriptorFields& f) { f.has_signature = false; };
  EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 1u);
}

TEST(ZipReader, ReadsSizesThatAreStatedBesideADescriptor) {
  ZipBuilder zip;
  ZipEntry& entry = zip.Add("archive/a", "abcdef");
  entry.edit_local = [&](LocalFields& f) {
    f.crc32 = entry.crc32;
    f.bytes = f.stored_bytes = 6;
  };
  EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 1u);
}

TEST(ZipReader, ReadsAnArchiveWhoseCrcsWereNotComputed) {
  ZipBuilder zip;
  zip.Add("archive/a", "abcdef").crc32 = 0;
  EXPECT_THAT(Entries(ReadZip(zip.Build())),
              ElementsAre(HasEntry(0, 64, 6, 0)));
}

TEST(ZipReader, ReadsADirectoryInAnotherOrderThanTheFile) {
  const std::string forward = [] {
    ZipBuilder zip(ZipStyle::kPython);
    zip.Add("archive/a", "abc");
    zip.Add("archive/b", "defg");
    return zip.Build();
  }();
  // Both central headers are 55 bytes long, before the 22 of the end record.
  const size_t first = forward.size() - 22 - 2 * 55;
  const std::string swapped =
      forward.substr(0, first) + forward.substr(first + 55, 55) +
      forward.substr(first, 55) + forward.substr(first + 2 * 55);
  const std::vector<Entry> entries = Entries(ReadZip(swapped));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "archive/b");
  EXPECT_EQ(entries[1].header_offset, 0u);
}

TEST(ZipReader, ReadsAnArchiveWithoutRecords) {
  EXPECT_THAT(Entries(ReadZip(ZipBuilder(ZipStyle::kPython).Build())),
              IsEmpty());
  EXPECT_THAT(Entries(ReadZip(ZipBuilder().Build())), IsEmpty());
}

TEST(ZipReader, ReadsTheEntryOfAFolder) {
  ZipBuilder zip(ZipStyle::kPython);
  zip.Add("archive/", "").edit_central = [](CentralFields& f) {
    f.external_attributes = 0x41ed0010;
  };
  zip.Add("archive/a", "abc");
  EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 2u);
}

// formats.md 8.2: stock returns uninitialised memory for such a record.
TEST(ZipReader, TakesARecordWithTheDirectoryAttributeByNameAndSize) {
  ZipBuilder zip;
  zip.Add("archive/a", "abcdef").edit_central = [](CentralFields& f) {
    f.external_attributes = 0x10;
  };
  EXPECT_THAT(Entries(ReadZip(zip.Build())),
              ElementsAre(HasEntry(0, 64, 6, 0x4b8e39ef)));
}

TEST(ZipReader, KeepsNamesAsOpaqueKeys) {
  const std::vector<std::string> names = {"archive/data/../../x",
                                          "/etc/passwd",
                                          "archive\\b",
                                          "archive/DATA.PKL",
                                          "archive/data.pkl",
                                          "archive/\xc3\xa9",
                                          "archive//",
                                          std::string(65535, 'n')};
  ZipBuilder zip;
  for (const std::string& name : names) zip.Add(name, "x");
  const std::vector<Entry> entries = Entries(ReadZip(zip.Build()));
  ASSERT_EQ(entries.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_EQ(entries[i].name, names[i]);
}

TEST(ZipReader, CountsOffsetsFromTheStartOfAnEmbeddedArchive) {
  const std::string archive = OneRecord(ZipStyle::kPyTorch).Build();
  for (const size_t junk : {1, 22, 4096, 100000}) {
    const std::string file = std::string(junk, 'j') + archive;
    EXPECT_THAT(Entries(ReadZip(file, junk)),
                ElementsAre(HasEntry(0, 64, 6, 0x4b8e39ef)));
    EXPECT_THAT(ReadZip(file), StatusIs(StatusCode::kCorrupt));
  }
}

TEST(ZipReader, ReadsCommentsOfEveryLength) {
  for (const size_t bytes : {0, 1, 21, 22, 4095, 65535}) {
    ZipBuilder zip = OneRecord(ZipStyle::kPyTorch);
    zip.edit_end = [&](EndFields& f) { f.comment = std::string(bytes, 'c'); };
    EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 1u) << bytes;
  }
}

TEST(ZipReader, IsNotMisledByASignatureInTheComment) {
  for (const std::string after : {"", "x", "0123456789abcdefghijklmnop"}) {
    ZipBuilder zip = OneRecord(ZipStyle::kPyTorch);
    zip.edit_end = [&](EndFields& f) {
      f.comment = "PK\5\6" + after + "PK\5\6";
    };
    EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 1u) << after;
  }
}

TEST(ZipReader, TakesTheEntryCountOf65535AsItIs) {
  ZipBuilder plain(ZipStyle::kPython);
  ZipBuilder zip64(ZipStyle::kPyTorch, 1);
  for (int i = 0; i < 0xffff; ++i) {
    plain.Add("a/" + std::to_string(i), "");
    zip64.Add("a/" + std::to_string(i), "");
  }
  EXPECT_EQ(Entries(ReadZip(plain.Build())).size(), 0xffffu);
  EXPECT_EQ(Entries(ReadZip(zip64.Build())).size(), 0xffffu);
  zip64.Add("a/more", "");
  EXPECT_EQ(Entries(ReadZip(zip64.Build())).size(), 0x10000u);
}

// formats.md 1.6 has the lengths of the extra fields that this gives.
TEST(ZipReader, ReadsZip64SizesAndOffsetsAroundTheirThreshold) {
  for (const uint64_t bytes :
       {0xfffffffeull, 0xffffffffull, 0x100000000ull, 5ull << 30}) {
    ZipBuilder zip;
    zip.AddHole("archive/data/0", bytes);
    zip.Add("archive/data/1", "abcdef");
    zip.AddHole("archive/data/2", bytes);
    zip.Add("archive/version", "3\n");
    const auto file = zip.BuildSparse();
    const std::vector<Entry> entries = Entries(ReadDirectory(ByteSource(file)));
    ASSERT_EQ(entries.size(), 4u) << bytes;
    EXPECT_EQ(entries[0].bytes, bytes);
    EXPECT_GE(entries[1].header_offset, bytes);
    EXPECT_EQ(entries[1].data_offset % 64, 0u);
    EXPECT_EQ(entries[2].bytes, bytes);
    std::string data(6, '\0');
    ASSERT_THAT(file->Read(entries[1].data_offset,
                           std::as_writable_bytes(std::span(data))),
                IsOk());
    EXPECT_EQ(data, "abcdef");
  }
}

// miniz moves both sizes or none; APPNOTE moves only those that do not fit.
TEST(ZipReader, ReadsADeflatedRecordOfWhichOnlyTheSizeMoved) {
  constexpr uint64_t kBytes = 0x100000000;
  for (const bool both : {true, false}) {
    ZipBuilder zip;
    ZipEntry& entry = zip.AddHole("archive/a", 5 << 20);
    entry.method = kMethodDeflate;
    entry.bytes = kBytes;
    if (!both) {
      entry.edit_local = [](LocalFields& f) {
        f.bytes = kMoved32;
        f.extra = ExtraField(kExtraZip64, Le64(kBytes));
      };
      entry.edit_central = [](CentralFields& f) {
        f.extra = ExtraField(kExtraZip64, Le64(kBytes));
      };
    }
    const std::vector<Entry> entries =
        Entries(ReadDirectory(ByteSource(zip.BuildSparse())));
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].bytes, kBytes);
    EXPECT_EQ(entries[0].stored_bytes, 5u << 20);
  }
}

// Go's archive/zip states all three once a size has moved.
TEST(ZipReader, ReadsAZip64FieldThatRepeatsAnOffsetThatDidNotMove) {
  ZipBuilder zip(ZipStyle::kPython);
  zip.Add("archive/a", "abcdef").edit_central = [](CentralFields& f) {
    f.extra = ExtraField(kExtraZip64, Le64(6) + Le64(6) + Le64(0));
    f.bytes = f.stored_bytes = kMoved32;
  };
  EXPECT_THAT(Entries(ReadZip(zip.Build())),
              ElementsAre(HasEntry(0, 39, 6, 0x4b8e39ef)));
}

TEST(ZipReader, SkipsOtherExtraFieldsAndAFewBytesOfFiller) {
  ZipBuilder zip;
  ZipEntry& entry = zip.Add("archive/a", "abcdef");
  const std::string timestamp = ExtraField(0x5455, "\3tttt");
  const std::string path =
      ExtraField(0x7075, "\1cccc" + std::string("archive/a"));
  entry.edit_local = [&](LocalFields& f) { f.extra = timestamp + "\1"; };
  entry.edit_central = [&](CentralFields& f) {
    f.extra = timestamp + path + std::string(3, '\0');
  };
  EXPECT_EQ(Entries(ReadZip(zip.Build())).size(), 1u);
}

// Counts what is read of a file.
class CountingAdapter : public ReadAdapter {
 public:
  explicit CountingAdapter(std::shared_ptr<const ReadAdapter> file)
      : file_(std::move(file)) {}

  const std::string& name() const override { return file_->name(); }
  uint64_t size() const override { return file_->size(); }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    ++reads;
    bytes += dst.size();
    return file_->Read(offset, dst);
  }

  mutable uint64_t reads = 0;
  mutable uint64_t bytes = 0;

 private:
  std::shared_ptr<const ReadAdapter> file_;
};

TEST(ZipReader, ReadsManySmallRecordsInFewReads) {
  ZipBuilder zip;
  for (int i = 0; i < 10000; ++i) {
    zip.Add("archive/data/" + std::to_string(i), std::string(100, 'x'));
  }
  const auto file = std::make_shared<CountingAdapter>(zip.BuildSparse());
  EXPECT_EQ(Entries(ReadDirectory(ByteSource(file))).size(), 10000u);
  EXPECT_LT(file->reads, 200u);
  EXPECT_LT(file->bytes, file->size() + (size_t{1} << 20));
}

TEST(ZipReader, ReadsLittleOfHugeRecords) {
  ZipBuilder zip;
  for (int i = 0; i < 1000; ++i) {
    zip.AddHole("archive/data/" + std::to_string(i), 100 << 20);
  }
  const auto file = std::make_shared<CountingAdapter>(zip.BuildSparse());
  EXPECT_EQ(Entries(ReadDirectory(ByteSource(file))).size(), 1000u);
  EXPECT_LE(file->reads, 2100u);
  EXPECT_LT(file->bytes, 10u << 20);
}

}  // namespace
}  // namespace caisson::zip
