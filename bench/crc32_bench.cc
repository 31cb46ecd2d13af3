// SPDX-License-Identifier: Apache-2.0
#include <libdeflate.h>
#include <zlib.h>

#include <cstdint>
#include <span>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/isal.h"
#include "bench/verbs.h"
#include "caisson/crc32.h"

namespace caisson::bench {
namespace {

using Crc32Of = uint32_t (*)(uint32_t crc, std::span<const std::byte> bytes);

uint32_t LibdeflateCrc32(uint32_t crc, std::span<const std::byte> bytes) {
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
}

uint32_t ZlibCrc32(uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Body Crc32By(Crc32Of crc32_of, size_t bytes) {
  return [=](benchmark::State& state) {
    const std::span<const std::byte> src(Source(DType::kUInt8, bytes), bytes);
    uint32_t crc = 0;
    const bool done = Measure(state, bytes, [&] {
      crc = crc32_of(0, src);
      benchmark::DoNotOptimize(crc);
      return Status::Ok();
    });
    if (done && crc != LibdeflateCrc32(0, src)) {
      Fail(state, Status::Corrupt("not the CRC that libdeflate finds"));
    }
  };
}

// The second part has two thirds of `bytes`: half of the bits of its length
// are set. A power of two would need one multiplication only.
template <class Combine>
Body CombineBy(Combine combine, size_t bytes) {
  return [=](benchmark::State& state) {
    uint32_t crc = 0x12345678;
    const size_t bytes_b = bytes / 3 * 2;
    for (auto _ : state) {
      crc = static_cast<uint32_t>(combine(crc, 0x9ABCDEF0, bytes_b));
      benchmark::DoNotOptimize(crc);
    }
    state.SetItemsProcessed(state.iterations());
  };
}

void RegisterCombine(size_t bytes) {
  Register("crc32_combine", "caisson", bytes, CombineBy(Crc32Combine, bytes));
  const auto zlib = [](uint32_t crc_a, uint32_t crc_b, size_t bytes_b) {
    return crc32_combine(crc_a, crc_b, static_cast<z_off_t>(bytes_b));
  };
  Register("crc32_combine", "zlib", bytes, CombineBy(zlib, bytes));
}

}  // namespace

void RegisterCrc32() {
  for (const size_t bytes : kSizes) {
    std::vector<Peer> peers;
    if (const IsaL* const isal = FindIsaL(); isal != nullptr) {
      peers.push_back({"isal", Crc32By(isal->crc32, bytes)});
    }
    peers.push_back({"libdeflate", Crc32By(LibdeflateCrc32, bytes)});
    peers.push_back({"zlib", Crc32By(ZlibCrc32, bytes)});
    RegisterContest("crc32", bytes, Crc32By(Crc32, bytes), peers);
  }
  for (const size_t bytes : kSizes) RegisterCombine(bytes);
}

}  // namespace caisson::bench
