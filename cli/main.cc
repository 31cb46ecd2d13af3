// SPDX-License-Identifier: Apache-2.0
//
// The program `caisson`: parses the command line and runs one command.
//
// Exit status: 0 fine, 1 the answer is "no", 2 the command could not do its
// work. Results go to stdout, errors as one line to stderr.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "caisson/version.h"
#include "cli/commands.h"
#include "cli/terminal.h"

namespace caisson::cli {
namespace {

// Runs what the command line asks for. Answers to --help and --version are
// printed here.
int Run(int argc, char** argv) {
  CLI::App app("Reads, checks and writes tensor files.", "caisson");
  app.set_version_flag("--version", std::string("caisson ") + Version());
  app.require_subcommand(1);
  Action action;
  AddLs(app, &action);
  AddCat(app, &action);
  AddVerify(app, &action);
  AddConvert(app, &action);
  AddPack(app, &action);
  AddUnpack(app, &action);
  AddDiff(app, &action);
  AddBench(app, &action);
  AddInfo(app, &action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& answer) {
    app.exit(answer);
    std::cout.flush();
    return kFine;
  } catch (const CLI::ParseError& error) {
    std::string problem = error.what();
    const std::vector<std::string> strange = app.remaining();
    if (app.get_subcommands().empty() && !strange.empty()) {
      problem = "'" + strange.front() + "' is no command";
    }
    PrintError(problem + " (see caisson --help)");
    return kFailed;
  }
  return action();
}

int Main(int argc, char** argv) {
  int status = kFailed;
  try {
    status = Run(argc, argv);
  } catch (const std::bad_alloc&) {
    PrintError("out of memory");
  } catch (const std::exception& error) {
    PrintError(error.what());
  }
  if (FlushOutput()) return status;
  PrintError("cannot write to stdout");
  return kFailed;
}

}  // namespace
}  // namespace caisson::cli

int main(int argc, char** argv) { return caisson::cli::Main(argc, argv); }
