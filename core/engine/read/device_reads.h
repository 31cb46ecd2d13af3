// SPDX-License-Identifier: Apache-2.0
//
// Works off read tasks into memory of devices: windows of the file are read
// into staging memory, many at a time, and brought from there to their device,
// which takes the CRC. No more of the file is in host memory than the pool has.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "caisson/report.h"
#include "core/engine/device/device_loader.h"
#include "core/engine/device/device_order.h"
#include "core/engine/machinery.h"
#include "core/engine/read/read_task.h"
#include "core/io/file.h"

namespace caisson {

class DeviceReads {
 public:
  // What is written comes after `streams`, and
  // after the default stream of each device that has none of them. All of it
  // must outlive this.
  DeviceReads(const Machinery& machinery, std::span<const DeviceStream> streams)
      : machinery_(machinery), streams_(streams) {}

  // As ReadExecutor::Run; each task is of a device. `direct`: the source's file
  // with direct I/O, null to read through the source. Bytes of storages that
  // are done are told to `done` on the calling thread.
  Status Run(const ByteSource& source, const File* direct,
             std::span<ReadTask> tasks, OnError on_error, LoadTimes& times,
             const std::function<void(uint64_t)>& done);

  // The loader of a device.
  Result<DeviceLoader*> LoaderOf(Device device);

  // Adds what was done.
  void AddTo(DeviceLoadReport& report) const;

 private:
  const Machinery& machinery_;
  const std::span<const DeviceStream> streams_;
  DeviceOrder order_;
  std::map<int, std::unique_ptr<DeviceLoader>> loaders_;  // by ordinal
  uint64_t bytes_ = 0;
};

}  // namespace caisson
