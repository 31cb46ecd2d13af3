// SPDX-License-Identifier: Apache-2.0
//
// The commands of the program, one file each.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace caisson::cli {

// What a command line asks for; gives the exit status.
using Action = std::function<int()>;

// Each adds one subcommand to `app`, which sets *action when it is given.
void AddLs(CLI::App& app, Action* action);
void AddCat(CLI::App& app, Action* action);
void AddVerify(CLI::App& app, Action* action);
void AddConvert(CLI::App& app, Action* action);
void AddPack(CLI::App& app, Action* action);
void AddUnpack(CLI::App& app, Action* action);
void AddDiff(CLI::App& app, Action* action);
void AddBench(CLI::App& app, Action* action);
void AddInfo(CLI::App& app, Action* action);

}  // namespace caisson::cli
