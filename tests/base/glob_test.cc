// SPDX-License-Identifier: Apache-2.0
#include "core/base/glob.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace caisson {
namespace {

TEST(Glob, KnownAnswers) {
  for (const auto& [glob, text] : {
           std::pair("", ""),
           {"*", ""},
           {"*", "a.b.c"},
           {"**", "x"},
           {"a.b", "a.b"},
           {"a*c", "abcbc"},
           {"*.weight", "model.0.weight"},
           {"?", "x"},
           {"a?c", "a.c"},
           {"*a*b*", "xaybz"},
           {"*.?.*", "layers.7.bias"},
           {"[a]", "[a]"},
           {"*ab", "aab"},
       }) {
    EXPECT_TRUE(GlobMatches(glob, text)) << glob << " " << text;
  }
  for (const auto& [glob, text] : {
           std::pair("", "a"),
           {"a", ""},
           {"a", "ab"},
           {"?", ""},
           {"?", "xy"},
           {"a*c", "acb"},
           {"*.weight", "weight"},
           {"[ab]", "a"},
           {"*ab", "aba"},
           {"a?", "a"},
           {"A", "a"},
       }) {
    EXPECT_FALSE(GlobMatches(glob, text)) << glob << " " << text;
  }
}

// The definition, without regard to time.
bool Plain(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  if (glob[0] == '*') {
    return Plain(glob.substr(1), text) ||
           (!text.empty() && Plain(glob, text.substr(1)));
  }
  return !text.empty() && (glob[0] == '?' || glob[0] == text[0]) &&
         Plain(glob.substr(1), text.substr(1));
}

// All words of up to `length` letters.
void Words(std::string_view letters, size_t length, std::string word,
           const std::function<void(const std::string&)>& visit) {
  visit(word);
  if (length == 0) return;
  for (const char c : letters) Words(letters, length - 1, word + c, visit);
}

TEST(Glob, AgreesWithItsDefinitionOnAllShortWords) {
  size_t matches = 0;
  Words("ab*?", 4, "", [&](const std::string& glob) {
    Words("ab", 5, "", [&](const std::string& text) {
      const bool expected = Plain(glob, text);
      matches += expected;
      ASSERT_EQ(GlobMatches(glob, text), expected) << glob << " " << text;
    });
  });
  EXPECT_GT(matches, 1000u);
}

TEST(Glob, ManyStarsTakeNoLongTime) {
  std::string glob;
  for (int i = 0; i < 1000; ++i) glob += "*a";
  EXPECT_FALSE(GlobMatches(glob + "b", std::string(10000, 'a')));
  EXPECT_TRUE(GlobMatches(glob, std::string(10000, 'a')));
}

}  // namespace
}  // namespace caisson
