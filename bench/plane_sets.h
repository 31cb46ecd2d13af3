// SPDX-License-Identifier: Apache-2.0
//
// Tensors as checkpoints have them, made up: weights, moments of Adam, types of
// one byte. The same in every run. Main thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "caisson/plane_chunk.h"

namespace caisson::bench {

struct PlaneSet {
  std::string name;  // "bf16", "adam_v"
  PlaneType type;
  std::string what;  // for tables: "bf16 N(0, .02)"
};

// All of them.
std::span<const PlaneSet> PlaneSets();

// The set called `name`. REQUIRES: there is one.
const PlaneSet& FindPlaneSet(const std::string& name);

// At least `bytes` bytes of a set, at a multiple of 4 KiB. 8 MiB of them are
// made, which repeat. They do not change between calls.
const std::byte* PlaneSource(const PlaneSet& set, size_t bytes);

}  // namespace caisson::bench
