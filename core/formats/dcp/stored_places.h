// SPDX-License-Identifier: Apache-2.0
//
// The half of a checkpoint's metadata that says where things are, by name and
// offset, until it is joined with the half that says what they are.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caisson/status.h"
#include "core/formats/dcp/check.h"
#include "core/formats/dcp/checkpoint.h"

namespace caisson::dcp {

class StoredPlaces {
 public:
  // Where the chunk of `fqn` at `offset` is; without an offset, a value. The
  // text of `fqn` must outlive this.
  //
  // Errors: kCorrupt for one that is there already.
  Status Add(std::string_view fqn, std::optional<std::vector<int64_t>> offset,
             Place place);

  // Gives `item` its places and checks it.
  //
  // Errors: those of CoverCheck; kCorrupt for what is stored nowhere.
  Status Join(Item& item);

 private:
  using Stored = std::pair<std::optional<std::vector<int64_t>>, Place>;

  const Place* Find(const Item& item,
                    const std::optional<std::vector<int64_t>>& offset);

  std::unordered_map<std::string_view, std::vector<Stored>> places_;
  bool sorted_ = false;
  CoverCheck cover_;
};

}  // namespace caisson::dcp
