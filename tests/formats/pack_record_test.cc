// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/pack_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::HasSubstr;

PackRecord Sample() {
  PackRecord record;
  record.profile = Profile::Torch2_6();
  record.profile.alignment = 4096;
  record.profile.crc32 = false;
  record.chunk_bytes = 262144;
  record.deflated = {{3, {{1000, 0x12345678}, {7, 0xffffffff}}},
                     {12, {{1, 2}}}};
  return record;
}

TEST(PackRecord, ComesBack) {
  const PackRecord record = Sample();
  const auto bytes = PackContent(record);
  EXPECT_EQ(bytes.size(), PackBytes(2, 3));
  const auto parsed = ParsePack(bytes);
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_EQ(parsed->profile, record.profile);
  EXPECT_EQ(parsed->chunk_bytes, 262144u);
  ASSERT_EQ(parsed->deflated.size(), 2u);
  EXPECT_EQ(parsed->deflated[0].number, 3u);
  ASSERT_EQ(parsed->deflated[0].chunks.size(), 2u);
  EXPECT_EQ(parsed->deflated[0].chunks[0].stored_bytes, 1000u);
  EXPECT_EQ(parsed->deflated[0].chunks[1].crc32, 0xffffffffu);
  EXPECT_EQ(parsed->deflated[1].number, 12u);
}

TEST(PackRecord, CutAnywhereItIsRefused) {
  const auto bytes = PackContent(Sample());
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_THAT(ParsePack(std::span(bytes).first(cut)).status(),
                StatusIs(StatusCode::kCorrupt))
        << cut;
  }
}

TEST(PackRecord, RefusesWhatItDoesNotKnow) {
  const auto changed = [](size_t at, int value) {
    auto bytes = PackContent(Sample());
    bytes[at] = static_cast<std::byte>(value);
    return ParsePack(bytes).status();
  };
  EXPECT_THAT(changed(0, 'X'),
              StatusIs(StatusCode::kCorrupt, HasSubstr("CAISPACK")));
  EXPECT_THAT(changed(8, 2), StatusIs(StatusCode::kUnsupported));
  EXPECT_THAT(changed(10, 0xff), StatusIs(StatusCode::kCorrupt));
  EXPECT_THAT(changed(15, 0x7f), StatusIs(StatusCode::kCorrupt));
  // More chunks than there are bytes for, and no memory is taken for them.
  EXPECT_THAT(changed(24 + 7, 0xff), StatusIs(StatusCode::kCorrupt));
  auto longer = PackContent(Sample());
  longer.push_back(std::byte{0});
  EXPECT_THAT(ParsePack(longer).status(), StatusIs(StatusCode::kCorrupt));
}

}  // namespace
}  // namespace caisson::torch
