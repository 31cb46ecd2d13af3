// SPDX-License-Identifier: Apache-2.0
//
// What saves and loads work with. All of it is kept by the engine, and may be
// used by several of them at once.
#pragma once

#include "core/device/staging_pool.h"
#include "core/engine/device/devices.h"
#include "core/engine/device/pinned_windows.h"
#include "core/engine/worker_pool.h"
#include "core/io/io_queue.h"

namespace caisson {

struct Machinery {
  StagingPool& pool;
  WorkerPool& workers;
  IoQueue& queue;
  Devices& devices = Devices::OfMachine();
  PinnedWindows* pinned = nullptr;  // of the pool; null: none is
};

}  // namespace caisson
