// SPDX-License-Identifier: Apache-2.0
//
// Pickles put together opcode by opcode:
//
//   Unpickled("]" + Put(0) + "(" + Int(1) + Str("a") + "e")   // [1, 'a']
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "caisson/state.h"
#include "core/base/endian.h"
#include "core/formats/pickle/unpickler.h"
#include "tests/support/node_text.h"

namespace caisson::pickle {

// `value` in sizeof(T) little-endian bytes.
template <class T>
std::string Little(T value) {
  std::string bytes(sizeof(T), '\0');
  StoreLittle(static_cast<std::make_unsigned_t<T>>(value), bytes.data());
  return bytes;
}

inline std::string Op(uint8_t opcode) {
  return std::string(1, static_cast<char>(opcode));
}

// An opcode and its little-endian argument.
template <class T>
std::string Op(uint8_t opcode, T argument) {
  return Op(opcode).append(Little(argument));
}

inline std::string Repeated(std::string_view code, size_t times) {
  std::string bytes;
  bytes.reserve(code.size() * times);
  for (size_t i = 0; i < times; ++i) bytes += code;
  return bytes;
}

// BINUNICODE, and the same with a length that may be a lie.
inline std::string Str(std::string_view text) {
  return Op('X', static_cast<uint32_t>(text.size())).append(text);
}
inline std::string StrOfLength(uint32_t length, std::string_view text) {
  return Op('X', length).append(text);
}

// BININT1, BININT, or LONG1 of 8 bytes.
inline std::string Int(int64_t value) {
  if (value >= 0 && value < 256) {
    return Op('K', static_cast<uint8_t>(value));
  }
  if (value >= std::numeric_limits<int32_t>::min() &&
      value <= std::numeric_limits<int32_t>::max()) {
    return Op('J', static_cast<uint32_t>(value));
  }
  return Op(0x8a, uint8_t{8}).append(Little(value));
}

inline std::string Put(uint32_t index) {
  if (index < 256) return Op('q', static_cast<uint8_t>(index));
  return Op('r', index);
}
inline std::string Get(uint32_t index) {
  if (index < 256) return Op('h', static_cast<uint8_t>(index));
  return Op('j', index);
}

inline std::string Class(std::string_view module, std::string_view name) {
  std::string bytes = "c";
  return bytes.append(module).append("\n").append(name).append("\n");
}

// TUPLE over what `items` push.
inline std::string TupleOf(std::string_view items) {
  std::string bytes = "(";
  return bytes.append(items).append("t");
}

// PROTO 2 and STOP around `code`.
inline std::string Whole(std::string_view code) {
  std::string bytes = "\x80\x02";
  return bytes.append(code).append(".");
}

// Knows no class, and gives persistent ids back as they are, in a list.
class PlainSemantics : public Semantics {
 public:
  Trust Classify(const Global& global) const override {
    if (global.module == "safe") return Trust::kClass;
    return global.module == "value" ? Trust::kValue : Trust::kUnknown;
  }
  Result<Node> LoadPersistent(const Node& id) override {
    return Node(List{{"persistent", id}});
  }
  Result<std::optional<Node>> Call(const Global& callable,
                                   const Tuple& args) override {
    if (callable.name != "sum") return std::optional<Node>();
    int64_t sum = 0;
    for (const Node& arg : args.items) {
      const Integer* value = arg.As<Integer>();
      if (value == nullptr) return Status::InvalidArgument("sum of no int");
      sum += value->ToInt64().value_or(0);
    }
    return std::optional<Node>(Node(sum));
  }
};

inline Result<Unpickled> UnpickleBytes(std::string_view bytes,
                                       const Options& options = {}) {
  PlainSemantics semantics;
  return Unpickle(std::as_bytes(std::span(bytes)), "p", semantics, options);
}

// What Whole(code) means as text, or the error.
inline std::string Meaning(std::string_view code, const Options& options = {}) {
  const auto unpickled = UnpickleBytes(Whole(code), options);
  return unpickled ? NodeText(unpickled->root) : unpickled.error().ToString();
}
inline std::string StrictMeaning(std::string_view code) {
  return Meaning(code, Options{.strict = true});
}

}  // namespace caisson::pickle
