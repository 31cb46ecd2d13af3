// SPDX-License-Identifier: Apache-2.0
//
// The example of docs/codec.md, section A, is what is encoded.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/formats/plane_record.h"
#include "tests/support/plane_chunks.h"

namespace caisson {
namespace {

std::string ReadDocument() {
  std::ifstream in(CAISSON_TEST_DATA "/../../docs/codec.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

// Lines of 16 bytes, as the document has them.
std::string Hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char number[8];
    std::snprintf(number, sizeof(number), "%02x%s",
                  static_cast<unsigned>(bytes[i]),
                  i % 16 == 15 || i + 1 == bytes.size() ? "\n" : " ");
    text += number;
  }
  return text;
}

TEST(PlaneExample, IsThatOfTheSpecification) {
  std::vector<std::byte> elems(4096);
  for (size_t i = 0; i < elems.size(); i += 256) elems[i] = std::byte{1};
  const EncodedChunk encoded = EncodeChunk(nullptr, elems, PlaneType::kBytes);
  plane::IndexWriter index;
  index.Add(encoded.chunk);
  std::vector<std::byte> record = encoded.bytes;
  const std::vector<std::byte> end = index.Finish();
  record.insert(record.end(), end.begin(), end.end());

  const std::string document = ReadDocument();
  const std::string fence = "```hex\n";
  const size_t begin = document.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const size_t from = begin + fence.size();
  EXPECT_EQ(document.substr(from, document.find("```", from) - from),
            Hex(record));
}

}  // namespace
}  // namespace caisson
