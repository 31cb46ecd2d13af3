// SPDX-License-Identifier: Apache-2.0
//
// caisson verify PATH...: reads everything and names all that is damaged.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "caisson/archive.h"
#include "caisson/reader.h"
#include "cli/commands.h"
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

// What became of one file.
struct Outcome {
  std::string path;
  uint64_t bytes = 0;
  double seconds = 0;
  Status failure;       // why it could not be read at all
  VerifyReport report;  // if it could
};

// The files in a folder that look like checkpoints, in order of their names.
Result<std::vector<std::string>> FilesIn(const std::string& folder) {
  constexpr std::array<std::string_view, 4> kSuffixes = {".pt", ".pth", ".bin",
                                                         ".ckpt"};
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end;
       !error && it != end; it.increment(error)) {
    const std::string suffix = it->path().extension();
    const bool known = std::find(kSuffixes.begin(), kSuffixes.end(), suffix) !=
                       kSuffixes.end();
    if (known && it->is_regular_file()) files.push_back(it->path());
  }
  if (error) return Status::Io(folder + ": " + error.message());
  if (files.empty()) {
    return Status::NotFound(folder +
                            ": no file ends in .pt, .pth, .bin or "
                            ".ckpt");
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Reads the records of an archive whose index cannot be understood, so that a
// damaged data.pkl is named and hides no other damage. Adds nothing if even
// the directory is damaged.
void VerifyRecords(const std::string& path, VerifyReport* report) {
  const Result<PyTorchStreamReader> archive = PyTorchStreamReader::Open(path);
  if (!archive) return;
  for (const std::string& record : archive->getAllRecords()) {
    const Status status = archive->getRecord(record).status();
    if (status.ok()) continue;
    const Result<uint64_t> offset = archive->getRecordOffset(record);
    report->damage.push_back({path,
                              record,
                              {},
                              offset ? *offset : 0,
                              std::string(status.message())});
  }
}

Outcome Verify(const std::string& path) {
  Outcome outcome;
  outcome.path = path;
  const Stopwatch watch;
  const Result<Reader> reader = Reader::Open(path);
  if (reader) {
    outcome.bytes = reader->file_bytes();
    Result<VerifyReport> report = reader->Verify();
    if (report) {
      outcome.report = *std::move(report);
    } else {
      outcome.failure = report.error();
    }
  } else if (reader.error().code() == StatusCode::kCorrupt) {
    VerifyRecords(path, &outcome.report);
    if (outcome.report.damage.empty()) {
      outcome.report.damage.push_back(
          {path, "", {}, 0, std::string(reader.error().message())});
    }
  } else {
    outcome.failure = reader.error();
  }
  for (Damage& damage : outcome.report.damage) damage.file = path;
  outcome.seconds = watch.seconds();
  return outcome;
}

// The names, and how many more there are.
std::string NameList(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    if (shown.size() == kMostNames) {
      shown.push_back(fmt::format("and {} more", names.size() - kMostNames));
      break;
    }
    shown.push_back(Printable(name));
  }
  return fmt::format("{}", fmt::join(shown, ", "));
}

// The message without the file's name, which stands before it anyway.
std::string_view Problem(const Damage& damage) {
  std::string_view problem = damage.problem;
  const std::string prefix = damage.file + ": ";
  if (problem.starts_with(prefix)) problem.remove_prefix(prefix.size());
  return problem;
}

std::string OutcomeText(const Outcome& outcome) {
  const std::string path = Printable(outcome.path);
  const VerifyReport& report = outcome.report;
  std::string text;
  for (const Damage& damage : report.damage) {
    text += path + ": ";
    if (!damage.record.empty()) {
      text +=
          fmt::format("{} at {}: ", Printable(damage.record), damage.offset);
    }
    text += Printable(Problem(damage));
    if (!damage.tensors.empty()) {
      text += "; tensors: " + NameList(damage.tensors);
    }
    text += "\n";
  }
  const std::string work = WorkText(outcome.bytes, "checked", outcome.seconds);
  if (report.ok()) {
    text += fmt::format("{}: ok, {}, {}\n", path,
                        Plural(report.checked, "record"), work);
  } else if (outcome.bytes > 0) {
    const size_t all =
        report.checked + report.unchecked.size() + report.damage.size();
    text += fmt::format("{}: DAMAGED, {} of {}, {}\n", path,
                        report.damage.size(), Plural(all, "record"), work);
  }
  if (!report.unchecked.empty()) {
    const bool one = report.unchecked.size() == 1;
    text += fmt::format("{}: {} {} no CRC and could not be checked: {}\n", path,
                        Plural(report.unchecked.size(), "record"),
                        one ? "carries" : "carry", NameList(report.unchecked));
  }
  return text;
}

std::string OutcomesJson(const std::vector<Outcome>& outcomes) {
  Json json = Json::object();
  json["ok"] = true;
  json["checked"] = 0;
  json["unchecked"] = 0;
  json["damage"] = Json::array();
  json["unchecked_records"] = Json::array();
  json["errors"] = Json::array();
  uint64_t checked = 0;
  for (const Outcome& outcome : outcomes) {
    const std::string file = Utf8(outcome.path);
    if (!outcome.failure.ok()) {
      const std::string problem(outcome.failure.message());
      json["errors"].push_back({{"file", file}, {"problem", Utf8(problem)}});
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
      json["damage"].push_back({{"file", file},
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
    const Result<std::vector<std::string>> found = FilesIn(path);
    if (found) {
      files.insert(files.end(), found->begin(), found->end());
    } else {
      outcomes->push_back({path, 0, 0, found.error(), {}});
      PrintError(found.error().message());
    }
  }
  return files;
}

int RunVerify(const VerifyOptions& options) {
  std::vector<Outcome> outcomes;
  const std::vector<std::string> files = Expand(options.paths, &outcomes);
  uint64_t total = 0;
  for (const std::string& file : files) {
    std::error_code error;
    const uintmax_t bytes = fs::file_size(file, error);
    if (!error) total += bytes;
  }
  Progress progress(total);
  uint64_t done = 0;
  for (const std::string& file : files) {
    progress.Show(done, file);
    outcomes.push_back(Verify(file));
    progress.Clear();
    const Outcome& outcome = outcomes.back();
    done += outcome.bytes;
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
                   "files, or folders of .pt, .pth, .bin and .ckpt files")
      ->required();
  command->add_flag("--json", options->json, "one JSON document");
  command->callback([options, action] {
    *action = [options] { return RunVerify(*options); };
  });
}

}  // namespace caisson::cli
