// SPDX-License-Identifier: Apache-2.0
//
// Which storages of a file a load converts.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "caisson/dtype.h"
#include "caisson/reader.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/formats/layout.h"

namespace caisson {

// What becomes of a storage, all of which is converted.
struct StorageCast {
  DType from = DType::kFloat32;
  DType to = DType::kFloat32;
  uint64_t bytes = 0;  // of the result
};

// By the layout's handles; a storage that stays as it is has no entry.
using CastPlan = std::unordered_map<const Storage*, StorageCast>;

// What `casts` do to the file's storages. Reads no payload.
//
// Errors: those that Reader::Load() has for casts.
Result<CastPlan> PlanCasts(const Layout& layout, std::span<const Cast> casts);

}  // namespace caisson
