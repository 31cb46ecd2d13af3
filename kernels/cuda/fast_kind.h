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
  kToBFloat16,  // from float32
  kToFloat16,
  kFromBFloat16,  // to float32
  kFromFloat16,
};

template <class T>
struct TypeTag {
  using type = T;
};

// Calls `function` with the TypeTag of the words of `kind`, whose CRC is that
// of the source or of what is stored. False if there are none.
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
    case FastKind::kToBFloat16:
      if (!of_source) function(TypeTag<NarrowWords<BFloat16Codec>>());
      return !of_source;
    case FastKind::kToFloat16:
      if (!of_source) function(TypeTag<NarrowWords<Float16Codec>>());
      return !of_source;
    case FastKind::kFromBFloat16:
      if (of_source) function(TypeTag<WidenWords<BFloat16Codec>>());
      return of_source;
    case FastKind::kFromFloat16:
      if (of_source) function(TypeTag<WidenWords<Float16Codec>>());
      return of_source;
  }
  return false;
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
    case FastKind::kToBFloat16:
      function(TypeTag<NarrowPacks<BFloat16Codec>>());
      return true;
    case FastKind::kToFloat16:
      function(TypeTag<NarrowPacks<Float16Codec>>());
      return true;
    case FastKind::kFromBFloat16:
      function(TypeTag<WidenPacks<BFloat16Codec>>());
      return true;
    case FastKind::kFromFloat16:
      function(TypeTag<WidenPacks<Float16Codec>>());
      return true;
  }
  return false;
}

}  // namespace caisson::cuda
