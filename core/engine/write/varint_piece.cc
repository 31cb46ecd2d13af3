// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/varint_piece.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

constexpr size_t kBlockElems = size_t{1} << 16;
constexpr size_t kMaxVarintBytes = 10;

// Calls `work` with the elements of the piece, block by block.
template <class Function>
Status ForEachBlock(const TensorPiece& piece, const PieceBytes& source,
                    const Function& work) {
  const size_t block = kBlockElems * ByteWidth(piece.dtype);
  for (uint64_t at = 0; at < piece.bytes; at += block) {
    CAISSON_ASSIGN_OR_RETURN(
        const std::span<const std::byte> elems,
        source(at, std::min<uint64_t>(block, piece.bytes - at)));
    CAISSON_RETURN_IF_ERROR(work(elems));
  }
  return Status::Ok();
}

}  // namespace

Result<uint64_t> MeasureVarints(const KernelTable& kernels,
                                const TensorPiece& piece,
                                const PieceBytes& source) {
  uint64_t bytes = 0;
  CAISSON_RETURN_IF_ERROR(
      ForEachBlock(piece, source, [&](std::span<const std::byte> elems) {
        size_t stored = 0;
        const VarintEncodeJob job = {
            elems.data(), elems.size() / ByteWidth(piece.dtype), {}, &stored};
        const Status status =
            kernels.encode_varints(piece.dtype, std::span(&job, 1), {});
        bytes += stored;
        return status;
      }));
  return bytes;
}

Result<PieceFacts> EncodeVarints(
    const KernelTable& kernels, const TensorPiece& piece,
    const PieceBytes& source,
    const std::function<Status(std::span<const std::byte>)>& put) {
  PieceFacts facts;
  std::vector<std::byte> scratch(kMaxVarintBytes *
                                 std::min<uint64_t>(kBlockElems, piece.bytes));
  const Status encoded =
      ForEachBlock(piece, source, [&](std::span<const std::byte> elems) {
        size_t stored = 0;
        const VarintEncodeJob job = {elems.data(),
                                     elems.size() / ByteWidth(piece.dtype),
                                     scratch, &stored};
        CAISSON_RETURN_IF_ERROR(
            kernels.encode_varints(piece.dtype, std::span(&job, 1), {}));
        const auto bytes = std::span(scratch).first(stored);
        facts.crc32 = Crc32(facts.crc32, bytes);
        if (facts.stored_bytes < facts.head.size()) {
          const size_t have = static_cast<size_t>(facts.stored_bytes);
          std::memcpy(facts.head.data() + have, bytes.data(),
                      std::min(facts.head.size() - have, bytes.size()));
        }
        facts.stored_bytes += stored;
        return put(bytes);
      });
  if (!encoded.ok()) return encoded;
  return facts;
}

}  // namespace caisson
