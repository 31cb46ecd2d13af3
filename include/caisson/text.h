// SPDX-License-Identifier: Apache-2.0
//
// Immutable text with an identity: a Python str.
//
// PyTorch's pickles share strings by object identity, not by equality, so a
// file can be written again unchanged only if the identity is kept. Copies of
// a Text are the same str; two Texts made from equal content are not.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace caisson {

// UTF-8, in which lone surrogates may stand as three bytes (Python's
// "surrogatepass"). May be copied between threads.
class Text {
 public:
  Text() : Text(std::string()) {}
  Text(std::string text) : rep_(std::make_shared<const Rep>(std::move(text))) {}
  Text(std::string_view text) : Text(std::string(text)) {}
  Text(const char* text) : Text(std::string(text)) {}

  const std::string& str() const { return rep_->text; }
  size_t hash() const { return rep_->hash; }

  bool same(const Text& other) const { return rep_ == other.rep_; }

  // Equal exactly for Texts that are the same().
  const void* identity() const { return rep_.get(); }

  // Compares the content.
  friend bool operator==(const Text& a, const Text& b) {
    return a.same(b) || a.str() == b.str();
  }

 private:
  struct Rep {
    explicit Rep(std::string content)
        : text(std::move(content)), hash(std::hash<std::string>()(text)) {}
    std::string text;
    size_t hash;  // kept, as dicts ask for it again and again
  };
  std::shared_ptr<const Rep> rep_;
};

}  // namespace caisson
