// SPDX-License-Identifier: Apache-2.0
//
// What the program says, and how it ends.
//
// Names and text of a file may hold anything; whatever of them reaches a
// terminal goes through Printable() first.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "caisson/status.h"

namespace caisson::cli {

inline constexpr int kFine = 0;
inline constexpr int kNo = 1;      // damage was found, files differ
inline constexpr int kFailed = 2;  // the command could not do its work

// `text` with control characters, marks that reorder text, and bytes that are
// not UTF-8 as \xNN.
std::string Printable(std::string_view text);

// Printable(), or its first `characters` and "...".
std::string Abbreviated(std::string_view text, size_t characters);

// The first `most` names, each as Abbreviated() to 1000 characters, and how
// many more there are: "a, b, and 3 more".
std::string NameList(std::span<const std::string> names, size_t most);

// `text` if it is UTF-8, else Printable(): what JSON can hold.
std::string Utf8(std::string_view text);

// The characters (code points) of UTF-8 text.
size_t Width(std::string_view text);

// Writes to stdout. What cannot be written shows in FlushOutput().
void Print(std::string_view text);

// False if something that was printed did not get to stdout.
bool FlushOutput();

// Writes the line "caisson: <message>" to stderr, whole.
void PrintError(std::string_view message);

// The same for a Status; returns kFailed.
int Fail(const Status& status);

}  // namespace caisson::cli
