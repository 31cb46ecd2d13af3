// SPDX-License-Identifier: Apache-2.0
//
// Protobuf's varints: seven bits a byte, the low ones first, the high bit set
// on all bytes but the last (protobuf.dev, "Encoding", base 128 varints).
//
// Blocks of small values, which are one byte each, and sizes are loops that
// the compiler makes vectors of, for each target. Longer ones are done one by
// one without a branch on their length: eight bytes are loaded, spread or
// drawn together by shifts, and stored.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/cpu/cpu_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/varint.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// What every target shares.
#ifndef CAISSON_KERNELS_CPU_VARINT_ONCE
#define CAISSON_KERNELS_CPU_VARINT_ONCE
namespace caisson::cpu {

// How the elements of a type are integers.
enum class VarintType : uint8_t {
  kBool,
  kUInt8,
  kUInt16,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
};

constexpr size_t kMaxVarintBytes = 10;

// What came of a run.
struct VarintRun {
  size_t bytes = 0;   // of varints
  bool whole = true;  // every element was done
};

}  // namespace caisson::cpu
#endif  // CAISSON_KERNELS_CPU_VARINT_ONCE

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kBlock = 32;  // elements that are looked at together

template <class T>
T LoadElem(const uint8_t* src) {
  T value;
  std::memcpy(&value, src, sizeof(T));
  return value;
}

// Negative numbers are those of 64 bits.
template <class T>
uint64_t Widened(T value) {
  return static_cast<uint64_t>(static_cast<int64_t>(value));
}

