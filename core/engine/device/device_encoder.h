// SPDX-License-Identifier: Apache-2.0
//
// Encodes pieces on the device that they are on, by the plane codec: batches of
// chunks, a launch each, one ahead of the one that is being taken. The encoded
// chunks stay on the device, so that the link sees what the file will have.
//
// Thread safety: one thread; leases may end on any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "caisson/memory.h"
#include "caisson/plane_chunk.h"
#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/device_order.h"
#include "core/engine/device/pinned_pages.h"
#include "core/formats/format.h"
#include "kernels/kernel_table.h"

namespace caisson {

class DeviceEncoder {
 public:
  // What one batch has at the most, once encoded and in chunks: more of them
  // than a device has multiprocessors. A device is asked for the memory
  // of two batches, and for 256 KiB of scratch for each chunk of one: 256 MiB
  // in all, for small saves less.
  static constexpr size_t kBatchBytes = size_t{64} << 20;
  static constexpr size_t kBatchChunks = 512;

  struct Chunk {
    const std::byte* bytes = nullptr;  // on the device: PlaneStoredBytes(plane)
    PlaneChunk plane;
    size_t decoded_bytes = 0;
    std::shared_ptr<const void> lease;  // while `bytes` are needed
    bool last = false;                  // of its batch
  };

  // For about `bytes` of pieces. What it reads comes after `order`.
  //
  // REQUIRES: runtime and kernels outlive this.
  // Errors: those of the runtime; kOutOfMemory if the device or the host has no
  // room for batches. But for kDevice, the device works on.
  static Result<std::unique_ptr<DeviceEncoder>> Create(
      DeviceRuntime& runtime, const KernelTable& kernels, Device device,
      DeviceOrder& order, uint64_t bytes);

  // Waits for the device. REQUIRES: all leases have ended.
  ~DeviceEncoder();

  DeviceEncoder(const DeviceEncoder&) = delete;
  DeviceEncoder& operator=(const DeviceEncoder&) = delete;

  // Adds a piece to those whose chunks will be asked for, in that order. Its
  // bytes are at `src` on the device until then.
  //
  // REQUIRES: it is to go through the plane codec, in native order, and is not
  // empty.
  void Announce(const TensorPiece& piece, const std::byte* src);

  // Whether nothing that was announced is left.
  bool empty() const { return begun_.empty() && pieces_.empty(); }

  // The next chunk. Waits for the device, and for the lease of a batch if all
  // have one. REQUIRES: !empty(). Errors: those of the runtime.
  Result<Chunk> Next();

 private:
  struct Piece {
    const std::byte* src;
    PlaneType type;
    uint64_t elems;  // left
  };
  struct Batch {
    DeviceBuffer encoded;
    PinnedPages facts;  // a PlaneChunk for each job
    OwnedEvent done;
    std::vector<PlaneEncodeJob> jobs;
    size_t taken = 0;  // of jobs; from the first on, the device has done all
  };

  DeviceEncoder(DeviceRuntime& runtime, const KernelTable& kernels)
      : runtime_(runtime), kernels_(kernels) {}

  Status Open(Device device, DeviceOrder& order, uint64_t bytes);
  Status Start();
  Status Launch(Batch& batch);
  Batch* FreeBatch();
  void Return(Batch* batch);

  DeviceRuntime& runtime_;
  const KernelTable& kernels_;
  OwnedStream stream_;
  DeviceBuffer scratch_;    // of the kernels; in the order of stream_
  size_t most_chunks_ = 0;  // of a batch
  std::deque<Piece> pieces_;
  std::mutex lock_;
  std::condition_variable returned_;
  std::vector<Batch*> free_;  // guarded by lock_
  std::vector<std::unique_ptr<Batch>> batches_;

  // In order; each with its lease, of which chunks get copies.
  struct Begun {
    Batch* batch;
    std::shared_ptr<const void> lease;
  };
  std::deque<Begun> begun_;
};

}  // namespace caisson
