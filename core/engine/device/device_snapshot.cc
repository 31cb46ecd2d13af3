// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_snapshot.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Of the copies, as memory of devices is.
constexpr size_t kAlignment = 256;

size_t Rounded(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

// False too if the status is not OK.
bool DeviceSnapshot::Fits(DeviceRuntime& runtime, Device device,
                          const Share& share, Status* status) {
  const auto memory = runtime.MemoryOf(device);
  *status = memory.status();
  if (!memory) return false;
  const uint64_t left = std::min<uint64_t>(kLeftBytes, memory->total_bytes / 8);
  return memory->free_bytes >= left && share.bytes <= memory->free_bytes - left;
}

Status DeviceSnapshot::Copy(DeviceRuntime& runtime, Device device, Share& share,
                            DeviceOrder& order) {
  CAISSON_ASSIGN_OR_RETURN(
      share.memory, DeviceBuffer::Allocate(runtime, device, share.bytes));
  CAISSON_ASSIGN_OR_RETURN(share.stream, OwnedStream::Create(runtime, device));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime, share.stream.get()));
  size_t at = 0;
  for (const Storage* storage : share.storages) {
    const Region& from = storage->region;
    std::byte* const to = share.memory.data() + at;
    CAISSON_RETURN_IF_ERROR(
        runtime.Copy(to, from.data, from.bytes, share.stream.get()));
    regions_[storage] = {to, from.bytes, device};
    bytes_ += from.bytes;
    at += Rounded(from.bytes);
  }
  return Status::Ok();
}

void DeviceSnapshot::CopyHost(std::span<const Storage* const> storages) {
  size_t at = 0;
  for (const Storage* storage : storages) {
    const Region& from = storage->region;
    std::copy_n(from.data, from.bytes, host_.data() + at);
    regions_[storage] = {host_.data() + at, from.bytes, Device::Cpu()};
    at += Rounded(from.bytes);
  }
}

Result<DeviceSnapshot> DeviceSnapshot::Take(
    DeviceRuntime& runtime, std::span<const StorageHandle> storages,
    DeviceOrder& order, std::string* why_not) {
  DeviceSnapshot snapshot;
  std::vector<const Storage*> on_host;
  size_t host_bytes = 0;
  std::unordered_set<const Storage*> seen;
  for (const StorageHandle& storage : storages) {
    const Region& region = storage->region;
    if (region.bytes == 0 || !seen.insert(storage.get()).second) continue;
    if (region.device.is_cpu()) {
      on_host.push_back(storage.get());
      host_bytes += Rounded(region.bytes);
      continue;
    }
    Share& share = snapshot.shares_[region.device.ordinal];
    share.storages.push_back(storage.get());
    share.bytes += Rounded(region.bytes);
  }
  const auto none = [&](std::string reason) {
    *why_not = std::move(reason);
    return DeviceSnapshot();
  };
  if (host_bytes > kMaxHostBytes) {
    return none(std::to_string(host_bytes) + " bytes are in host memory");
  }
  for (const auto& [ordinal, share] : snapshot.shares_) {
    Status status;
    const Device device = Device::Cuda(ordinal);
    if (Fits(runtime, device, share, &status)) continue;
    CAISSON_RETURN_IF_ERROR(status);
    return none("too little free memory on " + Name(device) + " for " +
                std::to_string(share.bytes) + " bytes");
  }
  if (host_bytes > 0) {
    auto host = Buffer::Allocate(host_bytes);
    if (!host) return none(host.error().ToString());
    snapshot.host_ = std::move(*host);
    snapshot.CopyHost(on_host);
  }
  Status status;
  for (auto& [ordinal, share] : snapshot.shares_) {
    status = snapshot.Copy(runtime, Device::Cuda(ordinal), share, order);
    if (!status.ok()) break;
  }
  // Whatever became of it: nothing reads the storages from now on.
  for (auto& [ordinal, share] : snapshot.shares_) {
    if (!share.stream) continue;
    const Status waited = runtime.Synchronize(share.stream.get());
    if (status.ok()) status = waited;
  }
  if (status.code() == StatusCode::kOutOfMemory) return none(status.ToString());
  CAISSON_RETURN_IF_ERROR(status);
  return snapshot;
}

Region DeviceSnapshot::Find(const Storage& storage) const {
  const auto found = regions_.find(&storage);
  return found == regions_.end() ? storage.region : found->second;
}

}  // namespace caisson
