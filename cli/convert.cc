// SPDX-License-Identifier: Apache-2.0
//
// caisson convert IN OUT: writes a file again.
#include <fmt/format.h>

#include <memory>
#include <string>

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
};

int RunConvert(const ConvertOptions& options) {
  const Stopwatch watch;
  const Result<Reader> reader = Reader::Open(options.in);
  if (!reader) return Fail(reader.error());

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
  command->callback([options, action] {
    *action = [options] { return RunConvert(*options); };
  });
}

}  // namespace caisson::cli
