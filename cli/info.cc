// SPDX-License-Identifier: Apache-2.0
//
// caisson info: what this build can do on this machine.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>

#include "caisson/version.h"
#include "cli/commands.h"
#include "cli/json_state.h"
#include "cli/terminal.h"

namespace caisson::cli {
namespace {

std::string InfoJson(const BuildInfo& build) {
  Json libraries = Json::object();
  for (const auto& [name, version] : build.libraries) libraries[name] = version;
  const Json document = {
      {"version", build.version},
      {"simd",
       {{"target", build.simd_target}, {"targets", build.simd_targets}}},
      {"cuda", {{"status", build.cuda}, {"devices", build.cuda_devices}}},
      {"libraries", libraries},
  };
  return Document(document);
}

std::string InfoText(const BuildInfo& build) {
  std::string text;
  const auto line = [&](std::string_view label, std::string_view value) {
    text += fmt::format("{:<10} {}\n", label, Printable(value));
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

}  // namespace

void AddInfo(CLI::App& app, Action* action) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("info", "Says what this build can do on this machine");
  command->add_flag("--json", *json, "one JSON document");
  command->callback([json, action] {
    *action = [json] {
      const BuildInfo build = QueryBuild();
      Print(*json ? InfoJson(build) : InfoText(build));
      return kFine;
    };
  });
}

}  // namespace caisson::cli
