// SPDX-License-Identifier: Apache-2.0
//
// A format of a test's own: a list of parts, the file that they must give,
// worked out by plain loops, and a stream of them that checks the facts it is
// handed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "core/engine/write/part_writer.h"
#include "core/formats/format.h"
#include "tests/engine/state_files.h"

namespace caisson {

inline constexpr ByteOrder kOtherOrder =
    kNativeOrder == ByteOrder::kLittle ? ByteOrder::kBig : ByteOrder::kLittle;

// What a deferred part writes: all that it knows, cut or repeated to `bytes`.
inline std::string Digest(const Facts& facts, uint64_t bytes) {
  std::string all = std::to_string(facts.cursor);
  const auto add = [&](uint64_t number) {
    all += ',';
    all += std::to_string(number);
  };
  for (const PieceFacts& piece : facts.pieces) {
    add(piece.crc32);
    add(piece.stored_bytes);
    for (const std::byte byte : piece.head)
      add(std::to_integer<uint64_t>(byte));
  }
  std::string text;
  while (text.size() < bytes) text += all;
  return text.substr(0, bytes);
}

class Script {
 public:
  void AddLiteral(uint64_t bytes, uint64_t seed) {
    Literal literal{RandomBytes(bytes, seed)};
    Append(literal.bytes);
    parts_.push_back(std::move(literal));
  }

  // The elements [first, first + elems) of a storage of random bytes.
  void AddPiece(DType dtype, ByteOrder order, uint64_t first, uint64_t elems,
                uint64_t seed) {
    TensorPiece piece = PieceOf(dtype, order, first, elems, seed);
    std::string stored(
        reinterpret_cast<const char*>(piece.storage->region.data) +
            piece.offset,
        piece.bytes);
    if (order != kNativeOrder) stored = Swapped(stored, SwapWidth(dtype));
    PieceFacts facts;
    facts.crc32 = Crc32(0, AsBytes(stored));
    facts.stored_bytes = stored.size();
    std::memcpy(facts.head.data(), stored.data(),
                std::min<size_t>(stored.size(), 8));
    facts_.push_back(facts);
    tensor_bytes_ += stored.size();
    Append(AsBytes(stored));
    parts_.push_back(std::move(piece));
  }

  void AddMeasure(DType dtype, uint64_t elems) {
    Measure measure{PieceOf(dtype, kNativeOrder, 0, elems, 1)};
    PieceFacts facts;
    facts.stored_bytes = measure.piece.bytes;
    facts_.push_back(facts);
    Append({});
    parts_.push_back(std::move(measure));
  }

  // Written last, with what is known then.
  void AddFrontBlock(uint64_t bytes) {
    FrontBlock front;
    front.bytes = bytes;
    front.fill = Filler();
    front_bytes_ = bytes;
    Append(std::vector<std::byte>(bytes));
    parts_.push_back(std::move(front));
  }

  void AddDeferred(uint64_t bytes) {
    Append(AsBytes(Digest({image_.size(), facts_}, bytes)));
    DeferredLiteral literal;
    literal.bytes = bytes;
    literal.fill = Filler();
    parts_.push_back(std::move(literal));
  }

  // A part that no file has: what becomes of it is the test's matter.
  void AddRaw(Part part) {
    Append({});
    parts_.push_back(std::move(part));
  }

  std::string Image() const {
    std::string image = image_;
    const std::string front = Digest({image.size(), facts_}, front_bytes_);
    return image.replace(0, front_bytes_, front);
  }

  uint64_t tensor_bytes() const { return tensor_bytes_; }

  // Gives the parts once; expects each at its offset.
  class Stream : public PartStream {
   public:
    explicit Stream(const Script& script) : script_(script) {}

    Result<std::optional<Part>> Next(const Facts& facts) override {
      if (next_ == script_.parts_.size()) return std::optional<Part>();
      EXPECT_EQ(facts.cursor, script_.offsets_[next_]) << "part " << next_;
      EXPECT_EQ(facts.pieces.size(), pieces_) << "part " << next_;
      const Part& part = script_.parts_[next_++];
      if (std::holds_alternative<TensorPiece>(part)) ++pieces_;
      if (std::holds_alternative<Measure>(part)) {
        ++pieces_;
        measured_ = true;
      } else if (std::exchange(measured_, false)) {
        EXPECT_EQ(facts.pieces.back().stored_bytes,
                  script_.facts_[facts.pieces.size() - 1].stored_bytes);
      }
      return std::optional<Part>(part);
    }

   private:
    const Script& script_;
    size_t next_ = 0;
    size_t pieces_ = 0;
    bool measured_ = false;  // the part before was a Measure
  };

 private:
  static TensorPiece PieceOf(DType dtype, ByteOrder order, uint64_t first,
                             uint64_t elems, uint64_t seed) {
    TensorPiece piece;
    piece.storage =
        RandomTensor(dtype, {static_cast<int64_t>(first + elems)}, seed)
            .storage;
    piece.offset = first * ByteWidth(dtype);
    piece.bytes = elems * ByteWidth(dtype);
    piece.dtype = dtype;
    piece.order = order;
    return piece;
  }

  static std::function<Status(const Facts&, std::span<std::byte>)> Filler() {
    return [](const Facts& facts, std::span<std::byte> dst) {
      const std::string text = Digest(facts, dst.size());
      std::ranges::copy(AsBytes(text), dst.begin());
      return Status::Ok();
    };
  }

  // The bytes of the part that is added to parts_ next.
  void Append(std::span<const std::byte> bytes) {
    offsets_.push_back(image_.size());
    image_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  std::vector<Part> parts_;
  std::vector<uint64_t> offsets_;  // of each part
  std::string image_;              // zeros where the front block goes
  std::vector<PieceFacts> facts_;
  uint64_t front_bytes_ = 0;
  uint64_t tensor_bytes_ = 0;
};

}  // namespace caisson
