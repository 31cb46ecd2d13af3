// SPDX-License-Identifier: Apache-2.0
//
// caisson diff A B: structure, then values bit by bit.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/reader.h"
#include "cli/commands.h"
#include "cli/diff_tensors.h"
#include "cli/diff_tree.h"
#include "cli/diff_values.h"
#include "cli/difference.h"
#include "cli/json_state.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

constexpr uint64_t kMostLines = 50;
constexpr size_t kMostNames = 8;  // of records, in one line

struct DiffOptions {
  std::string a;
  std::string b;
  bool tensors = false;
  bool ignore_order = false;
  bool layout = false;
  bool all = false;
  bool json = false;
};

// About how many bytes of JSON a path takes.
uint64_t CostOf(const Path& path) {
  uint64_t cost = 256;
  for (const PathStep& step : path) {
    const auto* text = std::get_if<std::string>(&step);
    cost += text != nullptr ? 2 * text->size() + 8 : 16;
  }
  return cost;
}

// What is found, and where it goes: lines as they come, or one document.
class Findings {
 public:
  // `file_bytes` of both files bound the document: ordinary names are short, a
  // crafted file repeats a long key in every path.
  Findings(const DiffOptions& options, uint64_t file_bytes, Progress* progress)
      : options_(options),
        progress_(progress),
        budget_((uint64_t{16} << 20) + 16 * file_bytes) {}

  void Add(Difference difference) {
    ++differences_;
    if (options_.json) {
      const uint64_t cost = CostOf(difference.path);
      budget_ -= std::min(cost, budget_);
      if (budget_ > 0) {
        json_.push_back(DifferenceJson(difference));
      } else {
        ++elided_;
      }
    } else if (options_.all || differences_ <= kMostLines) {
      progress_->Clear();
      Print(DifferenceLine(difference) + "\n");
      (void)FlushOutput();
    }
  }

  // Many tensors may lie in one damaged record, which is told once.
  void AddError(const Path& path, const Status& status) {
    const std::string problem(status.message());
    const bool damage = status.code() == StatusCode::kCorrupt;
    if (damage && !damages_.insert(problem).second) return;
    progress_->Clear();
    const std::string name = path.empty() ? "state" : Join(path);
    PrintError(fmt::format("{} (in {})", problem, name));
    errors_.push_back({{"name", Utf8(name)}, {"problem", Utf8(problem)}});
  }

  int Exit() const {
    return !errors_.empty() ? kFailed : differences_ > 0 ? kNo : kFine;
  }

  // What the lines that were not printed come to.
  std::string MoreLine() const {
    if (options_.all || differences_ <= kMostLines) return "";
    return fmt::format("and {} more; --all shows them\n",
                       differences_ - kMostLines);
  }

  std::string Verdict() const {
    if (differences_ > 0) return Plural(differences_, "difference");
    return errors_.empty() ? "the same" : "no difference";
  }

  Json TakeDifferences() { return std::move(json_); }
  Json TakeErrors() { return std::move(errors_); }
  uint64_t elided() const { return elided_; }
  bool failed() const { return !errors_.empty(); }
  bool differ() const { return differences_ > 0; }

 private:
  const DiffOptions& options_;
  Progress* const progress_;
  uint64_t budget_;  // bytes of JSON
  uint64_t elided_ = 0;
  uint64_t differences_ = 0;
  std::set<std::string> damages_;  // that were told
  Json json_ = Json::array();
  Json errors_ = Json::array();
};

// What else the files hold: nothing of it is read.
std::vector<std::string> ExtraRecords(const Reader& a, const Reader& b) {
  std::vector<std::string> names = a.extra_records();
  const std::vector<std::string> of_b = b.extra_records();
  names.insert(names.end(), of_b.begin(), of_b.end());
  const std::set<std::string> unique(names.begin(), names.end());
  return {unique.begin(), unique.end()};
}