inline size_t BytesOf(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

template <class T>
size_t SizeOf(const uint8_t* src, size_t elems) {
  size_t bytes = 0;
  if constexpr (sizeof(T) == 8) {
    for (size_t i = 0; i < elems; ++i) {
      bytes += BytesOf(Widened(LoadElem<T>(src + i * sizeof(T))));
    }
    return bytes;
  }
  constexpr size_t kRun = 4096;  // whose sum fits into the counter
  for (size_t at = 0; at < elems; at += kRun) {
    const size_t end = std::min(elems, at + kRun);
    uint32_t run = 0;
    for (size_t i = at; i < end; ++i) {
      const auto value = static_cast<int32_t>(LoadElem<T>(src + i * sizeof(T)));
      const auto bits = static_cast<uint32_t>(value);
      uint32_t more = (bits >= 1u << 7) + (bits >= 1u << 14);
      if constexpr (sizeof(T) == 4) {
        more += (bits >= 1u << 21) + (bits >= 1u << 28);
      }
      run += value < 0 ? kMaxVarintBytes : 1 + more;
    }
    bytes += run;
  }
  return bytes;
}

// One varint at `dst`. REQUIRES: room for it.
inline size_t PutOne(uint64_t value, uint8_t* dst) {
  size_t bytes = 0;
  for (; value >= 0x80; value >>= 7) {
    dst[bytes++] = static_cast<uint8_t>(value | 0x80);
  }
  dst[bytes++] = static_cast<uint8_t>(value);
  return bytes;
}

// The same of at most 28 bits, where four bytes may be stored.
inline size_t PutShort(uint32_t value, uint8_t* dst) {
  const size_t bytes = BytesOf(value);
  uint32_t spread = (value & 0x7F) | (value & 0x3F80) << 1 |
                    (value & 0x1FC000) << 2 | (value & 0xFE00000) << 3;
  spread |= 0x80808080u & ((1u << (8 * (bytes - 1))) - 1);
  std::memcpy(dst, &spread, sizeof(spread));
  return bytes;
}

template <class T>
VarintRun Encode(const uint8_t* src, size_t elems, uint8_t* dst, size_t room) {
  using Bits = std::make_unsigned_t<T>;
  size_t at = 0;
  size_t i = 0;
  while (i < elems) {
    if (elems - i >= kBlock && room - at >= kBlock) {
      Bits all = 0;
      for (size_t k = 0; k < kBlock; ++k) {
        all =
            static_cast<Bits>(all | LoadElem<Bits>(src + (i + k) * sizeof(T)));
      }
      if (all < 0x80) {
        for (size_t k = 0; k < kBlock; ++k) {
          dst[at + k] =
              static_cast<uint8_t>(LoadElem<Bits>(src + (i + k) * sizeof(T)));
        }
        at += kBlock;
        i += kBlock;
        continue;
      }
    }
    const size_t end = std::min(elems, i + kBlock);
    for (; i < end; ++i) {
      const uint64_t value = Widened(LoadElem<T>(src + i * sizeof(T)));
      constexpr bool kLittle = std::endian::native == std::endian::little;
      if (kLittle && value < 1u << 28 && room - at >= 4) {
        at += PutShort(static_cast<uint32_t>(value), dst + at);
        continue;
      }
      if (room - at < BytesOf(value)) return {at, false};
      at += PutOne(value, dst + at);
    }
  }
  return {at, true};
}

// The number of a varint of eight bytes whose high bits are cleared.
inline uint64_t Drawn(uint64_t x) {
  x = (x & 0x007F007F007F007F) | (x & 0x7F007F007F007F00) >> 1;
  x = (x & 0x00003FFF00003FFF) | (x & 0x3FFF00003FFF0000) >> 2;
  return (x & 0x000000000FFFFFFF) | (x & 0x0FFFFFFF00000000) >> 4;
}

// The varint at `src`; 0 bytes if it does not end there.
inline size_t TakeOne(const uint8_t* src, size_t left, uint64_t* value) {
  constexpr uint64_t kHigh = 0x8080808080808080;
  if (std::endian::native == std::endian::little && left >= 8) {
    const auto word = LoadElem<uint64_t>(src);
    const uint64_t ends = ~word & kHigh;
    if (ends != 0) {
      *value = Drawn(word & (ends ^ (ends - 1)) & ~kHigh);
      return static_cast<size_t>(std::countr_zero(ends)) / 8 + 1;
    }
  }
  *value = 0;
  for (size_t i = 0; i < std::min(left, kMaxVarintBytes); ++i) {
    *value |= uint64_t{src[i] & 0x7Fu} << (7 * i);
    if (src[i] < 0x80) return i + 1;
  }
  return 0;
}

template <class T, bool is_bool>
VarintRun Decode(const uint8_t* src, size_t bytes, uint8_t* dst, size_t elems) {
  size_t at = 0;
  size_t i = 0;
  const auto put = [&](uint64_t value) {
    const T elem = is_bool ? static_cast<T>(value != 0) : static_cast<T>(value);
    std::memcpy(dst + i * sizeof(T), &elem, sizeof(T));
    ++i;
  };
  while (i < elems) {
    if (elems - i >= kBlock && bytes - at >= kBlock) {
      uint8_t all = 0;
      for (size_t k = 0; k < kBlock; ++k) all |= src[at + k];
      if (all < 0x80) {
        for (size_t k = 0; k < kBlock; ++k) put(src[at + k]);
        at += kBlock;
        continue;
      }
    }
    const size_t end = std::min(elems, i + kBlock);
    while (i < end) {
      uint64_t value;
      const size_t taken = TakeOne(src + at, bytes - at, &value);
      if (taken == 0) return {at, false};
      at += taken;
      put(value);
    }
  }
  return {at, true};
}

}  // namespace

size_t VarintBytes(VarintType type, const uint8_t* src, size_t elems) {
  switch (type) {
    case VarintType::kInt8:
      return SizeOf<int8_t>(src, elems);
    case VarintType::kUInt16:
      return SizeOf<uint16_t>(src, elems);
    case VarintType::kInt16:
      return SizeOf<int16_t>(src, elems);
    case VarintType::kInt32:
      return SizeOf<int32_t>(src, elems);
    case VarintType::kInt64:
      return SizeOf<int64_t>(src, elems);
    default:
      return SizeOf<uint8_t>(src, elems);
  }
}

