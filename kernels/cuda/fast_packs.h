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

struct alignas(16) FourWords {
  uint32_t words[4];
};

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
  using Out = TwoWords;
  CAISSON_HOST_DEVICE static Out Made(In in) {
    return {Codec::Narrow(in.words[0]) | Codec::Narrow(in.words[1]) << 16,
            Codec::Narrow(in.words[2]) | Codec::Narrow(in.words[3]) << 16};
  }
};

template <class Codec>
struct WidenPacks {
  using In = TwoWords;
  using Out = FourWords;
  CAISSON_HOST_DEVICE static Out Made(In in) {
    return {{Codec::Widen(in.low & 0xFFFF), Codec::Widen(in.low >> 16),
             Codec::Widen(in.high & 0xFFFF), Codec::Widen(in.high >> 16)}};
  }
};

}  // namespace caisson::cuda
