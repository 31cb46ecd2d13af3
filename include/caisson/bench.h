// SPDX-License-Identifier: Apache-2.0
//
// How fast this machine saves and loads, beside what it could do at best: each
// stage has a ceiling that is measured in the same run, in turns with it.
//
// Data is random weights, N(0, 0.02), files are fresh each time, memory was
// touched before unless the name says otherwise, and what is read is not in the
// page cache. A rate is in GB/s, 10^9 bytes a second, and the median over the
// rounds. Another program that uses the disk or the cores shows in all of it.
//
// Ceilings:
//   memcpy             by as many threads as an Engine uses
//   memcpy_one_thread
//   memcpy_async       by as many threads as an asynchronous save uses
//   memory_read_one_thread
//   first_touch        of memory that the process has just been given, by as
//                      many threads as an Engine uses
//   raw_write          the bytes of one file through the Engine's kind of
//                      queue, depth and window, with no work in between, and
//                      fsync at the end; direct where the file system can
//   raw_read           the same file, cold
//
// Stages:
//   save               Engine::Save, fsynced
//   load               Engine::LoadInto, cold
//   load_fresh         Engine::Load, cold, into memory that is new; where that
//                      comes slowly, as on many virtual machines, see
//                      first_touch
//   verify             Engine::Verify, cold
//   save_plane         Engine::Save with CompressMode::kPlane, fsynced; its
//                      rate is of the bytes before, and may be above that of
//                      the disk
//   load_plane         Engine::LoadInto of that file, cold; likewise
//   crc32              Crc32 on one thread
//   copy_crc32         Crc32Copy on one thread; beats a memcpy that does not
//                      go past the caches
//   save_async_staged  Engine::SaveAsync until Ticket::Staged(), with a pool
//                      that holds the state, second save on
//
// Thread safety: all functions may be called on many threads at once, which
// then disturb each other's numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/engine.h"
#include "caisson/status.h"

namespace caisson {

inline constexpr size_t kFewestRounds = 3;

struct MeasureOptions {
  // Where files are written, with names of their own. Nothing stays.
  std::string directory = ".";

  // The size of the state: at least a window of `engine`. Takes three times as
  // much memory, and twice as much space in the directory.
  uint64_t bytes = uint64_t{2} << 30;

  // Of bfloat16 weights alone. Default: of weights and Adam's moments, a fifth
  // bfloat16 and the rest float32, as the state of a training is.
  bool weights = false;

  // How often each is measured: at least kFewestRounds.
  size_t rounds = 5;

  EngineOptions engine;

  // Called before each measurement, from the calling thread, with what is
  // measured next and the bytes that are moved before it and in all.
  std::function<void(std::string_view what, const Progress&)> progress = {};
};

// What was measured in some rounds.
struct MeasuredRate {
  double gbps = 0;  // the median
  double low = 0;   // the slowest round
  double high = 0;  // the fastest
};

struct CeilingRate {
  std::string name;
  MeasuredRate rate;
};

struct MachineReport {
  std::string io;  // of the directory: "threads, direct"
  size_t threads = 0;
  size_t async_threads = 0;
  std::vector<CeilingRate> ceilings;
};

// Where the time of a stage went, as StageTimes and LoadTimes have it.
struct NamedSeconds {
  std::string name;  // "total", "copy", "transfer", "wait_disk", ...
  double seconds = 0;
};

struct StageRate {
  std::string name;
  MeasuredRate rate;

  // The slowest of those that the stage cannot beat.
  std::string ceiling;
  double ceiling_gbps = 0;

  // The rate by that of the ceiling, the median over the rounds.
  double fraction = 0;

  // Of stages by Engine, each the median over the rounds, hence not of one
  // round; "total" is that of the call. Empty for the others.
  std::vector<NamedSeconds> times;

  // Which way the bytes went, as SaveReport::io and LoadReport::io have it.
  // Empty for stages without a file.
  std::string io;
};

struct StagesReport {
  MachineReport machine;  // measured in turns with the stages
  std::vector<StageRate> stages;
};

// The ceilings alone.
//
// Errors, here and below: kInvalidArgument for options that make no sense;
// kNotFound if there is no such directory; kOutOfMemory; kIo; those of Engine.
Result<MachineReport> MeasureMachine(const MeasureOptions& options = {});

// The stages, and the ceilings that they need.
Result<StagesReport> MeasureStages(const MeasureOptions& options = {});

}  // namespace caisson
