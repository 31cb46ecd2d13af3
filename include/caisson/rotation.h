// SPDX-License-Identifier: Apache-2.0
//
// Keeps the last checkpoints of a directory, and a name that leads to the one
// to resume from.
//
//   engine.Save(state, rotation.PathFor(step));
//   rotation.Commit(step);                       // latest -> step100.pt
//   ...
//   engine.LoadInto(rotation.Latest()->path, state);
//
// A checkpoint is a regular file called prefix, step in decimal without
// leading zeros, suffix: "step100.pt". Besides those, only temporaries that a
// dead writer left of them are ever removed.
//
// `latest` is a symbolic link to that name, so that every program can open it.
// Where the file system has no symbolic links it is a text file that holds the
// name and a newline, which only Latest() follows.
//
// After the first Commit(), whatever dies and whenever, a full disk, SIGKILL or
// a power cut, `latest` leads to a checkpoint that was committed, or to the one
// whose Commit() was running, and that file is whole.
//
// Thread safety: the const functions may be called at any time on many threads
// and in many processes; Commit() of one directory only once at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "caisson/status.h"

namespace caisson {

class FileSystem;  // inside the library

struct RotationOptions {
  // How many checkpoints stay.
  size_t keep = 3;

  // What a checkpoint's name has before and after its step.
  std::string prefix = "step";
  std::string suffix = ".pt";

  // The pointer's name in the directory.
  std::string latest = "latest";

  // Whether Commit() and Latest() read the checkpoint and check every byte.
  bool verify = false;
};

struct Checkpoint {
  uint64_t step = 0;
  std::string path;
};

class Rotation {
 public:
  // Touches no file. `directory` need not exist yet.
  //
  // Errors: kInvalidArgument for names that are no file names, begin with a dot
  // as temporaries do, are too long, or cannot be told apart.
  static Result<Rotation> Create(std::string directory,
                                 RotationOptions options = {});

  // Where the checkpoint of `step` belongs.
  std::string PathFor(uint64_t step) const;

  // Makes the file at PathFor(step) durable, if it is not; checks it, if
  // `verify` is set; moves `latest` to it; and when that is durable, removes
  // the oldest of the checkpoints up to `step` until `keep` are left. Those
  // with a greater step, which a run left that was rolled back, stay.
  //
  // Errors: kNotFound if there is no such file; kInvalidArgument if it or
  // `latest` is something that this class does not make; kCorrupt, naming the
  // record, if it is damaged; kIo. Nothing was moved or removed, except where
  // the message says that `latest` leads to the new checkpoint; then only a
  // removal or the durability of `latest` is missing, and Commit() may be
  // called again.
  Status Commit(uint64_t step);

  // The checkpoint to resume from: the one that `latest` leads to. If `latest`
  // is missing, leads to no checkpoint of this directory or, with `verify`, to
  // a damaged one: the one with the greatest step that Verify finds whole, so
  // that all of its bytes are read.
  //
  // Errors: kNotFound, with the reason, if there is none; kIo.
  Result<Checkpoint> Latest() const;

  // All of them, steps ascending, whole or not.
  //
  // Errors: kNotFound if the directory is missing; kIo.
  Result<std::vector<Checkpoint>> List() const;

 private:
  friend Result<Rotation> MakeRotation(std::string directory,
                                       RotationOptions options,
                                       FileSystem& files);
  class Work;

  Rotation(std::string directory, RotationOptions options, FileSystem& files);

  std::string directory_;
  RotationOptions options_;
  FileSystem* files_;
};

}  // namespace caisson
