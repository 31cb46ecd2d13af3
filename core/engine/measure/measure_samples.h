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

  // How an engine moved the bytes of the last round of `name`, and where the
  // time went: the same times in every round.
  void Explain(std::string_view name, std::string io,
               std::span<const NamedSeconds> times);

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

  // What is known of a stage beside its rate.
  struct Explained {
    std::string io;
    std::vector<std::string> names;
    std::vector<std::vector<double>> seconds;  // of each, by round
  };

  std::map<std::string, std::vector<double>, std::less<>> gbps_;
  std::map<std::string, Explained, std::less<>> explained_;
};

}  // namespace caisson
