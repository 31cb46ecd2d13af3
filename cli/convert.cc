// SPDX-License-Identifier: Apache-2.0
//
// caisson convert IN OUT: writes a file again.
#include <fmt/format.h>

#include <array>
#include <filesystem>
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

// Suffixes of formats that a PyTorch file must not pass for.
Status CheckSuffix(const std::string& path) {
  constexpr std::array<std::string_view, 4> kOthers = {
      ".safetensors", ".minidb", ".pb", ".pbtxt"};
  const std::string suffix = std::filesystem::path(path).extension();
  for (const std::string_view other : kOthers) {
    if (suffix == other) {
      return Status::Unsupported(fmt::format(
          "{}: this build writes PyTorch files (.pt, .pth, .bin) only", path));
    }
  }
  return Status::Ok();
}

int RunConvert(const ConvertOptions& options) {
  if (const Status status = CheckSuffix(options.out); !status.ok()) {
    return Fail(status);
  }
  const Stopwatch watch;
  const Result<Reader> reader = Reader::Open(options.in);
  if (!reader) return Fail(reader.error());

  // Every byte is read once and written once.
  const uint64_t in_bytes = reader->file_bytes();
  Progress progress(2 * in_bytes);
  progress.Show(0, "reading " + options.in);
  const Result<State> state = reader->Load();
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
