// SPDX-License-Identifier: Apache-2.0
//
// The reader on archives of torch 2.6 and 1.13: whole, cut and damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caisson/adapter.h"
#include "core/formats/zip/zip_reader.h"
#include "tests/support/golden_archives.h"
#include "tests/support/status_matchers.h"

namespace caisson::zip {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;

Result<Directory> ReadZip(const std::string& bytes) {
  return ReadDirectory(ByteSource(std::make_shared<MemoryAdapter>(
      std::as_bytes(std::span(bytes)), "model.pt")));
}

auto HasEntry(uint64_t header, uint64_t data, uint64_t bytes, uint32_t crc) {
  return AllOf(Field(&Entry::header_offset, header),
               Field(&Entry::data_offset, data), Field(&Entry::bytes, bytes),
               Field(&Entry::stored_bytes, bytes), Field(&Entry::crc32, crc));
}

TEST(ZipGolden, FindsRecordsWhereTorchPutThem) {
  // formats.md, Appendix A, G3.
  const GoldenArchive g3 = GoldenArchives()[4];
  ASSERT_EQ(g3.name, "g3_torch_2_6");
  CAISSON_ASSERT_OK_AND_ASSIGN(const Directory directory, ReadZip(g3.bytes));
  EXPECT_THAT(
      directory.entries,
      ElementsAre(
          HasEntry(0, 64, 336, 0xb325ac2c), HasEntry(416, 512, 6, 0x19e33d85),
          HasEntry(534, 640, 80, 0x5e85e4a4), HasEntry(736, 832, 0, 0),
          HasEntry(832, 896, 8, 0x77925bfd), HasEntry(920, 1024, 2, 0x55679ed1),
          HasEntry(1042, 1152, 40, 0x8584a4d4)));
}

// Every prefix of a file is an error, and every damaged bit is one or is not
// seen; under the sanitizers, this is also a test of the bounds.
TEST(ZipGolden, RefusesEveryPrefixOfGoldenArchives) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    for (size_t bytes = 0; bytes < golden.bytes.size(); ++bytes) {
      EXPECT_THAT(ReadZip(golden.bytes.substr(0, bytes)),
                  StatusIs(StatusCode::kCorrupt))
          << golden.name << " cut to " << bytes;
    }
  }
}

TEST(ZipGolden, GivesAValueOrATypedErrorForEveryFlippedBit) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    std::string bytes = golden.bytes;
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
      const Result<Directory> directory = ReadZip(bytes);
      if (!directory.has_value()) {
        EXPECT_TRUE(directory.error().code() == StatusCode::kCorrupt ||
                    directory.error().code() == StatusCode::kUnsupported)
            << golden.name << " bit " << bit << ": "
            << directory.error().ToString();
      }
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
  }
}

}  // namespace
}  // namespace caisson::zip
