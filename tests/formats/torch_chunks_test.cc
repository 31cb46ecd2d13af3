// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caisson/crc32.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::HasSubstr;

constexpr uint64_t kChunkBytes = 4096;

// A record of three chunks, the last one short, that is right as far as its
// sums go.
struct Deflated {
  zip::Entry entry;
  PackRecord::Deflated chunks;

  explicit Deflated(std::vector<ChunkFacts> facts) {
    entry.data_offset = 100;
    entry.stored_bytes = 0;
    uint64_t left = 2 * kChunkBytes + 10;
    for (const ChunkFacts& chunk : facts) {
      entry.stored_bytes += chunk.stored_bytes;
      const uint64_t bytes = std::min(left, kChunkBytes);
      entry.crc32 = Crc32Combine(entry.crc32, chunk.crc32, bytes);
      left -= bytes;
    }
    chunks.chunks = std::move(facts);
  }

  Status Place(StorageLayout* storage) const {
    storage->bytes = 2 * kChunkBytes + 10;
    return PlaceDeflated(entry, kChunkBytes, chunks, ByteOrder::kLittle,
                         storage);
  }
};

TEST(TorchChunks, ArePlacedOneAfterTheOther) {
  StorageLayout storage;
  CAISSON_ASSERT_OK(Deflated({{50, 1}, {60, 2}, {7, 3}}).Place(&storage));
  ASSERT_EQ(storage.pieces.size(), 3u);
  EXPECT_EQ(storage.pieces[1].offset, 150u);
  EXPECT_EQ(storage.pieces[2].elems, 10u);
  EXPECT_TRUE(storage.pieces[2].ends);
}

TEST(TorchChunks, WithoutAByteAreRefused) {
  StorageLayout storage;
  EXPECT_THAT(Deflated({{50, 1}, {0, 0}, {7, 3}}).Place(&storage),
              StatusIs(StatusCode::kCorrupt, HasSubstr("chunk 1 is empty")));
}

TEST(TorchChunks, MustBeThoseOfTheRecord) {
  StorageLayout storage;
  EXPECT_THAT(Deflated({{50, 1}, {60, 2}}).Place(&storage),
              StatusIs(StatusCode::kCorrupt, HasSubstr("2 chunks")));
  Deflated longer({{50, 1}, {60, 2}, {7, 3}});
  ++longer.entry.stored_bytes;
  EXPECT_THAT(longer.Place(&storage),
              StatusIs(StatusCode::kCorrupt, HasSubstr("chunks of 117")));
  Deflated other({{50, 1}, {60, 2}, {7, 3}});
  ++other.entry.crc32;
  EXPECT_THAT(other.Place(&storage),
              StatusIs(StatusCode::kCorrupt, HasSubstr("CRC-32")));
}

}  // namespace
}  // namespace caisson::torch
