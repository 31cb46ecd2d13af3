// SPDX-License-Identifier: Apache-2.0
//
// caisson info: what this build can do on this machine, and with --dir, which
// way the bytes of a directory's files go.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>

#include "caisson/version.h"
#include "cli/commands.h"
#include "cli/json_state.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

struct InfoOptions {
  std::optional<std::string> directory;
  bool json = false;
};

Json IoJson(const std::string& directory, const IoDescription& io) {
  Json free = nullptr;
  if (io.free_bytes) free = *io.free_bytes;
  return {{"directory", Utf8(directory)},
          {"file_system", io.file_system},
          {"free_bytes", free},
          {"direct", io.direct},
          {"direct_reason", io.direct_reason},
          {"queue", io.queue},
          {"queue_reason", io.queue_reason}};
}

Json InfoJson(const BuildInfo& build) {
  Json libraries = Json::object();
  for (const auto& [name, version] : build.libraries) libraries[name] = version;
  return {
      {"version", build.version},
      {"simd",
       {{"target", build.simd_target}, {"targets", build.simd_targets}}},
      {"cuda", {{"status", build.cuda}, {"devices", build.cuda_devices}}},
      {"libraries", libraries},
  };
}

std::string Line(std::string_view label, std::string_view value) {
  return fmt::format("{:<11} {}\n", label, Printable(value));
}

std::string IoText(const std::string& directory, const IoDescription& io) {
  return Line("directory", directory) + Line("file system", io.file_system) +
         Line("free", io.free_bytes ? ByteText(*io.free_bytes) : "unknown") +
         Line("transfers",
              fmt::format("{}: {}", io.direct ? "direct" : "buffered",
                          io.direct_reason)) +
         Line("queue", fmt::format("{}: {}", io.queue, io.queue_reason));
}

std::string InfoText(const BuildInfo& build) {
  std::string text;
  const auto line = [&](std::string_view label, std::string_view value) {
    text += Line(label, value);
  };
  line("caisson", build.version);
  line("simd", fmt::format("{} (runnable: {})", build.simd_target,
                           fmt::join(build.simd_targets, ", ")));
  line("cuda", build.cuda);
  for (const std::string& device : build.cuda_devices) line("", device);
  std::string_view label = "libraries";
  for (const auto& [name, version] : build.libraries) {
    line(label, fmt::format("{} {}", name, version));
    label = "";
  }
  return text;
}

int RunInfo(const InfoOptions& options) {
  const BuildInfo build = QueryBuild();
  Json json = InfoJson(build);
  std::string text = InfoText(build);
  if (options.directory) {
    const Result<IoDescription> io = DescribeIo(*options.directory);
    if (!io) return Fail(io.error());
    json["io"] = IoJson(*options.directory, *io);
    text += IoText(*options.directory, *io);
  }
  Print(options.json ? Document(json) : text);
  return kFine;
}

}  // namespace

void AddInfo(CLI::App& app, Action* action) {
  const auto options = std::make_shared<InfoOptions>();
  CLI::App* command =
      app.add_subcommand("info", "Says what this build can do on this machine");
  command->add_option("--dir", options->directory,
                      "and how bytes go to and from this directory");
  command->add_flag("--json", options->json, "one JSON document");
  command->callback(
      [options, action] { *action = [options] { return RunInfo(*options); }; });
}

}  // namespace caisson::cli
