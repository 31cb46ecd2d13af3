// SPDX-License-Identifier: Apache-2.0
//
// DEFLATE of 1 MiB of bf16 weights, N(0, 0.02), at level 1. The rate counts
// bytes before encoding; the counter `stored` is the part of them that is left.
// All decode the stream that libdeflate made.
//
// deflate_chunks: 16 MiB of them in chunks that join into one stream, as a save
// deflates a record, by one thread and by all cores, beside ISA-L on one. Of
// several threads the rate is the counter `wall_gbps`.
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bench/contest.h"
#include "bench/isal.h"
#include "bench/verbs.h"
#include "core/formats/encoded_bound.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

constexpr size_t kBytes = size_t{1} << 20;
constexpr int kLevel = 1;
constexpr size_t kManyBytes = size_t{16} << 20;

using Bytes = std::vector<std::byte>;
using In = std::span<const std::byte>;
using Out = std::span<std::byte>;

Bytes MakeWeights(size_t count) {
  Bytes bytes(count);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02F);
  for (size_t i = 0; i < count; i += 2) {
    const float weight = normal(random);
    uint32_t bits;
    std::memcpy(&bits, &weight, sizeof(bits));
    const auto half = static_cast<uint16_t>(bits >> 16);
    std::memcpy(&bytes[i], &half, sizeof(half));
  }
  return bytes;
}

const Bytes& Weights() {
  static const Bytes weights = MakeWeights(kBytes);
  return weights;
}

const Bytes& ManyWeights() {
  static const Bytes weights = MakeWeights(kManyBytes);
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

// The chunks of ManyWeights(), each with its room.
struct Chunk {
  In src;
  Bytes dst;
  size_t stored = 0;
};

std::vector<Chunk> MakeChunks() {
  std::vector<Chunk> chunks;
  const KernelTable& kernels = **KernelsFor(Device::Cpu());
  for (size_t at = 0; at < kManyBytes; at += kDeflateChunkBytes) {
    const In src = In(ManyWeights()).subspan(at, kDeflateChunkBytes);
    chunks.push_back({src, Bytes(kernels.deflate_bound(src.size()))});
  }
  return chunks;
}

Status DeflateChunks(std::span<Chunk> chunks, size_t threads) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    for (size_t i = next++; i < chunks.size(); i = next++) {
      Chunk& chunk = chunks[i];
      const DeflateJob job = {.src = chunk.src,
                              .dst = chunk.dst,
                              .stored = &chunk.stored,
                              .ends = false};
      const auto kernels = KernelsFor(Device::Cpu());
      if (!(*kernels)->deflate(kLevel, {&job, 1}, {}).ok()) failed = true;
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  return failed ? Status::Corrupt("deflate failed") : Status::Ok();
}

Body DeflateChunksBy(size_t threads) {
  return [=](benchmark::State& state) {
    std::vector<Chunk> chunks = MakeChunks();
    double seconds = 0;
    double calls = 0;
    Measure(state, kManyBytes, [&] {
      const auto start = std::chrono::steady_clock::now();
      const Status status = DeflateChunks(chunks, threads);
      const std::chrono::duration<double> took =
          std::chrono::steady_clock::now() - start;
      seconds += took.count();
      ++calls;
      return status;
    });
    // The library's own rate is of the time of this thread.
    state.counters["wall_gbps"] = calls * kManyBytes / seconds / 1e9;
    Bytes stream;
    for (const Chunk& chunk : chunks) {
      stream.insert(stream.end(), chunk.dst.begin(),
                    chunk.dst.begin() + static_cast<ptrdiff_t>(chunk.stored));
    }
    for (const int end : {1, 0, 0, 0xff, 0xff}) {
      stream.push_back(static_cast<std::byte>(end));
    }
    Bytes decoded(kManyBytes);
    if (!LibdeflateInflate(stream, decoded) || decoded != ManyWeights()) {
      Fail(state, Status::Corrupt("not what was encoded"));
    }
    state.counters["stored"] = static_cast<double>(stream.size()) / kManyBytes;
  };
}

Body DeflateManyBy(size_t (*deflate_by)(In, Out)) {
  return [=](benchmark::State& state) {
    Bytes coded(kManyBytes + kManyBytes / 8);
    size_t stored = 0;
    Measure(state, kManyBytes, [&] {
      stored = deflate_by(ManyWeights(), coded);
      return stored > 0 ? Status::Ok() : Status::Corrupt("deflate failed");
    });
    state.counters["stored"] = static_cast<double>(stored) / kManyBytes;
  };
}

}  // namespace

void RegisterDeflate() {
  const size_t cores = std::max(std::thread::hardware_concurrency(), 1U);
  Register("deflate_chunks", "caisson", kManyBytes, DeflateChunksBy(1));
  Register("deflate_chunks", "caisson-threads" + std::to_string(cores),
           kManyBytes, DeflateChunksBy(cores));
  if (const IsaL* const isal = FindIsaL(); isal != nullptr) {
    Register("deflate_chunks", "isal", kManyBytes,
             DeflateManyBy(isal->deflate));
  }
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
