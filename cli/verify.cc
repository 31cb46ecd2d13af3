// SPDX-License-Identifier: Apache-2.0
//
// caisson verify PATH...: reads everything and names all that is damaged.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "caisson/engine.h"
#include "caisson/reader.h"
#include "cli/commands.h"
#include "cli/engine_progress.h"
#include "cli/json_state.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNames = 8;  // of tensors, in one line

struct VerifyOptions {
  std::vector<std::string> paths;
  bool json = false;
};

// What became of one file or folder.
struct Outcome {
  std::string path;
  uint64_t bytes = 0;
  double seconds = 0;
  Status failure;       // why it could not be read at all
  VerifyReport report;  // if it could
  std::string io = {};  // which way the bytes came
};

// Whether the name is one of a checkpoint's file, and not of a part of one.
bool LooksLikeCheckpoint(const fs::path& path) {
  constexpr std::array<std::string_view, 8> kSuffixes = {
      ".pt",          ".pth",    ".bin", ".ckpt",
      ".safetensors", ".minidb", ".pb",  ".pbtxt"};
  const std::string suffix = path.extension();
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix) !=
             kSuffixes.end() &&
         !IsCheckpointShard(path);
}

// What a walk through a folder finds.
class FolderWalk {
 public:
  explicit FolderWalk(const std::string& folder) {
    folders_.push_back(folder);
    while (!folders_.empty()) {
      const fs::path next = folders_.back();
      folders_.pop_back();
      // One file; what else lies in its folder is looked at as well.
      if (IsDistributedCheckpoint(next)) files.push_back(next);
      List(next);
    }
    std::sort(files.begin(), files.end());
    if (files.empty() && failures.empty()) {
      failures.push_back(
          {folder,
           0,
           0,
           Status::NotFound(folder +
                            ": no file ends in .pt, .pth, "
                            ".bin, .ckpt, .safetensors, .minidb, .pb or "
                            ".pbtxt, and no distributed checkpoint"),
           {}});
    }
  }

  std::vector<std::string> files;  // that look like checkpoints, by name
  std::vector<Outcome> failures;   // entries that could not be looked at

 private:
  void List(const fs::path& folder) {
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (const fs::directory_iterator end; !error && it != end;
         it.increment(error)) {
      Add(*it);
    }
    if (error) AddFailure(folder, error);
  }

  // Links to files are followed, links to folders are not.
  void Add(const fs::directory_entry& entry) {
    std::error_code error;
    if (fs::is_directory(entry.symlink_status(error))) {
      folders_.push_back(entry.path());
      return;
    }
    if (!LooksLikeCheckpoint(entry.path())) return;
    const fs::file_status status = entry.status(error);
    if (error) {
      AddFailure(entry.path(), error);
    } else if (fs::is_regular_file(status)) {
      files.push_back(entry.path());
    }
  }

  void AddFailure(const std::string& path, std::error_code error) {
    failures.push_back(
        {path, 0, 0, Status::Io(path + ": " + error.message()), {}});
  }

  std::vector<fs::path> folders_;  // yet to be listed
};

// Of a file, or of all in the folder of a checkpoint that are not listed by
// themselves.
uint64_t BytesOf(const fs::path& path) {
  std::error_code error;
  if (!IsDistributedCheckpoint(path)) {
    const uintmax_t bytes = fs::file_size(path, error);
    return error ? 0 : bytes;
  }
  const bool folder = fs::is_directory(path, error);
  uint64_t all = 0;
  fs::directory_iterator it(
      folder ? path : fs::absolute(path, error).parent_path(), error);
  for (const fs::directory_iterator end; !error && it != end;
       it.increment(error)) {
    std::error_code unknown;
    if (LooksLikeCheckpoint(it->path())) continue;
    const uintmax_t bytes = it->file_size(unknown);
    if (!unknown) all += bytes;
  }
  return all;
}

Outcome Verify(Engine& engine, const std::string& path,
               const ProgressCallback& progress) {
  Outcome outcome;
  outcome.path = path;
  const Stopwatch watch;
  LoadReport how;
  Result<VerifyReport> report = engine.Verify(path, progress, &how);
  outcome.io = how.io;
  if (report) {
    outcome.report = *std::move(report);
    outcome.bytes = BytesOf(path);
  } else {
    outcome.failure = report.error();
  }
  outcome.seconds = watch.seconds();
  return outcome;
}

// The message without the file's name, which stands before it anyway.
std::string_view WithoutFile(std::string_view problem,
                             const std::string& path) {
  const std::string prefix = path + ": ";
  if (problem.starts_with(prefix)) problem.remove_prefix(prefix.size());
  return problem;
}

std::string DamageLine(const Damage& damage) {
  std::string line = Printable(damage.file) + ": ";
  if (!damage.record.empty()) {
    line += fmt::format("{} at {}: ", Printable(damage.record), damage.offset);
  }
  line += Printable(WithoutFile(damage.problem, damage.file));
  if (!damage.tensors.empty()) {
    line += "; tensors: " + NameList(damage.tensors, kMostNames);
  }
  return line + "\n";
}

// Why the state could not be read, unless that is told as damage.
std::string UnreadLine(const std::string& path, const VerifyReport& report) {
  if (report.unread.empty()) return "";
  for (const Damage& damage : report.damage) {
    if (report.unread.ends_with(damage.problem)) return "";
  }
  return fmt::format(
      "{}: the state could not be read: {}; its records were checked\n",
      Printable(path), Printable(WithoutFile(report.unread, path)));
}

