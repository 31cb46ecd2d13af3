// SPDX-License-Identifier: Apache-2.0
//
// A copy of the storages of a state in the memory of their own devices, so
// that a training may go on before the bytes have crossed the link. What is in
// host memory, as the step counters of an optimizer are, is copied there.
//
// Thread safety: const functions, any thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "caisson/tensor.h"
#include "core/device/buffer.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/device_order.h"

namespace caisson {

class DeviceSnapshot {
 public:
  // More than this in host memory is not copied there a second time.
  static constexpr size_t kMaxHostBytes = size_t{64} << 20;

  // What stays free on a device, for who works on it meanwhile.
  static constexpr size_t kLeftBytes = size_t{256} << 20;

  // Copies storages, after `order`, and waits for that. Empty, with the reason
  // in `*why_not`, if there is too little memory.
  //
  // Errors: kDevice and whatever else the runtime says but kOutOfMemory.
  static Result<DeviceSnapshot> Take(DeviceRuntime& runtime,
                                     std::span<const StorageHandle> storages,
                                     DeviceOrder& order, std::string* why_not);

  bool empty() const { return regions_.empty(); }

  uint64_t bytes() const { return bytes_; }  // on devices

  // The copy of a storage, or the storage's own memory.
  Region Find(const Storage& storage) const;

 private:
  struct Share {
    std::vector<const Storage*> storages;
    size_t bytes = 0;
    DeviceBuffer memory;
    OwnedStream stream;
  };

  static bool Fits(DeviceRuntime& runtime, Device device, const Share& share,
                   Status* status);
  Status Copy(DeviceRuntime& runtime, Device device, Share& share,
              DeviceOrder& order);
  void CopyHost(std::span<const Storage* const> storages);

  std::map<int, Share> shares_;  // by ordinal
  Buffer host_;
  std::unordered_map<const Storage*, Region> regions_;
  uint64_t bytes_ = 0;
};

}  // namespace caisson
