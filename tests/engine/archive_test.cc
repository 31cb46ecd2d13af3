// SPDX-License-Identifier: Apache-2.0
//
// PyTorchStreamReader: folders, versions and checksums. The tests that
// upstream has for it are in archive_upstream_test.cc.
#include "caisson/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/golden_archives.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using std::string_literals::operator""s;

Result<PyTorchStreamReader> OpenBytes(const std::string& bytes,
                                      uint64_t start = 0) {
  // A copy of its own keeps the reader free of the caller's lifetimes.
  auto owner = std::make_shared<const std::string>(bytes);
  return PyTorchStreamReader::Open(
      std::make_shared<MemoryAdapter>(std::as_bytes(std::span(*owner)),
                                      "model.pt", owner),
      start);
}

std::string TextOf(const Result<Record>& record) {
  EXPECT_THAT(record.status(), IsOk());
  if (!record.has_value()) return {};
  return {reinterpret_cast<const char*>(record->data.get()), record->size};
}

// An archive of the records that every one has, and then more.
ZipBuilder WithVersion(const std::string& version = "3\n") {
  ZipBuilder zip;
  zip.Add("archive/version", version);
  return zip;
}

Status StatusOfVersion(const std::string& version) {
  return OpenBytes(WithVersion(version).Build()).status();
}

// Folders.

TEST(Archive, TakesItsFolderFromTheFirstEntry) {
  ZipBuilder zip;
  zip.Add("model.v1/data.pkl", "x");
  zip.Add("model.v1/version", "3\n");
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(zip.Build()));
  EXPECT_EQ(reader.archiveName(), "model.v1");
  EXPECT_THAT(reader.getAllRecords(), ElementsAre("data.pkl", "version"));
}

TEST(Archive, RefusesAFirstEntryThatIsInNoFolder) {
  ZipBuilder zip;
  zip.Add("version", "3\n");
  EXPECT_THAT(OpenBytes(zip.Build()).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("version")));
}

TEST(Archive, RefusesAnyEntryOutsideItsFolder) {
  for (const std::string name :
       {"README", "archive", "archive2/x", "Archive/x", "archiv/x", "/x"}) {
    ZipBuilder zip = WithVersion();
    zip.Add(name, "x");
    EXPECT_THAT(OpenBytes(zip.Build()).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr(name)))
        << name;
  }
}

TEST(Archive, ToleratesTheEntryOfItsFolder) {
  ZipBuilder zip;
  zip.Add("archive/", "");
  zip.Add("archive/version", "3\n");
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(zip.Build()));
  EXPECT_THAT(reader.getAllRecords(), ElementsAre("version"));
}

TEST(Archive, ComparesNamesByteForByte) {
  ZipBuilder zip = WithVersion();
  zip.Add("archive/DATA.PKL", "upper");
  zip.Add("archive/data/../../x", "escape");
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(zip.Build()));
  EXPECT_FALSE(reader.hasRecord("data.pkl"));
  EXPECT_FALSE(reader.hasRecord("x"));
  EXPECT_EQ(TextOf(reader.getRecord("data/../../x")), "escape");
}

TEST(Archive, RefusesAnArchiveWithoutRecords) {
  EXPECT_THAT(OpenBytes(ZipBuilder().Build()).status(),
              StatusIs(StatusCode::kUnsupported));
}

TEST(Archive, SaysWhatAForeignFileIs) {
  EXPECT_THAT(OpenBytes("\x89HDF\r\n\x1a\n"s).status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("HDF5")));
  EXPECT_THAT(OpenBytes("").status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("empty")));
  EXPECT_THAT(PyTorchStreamReader::Open("/does/not/exist.pt").status(),
              StatusIs(StatusCode::kNotFound));
}

TEST(Archive, OpensAtAnOffsetAndNotBeforeIt) {
  const std::string file = "header" + WithVersion().Build();
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(file, 6));
  EXPECT_THAT(reader.getRecordHeaderOffset("version"), IsOkAndHolds(0u));
  EXPECT_EQ(TextOf(reader.getRecord("version")), "3\n");
  EXPECT_THAT(OpenBytes(file).status(), StatusIs(StatusCode::kUnsupported));
  EXPECT_THAT(OpenBytes(file, file.size() + 1).status(),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(
      PyTorchStreamReader::Open(std::shared_ptr<const ReadAdapter>()).status(),
      StatusIs(StatusCode::kInvalidArgument));
}

TEST(Archive, ReadsAStream) {
  std::istringstream stream("header" + GoldenArchives()[0].bytes);
  stream.seekg(6);
  CAISSON_ASSERT_OK_AND_ASSIGN(const std::shared_ptr<IStreamAdapter> adapter,
                               IStreamAdapter::Open(&stream));
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               PyTorchStreamReader::Open(adapter));
  EXPECT_EQ(TextOf(reader.getRecord("byteorder")), "little");
}

// Versions: formats.md 1.9.

TEST(Archive, AcceptsVersionsOneToTen) {
  for (int version = 1; version <= 10; ++version) {
    const std::string number = std::to_string(version);
    for (const std::string& text :
         {number, number + "\n", number + "abc", std::string(" ") + number}) {
      CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                                   OpenBytes(WithVersion(text).Build()));
      EXPECT_EQ(reader.version(), static_cast<uint64_t>(version));
    }
  }
}

TEST(Archive, RefusesOtherVersions) {
  for (const std::string version :
       {"0", "11", "", "\n", "abc", "99999999999999999999999", "-1"}) {
    EXPECT_THAT(StatusOfVersion(version),
                StatusIs(StatusCode::kCorrupt, HasSubstr("version")))
        << version;
  }
  EXPECT_THAT(StatusOfVersion(std::string(1 << 20, '3')),
              StatusIs(StatusCode::kCorrupt, HasSubstr("too many")));
}

