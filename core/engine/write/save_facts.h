// SPDX-License-Identifier: Apache-2.0
//
// What is known of the pieces of a file that is being written, and the bytes
// that are made when it is known. Windows give it in file order.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "caisson/status.h"
#include "core/engine/write/window_image.h"
#include "core/formats/format.h"

namespace caisson {

class SaveFacts {
 public:
  // Returns the index of the piece.
  size_t AddPiece(uint64_t stored_bytes);

  // The same of one whose bytes were laid as literals.
  size_t AddPiece(const PieceFacts& facts);

  // A chunk of an encoded piece, which has `bytes` before encoding.
  void AddChunk(size_t piece, const ChunkFacts& chunk, uint64_t bytes);

  // More that an encoded piece takes.
  void AddStored(size_t piece, uint64_t bytes) {
    pieces_[piece].stored_bytes += bytes;
  }

  // An element that lies in two windows. Returns its index.
  size_t AddUnit(std::span<const std::byte> unit);

  // Comes after the pieces that were added so far. Returns its index.
  size_t AddDeferred(DeferredLiteral literal);

  std::span<const PieceFacts> pieces() const { return pieces_; }

  // Adds what a window tells, and makes what was deferred until that was
  // known. REQUIRES: it is filled, and all windows before it were taken.
  // Errors: those of the format.
  Status Take(const WindowImage& window);

 private:
  // Bytes that are made when their turn comes.
  struct Deferred {
    DeferredLiteral literal;
    size_t pieces;                   // that came before it
    std::vector<std::byte> content;  // empty before that, and when it is laid
  };

  void Add(size_t piece, uint32_t crc, std::span<const std::byte> bytes);
  void AddHead(size_t piece, std::span<const std::byte> bytes);
  Status Fill(Deferred& deferred, const WindowEvent& event,
              uint64_t window_offset, std::span<std::byte> dst);

  std::vector<PieceFacts> pieces_;
  std::vector<uint8_t> head_bytes_;  // that pieces_ have, parallel to them
  std::vector<std::vector<std::byte>> units_;
  std::deque<Deferred> deferred_;
};

}  // namespace caisson
