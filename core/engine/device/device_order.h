// SPDX-License-Identifier: Apache-2.0
//
// What a save or load waits for: the work that the streams of the caller had
// when it began.
//
// Thread safety: one thread at a time.
#pragma once

#include <span>
#include <vector>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"

namespace caisson {

class DeviceOrder {
 public:
  DeviceOrder() = default;  // waits for default streams only

  // Notes what the streams have now; they may be destroyed afterwards.
  //
  // Errors: those of the runtime; kUnavailable for a device that is not there.
  static Result<DeviceOrder> Note(DeviceRuntime& runtime,
                                  std::span<const DeviceStream> streams);

  // Notes the default stream of `device`, unless a stream of it was noted.
  Status Include(DeviceRuntime& runtime, Device device);

  // What is given to `stream` from now on comes after all streams that Note()
  // had, and after what Include() noted of the stream's own device, which is
  // done now if it was not.
  Status Precede(DeviceRuntime& runtime, const DeviceStream& stream);

 private:
  Status Add(DeviceRuntime& runtime, const DeviceStream& stream,
             std::vector<OwnedEvent>& events);

  std::vector<OwnedEvent> noted_;     // of streams
  std::vector<OwnedEvent> defaults_;  // of default streams
};

}  // namespace caisson
