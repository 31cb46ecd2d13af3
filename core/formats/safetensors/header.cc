// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/header.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/utf8.h"
#include "core/formats/safetensors/header_json.h"

namespace caisson::safetensors {
namespace {

Status Refused(std::string_view error, const std::string& problem) {
  return Status::Corrupt(std::string(error) + ": " + problem);
}

Status RefusedEntry(std::string_view error, const Entry& entry,
                    const std::string& problem) {
  return Refused(error, "tensor '" + entry.name + "': " + problem);
}

// One F4 of the file is half of a kFloat4E2M1FnX2.
uint64_t BitsOf(DType dtype) {
  return dtype == DType::kFloat4E2M1FnX2 ? 4 : BitWidth(dtype);
}

// The product from left to right, as the crate forms it: a zero on the left
// hides what would overflow.
std::optional<uint64_t> BitsOf(const Entry& entry) {
  std::optional<uint64_t> product = 1;
  for (const uint64_t size : entry.shape) {
    product = CheckedMul(*product, size);
    if (!product) return std::nullopt;
  }
  return CheckedMul(*product, BitsOf(entry.dtype));
}

}  // namespace

Result<Header> ParseHeader(std::span<const std::byte> json) {
  constexpr std::string_view kError = "InvalidHeaderDeserialization";
  const std::string_view text(reinterpret_cast<const char*>(json.data()),
                              json.size());
  if (!IsUtf8(text)) {
    return Refused("InvalidHeader", "the header is not UTF-8");
  }
  // The parser would take the first for its end and pass over the second.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return Refused(kError, "a NUL in byte " + std::to_string(nul));
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    return Refused(kError, "a byte order mark");
  }
  HeaderEvents events;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) {
    return Refused(kError, events.problem());
  }
  return std::move(events.header());
}

Status OrderEntries(std::vector<Entry>* entries, uint64_t data_bytes) {
  std::ranges::stable_sort(*entries, {}, [](const Entry& entry) {
    return std::pair(entry.begin, entry.end);
  });
  uint64_t at = 0;
  for (const Entry& entry : *entries) {
    const std::string range = "[" + std::to_string(entry.begin) + ", " +
                              std::to_string(entry.end) + ")";
    if (entry.begin != at || entry.end < entry.begin) {
      return RefusedEntry(
          "InvalidOffset", entry,
          "expected data from " + std::to_string(at) + " on, found " + range);
    }
    at = entry.end;
    const std::optional<uint64_t> bits = BitsOf(entry);
    if (!bits) {
      return RefusedEntry("ValidationOverflow", entry,
                          "a shape of more than 2^64 bits");
    }
    if (*bits % 8 != 0) {
      return RefusedEntry("MisalignedSlice", entry,
                          std::to_string(*bits) + " bits, no whole bytes");
    }
    if (*bits / 8 != entry.end - entry.begin) {
      return RefusedEntry("TensorInvalidInfo", entry,
                          std::to_string(*bits / 8) + " bytes by its shape, " +
                              std::to_string(entry.end - entry.begin) + " in " +
                              range);
    }
  }
  if (at != data_bytes) {
    return Refused("MetadataIncompleteBuffer",
                   std::to_string(at) + " bytes of data by the header, " +
                       std::to_string(data_bytes) + " in the file");
  }
  return Status::Ok();
}

}  // namespace caisson::safetensors
