// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/encode_ahead.h"

#include <cassert>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/stopwatch.h"

namespace caisson {
namespace {

// A slot for each worker that encodes, and one for its chunk that waits to be
// laid or copied.
constexpr size_t kSlotsPerThread = 2;

bool Same(const TensorPiece& a, const TensorPiece& b) {
  return a.storage == b.storage && a.offset == b.offset && a.bytes == b.bytes &&
         a.dtype == b.dtype && a.encoding == b.encoding && a.order == b.order;
}

}  // namespace

EncodeAhead::EncodeAhead(
    WorkerPool& workers, const KernelTable& kernels,
    std::function<const std::byte*(const TensorPiece&)> in_host,
    FetchBytes fetch)
    : workers_(workers),
      kernels_(kernels),
      in_host_(std::move(in_host)),
      fetch_(std::move(fetch)),
      most_slots_(kSlotsPerThread * workers.threads()) {}

EncodeAhead::~EncodeAhead() {
  std::unique_lock hold(lock_);
  some_.wait(hold, [this] { return running_ == 0; });
}

void EncodeAhead::Announce(const TensorPiece& piece) {
  pieces_.push_back(std::make_shared<PieceEncoder>(piece, kernels_));
}

bool EncodeAhead::IsNext(const TensorPiece& piece) const {
  return !pieces_.empty() && Same(pieces_.front()->piece(), piece);
}

EncodeAhead::Slot* EncodeAhead::FreeSlot() {
  const std::lock_guard hold(lock_);
  if (!free_.empty()) {
    Slot* const slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (slots_.size() == most_slots_) return nullptr;
  slots_.push_back(std::make_unique<Slot>());
  return slots_.back().get();
}

// Begins as many chunks as there are slots for.
void EncodeAhead::Start() {
  while (next_piece_ < pieces_.size()) {
    const std::shared_ptr<const PieceEncoder> encoder = pieces_[next_piece_];
    if (next_chunk_ == encoder->chunks()) {
      ++next_piece_;
      next_chunk_ = 0;
      continue;
    }
    Slot* const slot = FreeSlot();
    if (slot == nullptr) return;
    const size_t i = next_chunk_++;
    slot->done = false;
    slot->status = Status::Ok();
    begun_.push_back(slot);
    const TensorPiece& piece = encoder->piece();
    const size_t bytes = encoder->ChunkBytes(i);
    slot->decoded_bytes = bytes;
    const std::byte* src = in_host_(piece);
    if (src != nullptr) {
      src += encoder->ChunkOffset(i);
    } else {
      slot->status = Grow(slot->room.source, bytes);
      if (slot->status.ok()) {
        slot->status = fetch_(piece, encoder->ChunkOffset(i),
                              slot->room.source.bytes().first(bytes));
      }
      src = slot->room.source.data();
    }
    {
      const std::lock_guard hold(lock_);
      ++running_;
    }
    workers_.Run([this, slot, encoder, i, src, bytes] {
      const Stopwatch watch;
      if (slot->status.ok()) {
        slot->status =
            encoder->Encode(i, {src, bytes}, slot->room, &slot->chunk);
      }
      slot->seconds = watch.seconds();
      // Under the lock: who waits may destroy this object.
      const std::lock_guard hold(lock_);
      slot->done = true;
      --running_;
      some_.notify_all();
    });
  }
}

Result<EncodeAhead::Slot*> EncodeAhead::Next() {
  Start();
  while (begun_.empty()) {  // all slots are being copied from
    {
      std::unique_lock hold(lock_);
      some_.wait(hold, [this] { return !free_.empty(); });
    }
    Start();
  }
  Slot* const slot = begun_.front();
  begun_.pop_front();
  {
    std::unique_lock hold(lock_);
    some_.wait(hold, [slot] { return slot->done; });
  }
  if (++taken_ == pieces_.front()->chunks()) {
    pieces_.pop_front();
    taken_ = 0;
    // All of its chunks were begun; Start() may not have passed it yet.
    if (next_piece_ > 0) {
      --next_piece_;
    } else {
      next_chunk_ = 0;
    }
  }
  if (!slot->status.ok()) {
    const Status status = slot->status;
    Return(slot);
    return status;
  }
  return slot;
}

void EncodeAhead::Return(Slot* slot) {
  // Under the lock: who waits may destroy this object.
  const std::lock_guard hold(lock_);
  free_.push_back(slot);
  some_.notify_all();
}

}  // namespace caisson
