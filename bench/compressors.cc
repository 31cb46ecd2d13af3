// SPDX-License-Identifier: Apache-2.0
#include "bench/compressors.h"

#include <lz4.h>
#include <zstd.h>

#include <vector>

namespace caisson::bench {
namespace {

using In = std::span<const std::byte>;
using Out = std::span<std::byte>;

template <int kLevel>
size_t ZstdEncode(In src, Out dst) {
  static ZSTD_CCtx* const context = ZSTD_createCCtx();
  const size_t size = ZSTD_compressCCtx(context, dst.data(), dst.size(),
                                        src.data(), src.size(), kLevel);
  return ZSTD_isError(size) ? 0 : size;
}

bool ZstdDecode(In src, Out dst) {
  static ZSTD_DCtx* const context = ZSTD_createDCtx();
  return ZSTD_decompressDCtx(context, dst.data(), dst.size(), src.data(),
                             src.size()) == dst.size();
}

size_t Lz4Encode(In src, Out dst) {
  return static_cast<size_t>(LZ4_compress_default(
      reinterpret_cast<const char*>(src.data()),
      reinterpret_cast<char*>(dst.data()), static_cast<int>(src.size()),
      static_cast<int>(dst.size())));
}

bool Lz4Decode(In src, Out dst) {
  return LZ4_decompress_safe(
             reinterpret_cast<const char*>(src.data()),
             reinterpret_cast<char*>(dst.data()), static_cast<int>(src.size()),
             static_cast<int>(dst.size())) == static_cast<int>(dst.size());
}

}  // namespace

std::span<const Compressor> Compressors() {
  static const std::vector<Compressor> all = {
      {"zstd-1", ZstdEncode<1>, ZstdDecode},
      {"zstd-3", ZstdEncode<3>, ZstdDecode},
      {"lz4", Lz4Encode, Lz4Decode}};
  return all;
}

}  // namespace caisson::bench
