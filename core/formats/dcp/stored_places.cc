// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/stored_places.h"

#include <algorithm>

#include "core/base/status_macros.h"

namespace caisson::dcp {

Status StoredPlaces::Add(std::string_view fqn,
                         std::optional<std::vector<int64_t>> offset,
                         Place place) {
  const Status named = CheckFileName(place.file);
  if (!named.ok()) return named.WithContext("'" + std::string(fqn) + "'");
  if (offset && offset->size() > kMaxDims) {
    return Status::Corrupt("'" + std::string(fqn) + "': an offset of " +
                           std::to_string(offset->size()) + " dimensions");
  }
  places_[fqn].emplace_back(std::move(offset), std::move(place));
  sorted_ = false;
  return Status::Ok();
}

Status StoredPlaces::Join(Item& item) {
  if (!sorted_) {
    for (auto& [fqn, stored] : places_) {
      std::ranges::sort(stored, {}, &Stored::first);
      const auto same = std::ranges::adjacent_find(stored, {}, &Stored::first);
      if (same == stored.end()) continue;
      return Status::Corrupt("'" + std::string(fqn) + "': stored twice");
    }
    sorted_ = true;
  }
  if (!item.is_tensor) {
    const Place* place = Find(item, std::nullopt);
    if (place == nullptr) {
      return Status::Corrupt("'" + item.fqn + "': stored nowhere");
    }
    item.place = *place;
    return Status::Ok();
  }
  for (Chunk& chunk : item.chunks) {
    const Place* place = Find(item, chunk.offsets);
    if (place == nullptr) {
      return Status::Corrupt("tensor '" + item.fqn +
                             "': a chunk is stored nowhere");
    }
    chunk.place = *place;
  }
  return cover_.Check(item);
}

const Place* StoredPlaces::Find(
    const Item& item, const std::optional<std::vector<int64_t>>& offset) {
  const auto found = places_.find(item.fqn);
  if (found == places_.end()) return nullptr;
  const auto& stored = found->second;
  const auto at = std::ranges::lower_bound(stored, offset, {}, &Stored::first);
  return at != stored.end() && at->first == offset ? &at->second : nullptr;
}

}  // namespace caisson::dcp