std::string SummaryText(const DiffOptions& options, const Findings& findings,
                        const std::vector<std::string>& extras,
                        bool other_format, const std::string& work) {
  std::string text = findings.MoreLine();
  if (!extras.empty()) {
    text += fmt::format("not compared, as {} no part of the state: {}\n",
                        extras.size() == 1 ? "it is" : "they are",
                        NameList(extras, kMostNames));
  }
  if (other_format && !options.tensors && findings.differ()) {
    text +=
        "the files have different formats; --tensors compares their "
        "tensors alone, by name\n";
  }
  return text + fmt::format(
                    "{} and {}: {}{}{}, {}\n", Printable(options.a),
                    Printable(options.b),
                    findings.failed() ? "INCOMPLETE, " : "", findings.Verdict(),
                    options.tensors ? " in the tensors alone" : "", work);
}

int RunDiff(const DiffOptions& options) {
  const Stopwatch watch;
  const Result<Reader> a = Reader::Open(options.a);
  if (!a) return Fail(a.error());
  const Result<Reader> b = Reader::Open(options.b);
  if (!b) return Fail(b.error());

  const uint64_t file_bytes = a->file_bytes() + b->file_bytes();
  Progress progress(file_bytes);
  Findings findings(options, file_bytes, &progress);
  const DifferenceSink sink = {
      [&](Difference difference) { findings.Add(std::move(difference)); },
      [&](const Path& path, const Status& status) {
        findings.AddError(path, status);
      }};
  DiffSide side_a(*a, options.a);
  DiffSide side_b(*b, options.b);
  double shown = 0;  // seconds; small tensors come by the thousand
  ValueDiff values(&side_a, &side_b,
                   [&](uint64_t bytes, std::string_view name) {
                     const double now = watch.seconds();
                     if (bytes > 0 && now < shown + 0.1) return;
                     progress.Show(bytes, name);
                     shown = now;
                   });
  uint64_t tensors = 0;
  if (options.tensors) {
    TensorDiff diff(&values, &sink, {.contents = true});
    const Status status = DiffByName(*a, *b, &diff, sink);
    if (!status.ok()) return Fail(status);
    tensors = diff.compared();
  } else {
    tensors = DiffTrees(a->state(), b->state(),
                        {!options.ignore_order, options.layout}, &values, sink);
  }
  progress.Clear();

  const std::vector<std::string> extras = ExtraRecords(*a, *b);
  const int status = findings.Exit();
  if (!options.json) {
    const std::string work =
        Plural(tensors, "tensor") + ", " +
        WorkText(values.bytes(), "compared", watch.seconds());
    Print(SummaryText(options, findings, extras, a->format() != b->format(),
                      work));
    return status;
  }
  Json json = Json::object();
  json["same"] = status == kFine;
  json["a"] = Utf8(options.a);
  json["b"] = Utf8(options.b);
  json["tensors"] = tensors;
  json["bytes"] = values.bytes();
  json["differences"] = findings.TakeDifferences();
  json["elided"] = findings.elided();
  json["errors"] = findings.TakeErrors();
  json["not_compared"] = Json::array();
  for (const std::string& name : extras) {
    json["not_compared"].push_back(Utf8(name));
  }
  Print(Document(json));
  return status;
}

}  // namespace

void AddDiff(CLI::App& app, Action* action) {
  const auto options = std::make_shared<DiffOptions>();
  CLI::App* command = app.add_subcommand(
      "diff", "Compares two files: structure, then values bit by bit");
  command->add_option("A", options->a, "a file")->required();
  command->add_option("B", options->b, "another file")->required();
  CLI::Option* tensors = command->add_flag(
      "--tensors", options->tensors,
      "compare the tensors alone, by name: dtype, shape and values; for files "
      "of different formats");
  command
      ->add_flag("--ignore-order", options->ignore_order,
                 "dicts with the same keys in another order are the same")
      ->excludes(tensors);
  command
      ->add_flag("--layout", options->layout,
                 "tensors with other strides, offsets, storage sizes or "
                 "locations differ too")
      ->excludes(tensors);
  command->add_flag(
      "--all", options->all,
      fmt::format("all differences, not the first {}", kMostLines));
  command->add_flag("--json", options->json, "one JSON document");
  command->callback(
      [options, action] { *action = [options] { return RunDiff(*options); }; });
}

}  // namespace caisson::cli