VarintRun VarintsFrom(VarintType type, const uint8_t* src, size_t elems,
                      uint8_t* dst, size_t room) {
  switch (type) {
    case VarintType::kInt8:
      return Encode<int8_t>(src, elems, dst, room);
    case VarintType::kUInt16:
      return Encode<uint16_t>(src, elems, dst, room);
    case VarintType::kInt16:
      return Encode<int16_t>(src, elems, dst, room);
    case VarintType::kInt32:
      return Encode<int32_t>(src, elems, dst, room);
    case VarintType::kInt64:
      return Encode<int64_t>(src, elems, dst, room);
    default:
      return Encode<uint8_t>(src, elems, dst, room);
  }
}

VarintRun VarintsTo(VarintType type, const uint8_t* src, size_t bytes,
                    uint8_t* dst, size_t elems) {
  switch (type) {
    case VarintType::kBool:
      return Decode<uint8_t, true>(src, bytes, dst, elems);
    case VarintType::kUInt16:
    case VarintType::kInt16:
      return Decode<uint16_t, false>(src, bytes, dst, elems);
    case VarintType::kInt32:
      return Decode<uint32_t, false>(src, bytes, dst, elems);
    case VarintType::kInt64:
      return Decode<uint64_t, false>(src, bytes, dst, elems);
    default:
      return Decode<uint8_t, false>(src, bytes, dst, elems);
  }
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(VarintBytes);
HWY_EXPORT(VarintsFrom);
HWY_EXPORT(VarintsTo);

namespace {

Result<VarintType> TypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return VarintType::kBool;
    case DType::kUInt8:
      return VarintType::kUInt8;
    case DType::kUInt16:
    case DType::kFloat16:
      return VarintType::kUInt16;
    case DType::kInt8:
      return VarintType::kInt8;
    case DType::kInt16:
      return VarintType::kInt16;
    case DType::kInt32:
      return VarintType::kInt32;
    case DType::kInt64:
      return VarintType::kInt64;
    default:
      return Status::Unsupported("no varints of " + std::string(Name(dtype)));
  }
}

}  // namespace

Status EncodeVarints(DType dtype, std::span<const VarintEncodeJob> jobs,
                     Stream) {
  const Result<VarintType> type = TypeOf(dtype);
  if (!type) return type.error();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const VarintEncodeJob& job = jobs[i];
    const auto* src = reinterpret_cast<const uint8_t*>(job.src);
    if (job.dst.data() == nullptr) {
      *job.stored = HWY_DYNAMIC_DISPATCH(VarintBytes)(*type, src, job.elems);
      continue;
    }
    const VarintRun run = HWY_DYNAMIC_DISPATCH(VarintsFrom)(
        *type, src, job.elems, reinterpret_cast<uint8_t*>(job.dst.data()),
        job.dst.size());
    if (!run.whole) {
      return Status::InvalidArgument(
          "job " + std::to_string(i) + ": the varints of " +
          std::to_string(job.elems) + " elements need more than " +
          std::to_string(job.dst.size()) + " bytes");
    }
    *job.stored = run.bytes;
  }
  return Status::Ok();
}

Status DecodeVarints(DType dtype, std::span<const VarintDecodeJob> jobs,
                     Stream) {
  const Result<VarintType> type = TypeOf(dtype);
  if (!type) return type.error();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const VarintDecodeJob& job = jobs[i];
    const VarintRun run = HWY_DYNAMIC_DISPATCH(VarintsTo)(
        *type, reinterpret_cast<const uint8_t*>(job.src.data()), job.src.size(),
        reinterpret_cast<uint8_t*>(job.dst), job.elems);
    if (run.whole && run.bytes == job.src.size()) continue;
    return Status::Corrupt("job " + std::to_string(i) + ": expected " +
                           std::to_string(job.elems) + " varints in " +
                           std::to_string(job.src.size()) +
                           (run.whole ? " bytes, there are more"
                                      : " bytes, one is too long or cut off"));
  }
  return Status::Ok();
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
