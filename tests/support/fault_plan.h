// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong with the file system in a test, and when.
//
//   for (int n = 0;; ++n) {
//     FaultFileSystem files({.fault = Fault::kError, .at = n, .error = EIO});
//     ... use files, look at what is left ...
//     if (!files.fired()) break;  // there is no n-th operation
//   }
#pragma once

#include <cerrno>
#include <functional>
#include <string>

namespace caisson {

enum class Fault {
  kNone,
  kError,       // fails without being done
  kErrorAfter,  // is done, and fails all the same
  kShort,       // a read or write transfers half, at least 1 byte
  kNothing,     // a read or write transfers nothing and reports no error
  kKill,        // SIGKILL before it is done
  kRace,        // somebody else's work, plan.race, comes before it
};

struct FaultPlan {
  Fault fault = Fault::kNone;
  int at = 0;                       // the n-th operation, from 0
  bool and_after = false;           // and each one after it
  std::string only = {};            // counts just the operations of this name
  int error = EIO;                  // what kError and kErrorAfter report
  std::function<void()> race = {};  // for kRace
  bool no_unnamed = false;          // OpenUnnamed() is refused, as on NFS
  bool no_reserve = false;          // nor are Allocate() and FreeBytes()
  bool no_symlinks = false;         // Symlink() is refused, as on FAT
  bool skip_sync = false;           // Sync() is counted, and not done
};

}  // namespace caisson
