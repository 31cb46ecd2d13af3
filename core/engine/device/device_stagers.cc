// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_stagers.h"

#include <utility>

#include "core/base/status_macros.h"

namespace caisson {

Status CheckDevice(Devices& devices, Device device) {
  const std::string what = "a storage on " + Name(device);
  CAISSON_RETURN_IF_ERROR(devices.Runtime().status().WithContext(what));
  return devices.Kernels(device).status().WithContext(what);
}

Result<size_t> DeviceStagers::PlaceOf(Device device) {
  for (size_t i = 0; i < stagers_.size(); ++i) {
    if (stagers_[i].device == device) return i + 1;
  }
  CAISSON_RETURN_IF_ERROR(CheckDevice(machinery_.devices, device));
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime,
                           machinery_.devices.Runtime());
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           machinery_.devices.Kernels(device));
  const DeviceStager::Setting setting = {
      {*runtime, *kernels, host_kernels_, machinery_.workers,
       machinery_.pinned},
      setting_.bytes_per_second,
      [this] { return stopped_ || (cancelled_ != nullptr && *cancelled_); }};
  CAISSON_ASSIGN_OR_RETURN(auto stager,
                           DeviceStager::Create(setting, device, order()));
  stagers_.push_back({device, nullptr, {}, std::move(stager)});
  return stagers_.size();
}

Result<DeviceEncoder*> DeviceStagers::EncoderAt(size_t place, uint64_t bytes) {
  Entry& entry = stagers_[place - 1];
  if (entry.encoder != nullptr || !entry.no_encoder.empty()) {
    return entry.encoder.get();
  }
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime,
                           machinery_.devices.Runtime());
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           machinery_.devices.Kernels(entry.device));
  auto made =
      DeviceEncoder::Create(*runtime, *kernels, entry.device, order(), bytes);
  // If the device is lost, what the host does instead fails too.
  if (!made.has_value()) {
    entry.no_encoder = made.error().ToString();
    return nullptr;
  }
  entry.encoder = std::move(*made);
  return entry.encoder.get();
}

void DeviceStagers::AddTo(DeviceSaveReport& report) const {
  if (stagers_.empty()) return;
  for (const Entry& entry : stagers_) entry.stager->AddTo(report);
  if (machinery_.pinned == nullptr) return;
  const PinnedWindows::Report pinned = machinery_.pinned->report();
  report.pinned_bytes = pinned.bytes;
  report.pin_seconds = pinned.seconds;
  report.pin_problem = pinned.problem;
}

}  // namespace caisson
