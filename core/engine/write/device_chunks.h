// SPDX-License-Identifier: Apache-2.0
//
// Lays the chunks of pieces that devices encode. Those of one batch that lie in
// one window are brought there together, as soon as the window or the batch
// ends: a batch is free again without the window being full.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "caisson/status.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/engine/write/piece_source.h"
#include "core/engine/write/save_facts.h"
#include "core/engine/write/window_image.h"
#include "core/formats/format.h"

namespace caisson {

class DeviceChunks {
 public:
  // All of it must outlive this, and all windows be filled before its end.
  DeviceChunks(PieceSource& source, SaveFacts& facts, const WindowFeed& windows)
      : source_(source), facts_(facts), windows_(windows) {}

  // Lays the chunks of `piece`, which has the index `index` in facts. Adds them
  // to `chunks`. Errors: of a piece out of turn; those of the windows and of
  // the device.
  Status Lay(const PieceSource::Encoder& by, const TensorPiece& piece,
             size_t index, ChunkIndex& chunks);

  // Has brought what was laid. Comes before a window is given away.
  void Flush();

  uint64_t decoded_bytes() const { return decoded_bytes_; }

 private:
  // Chunks of one batch in one window.
  struct Run {
    size_t place;
    WindowImage* window;
    PlaceFills* fills;
    std::vector<uint32_t*> crcs;  // of fills
    std::shared_ptr<const void> lease;
  };

  Status LayChunk(size_t place, const DeviceEncoder::Chunk& chunk,
                  size_t piece);
  Run& RunIn(size_t place, WindowImage* window,
             const std::shared_ptr<const void>& lease);

  PieceSource& source_;
  SaveFacts& facts_;
  const WindowFeed& windows_;
  std::optional<Run> run_;
  uint64_t decoded_bytes_ = 0;
};

}  // namespace caisson
