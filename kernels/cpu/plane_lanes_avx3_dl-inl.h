// SPDX-License-Identifier: Apache-2.0
//
// The coder of the plane codec for AVX-512 with VBMI2 (Ice Lake, Zen 4): a
// vector is the 32 states of a segment, and every table lies in registers.
// Several segments go side by side, as a step waits for the one before it.
//
// Included by plane_segments-inl.h for that target alone.
#include <immintrin.h>

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A step is merged when it is decoded.
inline constexpr uint16_t kTopOfEscape = 0;

// Calls fn with constants from 0 on, so that arrays of vectors stay registers.
template <int kCount, typename Fn>
HWY_INLINE void ForEach(const Fn& fn) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>)
      CAISSON_PLANE_LAMBDA {
    (fn(std::integral_constant<int, kIndex>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

// Decodes a superblock of each of kWays segments, and merges each step at once,
// so that stores to memory wait beside the steps. Escapes have a top of 0;
// which they are is left in escapes[way][step].
template <class AnyPlanes, int kWays>
HWY_NOINLINE void DecodeSteps(const DecodeTables& tables,
                              SegmentReader* readers,
                              typename AnyPlanes::Merger* mergers,
                              uint32_t (*escapes)[plane::kSteps]) {
  const hn::FixedTag<uint16_t, plane::kLanes> d;
  const __m512i rows0 = _mm512_load_si512(tables.rows);
  const __m512i rows1 = _mm512_load_si512(tables.rows + 64);
  const __m512i freqs = _mm512_load_si512(tables.freqs);
  const __m512i starts = _mm512_load_si512(tables.starts);
  const __m512i tops = _mm512_load_si512(tables.tops);
  const __m512i slot_mask = _mm512_set1_epi16(plane::kSlots - 1);
  const __m512i least = _mm512_set1_epi16(plane::kLeastState);
  const __m512i escape = _mm512_set1_epi16(plane::kEscape);
  constexpr uint64_t kLowBytes = 0x5555555555555555;

  __m512i states[kWays];
  const uint8_t* next[kWays];
  typename AnyPlanes::Merger merger[kWays];
  ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
    states[j] = _mm512_load_si512(readers[j].states);
    next[j] = readers[j].next;
    merger[j] = mergers[j];
  });
  for (uint32_t first = 0; first < plane::kSteps; first += AnyPlanes::kPeriod) {
    ForEach<static_cast<int>(AnyPlanes::kPeriod)>(
        [&](auto step) CAISSON_PLANE_LAMBDA {
          ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
            const __m512i x = states[j];
            const __m512i row =
                _mm512_maskz_permutex2var_epi8(kLowBytes, rows0, x, rows1);
            const __m512i freq = _mm512_permutexvar_epi16(row, freqs);
            const __m512i start = _mm512_permutexvar_epi16(row, starts);
            const __m512i offset =
                _mm512_sub_epi16(_mm512_and_si512(x, slot_mask), start);
            const __m512i y = _mm512_add_epi16(
                _mm512_mullo_epi16(freq, _mm512_srli_epi16(x, 7)), offset);
            const __mmask32 takes = _mm512_cmplt_epu16_mask(y, least);
            // Bytes of the stream, spread to the upper halves of lanes that
            // take one, from where the shift brings them in.
            const __m256i bytes =
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(next[j]));
            const __m512i spread = _mm512_maskz_expand_epi8(
                _pdep_u64(_cvtmask32_u32(takes), ~kLowBytes),
                _mm512_castsi256_si512(bytes));
            states[j] = _mm512_mask_shldi_epi16(y, takes, y, spread, 8);
            next[j] += _mm_popcnt_u32(_cvtmask32_u32(takes));
            escapes[j][first + step()] =
                _cvtmask32_u32(_mm512_cmpeq_epi16_mask(row, escape));
            merger[j].template Step<step()>(
                first,
                hn::Vec<decltype(d)>{_mm512_permutexvar_epi16(row, tops)});
          });
        });
  }
  ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
    _mm512_store_si512(readers[j].states, states[j]);
    readers[j].next = next[j];
  });
}

// Encodes a superblock of symbols of each of kWays segments, last step first.
template <int kWays>
HWY_NOINLINE void EncodeSteps(const EncodeTables& tables,
                              SegmentWriter* writers, Superblock* blocks) {
  const __m512i rows0 = _mm512_load_si512(tables.rows);
  const __m512i rows1 = _mm512_load_si512(tables.rows + 64);
  const __m512i rows2 = _mm512_load_si512(tables.rows + 128);
  const __m512i rows3 = _mm512_load_si512(tables.rows + 192);
  const __m512i freqs = _mm512_load_si512(tables.freqs);
  const __m512i starts = _mm512_load_si512(tables.starts);
  const __m512i inverses = _mm512_load_si512(tables.inverses);
  const __m512i rests = _mm512_load_si512(tables.rests);
  const __m512i upper = _mm512_set1_epi16(128);
  const __m512i escape = _mm512_set1_epi16(plane::kEscape);
  constexpr uint64_t kLowBytes = 0x5555555555555555;

  __m512i states[kWays];
  uint8_t* stream[kWays];
  ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
    states[j] = _mm512_load_si512(writers[j].states);
    stream[j] = writers[j].stream;
  });
  for (uint32_t step = plane::kSteps; step-- > 0;) {
    ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
      const __m512i symbol = _mm512_load_si512(blocks[j].lanes[step]);
      const __m512i row = _mm512_mask_blend_epi16(
          _mm512_test_epi16_mask(symbol, upper),
          _mm512_maskz_permutex2var_epi8(kLowBytes, rows0, symbol, rows1),
          _mm512_maskz_permutex2var_epi8(kLowBytes, rows2, symbol, rows3));
      blocks[j].escapes[step] =
          _cvtmask32_u32(_mm512_cmpeq_epi16_mask(row, escape));
      const __m512i freq = _mm512_permutexvar_epi16(row, freqs);
      const __m512i start = _mm512_permutexvar_epi16(row, starts);
      const __m512i inverse = _mm512_permutexvar_epi16(row, inverses);
      const __m512i rest = _mm512_permutexvar_epi16(row, rests);

      const __m512i x = states[j];
      const __m512i high = _mm512_srli_epi16(x, 8);
      const __mmask32 gives =
          _mm512_cmpge_epu16_mask(high, _mm512_add_epi16(freq, freq));
      const uint32_t count = _mm_popcnt_u32(_cvtmask32_u32(gives));
      stream[j] -= count;
      _mm256_mask_storeu_epi8(
          stream[j], _bzhi_u32(~0u, count),
          _mm256_maskz_compress_epi8(gives, _mm512_cvtepi16_epi8(x)));
      const __m512i smaller = _mm512_mask_mov_epi16(x, gives, high);
      // The quotient, or one less: x < 512 f, and 65535 / f loses less than 1.
      const __m512i quotient = _mm512_mulhi_epu16(smaller, inverse);
      const __m512i remainder =
          _mm512_sub_epi16(smaller, _mm512_mullo_epi16(quotient, freq));
      const __mmask32 less = _mm512_cmpge_epu16_mask(remainder, freq);
      const __m512i pushed = _mm512_add_epi16(
          _mm512_add_epi16(_mm512_slli_epi16(quotient, 7), remainder), start);
      states[j] = _mm512_mask_add_epi16(pushed, less, pushed, rest);
    });
  }
  ForEach<kWays>([&](auto j) CAISSON_PLANE_LAMBDA {
    _mm512_store_si512(writers[j].states, states[j]);
    writers[j].stream = stream[j];
  });
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
