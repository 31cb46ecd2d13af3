// SPDX-License-Identifier: Apache-2.0
//
// Which steps have words and packs of their own, and which these are.
#pragma once

#include <cstdint>

#include "kernels/cuda/fast_packs.h"
#include "kernels/cuda/fast_words.h"

namespace caisson::cuda {

enum class FastKind : uint8_t {
  kNone,
  kCopy,
  kSwap2,
  kSwap4,
  kSwap8,
  kToBFloat16,  // from float32, as are the next
  kToFloat16,
  kToFloat8E5M2,
  kToFloat8E4M3,
  kFloat64ToFloat32,
  kFromBFloat16,  // to float32, as are the next
  kFromFloat16,
  kFromFloat8E5M2,
  kFromFloat8E4M3,
  kFloat32ToFloat64,
};

template <class T>
struct TypeTag {
  using type = T;
};

// Calls `function` with the TypeTag of the codec of `kind`. False if the kind
// has none.
template <class Function>
bool WithCodec(FastKind kind, const Function& function) {
  switch (kind) {
    case FastKind::kToBFloat16:
    case FastKind::kFromBFloat16:
      function(TypeTag<BFloat16Codec>());
      return true;
    case FastKind::kToFloat16:
    case FastKind::kFromFloat16:
      function(TypeTag<Float16Codec>());
      return true;
    case FastKind::kToFloat8E5M2:
    case FastKind::kFromFloat8E5M2:
      function(TypeTag<Float8E5M2Codec>());
      return true;
    case FastKind::kToFloat8E4M3:
    case FastKind::kFromFloat8E4M3:
      function(TypeTag<Float8E4M3Codec>());
      return true;
    case FastKind::kFloat64ToFloat32:
    case FastKind::kFloat32ToFloat64:
      function(TypeTag<DoubleCodec>());
      return true;
    default:
      return false;
  }
}

constexpr bool Narrows(FastKind kind) {
  return kind >= FastKind::kToBFloat16 && kind <= FastKind::kFloat64ToFloat32;
}

// Calls `function` with the TypeTag of the words of `kind`, whose CRC is that
// of the source or of what is stored. False if there are none: conversions
// have words for the CRC of their narrow side, which is the file's.
template <class Function>
bool WithWords(FastKind kind, bool of_source, const Function& function) {
  switch (kind) {
    case FastKind::kNone:
      return false;
    case FastKind::kCopy:
      function(TypeTag<CopyWords>());
      return true;
    case FastKind::kSwap2:
      of_source ? function(TypeTag<SwapWords<2, true>>())
                : function(TypeTag<SwapWords<2, false>>());
      return true;
    case FastKind::kSwap4:
      of_source ? function(TypeTag<SwapWords<4, true>>())
                : function(TypeTag<SwapWords<4, false>>());
      return true;
    case FastKind::kSwap8:
      of_source ? function(TypeTag<SwapWords<8, true>>())
                : function(TypeTag<SwapWords<8, false>>());
      return true;
    default:
      break;
  }
  if (Narrows(kind) == of_source) return false;
  return WithCodec(kind, [&](auto tag) {
    using Codec = typename decltype(tag)::type;
    of_source ? function(TypeTag<WidenWords<Codec>>())
              : function(TypeTag<NarrowWords<Codec>>());
  });
}

// The same with packs, which have no CRC.
template <class Function>
bool WithPacks(FastKind kind, const Function& function) {
  switch (kind) {
    case FastKind::kNone:
      return false;
    case FastKind::kCopy:
      function(TypeTag<CopyPacks>());
      return true;
    case FastKind::kSwap2:
      function(TypeTag<SwapPacks<2>>());
      return true;
    case FastKind::kSwap4:
      function(TypeTag<SwapPacks<4>>());
      return true;
    case FastKind::kSwap8:
      function(TypeTag<SwapPacks<8>>());
      return true;
    default:
      break;
  }
  return WithCodec(kind, [&](auto tag) {
    using Codec = typename decltype(tag)::type;
    Narrows(kind) ? function(TypeTag<NarrowPacks<Codec>>())
                  : function(TypeTag<WidenPacks<Codec>>());
  });
}

}  // namespace caisson::cuda
