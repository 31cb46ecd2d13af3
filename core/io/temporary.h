// SPDX-License-Identifier: Apache-2.0
//
// Names of the files that AtomicFile writes before it replaces its target, and
// the removal of those that a crash left behind. A name is taken for ours by
// its form, and for left behind by its flock, which dies with its process.
#pragma once

#include <string>
#include <string_view>

#include "core/io/file_system.h"

namespace caisson {

// ".<target>.<pid>-<n>.tmp" with an n that this process did not use before.
// The target's part is cut so that the result fits a directory entry.
std::string TemporaryName(std::string_view target);

// True for every name that TemporaryName(target) can return, in any process.
bool IsTemporaryOf(std::string_view target, std::string_view name);

// Removes the temporaries of `target` in `dir` that nobody holds locked. Does
// what it can: what it may not list, lock or remove stays, and nobody is told.
void RemoveLeftovers(FileSystem& files, int dir, std::string_view target);

}  // namespace caisson
