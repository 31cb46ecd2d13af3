// SPDX-License-Identifier: Apache-2.0
#include "core/engine/archive/parallel_read.h"

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/engine/read/record_chunks.h"

namespace caisson {
namespace {

// A block's CRC is taken while it still lies in L2.
constexpr size_t kBlockBytes = size_t{256} << 10;

// One source's share of the piece.
struct Share {
  const ByteSource* source;
  uint64_t offset;  // in the piece
  std::span<std::byte> dst;
  uint32_t crc = 0;
  Status status;
};

void ReadShare(const Piece& piece, CrcCheck check, const std::string& what,
               Share* share) {
  for (size_t at = 0; at < share->dst.size(); at += kBlockBytes) {
    const std::span<std::byte> block =
        share->dst.subspan(at, std::min(kBlockBytes, share->dst.size() - at));
    share->status = ReadPieceRange(*share->source, piece, DType::kUInt8,
                                   share->offset + at, block, what);
    if (!share->status.ok()) return;
    if (check == CrcCheck::kOn) share->crc = Crc32(share->crc, block);
  }
}

}  // namespace

Status ReadPieceInParallel(std::span<const ByteSource> sources,
                           const Piece& piece, std::span<std::byte> dst,
                           CrcCheck check, const std::string& what) {
  const size_t share_bytes = (dst.size() + sources.size() - 1) / sources.size();
  std::vector<Share> shares;
  for (const ByteSource& source : sources) {
    const size_t begin = std::min(shares.size() * share_bytes, dst.size());
    const size_t bytes = std::min(share_bytes, dst.size() - begin);
    shares.push_back({&source, begin, dst.subspan(begin, bytes), 0, {}});
  }

  std::vector<std::thread> threads;
  threads.reserve(shares.size());
  for (size_t i = 1; i < shares.size(); ++i) {
    const auto read = [&, share = &shares[i]] {
      ReadShare(piece, check, what, share);
    };
    try {
      threads.emplace_back(read);
    } catch (const std::system_error&) {
      read();  // the system gives no more threads
    }
  }
  ReadShare(piece, check, what, &shares[0]);
  for (std::thread& thread : threads) thread.join();

  uint32_t crc = 0;
  for (const Share& share : shares) {
    CAISSON_RETURN_IF_ERROR(share.status);
    crc = Crc32Combine(crc, share.crc, share.dst.size());
  }
  if (check == CrcCheck::kOff) return Status::Ok();
  return CompareCrc(*shares[0].source, piece, crc, what);
}

}  // namespace caisson
