// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measure/measure_memory.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "core/device/buffer.h"
#include "core/engine/arrivals.h"

namespace caisson {
namespace {

// Calls `work` with the index, offset and size of each worker's share of
// `bytes`, on that worker. Shares begin at huge pages.
void InShares(WorkerPool& workers, size_t bytes,
              const std::function<void(size_t, size_t, size_t)>& work) {
  const size_t count = workers.threads();
  const size_t pages = (bytes + kHugePageBytes - 1) / kHugePageBytes;
  const size_t share = (pages + count - 1) / count * kHugePageBytes;
  Arrivals<size_t> done;
  for (size_t i = 0; i < count; ++i) {
    workers.Run([&, i] {
      const size_t begin = std::min(bytes, i * share);
      const size_t end = std::min(bytes, begin + share);
      if (begin < end) work(i, begin, end - begin);
      done.Add(i);
    });
  }
  for (size_t arrived = 0; arrived < count;) {
    done.Wait();
    arrived += done.Take().size();
  }
}

// Of N(0, 0.02), nearly: the sum of four uniform numbers of 16 bits.
float WeightOf(uint64_t word) {
  constexpr float kMean = 4 * 32767.5F;
  constexpr float kDeviation = 37837.2F;  // of the sum: 65536 / sqrt(3)
  const auto sum = static_cast<float>((word & 0xffff) + (word >> 16 & 0xffff) +
                                      (word >> 32 & 0xffff) + (word >> 48));
  return (sum - kMean) * (0.02F / kDeviation);
}

}  // namespace

void FillWeights(WorkerPool& workers, DType dtype, uint64_t seed,
                 std::span<std::byte> bytes) {
  const size_t width = ByteWidth(dtype);
  InShares(workers, bytes.size(), [&](size_t, size_t begin, size_t size) {
    // splitmix64 (Steele, Lea, Flood 2014), from that offset of its stream on.
    constexpr uint64_t kStep = 0x9E3779B97F4A7C15;
    uint64_t state = ((seed << 40) + begin / width) * kStep;
    for (size_t at = begin; at + width <= begin + size; at += width) {
      uint64_t word = state += kStep;
      word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
      word = (word ^ word >> 27) * 0x94D049BB133111EB;
      word ^= word >> 31;
      const float weight = WeightOf(word);
      uint32_t bits;
      std::memcpy(&bits, &weight, sizeof(bits));
      // A bfloat16 is the upper half.
      if (width == 2) bits >>= 16;
      const auto half = static_cast<uint16_t>(bits);
      if (width == 2) {
        std::memcpy(&bytes[at], &half, sizeof(half));
      } else {
        std::memcpy(&bytes[at], &bits, sizeof(bits));
      }
    }
  });
}

void CopyInShares(WorkerPool& workers, std::span<const std::byte> src,
                  std::span<std::byte> dst) {
  InShares(workers, src.size(), [&](size_t, size_t begin, size_t size) {
    std::memcpy(&dst[begin], &src[begin], size);
  });
}

Status TouchInShares(WorkerPool& workers, std::span<std::byte> memory) {
  std::vector<Status> statuses(workers.threads());
  InShares(workers, memory.size(), [&](size_t i, size_t begin, size_t size) {
    statuses[i] = TouchPages(memory.subspan(begin, size));
  });
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

uint64_t XorOfWords(std::span<const std::byte> bytes) {
  // Eight chains, so that none waits for the one before.
  constexpr size_t kChains = 8;
  uint64_t sums[kChains] = {};
  size_t at = 0;
  for (; at + sizeof(sums) <= bytes.size(); at += sizeof(sums)) {
    uint64_t words[kChains];
    std::memcpy(words, &bytes[at], sizeof(words));
    for (size_t i = 0; i < kChains; ++i) sums[i] ^= words[i];
  }
  uint64_t sum = 0;
  for (const uint64_t chain : sums) sum ^= chain;
  for (; at < bytes.size(); ++at) sum ^= static_cast<uint64_t>(bytes[at]);
  return sum;
}

}  // namespace caisson
