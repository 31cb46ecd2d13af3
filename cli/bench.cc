// SPDX-License-Identifier: Apache-2.0
//
// caisson bench: how fast this machine saves and loads, stage by stage, beside
// what it could do at best.
#include "caisson/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/version.h"
#include "cli/byte_size.h"
#include "cli/commands.h"
#include "cli/json_state.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

struct BenchOptions {
  std::string directory = ".";
  std::string size = "2GiB";
  size_t rounds = 5;
  bool weights = false;
  bool ceilings = false;
  bool json = false;
};

Json RateJson(const MeasuredRate& rate) {
  return {{"gbps", rate.gbps}, {"low", rate.low}, {"high", rate.high}};
}

Json MachineJson(const MeasureOptions& options, const MachineReport& machine) {
  Json ceilings = Json::object();
  for (const CeilingRate& ceiling : machine.ceilings) {
    ceilings[ceiling.name] = RateJson(ceiling.rate);
  }
  const BuildInfo build = QueryBuild();
  return {{"version", build.version},
          {"simd", build.simd_target},
          {"directory", Utf8(options.directory)},
          {"bytes", options.bytes},
          {"weights", options.weights},
          {"rounds", options.rounds},
          {"io", machine.io},
          {"threads", machine.threads},
          {"async_threads", machine.async_threads},
          {"ceilings", ceilings}};
}

Json ReportJson(const MeasureOptions& options, const StagesReport& report) {
  Json stages = Json::array();
  for (const StageRate& stage : report.stages) {
    Json entry = {{"name", stage.name}};
    entry.update(RateJson(stage.rate));
    entry["ceiling"] = stage.ceiling;
    entry["ceiling_gbps"] = stage.ceiling_gbps;
    entry["fraction"] = stage.fraction;
    if (!stage.times.empty()) {
      Json seconds = Json::object();
      for (const NamedSeconds& time : stage.times) {
        seconds[time.name] = time.seconds;
      }
      entry["io"] = stage.io;
      entry["seconds"] = std::move(seconds);
    }
    stages.push_back(std::move(entry));
  }
  return {{"machine", MachineJson(options, report.machine)},
          {"stages", stages}};
}

// Where the time of those stages went that tell it.
std::string TimesText(const StagesReport& report) {
  std::string text;
  for (const StageRate& stage : report.stages) {
    if (stage.times.empty()) continue;
    text += fmt::format("{:<18}", stage.name);
    for (const NamedSeconds& time : stage.times) {
      text += fmt::format(" {} {:.2f},", time.name, time.seconds);
    }
    text += " " + stage.io + "\n";
  }
  return text.empty() ? text : "\nseconds:\n" + text;
}

std::string ReportText(const MeasureOptions& options,
                       const StagesReport& report) {
  const MachineReport& machine = report.machine;
  std::string text = fmt::format(
      "{}{} in {}, {}, {}, medians of {} rounds\n\n", ByteText(options.bytes),
      options.weights ? " of bfloat16 weights" : "",
      Printable(options.directory), machine.io,
      Plural(machine.threads, "thread"), options.rounds);
  if (!report.stages.empty()) {
    text += fmt::format("{:<18} {:>7} {:>15}   {:<22} {:>7} {:>9}\n", "stage",
                        "GB/s", "low to high", "ceiling", "GB/s", "fraction");
  }
  for (const StageRate& stage : report.stages) {
    const std::string spread =
        fmt::format("{:.2f} to {:.2f}", stage.rate.low, stage.rate.high);
    text += fmt::format("{:<18} {:>7.2f} {:>15}   {:<22} {:>7.2f} {:>9.2f}\n",
                        stage.name, stage.rate.gbps, spread, stage.ceiling,
                        stage.ceiling_gbps, stage.fraction);
  }
  text += TimesText(report);
  if (!report.stages.empty()) text += "\n";
  text += "of the machine, GB/s:";
  std::string_view comma = " ";
  for (const CeilingRate& ceiling : machine.ceilings) {
    text += fmt::format("{}{} {:.2f}", comma, ceiling.name, ceiling.rate.gbps);
    comma = ", ";
  }
  return text + "\n";
}

Result<StagesReport> CeilingsAlone(const MeasureOptions& options) {
  Result<MachineReport> machine = MeasureMachine(options);
  if (!machine) return machine.error();
  return StagesReport{*std::move(machine), {}};
}

int RunBench(const BenchOptions& options) {
  MeasureOptions measure;
  measure.directory = options.directory;
  measure.rounds = options.rounds;
  measure.weights = options.weights;
  // Checked when the command line was parsed.
  measure.bytes = ParseByteSize(options.size).value_or(0);
  std::optional<Progress> line;
  measure.progress = [&](std::string_view what, const auto& progress) {
    if (!line) line.emplace(progress.total);
    line->Show(progress.bytes, what);
  };
  const Result<StagesReport> report =
      options.ceilings ? CeilingsAlone(measure) : MeasureStages(measure);
  line.reset();
  if (!report) return Fail(report.error());
  Print(options.json ? Document(ReportJson(measure, *report))
                     : ReportText(measure, *report));
  return kFine;
}

// An empty text, or what is wrong with it.
std::string CheckSize(const std::string& text) {
  if (ParseByteSize(text)) return "";
  return "'" + text + "' is no size such as 512MiB, 2GiB or 1e9";
}

}  // namespace

void AddBench(CLI::App& app, Action* action) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand(
      "bench", "Measures how fast this machine saves and loads");
  command->add_option("--dir", options->directory,
                      "where files are written; nothing stays");
  command
      ->add_option("--size", options->size,
                   "of the state: takes three times as much memory, and twice "
                   "as much space in the directory")
      ->check(CheckSize)
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "medians of so many")
      ->capture_default_str();
  command->add_flag("--weights", options->weights,
                    "a state of bfloat16 weights, without Adam's moments");
  command->add_flag("--ceilings", options->ceilings,
                    "only what the machine could do at best");
  command->add_flag("--json", options->json, "one JSON document");
  command->callback([options, action] {
    *action = [options] { return RunBench(*options); };
  });
}

}  // namespace caisson::cli