// "model.pt: DAMAGED, 1 of 7 records, ..."; nothing if the archive's directory
// is damaged, which alone could tell how many records there are.
std::string SummaryLine(const Outcome& outcome) {
  const VerifyReport& report = outcome.report;
  const std::string path = Printable(outcome.path);
  const std::string work = WorkText(outcome.bytes, "checked", outcome.seconds) +
                           (outcome.io.empty() ? "" : ", " + outcome.io);
  if (report.ok()) {
    return fmt::format("{}: ok, {}, {}\n", path,
                       Plural(report.checked, "record"), work);
  }
  std::set<std::string_view> damaged;
  for (const Damage& damage : report.damage) {
    if (!damage.record.empty()) damaged.insert(damage.record);
  }
  const size_t all = report.checked + report.unchecked.size() + damaged.size();
  if (all == 0) return "";
  return fmt::format("{}: DAMAGED, {} of {}, {}\n", path, damaged.size(),
                     Plural(all, "record"), work);
}

std::string OutcomeText(const Outcome& outcome) {
  const VerifyReport& report = outcome.report;
  std::string text;
  for (const Damage& damage : report.damage) {
    text += DamageLine(damage);
  }
  text += UnreadLine(outcome.path, report);
  if (!report.unchecked.empty()) {
    const size_t count = report.unchecked.size();
    text += fmt::format("{}: {} {} no CRC and could not be checked: {}\n",
                        Printable(outcome.path), Plural(count, "record"),
                        count == 1 ? "carries" : "carry",
                        NameList(report.unchecked, kMostNames));
  }
  return text + SummaryLine(outcome);
}

std::string OutcomesJson(const std::vector<Outcome>& outcomes) {
  Json json = Json::object();
  json["ok"] = true;
  json["checked"] = 0;
  json["unchecked"] = 0;
  json["damage"] = Json::array();
  json["unchecked_records"] = Json::array();
  json["unread"] = Json::array();
  json["errors"] = Json::array();
  uint64_t checked = 0;
  for (const Outcome& outcome : outcomes) {
    const std::string file = Utf8(outcome.path);
    if (!outcome.failure.ok()) {
      const std::string problem(outcome.failure.message());
      json["errors"].push_back({{"file", file}, {"problem", Utf8(problem)}});
    }
    if (const std::string& problem = outcome.report.unread; !problem.empty()) {
      json["unread"].push_back({{"file", file}, {"problem", Utf8(problem)}});
    }
    checked += outcome.report.checked;
    for (const std::string& record : outcome.report.unchecked) {
      json["unchecked_records"].push_back(
          {{"file", file}, {"record", Utf8(record)}});
    }
    for (const Damage& damage : outcome.report.damage) {
      Json tensors = Json::array();
      for (const std::string& name : damage.tensors) {
        tensors.push_back(Utf8(name));
      }
      json["damage"].push_back({{"file", Utf8(damage.file)},
                                {"record", Utf8(damage.record)},
                                {"tensors", std::move(tensors)},
                                {"offset", damage.offset},
                                {"problem", Utf8(damage.problem)}});
    }
  }
  json["checked"] = checked;
  json["unchecked"] = json["unchecked_records"].size();
  json["ok"] = json["damage"].empty() && json["errors"].empty();
  return Document(json);
}

// What to read, with folders replaced by what is in them.
std::vector<std::string> Expand(const std::vector<std::string>& paths,
                                std::vector<Outcome>* outcomes) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    const FolderWalk walk(path);
    files.insert(files.end(), walk.files.begin(), walk.files.end());
    for (const Outcome& failed : walk.failures) {
      PrintError(failed.failure.message());
      outcomes->push_back(failed);
    }
  }
  return files;
}

int RunVerify(const VerifyOptions& options) {
  std::vector<Outcome> outcomes;
  const std::vector<std::string> files = Expand(options.paths, &outcomes);
  Result<Engine> engine = Engine::Create();
  if (!engine) return Fail(engine.error());
  std::vector<uint64_t> sizes;
  for (const std::string& file : files) {
    sizes.push_back(BytesOf(file));
  }
  Progress progress(std::accumulate(sizes.begin(), sizes.end(), uint64_t{0}));
  uint64_t done = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    EngineProgress reading(progress, done, sizes[i], files[i]);
    outcomes.push_back(Verify(*engine, files[i], reading.callback()));
    progress.Clear();
    const Outcome& outcome = outcomes.back();
    done += sizes[i];
    if (!outcome.failure.ok()) {
      PrintError(outcome.failure.message());
    } else if (!options.json) {
      Print(OutcomeText(outcome));
      (void)FlushOutput();
    }
  }
  if (options.json) Print(OutcomesJson(outcomes));

  int status = kFine;
  for (const Outcome& outcome : outcomes) {
    const int part = !outcome.failure.ok()  ? kFailed
                     : !outcome.report.ok() ? kNo
                                            : kFine;
    status = std::max(status, part);
  }
  return status;
}

}  // namespace

void AddVerify(CLI::App& app, Action* action) {
  const auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Reads everything and names all that is damaged");
  command
      ->add_option("PATH", options->paths,
                   "files, safetensors indices, distributed checkpoints, or "
                   "folders of .pt, .pth, .bin, .ckpt, .safetensors, .minidb, "
                   ".pb and .pbtxt files and of such checkpoints")
      ->required();
  command->add_flag("--json", options->json, "one JSON document");
  command->callback([options, action] {
    *action = [options] { return RunVerify(*options); };
  });
}

}  // namespace caisson::cli
