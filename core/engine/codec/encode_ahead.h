// SPDX-License-Identifier: Apache-2.0
//
// Encodes the chunks of a file's pieces on workers, some ahead of the one that
// is laid next. What they take is bounded, however many there are.
//
// Thread safety: one thread, but for EncodeSlot::Return().
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "caisson/status.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/engine/worker_pool.h"
#include "core/formats/format.h"

namespace caisson {

// Gets bytes of a storage that is on a device.
using FetchBytes = std::function<Status(
    const TensorPiece& piece, uint64_t offset, std::span<std::byte> dst)>;

class EncodeAhead {
 public:
  struct Slot {
    EncodeRoom room;
    EncodedChunk chunk;
    size_t decoded_bytes = 0;
    double seconds = 0;  // that it took
    Status status;
    bool done = false;  // guarded by lock_
  };

  // Everything must outlive this. `in_host` is where the bytes of a piece are
  // in memory of the host; null if `fetch` has to get them.
  EncodeAhead(WorkerPool& workers, const KernelTable& kernels,
              std::function<const std::byte*(const TensorPiece&)> in_host,
              FetchBytes fetch);

  // Waits for what is being encoded. REQUIRES: every slot was given back.
  ~EncodeAhead();

  EncodeAhead(const EncodeAhead&) = delete;
  EncodeAhead& operator=(const EncodeAhead&) = delete;

  // Adds a piece to those whose chunks will be asked for.
  void Announce(const TensorPiece& piece);

  // Whether no piece is left.
  bool empty() const { return pieces_.empty(); }

  // Whether `piece` is the one whose chunks come next.
  bool IsNext(const TensorPiece& piece) const;

  // The next chunk, once it is encoded; its slot goes back with Return().
  // REQUIRES: one is left.
  Result<Slot*> Next();

  // Any thread.
  void Return(Slot* slot);

 private:
  Slot* FreeSlot();
  void Start();

  WorkerPool& workers_;
  const KernelTable& kernels_;
  const std::function<const std::byte*(const TensorPiece&)> in_host_;
  const FetchBytes fetch_;
  const size_t most_slots_;

  std::deque<std::shared_ptr<const PieceEncoder>> pieces_;  // from the next on
  size_t next_piece_ = 0;    // to be begun, in pieces_
  size_t next_chunk_ = 0;    // of it
  size_t taken_ = 0;         // chunks of pieces_.front()
  std::deque<Slot*> begun_;  // in order

  std::mutex lock_;
  std::condition_variable some_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_;  // guarded by lock_
  size_t running_ = 0;       // guarded by lock_
};

}  // namespace caisson
