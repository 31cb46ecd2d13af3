// SPDX-License-Identifier: Apache-2.0
//
// Runs contests in rounds: in each of them every contestant once, one right
// after the other, so that what disturbs the machine disturbs all alike and
// the ratio of two rates of one round means something.
#pragma once

#include <string>

namespace caisson::bench {

// Runs what --benchmark_filter selects, `rounds` times, and writes to `path`,
// unless it is empty, the JSON that Google Benchmark writes for so many
// repetitions; `repetition_index` is the round. Progress and what failed go
// to stderr. False if anything failed or the file could not be written; work
// that no kernel does yet is only reported.
//
// REQUIRES: benchmark::Initialize was called; rounds > 0.
bool RunInRounds(int rounds, const std::string& path);

}  // namespace caisson::bench
