// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/zip_error.h"

#include <cstdio>

namespace caisson::zip {
namespace {

constexpr size_t kMaxNameBytes = 200;

std::string Hex8(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", value);
  return text;
}

}  // namespace

std::string Quoted(std::string_view name) {
  std::string text = "'";
  for (const char byte : name.substr(0, kMaxNameBytes)) {
    const auto value = static_cast<unsigned char>(byte);
    if (value >= 0x20 && value < 0x7f) {
      text.push_back(byte);
    } else {
      char escape[5];
      std::snprintf(escape, sizeof(escape), "\\x%02x", value);
      text.append(escape);
    }
  }
  if (name.size() > kMaxNameBytes) text.append("...");
  text.push_back('\'');
  return text;
}

std::string RecordLabel(std::string_view record) {
  return "record " + Quoted(record);
}

std::string PartLabel(std::string_view record, std::string_view part) {
  return RecordLabel(record).append(": ").append(part);
}

std::string ExpectedHex(std::string_view what, uint32_t expected,
                        uint32_t found) {
  std::string text = "expected ";
  text.append(what).append(" ").append(Hex8(expected));
  return text.append(", found ").append(Hex8(found));
}

std::string Expected(std::string_view what, uint64_t expected, uint64_t found) {
  std::string text = "expected ";
  text.append(what).append(" ").append(std::to_string(expected));
  return text.append(", found ").append(std::to_string(found));
}

Status Unsupported(const ByteSource& source, uint64_t offset,
                   std::string_view what, std::string_view feature) {
  std::string message = source.name();
  message.append(": ").append(what).append(" at ");
  message.append(std::to_string(offset)).append(": ").append(feature);
  return Status::Unsupported(std::move(message));
}

}  // namespace caisson::zip
