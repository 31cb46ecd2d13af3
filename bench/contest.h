// SPDX-License-Identifier: Apache-2.0
//
// Benchmarks in which Caisson and its peers do the same work on the same
// bytes. They are called `verb/who/bytes`: who is `caisson`, which takes the
// best SIMD target of this CPU, `caisson-avx2` and the like for the others, or
// a peer.
//
// The rate of a benchmark counts half of the bytes that it reads and writes,
// so that memcpy of n bytes counts n and all rates compare; what only reads
// counts what it reads. Times are of the thread, not of the wall. Main thread.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/status.h"

namespace caisson::bench {

using Body = std::function<void(benchmark::State&)>;

struct Peer {
  std::string who;
  Body body;
};

// A benchmark that has been registered.
struct Entry {
  std::string verb;
  std::string who;
  size_t bytes;

  std::string name() const {
    return verb + "/" + who + "/" + std::to_string(bytes);
  }
};

// All of them, those of a contest one after the other.
const std::vector<Entry>& Entries();

void Register(const std::string& verb, const std::string& who, size_t bytes,
              Body body);

// Registers `ours` as caisson, then the peers, then `ours` again for each
// other SIMD target of this CPU.
void RegisterContest(const std::string& verb, size_t bytes, const Body& ours,
                     const std::vector<Peer>& peers);

// How the error of a benchmark begins whose work no kernel does yet. Every
// other error is a failure.
inline constexpr std::string_view kUnsupported = "unsupported: ";

// Ends the benchmark with an error.
void Fail(benchmark::State& state, const Status& status);

// Does `work`, a function that returns a Status, once to warm up and then
// under the clock. `bytes` is what one call counts. False after an error.
template <class Work>
bool Measure(benchmark::State& state, size_t bytes, const Work& work) {
  if (const Status status = work(); !status.ok()) {
    Fail(state, status);
    return false;
  }
  for (auto _ : state) {
    const Status status = work();
    benchmark::ClobberMemory();
    if (!status.ok()) {
      Fail(state, status);
      return false;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
  return true;
}

// The sizes that every verb is measured with, 4 KiB to 1 GiB.
inline constexpr size_t kSizes[] = {size_t{4} << 10, size_t{64} << 10,
                                    size_t{1} << 20, size_t{64} << 20,
                                    size_t{1} << 30};

}  // namespace caisson::bench
