// SPDX-License-Identifier: Apache-2.0
//
// What PyTorch's caffe2/serialize/inline_container_test.cc pins down for its
// reader, on archives of the same layout; and the arithmetic by which torch
// 2.7 and later find storages without reading headers (formats.md 1.14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "caisson/archive.h"
#include "core/formats/zip/zip_layout.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson {
namespace {

using testing::ElementsAre;

std::string RandomText(size_t bytes, uint64_t seed) {
  std::string text(bytes, '\0');
  FillRandom(std::as_writable_bytes(std::span(text)), seed);
  return text;
}

std::string TextOf(const Result<Record>& record) {
  EXPECT_THAT(record.status(), IsOk());
  if (!record.has_value()) return {};
  return {reinterpret_cast<const char*>(record->data.get()), record->size};
}

std::string MethodName(const testing::TestParamInfo<bool>& deflated) {
  return deflated.param ? "Deflated" : "Stored";
}

// Upstream's two records, stored or deflated.
class ArchiveUpstreamTest : public testing::TestWithParam<bool> {
 protected:
  ArchiveUpstreamTest() {
    ZipBuilder zip;
    if (GetParam()) {
      zip.AddDeflated("archive/key1", key1_);
      zip.AddDeflated("archive/key2", key2_);
    } else {
      zip.Add("archive/key1", key1_);
      zip.Add("archive/key2", key2_);
    }
    zip.Add("archive/key.debug_pkl", "debug");
    zip.Add("archive/version", "3\n");
    file_ = zip.Build();
    auto reader = PyTorchStreamReader::Open(Adapter());
    EXPECT_THAT(reader.status(), IsOk());
    reader_ = std::make_unique<PyTorchStreamReader>(std::move(*reader));
  }

  std::shared_ptr<const ReadAdapter> Adapter() const {
    return std::make_shared<MemoryAdapter>(std::as_bytes(std::span(file_)));
  }

