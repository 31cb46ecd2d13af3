// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/pickle/memo_scan.h"

namespace caisson::pickle {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using std::string_literals::operator""s;

// The indices that are fetched.
std::vector<size_t> Fetched(std::string_view pickle) {
  const auto flags = FetchedEntries(std::as_bytes(std::span(pickle)));
  std::vector<size_t> indices;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) indices.push_back(i);
  }
  return indices;
}

TEST(FetchedEntries, FindsBothWidths) {
  EXPECT_THAT(Fetched("h\x03j\x05\0\0\0h\x03."s), ElementsAre(3, 5));
  EXPECT_THAT(Fetched("q\x03r\x05\0\0\0."s), IsEmpty()) << "those are set";
}

// Each argument holds what would be a fetch of entry 1, and entry 2 follows.
TEST(FetchedEntries, PassesOverArguments) {
  const std::string fetch = "h\x01";
  const std::vector<std::string> arguments = {
      "Kh",
      "M" + fetch,
      "J" + fetch + fetch,
      "G" + fetch + fetch + fetch + fetch,
      "\x80h",
      "\x95" + fetch + fetch + fetch + fetch,
      "qh",
      "r" + fetch + fetch,
      "\x8a\x02" + fetch,
      "\x8b\x02\0\0\0"s + fetch,
      "\x8c\x02" + fetch,
      "U\x02" + fetch,
      "C\x02" + fetch,
      "X\x02\0\0\0"s + fetch,
      "T\x02\0\0\0"s + fetch,
      "B\x02\0\0\0"s + fetch,
      "\x8d\x02\0\0\0\0\0\0\0"s + fetch,
      "\x8e\x02\0\0\0\0\0\0\0"s + fetch,
      "\x96\x02\0\0\0\0\0\0\0"s + fetch,
      "c" + fetch + "\n" + fetch + "\n"};
  for (const std::string& argument : arguments) {
    EXPECT_THAT(Fetched(argument + "h\x02."), ElementsAre(2)) << argument;
  }
}

TEST(FetchedEntries, EndsWithThePickle) {
  EXPECT_THAT(Fetched("h\x01.h\x02"), ElementsAre(1));
  EXPECT_THAT(Fetched("h\x01X\xff\xff\xff\xffh\x02"), ElementsAre(1));
  EXPECT_THAT(Fetched("h\x01h"), ElementsAre(1));
  EXPECT_THAT(Fetched(""), IsEmpty());
}

TEST(FetchedEntries, HasNoMoreThanThereAreBytes) {
  const std::string_view pickle = "j\xff\xff\xff\xff.";
  EXPECT_THAT(FetchedEntries(std::as_bytes(std::span(pickle))), IsEmpty());
}

}  // namespace
}  // namespace caisson::pickle
