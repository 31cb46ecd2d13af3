// SPDX-License-Identifier: Apache-2.0
//
// How the programs of this folder are called, and end.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "caisson/status.h"

namespace caisson::bench {

// Calls `set` with the name and the value of each "--name=value".
inline void ParseOptions(
    int argc, char** argv,
    const std::function<void(std::string_view, const std::string&)>& set) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    if (!argument.starts_with("--") || equals == argument.npos) continue;
    set(argument.substr(2, equals - 2),
        std::string(argument.substr(equals + 1)));
  }
}

// The exit status: 0 if every result was right.
inline int ExitStatus(const char* program, const Result<bool>& right) {
  if (right.has_value()) return *right ? 0 : 1;
  std::fprintf(stderr, "%s: %s\n", program,
               std::string(right.error().message()).c_str());
  return 2;
}

}  // namespace caisson::bench