  const std::string key1_ = RandomText(127, 1);
  const std::string key2_ = RandomText(64, 2);
  std::string file_;
  std::unique_ptr<PyTorchStreamReader> reader_;
};

TEST_P(ArchiveUpstreamTest, SaveAndLoad) {
  EXPECT_TRUE(reader_->hasRecord("key1"));
  EXPECT_TRUE(reader_->hasRecord("key2"));
  EXPECT_FALSE(reader_->hasRecord("key2000"));
  EXPECT_THAT(reader_->getAllRecords(),
              ElementsAre("key1", "key2", "key.debug_pkl", "version"));
  for (const auto& [name, content] :
       {std::pair("key1", key1_), std::pair("key2", key2_)}) {
    EXPECT_THAT(reader_->getRecordSize(name), IsOkAndHolds(content.size()));
    CAISSON_ASSERT_OK_AND_ASSIGN(const uint64_t offset,
                                 reader_->getRecordOffset(name));
    EXPECT_EQ(offset % 64, 0u);
    if (!GetParam()) {
      EXPECT_EQ(file_.substr(offset, content.size()), content);
    }
    EXPECT_EQ(TextOf(reader_->getRecord(name)), content);

    std::string dst(content.size(), '\0');
    const auto bytes = std::as_writable_bytes(std::span(dst));
    CAISSON_ASSERT_OK(reader_->getRecord(name, bytes));
    EXPECT_EQ(dst, content);

    dst.assign(content.size(), '\0');
    std::byte chunk[3];
    CAISSON_ASSERT_OK(
        reader_->getRecord(name, dst.data(), dst.size(), chunk,
                           [](void* to, const void* from, size_t size) {
                             EXPECT_LE(size, 3u);
                             std::memcpy(to, from, size);
                           }));
    EXPECT_EQ(dst, content);
  }
}

TEST_P(ArchiveUpstreamTest, RefusesADestinationOfAnotherSize) {
  std::vector<std::byte> dst(128);
  EXPECT_THAT(reader_->getRecord("key1", dst),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(reader_->getRecord("key1", std::span(dst).first(126)),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(reader_->getRecord("key1", dst.data(), 127, {}, nullptr),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(reader_->createChunkReaderIter("key1", 0).status(),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_P(ArchiveUpstreamTest, LoadWithMultiThreads) {
  reader_->setAdditionalReaderSizeThreshold(0);
  std::vector<std::shared_ptr<const ReadAdapter>> additional;
  for (int readers = 0; readers <= 10; ++readers) {
    for (const auto& [name, content] :
         {std::pair("key1", key1_), std::pair("key2", key2_)}) {
      EXPECT_EQ(TextOf(reader_->getRecord(name, additional)), content);
      std::string dst(content.size(), '\0');
      CAISSON_ASSERT_OK(reader_->getRecord(
          name, std::as_writable_bytes(std::span(dst)), additional));
      EXPECT_EQ(dst, content) << readers;
    }
    additional.push_back(Adapter());
  }
}

TEST_P(ArchiveUpstreamTest, UsesMoreReadersThanARecordHasBytes) {
  reader_->setAdditionalReaderSizeThreshold(0);
  const std::vector<std::shared_ptr<const ReadAdapter>> additional(7,
                                                                   Adapter());
  EXPECT_EQ(TextOf(reader_->getRecord("key.debug_pkl", additional)), "debug");
}

TEST_P(ArchiveUpstreamTest, RefusesAdditionalReadersOfAnotherFile) {
  const std::string other = file_ + "x";
  const std::vector<std::vector<std::shared_ptr<const ReadAdapter>>> wrong = {
      {nullptr},
      {Adapter(),
       std::make_shared<MemoryAdapter>(std::as_bytes(std::span(other)))}};
  for (const auto& additional : wrong) {
    EXPECT_THAT(reader_->getRecord("key1", additional).status(),
                StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST_P(ArchiveUpstreamTest, GetNonexistentRecordThrows) {
  const auto is_not_found = StatusIs(StatusCode::kNotFound);
  std::vector<std::byte> dst(127);
  const std::vector<std::shared_ptr<const ReadAdapter>> additional = {
      Adapter()};
  EXPECT_THAT(reader_->getRecord("key3").status(), is_not_found);
  EXPECT_THAT(reader_->getRecord("key3", dst), is_not_found);
  EXPECT_THAT(reader_->getRecord("key3", additional).status(), is_not_found);
  EXPECT_THAT(reader_->getRecord("key3", dst, additional), is_not_found);
  EXPECT_THAT(reader_->getRecord("key3", dst.data(), 127, dst, nullptr),
              is_not_found);
  EXPECT_THAT(reader_->getRecordSize("key3").status(), is_not_found);
  EXPECT_THAT(reader_->getRecordOffset("key3").status(), is_not_found);
  EXPECT_THAT(reader_->getRecordHeaderOffset("key3").status(), is_not_found);
  EXPECT_THAT(reader_->createChunkReaderIter("key3", 1).status(), is_not_found);
  // And no error sticks.
  EXPECT_TRUE(reader_->hasRecord("key1"));
  EXPECT_EQ(TextOf(reader_->getRecord("key1")), key1_);
}

TEST_P(ArchiveUpstreamTest, SkipDebugRecords) {
  EXPECT_TRUE(reader_->hasRecord("key.debug_pkl"));
  EXPECT_EQ(TextOf(reader_->getRecord("key.debug_pkl")), "debug");
  reader_->setShouldLoadDebugSymbol(false);
  EXPECT_FALSE(reader_->hasRecord("key.debug_pkl"));
  EXPECT_EQ(TextOf(reader_->getRecord("key.debug_pkl")), "");
  EXPECT_THAT(reader_->getAllRecords(), ElementsAre("key1", "key2", "version"));
  EXPECT_EQ(TextOf(reader_->getRecord("key1")), key1_);
}

TEST_P(ArchiveUpstreamTest, OutlivesAMove) {
  PyTorchStreamReader moved = std::move(*reader_);
  EXPECT_EQ(TextOf(moved.getRecord("key1")), key1_);
  *reader_ = std::move(moved);
  EXPECT_EQ(TextOf(reader_->getRecord("key2")), key2_);
}

INSTANTIATE_TEST_SUITE_P(StoredAndDeflated, ArchiveUpstreamTest,
                         testing::Bool(), MethodName);

class ChunkRecordIteratorTest : public testing::TestWithParam<bool> {};

TEST_P(ChunkRecordIteratorTest, ChunkRead) {
  const std::string content = RandomText(1000, 3);
  ZipBuilder zip;
  if (GetParam()) {
    zip.AddDeflated("archive/key1", content);
  } else {
    zip.Add("archive/key1", content);
  }
  zip.Add("archive/version", "3\n");
  const std::string file = zip.Build();
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const PyTorchStreamReader reader,
      PyTorchStreamReader::Open(
          std::make_shared<MemoryAdapter>(std::as_bytes(std::span(file)))));
  for (const size_t chunk_bytes : {1, 100, 150, 999, 1000, 1010}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(
        ChunkRecordIterator chunks,
        reader.createChunkReaderIter("key1", chunk_bytes));
    EXPECT_EQ(chunks.recordSize(), 1000u);
    std::string read;
    std::string chunk(2000, '\0');  // more than asked for
    while (true) {
      CAISSON_ASSERT_OK_AND_ASSIGN(
          const size_t got,
          chunks.next(std::as_writable_bytes(std::span(chunk))));
      if (got == 0) break;
      EXPECT_EQ(got, std::min(chunk_bytes, 1000 - read.size()));
      read += chunk.substr(0, got);
    }
    EXPECT_EQ(read, content) << chunk_bytes;
    EXPECT_THAT(chunks.next(std::as_writable_bytes(std::span(chunk))),
                IsOkAndHolds(0u));
  }
}

INSTANTIATE_TEST_SUITE_P(StoredAndDeflated, ChunkRecordIteratorTest,
                         testing::Bool(), MethodName);

// A record large enough to be split into blocks and ranges.
TEST(ArchiveThreads, ReadsALargeRecordThroughSeveralReaders) {
  const std::string content = RandomText((3 << 20) + 17, 4);
  ZipBuilder zip;
  zip.Add("archive/data/0", content);
  zip.Add("archive/version", "3\n");
  const std::string file = zip.Build();
  const auto adapter =
      std::make_shared<MemoryAdapter>(std::as_bytes(std::span(file)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                               PyTorchStreamReader::Open(adapter));
  for (const size_t readers : {1, 3, 8}) {
    const std::vector<std::shared_ptr<const ReadAdapter>> additional(readers,
                                                                     adapter);
    EXPECT_EQ(TextOf(reader.getRecord("data/0", additional)), content);
  }
}

// formats.md 1.14: from the first storage's offset to all others.
TEST(ArchiveOffsets, CalculatedOffsetsAreTheStoredOnes) {
  for (const uint64_t alignment : {64, 4096}) {
    const std::vector<uint64_t> sizes = {
        24, 0, 1, (4ull << 30) + 48, 2, 0, 1, 6000, 0xffffffff, 0, 100, 8};
    ZipBuilder zip(ZipStyle::kPyTorch, alignment);
    zip.Add("archive/data.pkl", "pickle");
    for (size_t i = 0; i < sizes.size(); ++i) {
      zip.AddHole("archive/data/" + std::to_string(i), sizes[i]);
    }
    zip.Add("archive/version", "3\n");
    CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader reader,
                                 PyTorchStreamReader::Open(zip.BuildSparse()));
    CAISSON_ASSERT_OK_AND_ASSIGN(uint64_t header,
                                 reader.getRecordHeaderOffset("data/0"));
    for (size_t i = 0; i < sizes.size(); ++i) {
      const std::string name = "data/" + std::to_string(i);
      const uint64_t data = PyTorchStreamReader::getRecordOffsetNoRead(
          header, "archive/" + name, sizes[i], alignment);
      EXPECT_THAT(reader.getRecordHeaderOffset(name), IsOkAndHolds(header));
      EXPECT_THAT(reader.getRecordOffset(name), IsOkAndHolds(data));
      header = data + sizes[i] + zip::DescriptorBytes(header, sizes[i]);
    }
    EXPECT_THAT(reader.getRecordHeaderOffset("version"), IsOkAndHolds(header));
  }
}

}  // namespace
}  // namespace caisson
