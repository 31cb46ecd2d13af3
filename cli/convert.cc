// SPDX-License-Identifier: Apache-2.0
//
// caisson convert IN OUT: writes a file again.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "caisson/writer.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

struct ConvertOptions {
  std::string in;
  std::string out;
  bool drop = false;
};

// Records that the state does not carry are lost only if that was asked for.
Status CheckExtras(const Reader& reader, const ConvertOptions& options) {
  const std::vector<std::string> extras = reader.extra_records();
  if (extras.empty()) return Status::Ok();
  constexpr size_t kShown = 5;
  std::string names = extras.front();
  for (size_t i = 1; i < std::min(extras.size(), kShown); ++i) {
    names += ", " + extras[i];
  }
  if (extras.size() > kShown) {
    names += fmt::format(" and {} more", extras.size() - kShown);
  }
  if (!options.drop) {
    return Status::Unsupported(fmt::format(
        "{}: records that are no part of the state: {}; --drop leaves them out",
        options.in, names));
  }
  Print(
      fmt::format("{}: dropped {}\n", Printable(options.in), Printable(names)));
  return Status::Ok();
}

int RunConvert(const ConvertOptions& options) {
  const Stopwatch watch;
  const Result<Reader> reader = Reader::Open(options.in);
  if (!reader) return Fail(reader.error());

  if (const Status status = CheckExtras(*reader, options); !status.ok()) {
    return Fail(status);
  }

  // Every byte is read once and written once.
  const uint64_t in_bytes = reader->file_bytes();
  Progress progress(2 * in_bytes);
  progress.Show(0, "reading " + options.in);
  // What torch.load would refuse is written again as it is, never run.
  LoadOptions load;
  load.keep_unknown = true;
  const Result<State> state = reader->Load(load);
  progress.Clear();
  if (!state) return Fail(state.error());
  progress.Show(in_bytes, "writing " + options.out);
  Writer writer;
  const Result<WriteReport> report = writer.Write(*state, options.out);
  progress.Clear();
  if (!report) return Fail(report.error());
  Print(fmt::format("{} -> {}: {}\n", Printable(options.in),
                    Printable(options.out),
                    WorkText(report->file_bytes, "", watch.seconds())));
  return kFine;
}

}  // namespace

void AddConvert(CLI::App& app, Action* action) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* command =
      app.add_subcommand("convert", "Writes a file again, all bytes checked");
  command->add_option("IN", options->in, "the file to read")->required();
  command
      ->add_option("OUT", options->out,
                   "the file to write; may be IN, which is then replaced as "
                   "a whole or not at all")
      ->required();
  command->add_flag("--drop", options->drop,
                    "leave out records that are no part of the state");
  command->callback([options, action] {
    *action = [options] { return RunConvert(*options); };
  });
}

}  // namespace caisson::cli
