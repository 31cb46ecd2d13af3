// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_order.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

bool HasDevice(const std::vector<OwnedEvent>& events, Device device) {
  return std::ranges::any_of(events, [&](const OwnedEvent& event) {
    return event.get().device == device;
  });
}

}  // namespace

Status DeviceOrder::Add(DeviceRuntime& runtime, const DeviceStream& stream,
                        std::vector<OwnedEvent>& events) {
  CAISSON_ASSIGN_OR_RETURN(OwnedEvent event,
                           OwnedEvent::Create(runtime, stream.device));
  CAISSON_RETURN_IF_ERROR(runtime.Record(event.get(), stream));
  events.push_back(std::move(event));
  return Status::Ok();
}

Result<DeviceOrder> DeviceOrder::Note(DeviceRuntime& runtime,
                                      std::span<const DeviceStream> streams) {
  DeviceOrder order;
  for (const DeviceStream& stream : streams) {
    CAISSON_RETURN_IF_ERROR(order.Add(runtime, stream, order.noted_));
  }
  return order;
}

Status DeviceOrder::Include(DeviceRuntime& runtime, Device device) {
  if (HasDevice(noted_, device) || HasDevice(defaults_, device)) {
    return Status::Ok();
  }
  return Add(runtime, {device, {}}, defaults_);
}

Status DeviceOrder::Precede(DeviceRuntime& runtime,
                            const DeviceStream& stream) {
  CAISSON_RETURN_IF_ERROR(Include(runtime, stream.device));
  for (const OwnedEvent& event : noted_) {
    CAISSON_RETURN_IF_ERROR(runtime.WaitFor(stream, event.get()));
  }
  for (const OwnedEvent& event : defaults_) {
    if (!(event.get().device == stream.device)) continue;
    CAISSON_RETURN_IF_ERROR(runtime.WaitFor(stream, event.get()));
  }
  return Status::Ok();
}

}  // namespace caisson
