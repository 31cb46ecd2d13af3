// SPDX-License-Identifier: Apache-2.0
//
// Records that are encoded as they are written: their headers come before their
// sizes are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/crc32.h"
#include "core/base/byte_source.h"
#include "core/formats/encoded_bound.h"
#include "core/formats/zip/zip_format.h"
#include "core/formats/zip/zip_layout.h"
#include "core/formats/zip/zip_reader.h"
#include "core/formats/zip/zip_writer.h"
#include "tests/support/status_matchers.h"

namespace caisson::zip {
namespace {

// An archive of one such record, and a stored one behind it.
std::string Archive(uint16_t method, uint64_t bytes, uint64_t bound,
                    const std::string& content) {
  ZipWriter zip(64);
  std::string file;
  const auto put = [&](const std::vector<std::byte>& more) {
    file.append(reinterpret_cast<const char*>(more.data()), more.size());
  };
  const auto span = std::as_bytes(std::span(content));
  put(zip.BeginEncoded("archive/a", method, bytes, bound, 0));
  EXPECT_EQ(file.size() % 64, 0u);
  file += content;
  zip.SetStored(0, content.size());
  put(zip.Descriptor(0, 7));
  put(zip.Begin("archive/b", content.size(), file.size()));
  EXPECT_EQ(file.size() % 64, 0u);
  file += content;
  put(zip.Descriptor(1, Crc32(0, span)));
  const std::vector<std::byte> end =
      zip.Finish(file.size(), std::vector<uint32_t>{7, Crc32(0, span)});
  EXPECT_EQ(end.size(), zip.FinishBytes());
  put(end);
  return file;
}

TEST(ZipEncoded, IsReadWhateverTheBoundWas) {
  const std::string content(100, 'x');
  for (const uint64_t bound : {uint64_t{100}, uint64_t{0xfffffffe},
                               uint64_t{0xffffffff}, uint64_t{5} << 32}) {
    for (const uint16_t method : {kMethodStored, kMethodDeflate}) {
      const uint64_t bytes = method == kMethodDeflate ? 5000 : 0;
      const std::string file = Archive(method, bytes, bound, content);
      const ByteSource source(std::make_shared<MemoryAdapter>(
          std::as_bytes(std::span(file)), "a.pt"));
      const auto directory = ReadDirectory(source);
      ASSERT_THAT(directory.status(), IsOk()) << bound;
      ASSERT_EQ(directory->entries.size(), 2u);
      const Entry& entry = directory->entries[0];
      EXPECT_EQ(entry.stored_bytes, 100u);
      EXPECT_EQ(entry.bytes, method == kMethodDeflate ? 5000u : 100u);
      EXPECT_EQ(entry.method, method);
      EXPECT_EQ(entry.data_offset % 64, 0u);
      EXPECT_EQ(directory->entries[1].bytes, 100u);
    }
  }
}

TEST(EncodedBound, IsAtLeastTheBytesAndCountsChunks) {
  for (const uint64_t bytes : {uint64_t{16}, kDeflateChunkBytes,
                               kDeflateChunkBytes + 16, uint64_t{5} << 32}) {
    for (const Encoding encoding : {Encoding::kDeflate, Encoding::kPlane}) {
      EXPECT_GT(EncodedBound(encoding, DType::kBFloat16, bytes), bytes);
      EXPECT_LT(EncodedBound(encoding, DType::kBFloat16, bytes),
                bytes + bytes / 100 + 200);
    }
  }
  EXPECT_EQ(EncodedChunks(Encoding::kDeflate, DType::kUInt8, 0), 0u);
  EXPECT_EQ(EncodedChunks(Encoding::kDeflate, DType::kUInt8, 262144), 1u);
  EXPECT_EQ(EncodedChunks(Encoding::kDeflate, DType::kUInt8, 262145), 2u);
  EXPECT_EQ(EncodedChunks(Encoding::kPlane, DType::kBFloat16, 131073), 2u);
}

}  // namespace
}  // namespace caisson::zip
