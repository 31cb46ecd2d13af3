// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_profile.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/formats/zip/zip_layout.h"

namespace caisson::torch {
namespace {

std::optional<uint64_t> StorageNumber(std::string_view record) {
  constexpr std::string_view kFolder = "data/";
  if (!record.starts_with(kFolder)) return std::nullopt;
  record.remove_prefix(kFolder.size());
  uint64_t number = 0;
  const char* end = record.data() + record.size();
  const auto parsed = std::from_chars(record.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

// Files of up to ten storages fit both orders; then the newer records decide.
bool NumericOrder(const TorchArchive& archive, bool default_order) {
  std::vector<uint64_t> numbers;
  for (const zip::Entry& entry : archive.entries()) {
    if (const auto number = StorageNumber(archive.RecordName(entry))) {
      numbers.push_back(*number);
    }
  }
  const bool ascending = std::ranges::is_sorted(numbers);
  return numbers.size() > 10 ? ascending : default_order;
}

bool AnyCrc(const TorchArchive& archive) {
  return std::ranges::any_of(archive.entries(),
                             [](const zip::Entry& e) { return e.crc32 != 0; });
}

}  // namespace

Profile DetectProfile(const TorchArchive& archive, uint64_t alignment) {
  Profile profile;
  if (!archive.prefix().empty()) profile.prefix = archive.prefix();
  profile.format_version = archive.Find(".format_version") != nullptr;
  profile.storage_alignment = archive.Find(".storage_alignment") != nullptr;
  profile.byteorder = archive.Find("byteorder") != nullptr;
  profile.serialization_id = archive.Find(".data/serialization_id") != nullptr;
  profile.numeric_order = NumericOrder(archive, profile.format_version);
  profile.alignment = alignment >= 1 && alignment <= zip::kMaxAlignment
                          ? static_cast<uint32_t>(alignment)
                          : zip::kDefaultAlignment;
  profile.crc32 = AnyCrc(archive);
  return profile;
}

}  // namespace caisson::torch
