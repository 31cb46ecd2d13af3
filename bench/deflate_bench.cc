// SPDX-License-Identifier: Apache-2.0
//
// DEFLATE of 1 MiB of bf16 weights, N(0, 0.02), at level 1. The rate counts
// bytes before encoding; the counter `stored` is the part of them that is left.
// All decode the stream that libdeflate made.
#include <libdeflate.h>
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "bench/contest.h"
#include "bench/isal.h"
#include "bench/verbs.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

constexpr size_t kBytes = size_t{1} << 20;
constexpr int kLevel = 1;

using Bytes = std::vector<std::byte>;
using In = std::span<const std::byte>;
using Out = std::span<std::byte>;

const Bytes& Weights() {
  static const Bytes weights = [] {
    Bytes bytes(kBytes);
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02F);
    for (size_t i = 0; i < kBytes; i += 2) {
      const float weight = normal(random);
      uint32_t bits;
      std::memcpy(&bits, &weight, sizeof(bits));
      const auto half = static_cast<uint16_t>(bits >> 16);
      std::memcpy(&bytes[i], &half, sizeof(half));
    }
    return bytes;
  }();
  return weights;
}

struct FreeCompressor {
  void operator()(libdeflate_compressor* it) const {
    libdeflate_free_compressor(it);
  }
};
struct FreeDecompressor {
  void operator()(libdeflate_decompressor* it) const {
    libdeflate_free_decompressor(it);
  }
};

size_t LibdeflateDeflate(In src, Out dst) {
  static const std::unique_ptr<libdeflate_compressor, FreeCompressor>
      compressor(libdeflate_alloc_compressor(kLevel));
  return libdeflate_deflate_compress(compressor.get(), src.data(), src.size(),
                                     dst.data(), dst.size());
}

bool LibdeflateInflate(In src, Out dst) {
  static const std::unique_ptr<libdeflate_decompressor, FreeDecompressor>
      decompressor(libdeflate_alloc_decompressor());
  return libdeflate_deflate_decompress(decompressor.get(), src.data(),
                                       src.size(), dst.data(), dst.size(),
                                       nullptr) == LIBDEFLATE_SUCCESS;
}

// zlib takes its input through a pointer that is not const.
z_stream ZlibStream(In src, Out dst) {
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(src.data()));
  stream.avail_in = static_cast<uInt>(src.size());
  stream.next_out = reinterpret_cast<Bytef*>(dst.data());
  stream.avail_out = static_cast<uInt>(dst.size());
  return stream;
}

size_t ZlibDeflate(In src, Out dst) {
  z_stream stream = ZlibStream(src, dst);
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, -MAX_WBITS, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return 0;
  }
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  deflateEnd(&stream);
  return done ? stream.total_out : 0;
}

bool ZlibInflate(In src, Out dst) {
  z_stream stream = ZlibStream(src, dst);
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  const bool done = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  inflateEnd(&stream);
  return done && stream.total_out == dst.size();
}

size_t OurDeflate(In src, Out dst) {
  const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
  size_t stored = 0;
  const DeflateJob job = {.src = src, .dst = dst, .stored = &stored};
  const bool done =
      kernels.has_value() && (*kernels)->deflate(kLevel, {&job, 1}, {}).ok();
  return done ? stored : 0;
}

bool OurInflate(In src, Out dst) {
  const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
  const InflateJob job = {.src = src, .dst = dst};
  return kernels.has_value() && (*kernels)->inflate({&job, 1}, {}).ok();
}

// Incompressible bytes take some more than they are.
Bytes Room() { return Bytes(kBytes + kBytes / 8 + 4096); }

Body DeflateBy(size_t (*deflate_by)(In, Out)) {
  return [=](benchmark::State& state) {
    Bytes coded = Room();
    size_t stored = 0;
    Measure(state, kBytes, [&] {
      stored = deflate_by(Weights(), coded);
      return stored > 0 ? Status::Ok() : Status::Corrupt("deflate failed");
    });
    coded.resize(stored);
    Bytes decoded(kBytes);
    if (!LibdeflateInflate(coded, decoded) || decoded != Weights()) {
      Fail(state, Status::Corrupt("not what was encoded"));
    }
    state.counters["stored"] = static_cast<double>(stored) / kBytes;
  };
}

Body InflateBy(bool (*inflate_by)(In, Out)) {
  return [=](benchmark::State& state) {
    Bytes coded = Room();
    coded.resize(LibdeflateDeflate(Weights(), coded));
    Bytes decoded(kBytes);
    Measure(state, kBytes, [&] {
      return inflate_by(coded, decoded) ? Status::Ok()
                                        : Status::Corrupt("inflate failed");
    });
    if (decoded != Weights()) {
      Fail(state, Status::Corrupt("not what was encoded"));
    }
  };
}

}  // namespace

void RegisterDeflate() {
  Register("deflate", "caisson", kBytes, DeflateBy(OurDeflate));
  Register("deflate", "libdeflate", kBytes, DeflateBy(LibdeflateDeflate));
  Register("deflate", "zlib", kBytes, DeflateBy(ZlibDeflate));
  Register("inflate", "caisson", kBytes, InflateBy(OurInflate));
  Register("inflate", "libdeflate", kBytes, InflateBy(LibdeflateInflate));
  Register("inflate", "zlib", kBytes, InflateBy(ZlibInflate));
  if (const IsaL* const isal = FindIsaL(); isal != nullptr) {
    Register("deflate", "isal", kBytes, DeflateBy(isal->deflate));
    Register("inflate", "isal", kBytes, InflateBy(isal->inflate));
  }
}

}  // namespace caisson::bench
