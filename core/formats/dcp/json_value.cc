// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/json_value.h"

#include <nlohmann/json.hpp>

namespace caisson::dcp {
namespace {

using nlohmann::json;

constexpr size_t kMostDepth = 16;  // a manifest has five levels

// The parser's events as a tree.
class TreeEvents : public nlohmann::json_sax<json> {
 public:
  bool null() override { return Put(JsonValue()); }
  bool boolean(bool value) override { return Put(JsonValue(value)); }
  bool number_integer(int64_t value) override { return Put(JsonValue(value)); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) return Put(JsonValue());
    return Put(JsonValue(static_cast<int64_t>(value)));
  }
  bool number_float(double, const std::string&) override {
    return Put(JsonValue());
  }
  bool string(std::string& value) override {
    return Put(JsonValue(std::move(value)));
  }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(JsonValue(JsonObject())); }
  bool start_array(size_t) override { return Open(JsonValue(JsonArray())); }
  bool key(std::string& value) override {
    keys_.back() = std::move(value);
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t position, const std::string&,
                   const json::exception&) override {
    problem_ = "no JSON at " + std::to_string(position);
    return false;
  }

  const std::string& problem() const { return problem_; }
  JsonValue& root() { return root_; }

 private:
  bool Open(JsonValue value) {
    if (open_.size() == kMostDepth) {
      problem_ = "JSON of more than " + std::to_string(kMostDepth) + " levels";
      return false;
    }
    open_.push_back(std::move(value));
    keys_.emplace_back();
    return true;
  }

  bool Close() {
    JsonValue value = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return Put(std::move(value));
  }

  bool Put(JsonValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<JsonArray>(&Top())) {
      array->items.push_back(std::move(value));
    } else {
      std::get<JsonObject>(Top()).fields.emplace_back(std::move(keys_.back()),
                                                      std::move(value));
    }
    return true;
  }

  JsonValue::variant& Top() { return open_.back(); }

  JsonValue root_;
  std::string problem_ = "no JSON";
  std::vector<JsonValue> open_;
  std::vector<std::string> keys_;  // of each of open_: the field to come
};

}  // namespace

const JsonValue* JsonValue::Find(std::string_view name) const {
  const JsonObject* object = As<JsonObject>();
  if (object == nullptr) return nullptr;
  for (auto it = object->fields.rbegin(); it != object->fields.rend(); ++it) {
    if (it->first == name) return &it->second;
  }
  return nullptr;
}

std::optional<std::vector<int64_t>> JsonValue::Integers() const {
  const JsonArray* array = As<JsonArray>();
  if (array == nullptr) return std::nullopt;
  std::vector<int64_t> numbers;
  numbers.reserve(array->items.size());
  for (const JsonValue& item : array->items) {
    const int64_t* number = item.As<int64_t>();
    if (number == nullptr) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

Result<JsonValue> ParseJson(std::span<const std::byte> bytes) {
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  TreeEvents events;
  if (!json::sax_parse(text, text + bytes.size(), &events)) {
    return Status::Corrupt(events.problem());
  }
  return std::move(events.root());
}

}  // namespace caisson::dcp
