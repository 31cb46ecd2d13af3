// SPDX-License-Identifier: Apache-2.0
//
// Writes the parts of a format into a file with everything at once: the caller
// lays parts into windows, workers copy tensor bytes into them, devices store
// those of theirs, and the queue writes windows that are full. The pool bounds
// what is in flight.
//
// Facts come of windows in file order: when the lowest window that is not done
// is filled, its CRCs are added up and its deferred literals made, and it goes
// to the queue. They depend on lower offsets only, so one window is enough to
// make progress.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "caisson/report.h"
#include "caisson/status.h"
#include "core/engine/device/device_stagers.h"
#include "core/engine/machinery.h"
#include "core/engine/write/part_writer.h"
#include "core/formats/format.h"
#include "core/io/file.h"

namespace caisson {

struct SaveHooks {
  // Looked at between windows: true ends the save with kCancelled.
  const std::atomic<bool>* cancelled = nullptr;

  // Called on the calling thread, once the last tensor byte is in a window.
  std::function<void()> staged;

  // The same, with the bytes in the file, after each window.
  std::function<void(uint64_t)> written;

  // How tensors of devices are read.
  DeviceSaveSetting devices;

  // If not null, what was read of devices is added to it, in any case.
  DeviceSaveReport* device_report = nullptr;
};

// Writes all of `parts` from offset 0, and gives the file its final size. Every
// transfer but that of a front block is aligned for direct I/O; where the file
// is in that mode it is not any more afterwards. Blocks; whatever the answer,
// nothing is in flight when it returns, on no device either. Adds to `stages`.
//
// REQUIRES: storages do not change before `staged`; the file is empty, or as
// long as it will be at the least.
// Errors: those of WriteParts() but that for devices; kUnavailable for one that
// is not there; kDevice; kCancelled.
Result<PartTotals> SaveParts(PartStream& parts, File& file,
                             const Machinery& machinery, const SaveHooks& hooks,
                             StageTimes* stages);

}  // namespace caisson
