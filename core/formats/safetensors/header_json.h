// SPDX-License-Identifier: Apache-2.0
//
// The events of a JSON parser as the entries of a safetensors header: refuses,
// with a reason, at the first event that does not belong there, so that
// nothing but entries is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>

#include "core/formats/safetensors/header.h"

namespace caisson::safetensors {

class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  // Why it ended early; empty if it did not.
  const std::string& problem() const { return problem_; }
  Header& header() { return header_; }

  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(int64_t value) override;
  bool number_unsigned(uint64_t value) override;
  bool number_float(double value, const std::string& text) override;
  bool string(std::string& value) override;
  bool binary(nlohmann::json::binary_t& value) override;
  bool start_object(size_t elements) override;
  bool key(std::string& value) override;
  bool end_object() override;
  bool start_array(size_t elements) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error) override;

 private:
  // What the next event is about.
  enum class At : uint8_t {
    kFile,           // before the object that is everything
    kRoot,           // in it, between entries
    kMetadata,       // the value of __metadata__
    kMetadataField,  // in it
    kTensor,         // the value of a name
    kTensorField,    // in it, between fields
    kDType,          // the value of a field
    kShape,
    kShapeItem,
    kOffsets,
    kOffsetsItem,
    kIgnored,
  };

  bool Refuse(const std::string& problem);
  bool Misplaced(std::string_view what);
  bool Scalar(std::string_view what);
  bool Enter();
  void Leave() { --depth_; }
  bool BeginField(const std::string& name);
  bool EndTensor();

  Header header_;
  std::string problem_;
  At at_ = At::kFile;
  size_t depth_ = 0;    // of objects and arrays
  size_t ignored_ = 0;  // of those below a field that is ignored
  std::unordered_set<std::string> names_;
  bool has_metadata_ = false;
  std::string metadata_key_;
  // Of the entry that is being read.
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  size_t offsets_ = 0;
};

}  // namespace caisson::safetensors
