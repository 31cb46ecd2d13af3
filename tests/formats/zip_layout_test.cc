// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/zip_layout.h"

#include <gtest/gtest.h>

namespace caisson::zip {
namespace {

constexpr uint64_t kLimit = 0xffffffff;

TEST(ZipLayout, GivesTheOffsetsOfFormatsMdAppendixA) {
  // G3: header, name "archive/...", bytes, data.
  EXPECT_EQ(DataOffset(0, 16, 336, 64), 64u);      // data.pkl
  EXPECT_EQ(DataOffset(416, 17, 6, 64), 512u);     // byteorder
  EXPECT_EQ(DataOffset(534, 14, 80, 64), 640u);    // data/0
  EXPECT_EQ(DataOffset(736, 14, 0, 64), 832u);     // data/1, empty
  EXPECT_EQ(DataOffset(832, 14, 8, 64), 896u);     // data/2
  EXPECT_EQ(DataOffset(1042, 30, 40, 64), 1152u);  // .data/serialization_id
}

TEST(ZipLayout, PutsEveryRecordAtAMultipleOfTheAlignment) {
  for (const uint64_t alignment : {1, 3, 8, 64, 256, 4096, 32768}) {
    for (uint64_t header = 0; header < 300; ++header) {
      const uint64_t padding = PaddingFor(header, 9, 5, alignment);
      EXPECT_LT(padding, alignment);
      EXPECT_EQ(DataOffset(header, 9, 5, alignment),
                header + 30 + 9 + 4 + padding);
      EXPECT_EQ(DataOffset(header, 9, 5, alignment) % alignment, 0u);
    }
  }
}

TEST(ZipLayout, AddsAZip64FieldFromTheLimitOn) {
  EXPECT_EQ(LocalZip64Bytes(0, kLimit - 1), 0u);
  EXPECT_EQ(LocalZip64Bytes(0, kLimit), 20u);
  EXPECT_EQ(LocalZip64Bytes(0, kLimit + 1), 20u);
  EXPECT_EQ(LocalZip64Bytes(kLimit - 1, 1), 0u);
  EXPECT_EQ(LocalZip64Bytes(kLimit, 1), 12u);
  EXPECT_EQ(LocalZip64Bytes(kLimit, kLimit), 28u);
}

TEST(ZipLayout, CountsTheZip64FieldIntoThePadding) {
  EXPECT_EQ(PaddingFor(0, 9, kLimit - 1, 64), 64 - (30 + 9 + 4));
  EXPECT_EQ(PaddingFor(0, 9, kLimit, 64), 64 - (30 + 9 + 20 + 4) % 64);
  EXPECT_EQ(DataOffset(kLimit, 9, kLimit, 64) % 64, 0u);
}

TEST(ZipLayout, MakesDescriptorsWideWhereThereIsAZip64Field) {
  EXPECT_EQ(DescriptorBytes(0, 0), 0u);
  EXPECT_EQ(DescriptorBytes(kLimit, 0), 0u);
  EXPECT_EQ(DescriptorBytes(0, 1), 16u);
  EXPECT_EQ(DescriptorBytes(0, kLimit - 1), 16u);
  EXPECT_EQ(DescriptorBytes(0, kLimit), 24u);
  EXPECT_EQ(DescriptorBytes(kLimit - 1, 2), 16u);
  EXPECT_EQ(DescriptorBytes(kLimit, 2), 24u);
}

}  // namespace
}  // namespace caisson::zip
