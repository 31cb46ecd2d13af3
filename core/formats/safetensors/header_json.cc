// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/header_json.h"

#include <optional>
#include <utility>

namespace caisson::safetensors {
namespace {

// serde_json's, which the crate parses with: nesting of 128 is refused.
constexpr size_t kMostLevels = 127;

}  // namespace

bool HeaderEvents::Refuse(const std::string& problem) {
  problem_ = problem;
  return false;
}

bool HeaderEvents::Misplaced(std::string_view what) {
  std::string problem(what);
  switch (at_) {
    case At::kFile:
      return Refuse(problem + " instead of an object");
    case At::kRoot:
      return Refuse(problem + " instead of a name");
    case At::kMetadata:
      return Refuse("__metadata__: " + problem + " instead of an object");
    case At::kMetadataField:
      return Refuse("__metadata__: '" + metadata_key_ + "': " + problem +
                    " instead of a string");
    default:
      break;
  }
  const std::string& name = header_.entries.back().name;
  std::string_view wanted = "an object";
  if (at_ == At::kDType) wanted = "the name of a dtype";
  if (at_ == At::kShape || at_ == At::kOffsets) wanted = "an array";
  if (at_ == At::kShapeItem || at_ == At::kOffsetsItem) {
    wanted = "an integer from 0 to 2^64 - 1";
  }
  return Refuse("tensor '" + name + "': " + problem + " instead of " +
                std::string(wanted));
}

// A value that only a field that is ignored may have.
bool HeaderEvents::Scalar(std::string_view what) {
  if (at_ != At::kIgnored) return Misplaced(what);
  if (ignored_ == 0) at_ = At::kTensorField;
  return true;
}

bool HeaderEvents::Enter() {
  if (++depth_ <= kMostLevels) return true;
  return Refuse("nested deeper than " + std::to_string(kMostLevels));
}

bool HeaderEvents::null() {
  if (at_ == At::kMetadata) {
    at_ = At::kRoot;
    return true;
  }
  return Scalar("null");
}

bool HeaderEvents::boolean(bool) { return Scalar("a boolean"); }

// The parser calls so what has a minus: among them -0.
bool HeaderEvents::number_integer(int64_t) {
  return Scalar("a negative number");
}

bool HeaderEvents::number_unsigned(uint64_t value) {
  if (at_ == At::kShapeItem) {
    header_.entries.back().shape.push_back(value);
    return true;
  }
  if (at_ == At::kOffsetsItem) {
    Entry& entry = header_.entries.back();
    if (++offsets_ > 2) {
      return Refuse("tensor '" + entry.name + "': more than two data_offsets");
    }
    (offsets_ == 1 ? entry.begin : entry.end) = value;
    return true;
  }
  return Scalar("a number");
}

bool HeaderEvents::number_float(double, const std::string& text) {
  return Scalar("the number " + text);
}

bool HeaderEvents::string(std::string& value) {
  if (at_ == At::kMetadataField) {
    header_.metadata[metadata_key_] = value;
    return true;
  }
  if (at_ != At::kDType) return Scalar("a string");
  Entry& entry = header_.entries.back();
  const std::optional<DType> dtype = ParseSafetensorsName(value);
  if (!dtype) {
    return Refuse("tensor '" + entry.name + "': the unknown dtype '" + value +
                  "'");
  }
  entry.dtype = *dtype;
  at_ = At::kTensorField;
  return true;
}

bool HeaderEvents::binary(nlohmann::json::binary_t&) {
  return Misplaced("binary");  // never in JSON text
}

bool HeaderEvents::start_object(size_t) {
  if (!Enter()) return false;
  switch (at_) {
    case At::kFile:
      at_ = At::kRoot;
      return true;
    case At::kMetadata:
      at_ = At::kMetadataField;
      return true;
    case At::kTensor:
      at_ = At::kTensorField;
      return true;
    case At::kIgnored:
      ++ignored_;
      return true;
    default:
      return Misplaced("an object");
  }
}

bool HeaderEvents::key(std::string& value) {
  if (at_ == At::kIgnored) return true;
  if (at_ == At::kMetadataField) {
    metadata_key_ = value;
    return true;
  }
  if (at_ == At::kTensorField) return BeginField(value);
  if (value == kMetadataKey) {
    if (std::exchange(has_metadata_, true)) {
      return Refuse("__metadata__ twice");
    }
    at_ = At::kMetadata;
    return true;
  }
  if (!names_.insert(value).second) {
    return Refuse("tensor '" + value + "' twice");
  }
  header_.entries.emplace_back();
  header_.entries.back().name = value;
  has_dtype_ = has_shape_ = has_offsets_ = false;
  at_ = At::kTensor;
  return true;
}

bool HeaderEvents::BeginField(const std::string& name) {
  bool* seen = nullptr;
  at_ = At::kIgnored;
  if (name == "dtype") {
    seen = &has_dtype_;
    at_ = At::kDType;
  } else if (name == "shape") {
    seen = &has_shape_;
    at_ = At::kShape;
  } else if (name == "data_offsets") {
    seen = &has_offsets_;
    at_ = At::kOffsets;
    offsets_ = 0;
  }
  if (seen == nullptr || !std::exchange(*seen, true)) return true;
  return Refuse("tensor '" + header_.entries.back().name + "': " + name +
                " twice");
}

bool HeaderEvents::end_object() {
  Leave();
  switch (at_) {
    case At::kMetadataField:
      at_ = At::kRoot;
      return true;
    case At::kTensorField:
      return EndTensor();
    case At::kIgnored:
      if (--ignored_ == 0) at_ = At::kTensorField;
      return true;
    default:
      return true;  // of the root
  }
}

bool HeaderEvents::EndTensor() {
  at_ = At::kRoot;
  const char* missing = nullptr;
  if (!has_offsets_) missing = "data_offsets";
  if (!has_shape_) missing = "shape";
  if (!has_dtype_) missing = "dtype";
  if (missing == nullptr) return true;
  return Refuse("tensor '" + header_.entries.back().name + "': no " + missing);
}

bool HeaderEvents::start_array(size_t) {
  if (!Enter()) return false;
  switch (at_) {
    case At::kShape:
      at_ = At::kShapeItem;
      return true;
    case At::kOffsets:
      at_ = At::kOffsetsItem;
      return true;
    case At::kIgnored:
      ++ignored_;
      return true;
    default:
      return Misplaced("an array");
  }
}

bool HeaderEvents::end_array() {
  Leave();
  if (at_ == At::kIgnored) {
    if (--ignored_ == 0) at_ = At::kTensorField;
    return true;
  }
  if (at_ == At::kOffsetsItem && offsets_ != 2) {
    return Refuse("tensor '" + header_.entries.back().name + "': " +
                  std::to_string(offsets_) + " data_offsets, expected 2");
  }
  at_ = At::kTensorField;
  return true;
}

bool HeaderEvents::parse_error(size_t position, const std::string&,
                               const nlohmann::json::exception&) {
  return Refuse("no JSON from byte " + std::to_string(position) + " on");
}

}  // namespace caisson::safetensors
