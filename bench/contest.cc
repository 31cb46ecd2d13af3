// SPDX-License-Identifier: Apache-2.0
#include "bench/contest.h"

#include <utility>

#include "hwy/targets.h"
#include "kernels/cpu/targets.h"

namespace caisson::bench {
namespace {

std::vector<Entry>& MutableEntries() {
  static std::vector<Entry> entries;
  return entries;
}

// `body` on the one SIMD target.
Body On(const cpu::SimdTarget& target, const Body& body) {
  return [bit = target.bit, body](benchmark::State& state) {
    hwy::SetSupportedTargetsForTest(bit);
    body(state);
    hwy::SetSupportedTargetsForTest(0);
  };
}

}  // namespace

const std::vector<Entry>& Entries() { return MutableEntries(); }

void Register(const std::string& verb, const std::string& who, size_t bytes,
              Body body) {
  Entry& entry = MutableEntries().emplace_back(Entry{verb, who, bytes});
  benchmark::RegisterBenchmark(entry.name().c_str(), std::move(body));
}

void RegisterContest(const std::string& verb, size_t bytes, const Body& ours,
                     const std::vector<Peer>& peers) {
  Register(verb, "caisson", bytes, ours);
  for (const Peer& peer : peers) Register(verb, peer.who, bytes, peer.body);
  const std::vector<cpu::SimdTarget> targets = cpu::SimdTargets();
  for (size_t i = 1; i < targets.size(); ++i) {
    Register(verb, "caisson-" + targets[i].name, bytes, On(targets[i], ours));
  }
}

void Fail(benchmark::State& state, const Status& status) {
  std::string message(status.message());
  if (status.code() == StatusCode::kUnsupported) {
    message.insert(0, kUnsupported);
  }
  state.SkipWithError(message.c_str());
}

}  // namespace caisson::bench
