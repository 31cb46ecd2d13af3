// SPDX-License-Identifier: Apache-2.0
//
// The stagers of one save: one for each device that it reads, made when the
// first byte of it is laid out.
//
// Thread safety: one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caisson/report.h"
#include "core/engine/device/device_encoder.h"
#include "core/engine/device/device_order.h"
#include "core/engine/device/device_snapshot.h"
#include "core/engine/device/device_stager.h"
#include "core/engine/machinery.h"

namespace caisson {

// What a save is told about devices.
struct DeviceSaveSetting {
  DeviceOrder* order = nullptr;              // null: default streams
  double bytes_per_second = 0;               // of each device; 0: no limit
  const DeviceSnapshot* snapshot = nullptr;  // null: none
};

class DeviceStagers {
 public:
  // REQUIRES: all of it outlives this.
  // `cancelled` may be null.
  DeviceStagers(const Machinery& machinery, const DeviceSaveSetting& setting,
                const KernelTable& host_kernels,
                const std::atomic<bool>* cancelled)
      : machinery_(machinery),
        setting_(setting),
        host_kernels_(host_kernels),
        cancelled_(cancelled) {}

  // The place of `device` in windows, from 1.
  //
  // Errors: kUnavailable, naming the device, without a runtime for it; those
  // of DeviceStager::Create.
  Result<size_t> PlaceOf(Device device);

  DeviceStager& At(size_t place) { return *stagers_[place - 1].stager; }

  // What encodes on the device of a place. Made by the first call, for about
  // `bytes`; null where that failed, as it does without memory: NoEncoder()
  // says why. Errors: those of Devices.
  Result<DeviceEncoder*> EncoderAt(size_t place, uint64_t bytes);
  const std::string& NoEncoder(size_t place) const {
    return stagers_[place - 1].no_encoder;
  }

  // From now on what was not begun is not done.
  void Stop() { stopped_ = true; }

  void AddTo(DeviceSaveReport& report) const;

 private:
  struct Entry {
    Device device;
    std::unique_ptr<DeviceEncoder> encoder;
    std::string no_encoder;
    std::unique_ptr<DeviceStager> stager;  // ends first: it reads what the
                                           // other made
  };

  DeviceOrder& order() {
    return setting_.order == nullptr ? own_order_ : *setting_.order;
  }

  const Machinery& machinery_;
  const DeviceSaveSetting& setting_;
  const KernelTable& host_kernels_;
  const std::atomic<bool>* const cancelled_;
  DeviceOrder own_order_;
  std::atomic<bool> stopped_{false};
  std::vector<Entry> stagers_;
};

// What says that no tensor of `device` can be saved; OK if one can.
Status CheckDevice(Devices& devices, Device device);

}  // namespace caisson
