// SPDX-License-Identifier: Apache-2.0
//
// How a format hands a file to the engine that writes it: as parts, in file
// order, each pulled when the engine gets there.
//
// A format moves no tensor byte. It learns offsets, CRCs and stored sizes
// from the Facts, and never about a higher offset than the part it gives, so
// that one staging window is enough to make progress.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/formats/layout.h"

namespace caisson {

// What is known of a chunk of an encoded piece.
struct ChunkFacts {
  uint32_t stored_bytes = 0;
  uint32_t crc32 = 0;  // before encoding
};

// What is known of a piece once its last byte was produced.
struct PieceFacts {
  uint32_t crc32 = 0;  // of the bytes as the file wants them, before encoding
  uint64_t stored_bytes = 0;
  uint32_t stored_crc32 = 0;        // of an encoded piece: of its stored bytes
  std::vector<ChunkFacts> chunks;   // of an encoded piece
  std::array<std::byte, 8> head{};  // the first stored bytes; zeros past them
};

// What is known when a part is asked for.
struct Facts {
  uint64_t cursor = 0;  // the offset at which the part will lie
  // Of every TensorPiece and Measure given so far, in that order. The entry
  // of a TensorPiece is final only inside DeferredLiteral::fill, but for its
  // stored_bytes; that of a Measure at once.
  std::span<const PieceFacts> pieces;
};

// Bytes that are known now.
struct Literal {
  std::vector<std::byte> bytes;
};

// A run of a storage, as it lies in memory or encoded.
struct TensorPiece {
  StorageHandle storage;
  uint64_t offset = 0;  // of the first byte in the storage
  uint64_t bytes = 0;   // before encoding
  DType dtype = DType::kUInt8;
  Encoding encoding = Encoding::kRaw;
  ByteOrder order = ByteOrder::kLittle;  // wanted in the file

  // Whether the storage's memory is for this piece alone, and is free for
  // something else as soon as nobody holds the handle.
  bool held = false;
};

// Asks for the stored size of a piece; nothing is stored.
struct Measure {
  TensorPiece piece;
};

// Bytes at the front of the file whose content depends on all that follows.
// Fixed in size, kept outside the windows and written last. REQUIRES: the
// first part.
struct FrontBlock {
  uint64_t bytes = 0;
  std::function<Status(const Facts&, std::span<std::byte>)> fill;
};

// Bytes whose number is known now, and whose content once every piece at a
// lower offset has its facts.
struct DeferredLiteral {
  uint64_t bytes = 0;
  std::function<Status(const Facts&, std::span<std::byte>)> fill;
};

using Part =
    std::variant<Literal, TensorPiece, Measure, FrontBlock, DeferredLiteral>;

// One file being laid out. Used by one thread; must outlive the write.
class PartStream {
 public:
  virtual ~PartStream() = default;

  // The next part, or none at the end of the file.
  virtual Result<std::optional<Part>> Next(const Facts& facts) = 0;

  // The encoded TensorPieces that Next() will give, in that order, so that they
  // can be encoded before it is their turn. Asked for before the first Next().
  virtual std::vector<TensorPiece> EncodedPieces() const { return {}; }

  // At least the bytes of the file, so that space can be reserved; 0 if that
  // is not known.
  virtual uint64_t BytesBound() const { return 0; }
};

// Gives a parser the content of a record, decoded: a format is pure and has
// no kernels of its own.
class RecordSource {
 public:
  virtual ~RecordSource() = default;

  // The bytes of `piece`, checked against its CRC if it has one. `what` names
  // it in messages. kCorrupt if they are damaged; kOutOfMemory.
  virtual Result<std::vector<std::byte>> Fetch(const Piece& piece,
                                               const std::string& what) = 0;
};

}  // namespace caisson
