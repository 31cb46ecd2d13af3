// SPDX-License-Identifier: Apache-2.0
#include "bench/rounds.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <fstream>
#include <regex>
#include <set>
#include <vector>

#include "bench/contest.h"

namespace caisson::bench {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

// Keeps every run instead of printing it.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    runs_.insert(runs_.end(), runs.begin(), runs.end());
  }

  std::vector<Run>& runs() { return runs_; }

 private:
  std::vector<Run> runs_;
};

// What the filter selects, contest by contest.
std::vector<std::vector<Entry>> Contests() {
  const std::string filter = benchmark::GetBenchmarkFilter();
  const bool all = filter.empty() || filter == "all";
  const std::regex pattern(all ? "." : filter);
  std::vector<std::vector<Entry>> contests;
  for (const Entry& entry : Entries()) {
    if (!std::regex_search(entry.name(), pattern)) continue;
    if (contests.empty() || contests.back().front().verb != entry.verb ||
        contests.back().front().bytes != entry.bytes) {
      contests.emplace_back();
    }
    contests.back().push_back(entry);
  }
  return contests;
}

void RunContest(const std::vector<Entry>& contest, int rounds,
                Collector* collector) {
  std::fprintf(stderr, "%s, %zu bytes\n", contest.front().verb.c_str(),
               contest.front().bytes);
  for (int round = 0; round < rounds; ++round) {
    for (const Entry& entry : contest) {
      const size_t before = collector->runs().size();
      benchmark::RunSpecifiedBenchmarks(collector, "^" + entry.name() + "$");
      for (size_t i = before; i < collector->runs().size(); ++i) {
        collector->runs()[i].repetition_index = round;
        collector->runs()[i].repetitions = rounds;
      }
    }
  }
}

bool WriteJson(const std::vector<Run>& runs, const std::string& path) {
  std::ofstream file(path);
  benchmark::JSONReporter json;
  json.SetOutputStream(&file);
  json.SetErrorStream(&file);
  json.ReportContext(benchmark::BenchmarkReporter::Context());
  if (!runs.empty()) json.ReportRuns(runs);
  json.Finalize();
  file.close();
  if (!file) std::fprintf(stderr, "cannot write %s\n", path.c_str());
  return !file.fail();
}

}  // namespace

bool RunInRounds(int rounds, const std::string& path) {
  Collector collector;
  for (const std::vector<Entry>& contest : Contests()) {
    RunContest(contest, rounds, &collector);
  }
  bool good = !collector.runs().empty();
  if (!good) std::fprintf(stderr, "no benchmark matches the filter\n");
  std::set<std::string> told;
  for (const Run& run : collector.runs()) {
    if (!run.error_occurred) continue;
    const bool unsupported = run.error_message.starts_with(kUnsupported);
    if (!unsupported) good = false;
    // What is unsupported is so on every target and in every size.
    const std::string name = run.benchmark_name();
    const std::string key = unsupported ? run.error_message : name;
    if (!told.insert(key).second) continue;
    std::fprintf(stderr, "%s: %s\n", name.c_str(), run.error_message.c_str());
  }
  return (path.empty() || WriteJson(collector.runs(), path)) && good;
}

}  // namespace caisson::bench
