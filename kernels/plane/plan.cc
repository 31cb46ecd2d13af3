// SPDX-License-Identifier: Apache-2.0
#include "kernels/plane/plan.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "kernels/plane/coded_part.h"
#include "kernels/plane/element_io.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/type_switch.h"

namespace caisson::plane {
namespace {

// CostOf() of every frequency.
struct Costs {
  uint16_t of[kSlots];
};
constexpr Costs kCosts = [] {
  Costs costs = {};
  for (uint32_t f = 1; f < kSlots; ++f) {
    costs.of[f] = static_cast<uint16_t>(CostOf(f));
  }
  return costs;
}();

// Counts symbols in four tables, so that a run of equal ones does not wait for
// its own counter.
class Histogram {
 public:
  void Add(uint32_t lane, uint32_t symbol) { ++tables_[lane][symbol]; }

  void Sum(uint32_t counts[256]) const {
    for (uint32_t i = 0; i < 256; ++i) {
      counts[i] = tables_[0][i] + tables_[1][i] + tables_[2][i] + tables_[3][i];
    }
  }

 private:
  uint32_t tables_[4][256] = {};
};

// Calls fn(index within its run, element) for each element of the sample.
template <PlaneType kType, typename Fn>
void ForSample(const std::byte* src, uint32_t elems, const Fn& fn) {
  for (uint32_t at = 0; at < elems; at += kSampleStride) {
    const uint32_t run = std::min(kSampleRun, elems - at);
    const std::byte* const from = src + size_t{at} * TraitsOf(kType).width;
    for (uint32_t i = 0; i < run; ++i) fn(i, LoadElem<kType>(from, i));
  }
}

// Bits in which prepared elements of the sample differ from the first, and
// what of them is no symbol.
template <PlaneType kType>
struct Sample {
  uint32_t counts[256];
  uint64_t differing = 0;
  bool has_symbols = true;

  Sample(const std::byte* src, uint32_t elems, uint32_t turn) {
    const uint64_t first = Prepared<kType>(LoadElem<kType>(src, 0), turn);
    Histogram histogram;
    uint64_t bits = 0;
    bool good = true;
    ForSample<kType>(src, elems, [&](uint32_t i, uint64_t elem) {
      const uint64_t word = Prepared<kType>(elem, turn);
      bits |= word ^ first;
      good &= HasSymbol<kType>(word);
      histogram.Add(i % 4, SymbolOf<kType>(word));
    });
    differing = bits;
    has_symbols = good;
    histogram.Sum(counts);
  }
};

// How integers are turned: by zigzag if any is negative, and so that their
// symbol is the uppermost byte that is not always zero; but if that is noise,
// the one above, which is nothing but zeros.
template <PlaneType kType>
uint32_t TurnOf(const std::byte* src, uint32_t elems) {
  constexpr uint32_t kWidth = TraitsOf(kType).width;
  uint64_t any = 0;
  uint64_t any_zigzag = 0;
  ForSample<kType>(src, elems, [&](uint32_t, uint64_t elem) {
    any |= elem;
    any_zigzag |= Prepared<kType>(elem, kZigzag);
  });
  const uint32_t zigzag = any >> (8 * kWidth - 1) != 0 ? kZigzag : 0;
  const uint64_t bits = zigzag != 0 ? any_zigzag : any;
  const uint32_t bytes = std::max<uint32_t>(
      1, (static_cast<uint32_t>(std::bit_width(bits)) + 7) / 8);
  const uint32_t turn = zigzag | (kWidth - bytes);
  const Sample<kType> sample(src, elems, turn);
  uint64_t cost;
  MakeModel(sample.counts, SampleElems(elems), &cost);
  return IsNoise(cost, SampleElems(elems)) && bytes < kWidth ? turn - 1 : turn;
}

bool IsWorth(const EncodePlan& plan, PlaneType type, uint32_t elems) {
  return PlaneRawBytes(type, plan.flags, elems) + plan.predicted <=
         WorthBytes(uint64_t{elems} * TraitsOf(type).width);
}

template <PlaneType kType>
EncodePlan Plan(const std::byte* src, uint32_t elems, uint8_t shift) {
  EncodePlan plan;
  if constexpr (TraitsOf(kType).is_integer) {
    plan.turn = TurnOf<kType>(src, elems);
  }
  plan.first = Prepared<kType>(LoadElem<kType>(src, 0), plan.turn);
  const Sample<kType> sample(src, elems, plan.turn);
  if (!sample.has_symbols) return plan;
  plan.flags = ConstFlags<kType>(sample.differing);
  uint64_t cost;
  const uint64_t sampled = SampleElems(elems);
  plan.model = MakeModel(sample.counts, SampleElems(elems), &cost);
  plan.predicted = kPlaneHeaderBytes +
                   uint64_t{SegmentCount(elems, shift)} * kStateBytes +
                   cost * elems / (sampled * 2048);
  plan.worth = IsWorth(plan, kType, elems);
  return plan;
}

}  // namespace

Model MakeModel(const uint32_t* counts, uint32_t sample, uint64_t* cost) {
  uint32_t keys[256];
  uint32_t kept = 0;
  for (uint32_t i = 0; i < 256; ++i) {
    if (IsFrequent(counts[i], sample)) keys[kept++] = KeyOf(counts[i], i);
  }
  if (kept > kEscape) {
    std::nth_element(keys, keys + kEscape, keys + kept, std::greater<>());
    kept = kEscape;
    std::sort(keys, keys + kept,
              [](uint32_t a, uint32_t b) { return (a & 255) > (b & 255); });
  }
  Model model = {};
  uint32_t rows[kRows] = {};
  uint32_t left = sample;
  for (uint32_t i = 0; i < kept; ++i) {
    model.symbols[i] = static_cast<uint8_t>(255 - (keys[i] & 255));
    rows[i] = keys[i] >> 8;
    left -= rows[i];
  }
  rows[kEscape] = left + 1;
  Normalize(rows, model.freqs);
  *cost = left * uint64_t{kCosts.of[model.freqs[kEscape]] + 8 * 256u};
  for (uint32_t i = 0; i < kept; ++i) {
    *cost += uint64_t{rows[i]} * kCosts.of[model.freqs[i]];
  }
  return model;
}

EncodePlan PlanChunk(const std::byte* src, PlaneType type, uint32_t elems,
                     uint8_t shift) {
  return WithPlaneType(type, [&](auto tag) {
    return Plan<decltype(tag)::kType>(src, elems, shift);
  });
}

void Replan(uint8_t flags, PlaneType type, uint32_t elems, EncodePlan* plan) {
  plan->flags = flags;
  plan->worth = IsWorth(*plan, type, elems);
}

}  // namespace caisson::plane
