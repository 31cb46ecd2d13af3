// SPDX-License-Identifier: Apache-2.0
//
// Lays encoded pieces into windows: takes their chunks in order as EncodeAhead
// has them, gives each its place, and copies it there with the CRC of what is
// stored in the same pass, or, where there are many workers, has one do it.
// Those that a device encodes go another way: device_chunks.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/report.h"
#include "caisson/status.h"
#include "core/engine/codec/encode_ahead.h"
#include "core/engine/machinery.h"
#include "core/engine/write/device_chunks.h"
#include "core/engine/write/piece_source.h"
#include "core/engine/write/save_facts.h"
#include "core/engine/write/window_image.h"
#include "core/formats/format.h"

namespace caisson {

class ChunkLayer {
 public:
  // All of it must outlive this, and all copies be done before its end.
  ChunkLayer(const Machinery& machinery, const KernelTable& kernels,
             PieceSource& source, SaveFacts& facts, WindowFeed windows);

  // Says which pieces will come. Errors: kDevice.
  Status Announce(std::span<const TensorPiece> pieces);

  // Lays the piece. Errors: of a piece that others were announced before;
  // those of the windows; kDevice.
  Status Lay(const TensorPiece& piece);

  // Comes before a window is given away.
  void Flush() { device_chunks_.Flush(); }

  // What encoding took so far, of all threads of the host
  // together.
  double seconds() const { return seconds_; }

  // Adds what came from devices for it.
  void AddTo(DeviceSaveReport& report) const;

 private:
  // Gives back the slot when its last part was copied.
  struct Lease;

  Status LayFromHost(const TensorPiece& piece, size_t index,
                     ChunkIndex& chunks);
  Status LayChunk(EncodeAhead::Slot* slot, size_t piece);
  Status LayIndex(std::span<const std::byte> index, size_t piece);

  WorkerPool& workers_;
  PieceSource& source_;
  SaveFacts& facts_;
  const WindowFeed windows_;
  double seconds_ = 0;
  uint64_t fetched_bytes_ = 0;
  EncodeAhead ahead_;
  DeviceChunks device_chunks_;
};

}  // namespace caisson
