// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/save_facts.h"

#include <algorithm>
#include <cstring>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"

namespace caisson {

size_t SaveFacts::AddPiece(uint64_t stored_bytes) {
  pieces_.emplace_back();
  pieces_.back().stored_bytes = stored_bytes;
  head_bytes_.push_back(0);
  return pieces_.size() - 1;
}

size_t SaveFacts::AddPiece(const PieceFacts& facts) {
  pieces_.push_back(facts);
  head_bytes_.push_back(static_cast<uint8_t>(facts.head.size()));
  return pieces_.size() - 1;
}

void SaveFacts::AddChunk(size_t piece, const ChunkFacts& chunk,
                         uint64_t bytes) {
  PieceFacts& facts = pieces_[piece];
  facts.crc32 = Crc32Combine(facts.crc32, chunk.crc32, bytes);
  facts.stored_bytes += chunk.stored_bytes;
  facts.chunks.push_back(chunk);
}

size_t SaveFacts::AddUnit(std::span<const std::byte> unit) {
  units_.emplace_back(unit.begin(), unit.end());
  return units_.size() - 1;
}

size_t SaveFacts::AddDeferred(DeferredLiteral literal) {
  deferred_.push_back({std::move(literal), pieces_.size(), {}});
  return deferred_.size() - 1;
}

Status SaveFacts::Take(const WindowImage& window) {
  for (const WindowEvent& event : window.events) {
    const auto bytes = window.block.bytes().subspan(event.at, event.bytes);
    switch (event.kind) {
      case WindowEvent::Kind::kFill:
        Add(event.piece, window.places[event.place].fills[event.index].crc,
            bytes);
        break;
      case WindowEvent::Kind::kUnit:
        Add(event.piece, event.crc, units_[event.index]);
        break;
      case WindowEvent::Kind::kDeferred:
        CAISSON_RETURN_IF_ERROR(
            Fill(deferred_[event.index], event, window.offset, bytes));
        break;
      case WindowEvent::Kind::kStored: {
        PieceFacts& facts = pieces_[event.piece];
        facts.stored_crc32 = Crc32Combine(
            facts.stored_crc32, window.copies[event.index], bytes.size());
        AddHead(event.piece, bytes);
        break;
      }
    }
  }
  return Status::Ok();
}

void SaveFacts::Add(size_t piece, uint32_t crc,
                    std::span<const std::byte> bytes) {
  PieceFacts& facts = pieces_[piece];
  facts.crc32 = Crc32Combine(facts.crc32, crc, bytes.size());
  AddHead(piece, bytes);
}

void SaveFacts::AddHead(size_t piece, std::span<const std::byte> bytes) {
  PieceFacts& facts = pieces_[piece];
  uint8_t& have = head_bytes_[piece];
  const size_t taken = std::min(facts.head.size() - have, bytes.size());
  std::memcpy(facts.head.data() + have, bytes.data(), taken);
  have = static_cast<uint8_t>(have + taken);
}

Status SaveFacts::Fill(Deferred& deferred, const WindowEvent& event,
                       uint64_t window_offset, std::span<std::byte> dst) {
  if (event.from == 0) {
    deferred.content.resize(deferred.literal.bytes);
    const Facts known = {window_offset + event.at,
                         std::span(pieces_).first(deferred.pieces)};
    CAISSON_RETURN_IF_ERROR(deferred.literal.fill(known, deferred.content));
    deferred.literal.fill = nullptr;
  }
  const auto part =
      std::span(deferred.content).subspan(event.from, event.bytes);
  std::ranges::copy(part, dst.begin());
  if (event.from + event.bytes == deferred.content.size()) {
    std::vector<std::byte>().swap(deferred.content);
  }
  return Status::Ok();
}

}  // namespace caisson
