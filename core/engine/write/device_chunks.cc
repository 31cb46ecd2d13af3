// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/device_chunks.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Stored bytes go as they are, with the CRC that the archive wants of them.
Step StoredStep() {
  Step step;
  step.op = Op::kCopy;
  step.from = step.to = DType::kUInt8;
  step.crc_of = CrcOf::kStored;
  return step;
}

}  // namespace

Status DeviceChunks::Lay(const PieceSource::Encoder& by,
                         const TensorPiece& piece, size_t index,
                         ChunkIndex& chunks) {
  uint64_t left = piece.bytes;
  while (left > 0) {
    CAISSON_ASSIGN_OR_RETURN(const DeviceEncoder::Chunk chunk,
                             by.encoder->Next());
    if (chunk.decoded_bytes > left ||
        chunk.plane.type != PlaneTypeOf(piece.dtype)) {
      return Status::InvalidArgument("an encoded piece out of turn");
    }
    left -= chunk.decoded_bytes;
    decoded_bytes_ += chunk.decoded_bytes;
    chunks.Add(chunk.plane);
    facts_.AddChunk(index,
                    {static_cast<uint32_t>(PlaneStoredBytes(chunk.plane)),
                     chunk.plane.crc32},
                    chunk.decoded_bytes);
    CAISSON_RETURN_IF_ERROR(LayChunk(by.place, chunk, index));
    if (chunk.last) Flush();
  }
  return Status::Ok();
}

Status DeviceChunks::LayChunk(size_t place, const DeviceEncoder::Chunk& chunk,
                              size_t piece) {
  const std::byte* src = chunk.bytes;
  size_t left = PlaneStoredBytes(chunk.plane);
  while (left > 0) {
    CAISSON_ASSIGN_OR_RETURN(WindowImage* const window, windows_.current());
    uint32_t* crc = nullptr;
    Fill fill;
    fill.step = StoredStep();
    fill.src = src;
    fill.at = window->used;
    fill.bytes = TakePlace(*window, piece, left, &crc).size();
    fill.together = true;
    Run& run = RunIn(place, window, chunk.lease);
    run.fills->fills.push_back(fill);
    run.crcs.push_back(crc);
    src += fill.bytes;
    left -= fill.bytes;
  }
  return Status::Ok();
}

DeviceChunks::Run& DeviceChunks::RunIn(
    size_t place, WindowImage* window,
    const std::shared_ptr<const void>& lease) {
  if (run_ && (run_->place != place || run_->window != window ||
               run_->lease != lease)) {
    Flush();
  }
  if (!run_) {
    ++window->unfilled;
    run_.emplace(
        Run{place, window, &window->encoded.emplace_back(), {}, lease});
  }
  return *run_;
}

void DeviceChunks::Flush() {
  if (!run_) return;
  auto run = std::make_shared<Run>(std::move(*run_));
  run_.reset();
  source_.StagerAt(run->place)
      .Stage(run->window->block.bytes(), *run->fills,
             [run, done = windows_.done] {
               for (size_t i = 0; i < run->crcs.size(); ++i) {
                 *run->crcs[i] = run->fills->fills[i].crc;
               }
               run->lease.reset();
               done(run->window);
             });
}

}  // namespace caisson
