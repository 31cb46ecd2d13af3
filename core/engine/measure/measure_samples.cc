// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measure/measure_samples.h"

#include <algorithm>
#include <utility>

namespace caisson {

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half]
                                : (values[half - 1] + values[half]) / 2;
}

void Samples::Add(std::string_view name, uint64_t bytes, double seconds) {
  // A clock that stood still gives a large rate, not an infinite one.
  constexpr double kLeastSeconds = 1e-9;
  gbps_[std::string(name)].push_back(static_cast<double>(bytes) * 1e-9 /
                                     std::max(seconds, kLeastSeconds));
}

void Samples::Explain(std::string_view name, std::string io,
                      std::span<const NamedSeconds> times) {
  Explained& known = explained_[std::string(name)];
  known.io = std::move(io);
  for (size_t i = 0; i < times.size(); ++i) {
    if (i == known.names.size()) {
      known.names.push_back(times[i].name);
      known.seconds.emplace_back();
    }
    known.seconds[i].push_back(times[i].seconds);
  }
}

MeasuredRate Samples::Rate(std::string_view name) const {
  const std::vector<double>& gbps = Of(name);
  const auto [low, high] = std::ranges::minmax(gbps);
  return {Median(gbps), low, high};
}

StageRate Samples::Stage(std::string_view name,
                         std::span<const std::string_view> ceilings) const {
  const std::string_view lowest = *std::ranges::min_element(
      ceilings, {}, [this](std::string_view c) { return Median(Of(c)); });
  const std::vector<double>& ours = Of(name);
  const std::vector<double>& best = Of(lowest);
  std::vector<double> fractions;
  for (size_t i = 0; i < ours.size(); ++i) {
    fractions.push_back(ours[i] / best[i]);
  }
  StageRate stage;
  stage.name = name;
  stage.rate = Rate(name);
  stage.ceiling = lowest;
  stage.ceiling_gbps = Median(best);
  stage.fraction = Median(std::move(fractions));
  if (const auto found = explained_.find(name); found != explained_.end()) {
    const Explained& known = found->second;
    stage.io = known.io;
    for (size_t i = 0; i < known.names.size(); ++i) {
      stage.times.push_back({known.names[i], Median(known.seconds[i])});
    }
  }
  return stage;
}

}  // namespace caisson
