// SPDX-License-Identifier: Apache-2.0
//
// What `caisson convert` is asked for.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "caisson/compression.h"
#include "caisson/file_format.h"
#include "caisson/profile.h"
#include "caisson/reader.h"

namespace caisson::cli {

struct KeyChange {
  std::string from;
  std::string to;
};

struct ConvertOptions {
  std::string in;
  std::string out;
  bool drop = false;
  FormatOptions format;  // its drop is not used
  CompressMode compress = CompressMode::kNone;
  std::vector<Cast> casts;
  std::vector<KeyChange> renames;  // one after the other
  std::optional<Profile> profile;  // none: that of `in`
};

// Adds IN and OUT to `command`.
void AddInAndOut(CLI::App& command, ConvertOptions* options);

// Adds them all to `command`, which fills *options, which must outlive it. A
// value that makes no sense is an error of the command line.
void AddConvertOptions(CLI::App& command, ConvertOptions* options);

}  // namespace caisson::cli
