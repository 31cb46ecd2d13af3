// SPDX-License-Identifier: Apache-2.0
//
// JSON that keeps the order of fields, for manifests.
//
// Memory is bounded by a multiple of the text, and nesting by a few levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/status.h"

namespace caisson::dcp {

struct JsonValue;

// Fields in the order of the text; a name may come more than once.
struct JsonObject {
  std::vector<std::pair<std::string, JsonValue>> fields;
};
struct JsonArray {
  std::vector<JsonValue> items;
};

// null, a bool, an integer, a string, an array, an object. Other numbers are
// null.
struct JsonValue : std::variant<std::monostate, bool, int64_t, std::string,
                                JsonArray, JsonObject> {
  using variant::variant;

  template <class T>
  const T* As() const {
    return std::get_if<T>(static_cast<const variant*>(this));
  }
  bool null() const { return As<std::monostate>() != nullptr; }

  // The last field of that name; nullptr if there is none, or this is no
  // object.
  const JsonValue* Find(std::string_view name) const;

  // The items of an array of integers.
  std::optional<std::vector<int64_t>> Integers() const;
};

// Errors: kCorrupt, with the offset, for what is no JSON or too deep.
Result<JsonValue> ParseJson(std::span<const std::byte> text);

}  // namespace caisson::dcp
