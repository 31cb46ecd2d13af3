// SPDX-License-Identifier: Apache-2.0
#include "bench/plane_peers.h"

#include <libdeflate.h>

#include <algorithm>
#include <span>

#include "bench/compressors.h"

namespace caisson::bench {
namespace {

using Bytes = std::vector<std::byte>;
using In = std::span<const std::byte>;
using Out = std::span<std::byte>;

size_t LibdeflateEncode(In src, Out dst) {
  static libdeflate_compressor* const compressor =
      libdeflate_alloc_compressor(1);
  return libdeflate_deflate_compress(compressor, src.data(), src.size(),
                                     dst.data(), dst.size());
}

bool LibdeflateDecode(In src, Out dst) {
  static libdeflate_decompressor* const decompressor =
      libdeflate_alloc_decompressor();
  return libdeflate_deflate_decompress(decompressor, src.data(), src.size(),
                                       dst.data(), dst.size(),
                                       nullptr) == LIBDEFLATE_SUCCESS;
}

void ToPlanes(In src, size_t width, Out planes) {
  const size_t elems = src.size() / width;
  for (size_t b = 0; b < width; ++b) {
    for (size_t i = 0; i < elems; ++i) {
      planes[b * elems + i] = src[i * width + b];
    }
  }
}

void FromPlanes(In planes, size_t width, Out dst) {
  const size_t elems = dst.size() / width;
  for (size_t b = 0; b < width; ++b) {
    for (size_t i = 0; i < elems; ++i) {
      dst[i * width + b] = planes[b * elems + i];
    }
  }
}

// A compressor, on planes of `width` bytes; of 1: on the bytes.
struct Contestant {
  Compressor by;
  size_t width;

  size_t Encode(In src, Out dst, Bytes* planes) const {
    if (width == 1) return by.encode(src, dst);
    planes->resize(src.size());
    ToPlanes(src, width, *planes);
    return by.encode(*planes, dst);
  }
  bool Decode(In src, Out dst, Bytes* planes) const {
    if (width == 1) return by.decode(src, dst);
    planes->resize(dst.size());
    if (!by.decode(src, *planes)) return false;
    FromPlanes(*planes, width, dst);
    return true;
  }
};

// What incompressible bytes may become.
Bytes Room(size_t bytes) { return Bytes(bytes + bytes / 8 + 4096); }

Body Encode(const Contestant& contestant, const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    const In src(PlaneSource(set, bytes), bytes);
    Bytes coded = Room(src.size());
    Bytes planes;
    size_t stored = 0;
    Measure(state, src.size(), [&] {
      stored = contestant.Encode(src, coded, &planes);
      return stored > 0 ? Status::Ok() : Status::Corrupt("it did not encode");
    });
    Bytes back(src.size());
    if (!contestant.Decode(In(coded).first(stored), back, &planes) ||
        !std::ranges::equal(back, src)) {
      Fail(state, Status::Corrupt("not what was encoded"));
    }
    state.counters["stored"] =
        static_cast<double>(stored) / static_cast<double>(src.size());
  };
}

Body Decode(const Contestant& contestant, const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    const In src(PlaneSource(set, bytes), bytes);
    Bytes coded = Room(src.size());
    Bytes planes;
    coded.resize(contestant.Encode(src, coded, &planes));
    Bytes back(src.size());
    Measure(state, src.size(), [&] {
      return contestant.Decode(coded, back, &planes)
                 ? Status::Ok()
                 : Status::Corrupt("it did not decode");
    });
    state.counters["stored"] =
        static_cast<double>(coded.size()) / static_cast<double>(src.size());
  };
}

std::vector<Peer> Peers(const PlaneSet& set, size_t bytes,
                        Body (*body)(const Contestant&, const PlaneSet&,
                                     size_t)) {
  std::vector<Compressor> compressors(Compressors().begin(),
                                      Compressors().end());
  compressors.push_back({"libdeflate-1", LibdeflateEncode, LibdeflateDecode});
  const size_t width = TraitsOf(set.type).width;
  std::vector<Peer> peers;
  for (const Compressor& compressor : compressors) {
    peers.push_back({compressor.name, body({compressor, 1}, set, bytes)});
    if (width > 1 && compressor.name != "lz4") {
      peers.push_back(
          {compressor.name + "-planes", body({compressor, width}, set, bytes)});
    }
  }
  return peers;
}

}  // namespace

std::vector<Peer> EncodePeers(const PlaneSet& set, size_t bytes) {
  return Peers(set, bytes, Encode);
}

std::vector<Peer> DecodePeers(const PlaneSet& set, size_t bytes) {
  return Peers(set, bytes, Decode);
}

}  // namespace caisson::bench