TEST(Archive, RefusesAnArchiveWithoutVersion) {
  ZipBuilder zip;
  zip.Add("archive/data.pkl", "x");
  EXPECT_THAT(OpenBytes(zip.Build()).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("version")));
}

TEST(Archive, PrefersTheVersionInDotData) {
  ZipBuilder zip = WithVersion("3\n");
  zip.Add("archive/.data/version", "6\n");
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(zip.Build()));
  EXPECT_EQ(reader.version(), 6u);
}

TEST(Archive, GivesTheSerializationIdOrNone) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                                 OpenBytes(golden.bytes));
    const bool has_id = golden.name.ends_with("2_6");
    EXPECT_EQ(reader.serializationId().size(), has_id ? 40u : 0u);
  }
}

// Checksums.

TEST(Archive, NamesTheRecordOfAFlippedPayloadBit) {
  ZipBuilder zip = WithVersion();
  zip.Add("archive/data/0", std::string(1000, 'x'));
  std::string bytes = zip.Build();
  bytes[bytes.find("xxxx") + 500] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(PyTorchStreamReader reader, OpenBytes(bytes));
  EXPECT_THAT(reader.getRecord("data/0").status(),
              StatusIs(StatusCode::kCorrupt,
                       HasSubstr("model.pt: record 'archive/data/0' at 192: "
                                 "expected crc32 ")));
  EXPECT_EQ(TextOf(reader.getRecord("version")), "3\n");
  reader.setShouldVerify(false);
  EXPECT_EQ(TextOf(reader.getRecord("data/0")).size(), 1000u);
}

TEST(Archive, ReportsAFlippedBitInEveryWayOfReading) {
  ZipBuilder zip = WithVersion();
  zip.Add("archive/data/0", std::string(1000, 'x'));
  std::string bytes = zip.Build();
  bytes[bytes.find("xxxx") + 500] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(PyTorchStreamReader reader, OpenBytes(bytes));
  reader.setAdditionalReaderSizeThreshold(0);
  const std::vector<std::shared_ptr<const ReadAdapter>> additional = {
      std::make_shared<MemoryAdapter>(std::as_bytes(std::span(bytes)))};
  const auto is_crc_error =
      StatusIs(StatusCode::kCorrupt, HasSubstr("expected crc32 "));
  std::vector<std::byte> dst(1000);
  std::vector<std::byte> chunk(300);
  const auto copy = [](void* to, const void* from, size_t size) {
    std::memcpy(to, from, size);
  };
  EXPECT_THAT(reader.getRecord("data/0", dst), is_crc_error);
  EXPECT_THAT(reader.getRecord("data/0", dst, additional), is_crc_error);
  EXPECT_THAT(reader.getRecord("data/0", dst.data(), 1000, chunk, copy),
              is_crc_error);
  CAISSON_ASSERT_OK_AND_ASSIGN(ChunkRecordIterator chunks,
                               reader.createChunkReaderIter("data/0", 300));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(chunks.next(chunk), IsOkAndHolds(300u));
  }
  EXPECT_THAT(chunks.next(chunk), is_crc_error);
  EXPECT_THAT(chunks.next(chunk), is_crc_error);
}

TEST(Archive, DoesNotMissACrcThatWasNotComputed) {
  ZipBuilder zip = WithVersion();
  zip.Add("archive/data/0", "abcdef").crc32 = 0;
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               OpenBytes(zip.Build()));
  EXPECT_EQ(TextOf(reader.getRecord("data/0")), "abcdef");
}

TEST(Archive, ReportsADeflatedRecordThatIsDamaged) {
  ZipBuilder zip = WithVersion();
  zip.AddDeflated("archive/data/0", std::string(1000, 'x'));
  std::string bytes = zip.Build();
  const size_t payload = bytes.find("xxxx");
  bytes[payload] ^= 1;
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader flipped,
                               OpenBytes(bytes));
  EXPECT_THAT(flipped.getRecord("data/0").status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("expected crc32 ")));
  bytes[payload - 5] ^= 6;  // the block's type, RFC 1951 3.2.3
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader broken,
                               OpenBytes(bytes));
  EXPECT_THAT(broken.getRecord("data/0").status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("'archive/data/0'")));
}

// The declared size of a deflated record must be its size.
TEST(Archive, ReportsADeflatedRecordOfAnotherSize) {
  for (const uint64_t declared : {999, 1001, 100000}) {
    ZipBuilder zip = WithVersion();
    zip.AddDeflated("archive/data/0", std::string(1000, 'x')).bytes = declared;
    CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                                 OpenBytes(zip.Build()));
    EXPECT_THAT(reader.getRecord("data/0").status(),
                StatusIs(StatusCode::kCorrupt));
  }
}

// Every damaged byte of a real file is a value or a typed error, here for the
// payload too.
TEST(Archive, GivesValuesOrTypedErrorsForEveryFlippedByte) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    std::string bytes = golden.bytes;
    for (char& byte : bytes) {
      byte ^= 0xff;
      const Result<PyTorchStreamReader> reader = OpenBytes(bytes);
      if (reader.has_value()) {
        for (const std::string& name : reader->getAllRecords()) {
          const Status status = reader->getRecord(name).status();
          EXPECT_TRUE(status.ok() || status.code() == StatusCode::kCorrupt)
              << status.ToString();
        }
      } else {
        EXPECT_TRUE(reader.error().code() == StatusCode::kCorrupt ||
                    reader.error().code() == StatusCode::kUnsupported)
            << reader.error().ToString();
      }
      byte ^= 0xff;
    }
  }
}

}  // namespace
}  // namespace caisson
