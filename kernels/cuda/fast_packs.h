// SPDX-License-Identifier: Apache-2.0
//
// The same steps without a CRC: packs of 16 bytes, on the wider side, which a
// thread reads and writes at once.
//
// Pure; any thread, on either side.
#pragma once

#include <cstdint>

#include "kernels/cuda/fast_words.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

using FourWords = WordPack<4>;

// What a warp moves and then ends, of what is stored. Blocks start in the order
// of their addresses and are soon gone: on an H100 that is 0.98 to 1.02 of a
// copy, against 0.92 to 0.95 for warps that walk a large tile each.
inline constexpr uint32_t kPackTileBytes = 1024;

struct CopyPacks {
  using In = FourWords;
  using Out = FourWords;
  CAISSON_HOST_DEVICE static Out Made(In in) { return in; }
};

template <uint32_t width>
struct SwapPacks {
  using In = FourWords;
  using Out = FourWords;
  CAISSON_HOST_DEVICE static Out Made(In in) {
    Out out;
    CAISSON_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint32_t word = in.words[width == 8 ? i ^ 1 : i];
      out.words[i] = width == 2 ? ReversePairs(word) : ReverseWord(word);
    }
    return out;
  }
};

template <class Codec>
struct NarrowPacks {
  using In = FourWords;
  using Out = WordPack<4 / Codec::kWords>;
  CAISSON_HOST_DEVICE static Out Made(const In& in) {
    Out out;
    CAISSON_UNROLL
    for (int i = 0; i < 4 / Codec::kWords; ++i) {
      typename Codec::Wide wide;
      CAISSON_UNROLL
      for (int k = 0; k < Codec::kWords; ++k) {
        wide.words[k] = in.words[i * Codec::kWords + k];
      }
      out.words[i] = Codec::Narrow(wide);
    }
    return out;
  }
};

template <class Codec>
struct WidenPacks {
  using In = WordPack<4 / Codec::kWords>;
  using Out = FourWords;
  CAISSON_HOST_DEVICE static Out Made(const In& in) {
    Out out;
    CAISSON_UNROLL
    for (int i = 0; i < 4 / Codec::kWords; ++i) {
      const typename Codec::Wide wide = Codec::Widen(in.words[i]);
      CAISSON_UNROLL
      for (int k = 0; k < Codec::kWords; ++k) {
        out.words[i * Codec::kWords + k] = wide.words[k];
      }
    }
    return out;
  }
};

}  // namespace caisson::cuda
