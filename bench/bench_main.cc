// SPDX-License-Identifier: Apache-2.0
//
// kernels_bench: the host's kernels beside memcpy, zlib, libdeflate and ISA-L.
// It takes the options of Google Benchmark and two more:
//
//   --rounds=N   alternate the contestants, N rounds of each contest
//   --out=FILE   with --rounds: where the JSON goes
#include <benchmark/benchmark.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "bench/isal.h"
#include "bench/rounds.h"
#include "bench/verbs.h"
#include "kernels/cpu/libraries.h"
#include "kernels/cpu/targets.h"

namespace caisson::bench {
namespace {

#ifdef __clang__
constexpr char kCompiler[] = __VERSION__;
#else
constexpr char kCompiler[] = "g++ " __VERSION__;
#endif

struct Options {
  int rounds = 0;  // 0: as Google Benchmark does it
  std::string out;
};

// Takes our own options out of the arguments.
Options TakeOptions(int* argc, char** argv) {
  constexpr std::string_view kRounds = "--rounds=";
  constexpr std::string_view kOut = "--out=";
  Options options;
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kRounds)) {
      options.rounds = std::atoi(argv[i] + kRounds.size());
    } else if (argument.starts_with(kOut)) {
      options.out = argument.substr(kOut.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  argv[kept] = nullptr;
  return options;
}

void AddContext() {
  std::string targets;
  for (const cpu::SimdTarget& target : cpu::SimdTargets()) {
    targets += (targets.empty() ? "" : " ") + target.name;
  }
  benchmark::AddCustomContext("simd_targets", targets);
  benchmark::AddCustomContext("compiler", kCompiler);
  benchmark::AddCustomContext("pages", "2 MiB by madvise, for all");
  benchmark::AddCustomContext("zlib", zlibVersion());
  benchmark::AddCustomContext("isal",
                              FindIsaL() == nullptr ? "absent" : "present");
  for (const auto& [name, version] : cpu::LibraryVersions()) {
    benchmark::AddCustomContext(name, version);
  }
}

int Main(int argc, char** argv) {
  const Options options = TakeOptions(&argc, argv);
  RegisterCrc32();
  RegisterTransform();
  RegisterGather();
  RegisterBatch();
  RegisterDeflate();
  RegisterStores();
  RegisterPlanes();
  AddContext();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (options.rounds > 0) {
    return RunInRounds(options.rounds, options.out) ? 0 : 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace caisson::bench

int main(int argc, char** argv) { return caisson::bench::Main(argc, argv); }
