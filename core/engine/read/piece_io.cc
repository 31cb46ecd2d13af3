// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/piece_io.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <memory>
#include <new>
#include <optional>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/piece_decoder.h"
#include "kernels/inflate_blocks.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// A block is read and then transformed while it still lies in L2.
constexpr size_t kBlockBytes = size_t{256} << 10;

// Streams that are longer are not read whole into memory where that can be
// helped.
constexpr uint64_t kLongBytes = uint64_t{4} << 20;

using HostBytes = std::unique_ptr<std::byte[]>;

// File-sized memory: a failure is an answer, not an exception.
Result<HostBytes> Allocate(uint64_t bytes, const std::string& what) {
  HostBytes memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr) {
    return Status::OutOfMemory(what + ": " + std::to_string(bytes) + " bytes");
  }
  return memory;
}

std::string Hex8(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", value);
  return text;
}

// Brings blocks into native order in place, or into another dtype elsewhere,
// and adds up their CRC.
class BlockFinisher {
 public:
  BlockFinisher(const Piece& piece, DType dtype, CrcCheck check)
      : piece_(piece),
        dtype_(dtype),
        compare_(check == CrcCheck::kOn && piece.crc32.has_value() &&
                 !ChecksItself(piece)),
        swap_(piece.order != kNativeOrder && SwapWidth(dtype) > 1) {
    step_.op = swap_ ? Op::kByteSwap : Op::kCopy;
    step_.from = step_.to = swap_ ? dtype : DType::kUInt8;
    step_.crc_of = CrcOf::kSource;
  }

  Status Finish(std::span<std::byte> block) {
    if (!compare_ && !swap_) return Status::Ok();
    return Run(step_, block, swap_ ? block.data() : nullptr, compare_);
  }

  // `dst` gets the elements of `block` as `to`. Swapped ones become native in
  // the block first.
  Status FinishAs(DType to, std::span<std::byte> block, std::byte* dst) {
    if (swap_) CAISSON_RETURN_IF_ERROR(Finish(block));
    const Step convert = {Op::kConvert, dtype_, to, CrcOf::kSource};
    return Run(convert, block, dst, compare_ && !swap_);
  }

  // Whether the CRC was compared.
  Result<bool> Compare(const ByteSource& source,
                       const std::string& what) const {
    if (!compare_) return ChecksItself(piece_);
    if (crc_ == *piece_.crc32) return true;
    return source.Corrupt(
        piece_.offset, what,
        "expected crc32 " + Hex8(*piece_.crc32) + ", found " + Hex8(crc_));
  }

 private:
  Status Run(const Step& step, std::span<const std::byte> block, std::byte* dst,
             bool sum) {
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                             KernelsFor(Device::Cpu()));
    uint32_t crc = 0;
    Job job;
    job.src = block.data();
    job.dst = dst;
    job.elems = block.size() / ByteWidth(step.from);
    job.crc = sum ? &crc : nullptr;
    CAISSON_RETURN_IF_ERROR(
        kernels->transform(step, std::span(&job, 1), {}, {}));
    if (sum) crc_ = Crc32Combine(crc_, crc, block.size());
    return Status::Ok();
  }

  const Piece& piece_;
  const DType dtype_;
  const bool compare_;
  const bool swap_;
  Step step_;
  uint32_t crc_ = 0;
};

// What is wrong with the bytes of a piece, with their place.
Status Placed(const ByteSource& source, const Piece& piece,
              const std::string& what, const Status& status) {
  if (status.code() != StatusCode::kCorrupt) return status;
  return source.Corrupt(piece.offset, what, status.message());
}

// A long stream of another writer, read in blocks.
Status InflateLong(const ByteSource& source, const Piece& piece,
                   std::span<std::byte> dst, const std::string& what) {
  CAISSON_ASSIGN_OR_RETURN(const HostBytes memory, Allocate(kBlockBytes, what));
  uint64_t at = 0;
  Status read;
  const auto next = [&]() -> Result<std::span<const std::byte>> {
    const std::span<std::byte> block(
        memory.get(), std::min<uint64_t>(kBlockBytes, piece.stored_bytes - at));
    read = source.ReadExact(piece.offset + at, block, what);
    CAISSON_RETURN_IF_ERROR(read);
    at += block.size();
    return std::span<const std::byte>(block);
  };
  const Status status = InflateBlocks(next, dst);
  return read.ok() ? Placed(source, piece, what, status) : read;
}

Status DecodeWhole(const ByteSource& source, const Piece& piece, DType dtype,
                   std::span<std::byte> dst, const std::string& what) {
  CAISSON_ASSIGN_OR_RETURN(const HostBytes stored,
                           Allocate(piece.stored_bytes, what));
  const std::span<std::byte> src(stored.get(), piece.stored_bytes);
  CAISSON_RETURN_IF_ERROR(source.ReadExact(piece.offset, src, what));
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  if (IsVarints(piece.encoding)) {
    const VarintDecodeJob job = {src, dst.data(), piece.elems};
    return Placed(source, piece, what,
                  kernels->decode_varints(dtype, std::span(&job, 1), {}));
  }
  return Placed(source, piece, what, DecodePiece(*kernels, piece, src, dst));
}

