// SPDX-License-Identifier: Apache-2.0
//
// What the crash tests share: the checkpoints that they write, the ways to
// write them, and the verdict on what is left.
#pragma once

#include <array>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/engine/write/part_writer.h"
#include "core/formats/torch/torch_writer.h"
#include "core/io/atomic_file.h"
#include "core/io/file_system.h"
#include "tests/engine/state_files.h"

namespace caisson {

// A way to write a checkpoint. The bytes are those of FileOf(state), or of its
// packed file.
struct Saver {
  std::string name;
  std::function<Status(FileSystem&, const State&, const std::string& path)>
      save;
};

inline void PrintTo(const Saver& saver, std::ostream* os) { *os << saver.name; }

// The steps of Writer::Write, in windows of a page.
inline Status SaveOnOneThread(FileSystem& files, const State& state,
                              const std::string& path, bool sync = true) {
  Profile profile = state.profile;
  profile.prefix = "archive";
  CAISSON_ASSIGN_OR_RETURN(const auto parts,
                           torch::WriteTorchArchive(state, profile));
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::Create(path, {.sync = sync}, files));
  std::array<std::byte, 4096> window;
  CAISSON_RETURN_IF_ERROR(WriteParts(*parts, file.file(), window).status());
  return file.Commit();
}

// An engine of its own with several threads, in windows of a page.
inline Status SaveByEngine(FileSystem& files, const State& state,
                           const std::string& path, bool direct,
                           bool asynchronous,
                           CompressMode compress = CompressMode::kNone) {
  EngineOptions options;
  options.window_bytes = 4096;
  options.pool_bytes = size_t{3} * 4096;
  options.threads = 2;
  options.depth = 3;
  options.io = IoKind::kThreads;
  options.direct = direct;
  CAISSON_ASSIGN_OR_RETURN(Engine engine, Engine::Impl::Make(options, files));
  AsyncOptions how;
  how.save.profile = state.profile;
  how.save.profile->prefix = "archive";
  how.save.compress = compress;
  if (!asynchronous) return engine.Save(state, path, how.save).status();
  CAISSON_ASSIGN_OR_RETURN(const Ticket ticket,
                           engine.SaveAsync(state, path, how));
  return ticket.Wait().status();
}

inline std::vector<Saver> Savers() {
  const auto by_engine = [](bool direct, bool asynchronous) {
    return [=](FileSystem& files, const State& state, const std::string& path) {
      return SaveByEngine(files, state, path, direct, asynchronous);
    };
  };
  return {{"one_thread",
           [](FileSystem& files, const State& state, const std::string& path) {
             return SaveOnOneThread(files, state, path);
           }},
          {"engine_direct", by_engine(true, false)},
          {"engine_buffered", by_engine(false, false)},
          {"engine_async", by_engine(true, true)},
          {"engine_packed",
           [](FileSystem& files, const State& state, const std::string& path) {
             return SaveByEngine(files, state, path, /*direct=*/true,
                                 /*asynchronous=*/false, CompressMode::kPlane);
           }}};
}

// A checkpoint of `bytes` and some more, and its file. Two steps differ in
// every tensor and in their sizes.
struct Sample {
  explicit Sample(uint64_t step, int64_t bytes = 9000) {
    const auto n = static_cast<int64_t>(step);
    state["step"] = n;
    state["a"] = RandomTensor(DType::kFloat32, {300}, 2 * step);
    state["b"]["c"] =
        RandomTensor(DType::kUInt8, {bytes + 1000 * n}, 2 * step + 1);
    file = FileOf(state);
    WriteOptions plane;
    plane.compress = CompressMode::kPlane;
    packed = FileOf(state, plane);
  }
  State state;
  std::string file;
  std::string packed;
};

// Whether `path` holds exactly this checkpoint, and Verify agrees.
inline bool HoldsWhole(const std::string& path, const Sample& sample) {
  const std::string content = Content(path);
  if (content != sample.file && content != sample.packed) return false;
  const auto report = VerifyFile(path);
  return report.has_value() && report->ok() && report->unread.empty();
}

// What is left of a save of one checkpoint over another.
enum class Left { kOld, kNew, kDamaged };

inline Left WhatIsLeft(const std::string& path, const Sample& before,
                       const Sample& after) {
  if (HoldsWhole(path, after)) return Left::kNew;
  if (HoldsWhole(path, before)) return Left::kOld;
  return Left::kDamaged;
}

// How often each came out.
struct Tally {
  int old = 0;
  int fresh = 0;
  int damaged = 0;

  void Add(Left left) {
    ++(left == Left::kOld ? old : left == Left::kNew ? fresh : damaged);
  }
  int points() const { return old + fresh + damaged; }
};

inline std::ostream& operator<<(std::ostream& os, const Tally& tally) {
  return os << tally.points() << " points: " << tally.old << " old, "
            << tally.fresh << " new, " << tally.damaged << " damaged";
}

// Whether the message of a failed save says that it did replace the target.
inline bool SaysInPlace(const Status& status) {
  return status.message().find("is in place") != std::string::npos;
}

}  // namespace caisson
