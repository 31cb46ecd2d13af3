// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/record_chunks.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"

namespace caisson {

RecordChunks::RecordChunks(ByteSource source, const Piece& piece,
                           CrcCheck check, std::string what)
    : source_(std::move(source)),
      piece_(piece),
      check_(check),
      what_(std::move(what)) {}

Result<size_t> RecordChunks::Next(std::span<std::byte> dst) {
  CAISSON_RETURN_IF_ERROR(first_error_);
  const uint64_t left = bytes() - position_;
  dst = dst.first(std::min<uint64_t>(dst.size(), left));
  first_error_ = Take(dst);
  CAISSON_RETURN_IF_ERROR(first_error_);
  return dst.size();
}

Status RecordChunks::Take(std::span<std::byte> dst) {
  if (dst.empty()) return Status::Ok();
  if (piece_.encoding == Encoding::kRaw) {
    CAISSON_RETURN_IF_ERROR(
        ReadPieceRange(source_, piece_, DType::kUInt8, position_, dst, what_));
    position_ += dst.size();
    if (check_ == CrcCheck::kOff) return Status::Ok();
    crc_ = Crc32(crc_, dst);
    if (position_ < bytes()) return Status::Ok();
    return CompareCrc(source_, piece_, crc_, what_);
  }
  if (decoded_ == nullptr) {
    decoded_.reset(new (std::nothrow) std::byte[bytes()]);
    if (decoded_ == nullptr) {
      return Status::OutOfMemory(what_ + ": " + std::to_string(bytes()) +
                                 " bytes");
    }
    CAISSON_RETURN_IF_ERROR(ReadPiece(source_, piece_, DType::kUInt8,
                                      {decoded_.get(), bytes()}, check_, what_)
                                .status());
  }
  std::memcpy(dst.data(), decoded_.get() + position_, dst.size());
  position_ += dst.size();
  return Status::Ok();
}

Status CompareCrc(const ByteSource& source, const Piece& piece, uint32_t crc,
                  const std::string& what) {
  if (!piece.crc32 || *piece.crc32 == crc) return Status::Ok();
  char text[64];
  std::snprintf(text, sizeof(text), "expected crc32 %08x, found %08x",
                *piece.crc32, crc);
  return source.Corrupt(piece.offset, what, text);
}

}  // namespace caisson