// All of an encoded piece. REQUIRES: it is not raw.
Status Decode(const ByteSource& source, const Piece& piece, DType dtype,
              std::span<std::byte> dst, const std::string& what) {
  if (!CanDecode(piece.encoding) && !IsVarints(piece.encoding)) {
    return Status::Unsupported(source.name() + ": " + what +
                               ": this build cannot decode its encoding");
  }
  const bool in_blocks = piece.encoding == Encoding::kDeflate && piece.ends &&
                         piece.stored_bytes > kLongBytes && CanInflateBlocks();
  return in_blocks ? InflateLong(source, piece, dst, what)
                   : DecodeWhole(source, piece, dtype, dst, what);
}

}  // namespace

std::string PieceName(const StorageLayout& storage, size_t i) {
  std::string name = "record '" + storage.record + "'";
  const Encoding encoding = storage.pieces[i].encoding;
  const bool chunk =
      encoding == Encoding::kPlane ||
      (encoding == Encoding::kDeflate && storage.pieces.size() > 1);
  if (chunk) name += ", chunk " + std::to_string(i);
  return name;
}

Result<bool> ReadPiece(const ByteSource& source, const Piece& piece,
                       DType dtype, std::span<std::byte> dst, CrcCheck check,
                       const std::string& what) {
  BlockFinisher finisher(piece, dtype, check);
  const bool raw = piece.encoding == Encoding::kRaw;
  if (!raw) CAISSON_RETURN_IF_ERROR(Decode(source, piece, dtype, dst, what));
  for (size_t at = 0; at < dst.size(); at += kBlockBytes) {
    const std::span<std::byte> block =
        dst.subspan(at, std::min(kBlockBytes, dst.size() - at));
    if (raw) {
      CAISSON_RETURN_IF_ERROR(source.ReadExact(piece.offset + at, block, what));
    }
    CAISSON_RETURN_IF_ERROR(finisher.Finish(block));
  }
  return finisher.Compare(source, what);
}

Result<bool> ReadPieceAs(const ByteSource& source, const Piece& piece,
                         DType from, DType to, std::span<std::byte> dst,
                         CrcCheck check, const std::string& what) {
  const bool raw = piece.encoding == Encoding::kRaw;
  const uint64_t bytes = dst.size() / ByteWidth(to) * ByteWidth(from);
  CAISSON_ASSIGN_OR_RETURN(
      const HostBytes memory,
      Allocate(raw ? std::min<uint64_t>(kBlockBytes, bytes) : bytes, what));
  if (!raw) {
    const std::span<std::byte> decoded(memory.get(), bytes);
    CAISSON_RETURN_IF_ERROR(Decode(source, piece, from, decoded, what));
  }
  BlockFinisher finisher(piece, from, check);
  std::byte* next = dst.data();
  for (uint64_t at = 0; at < bytes; at += kBlockBytes) {
    const std::span<std::byte> block(
        raw ? memory.get() : memory.get() + at,
        std::min<uint64_t>(kBlockBytes, bytes - at));
    if (raw) {
      CAISSON_RETURN_IF_ERROR(source.ReadExact(piece.offset + at, block, what));
    }
    CAISSON_RETURN_IF_ERROR(finisher.FinishAs(to, block, next));
    next += block.size() / ByteWidth(from) * ByteWidth(to);
  }
  return finisher.Compare(source, what);
}

Status ReadPieceRange(const ByteSource& source, const Piece& piece, DType dtype,
                      uint64_t offset, std::span<std::byte> dst,
                      const std::string& what) {
  assert(piece.encoding == Encoding::kRaw);
  BlockFinisher finisher(piece, dtype, CrcCheck::kOff);
  CAISSON_RETURN_IF_ERROR(source.ReadExact(piece.offset + offset, dst, what));
  return finisher.Finish(dst);
}

Result<bool> CheckPiece(const ByteSource& source, const Piece& piece,
                        DType dtype, const std::string& what) {
  const uint64_t bytes = piece.elems * std::max<size_t>(ByteWidth(dtype), 1);
  if (piece.encoding != Encoding::kRaw) {
    CAISSON_ASSIGN_OR_RETURN(const HostBytes decoded, Allocate(bytes, what));
    return ReadPiece(source, piece, dtype, {decoded.get(), bytes},
                     CrcCheck::kOn, what);
  }
  BlockFinisher finisher(piece, DType::kUInt8, CrcCheck::kOn);
  CAISSON_ASSIGN_OR_RETURN(
      const HostBytes scratch,
      Allocate(std::min<uint64_t>(kBlockBytes, bytes), what));
  for (uint64_t at = 0; at < bytes; at += kBlockBytes) {
    const std::span<std::byte> block(
        scratch.get(), std::min<uint64_t>(kBlockBytes, bytes - at));
    CAISSON_RETURN_IF_ERROR(source.ReadExact(piece.offset + at, block, what));
    CAISSON_RETURN_IF_ERROR(finisher.Finish(block));
  }
  return finisher.Compare(source, what);
}

}  // namespace caisson
