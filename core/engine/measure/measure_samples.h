// SPDX-License-Identifier: Apache-2.0
//
// What was measured, by name and round.
//
// Thread safety: a plain container.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/bench.h"

namespace caisson {

// The median; of an even number the mean of the two in the middle.
//
// REQUIRES: not empty.
double Median(std::vector<double> values);

class Samples {
 public:
  // `bytes` took `seconds` in the next round of `name`.
  void Add(std::string_view name, uint64_t bytes, double seconds);

  // REQUIRES, here and below: `name` was measured.
  MeasuredRate Rate(std::string_view name) const;

  // Beside the ceiling whose median is the lowest.
  //
  // REQUIRES: all were measured in as many rounds as `name`.
  StageRate Stage(std::string_view name,
                  std::span<const std::string_view> ceilings) const;

 private:
  const std::vector<double>& Of(std::string_view name) const {
    return gbps_.find(name)->second;
  }

  std::map<std::string, std::vector<double>, std::less<>> gbps_;
};

}  // namespace caisson
