// SPDX-License-Identifier: Apache-2.0
//
// The words of a job's primary stream, whatever the step, the view and the
// alignment: the loop that every other is measured against, and that does the
// ends of all of them.
//
// A lane first loads the words of a slab that are its own and then stores
// them, so that a warp which does slab after slab may narrow in place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

class AnyWords {
 public:
  CAISSON_HOST_DEVICE AnyWords(const LaunchStep& step, const LaunchJob& job,
                               const LaunchDim* dims)
      : step_(step), job_(job), dims_(dims + job.first_dim) {}

  // Word `word` of the grid; bytes that are not of the stream are zero.
  CAISSON_HOST_DEVICE uint32_t Load(uint64_t word) {
    const uint32_t width = stream_width();
    uint32_t value = 0;
    for (uint32_t b = 0; b < 4; b += width < 4 ? width : 4) {
      const int64_t at = StreamAt(word, b);
      if (!InStream(at)) continue;
      if (width < 4) {
        const uint32_t all = (1u << (8 * width)) - 1;
        value |= (static_cast<uint32_t>(Element(at)) & all) << (8 * b);
      } else {
        value = Part(static_cast<uint64_t>(at));
      }
    }
    return value;
  }

  // Puts what Load(word) gave where it belongs.
  CAISSON_HOST_DEVICE void Store(uint64_t word, uint32_t value) {
    if (step_.of_source) return StoreOfSource(word, value);
    if (job_.dst == nullptr) return;
    const uint32_t width = step_.to_width();
    for (uint32_t b = 0; b < 4; b += width < 4 ? width : 4) {
      const int64_t at = StreamAt(word, b);
      if (!InStream(at)) continue;
      StoreBits(job_.dst + at, width < 4 ? width : 4, value >> (8 * b));
    }
  }

  // The complement of the first bad element that was met; 0: none.
  CAISSON_HOST_DEVICE uint64_t bad() const { return bad_; }

 private:
  CAISSON_HOST_DEVICE uint32_t stream_width() const {
    return 1u << step_.stream_log2();
  }

  CAISSON_HOST_DEVICE int64_t StreamAt(uint64_t word, uint32_t byte) const {
    return static_cast<int64_t>(4 * word + byte) -
           static_cast<int64_t>(job_.shift);
  }

  CAISSON_HOST_DEVICE bool InStream(int64_t at) const {
    return at >= 0 && static_cast<uint64_t>(at) < job_.bytes;
  }

  // Where an element is read.
  CAISSON_HOST_DEVICE const std::byte* Source(uint64_t elem) const {
    if (job_.dims == 0) return job_.src + (elem << step_.from_log2);
    int64_t offset = 0;
    for (uint32_t i = 0; i + 1 < job_.dims; ++i) {
      const uint64_t elems = dims_[i].elems;
      // Most fit into 32 bits, which a device divides far sooner.
      const bool narrow = (elem >> 32 | elems >> 32) == 0;
      const uint64_t quotient =
          narrow ? static_cast<uint32_t>(elem) / static_cast<uint32_t>(elems)
                 : elem / elems;
      offset += static_cast<int64_t>(elem - quotient * elems) * dims_[i].stride;
      elem = quotient;
    }
    offset += static_cast<int64_t>(elem) * dims_[job_.dims - 1].stride;
    return job_.src + offset;
  }

  // An element, as it is in the stream.
  CAISSON_HOST_DEVICE uint64_t Element(int64_t at) {
    const uint64_t elem = static_cast<uint64_t>(at) >> step_.stream_log2();
    const uint64_t read = LoadBits(Source(elem), step_.from_width());
    return step_.of_source ? read : Stored(elem, read);
  }

  // What is stored for an element of up to 8 bytes that was read.
  CAISSON_HOST_DEVICE uint64_t Stored(uint64_t elem, uint64_t read) {
    if (step_.converts) {
      if (step_.check && !Fits(step_, read) && ~elem > bad_) bad_ = ~elem;
      return Converted(step_, read);
    }
    if (step_.swap == 2) return SwapPairs(static_cast<uint32_t>(read));
    return read;
  }

  // Four bytes of the stream, of elements that have at least so many.
  CAISSON_HOST_DEVICE uint32_t Part(uint64_t at) {
    const uint64_t elem = at >> step_.stream_log2();
    const auto within = static_cast<uint32_t>(at & (stream_width() - 1));
    if (step_.converts && !step_.of_source) {
      const uint64_t read = LoadBits(Source(elem), step_.from_width());
      return static_cast<uint32_t>(Stored(elem, read) >> (8 * within));
    }
    const std::byte* const src = Source(elem);
    if (step_.of_source || step_.swap == 1)
      return LoadAs<uint32_t>(src + within);
    const uint32_t word = LoadAs<uint32_t>(src + Swapped(within));
    return SwapWord(word);
  }

  // Where four bytes of an element are after its units are reversed.
  CAISSON_HOST_DEVICE uint32_t Swapped(uint32_t within) const {
    return step_.swap == 8 ? within ^ 4 : within;
  }

  CAISSON_HOST_DEVICE static uint32_t SwapPairs(uint32_t word) {
    return (word >> 8 & 0x00FF00FF) | (word & 0x00FF00FF) << 8;
  }

  CAISSON_HOST_DEVICE uint32_t SwapWord(uint32_t word) const {
    const uint32_t pairs = SwapPairs(word);
    return step_.swap == 2 ? pairs : pairs >> 16 | pairs << 16;
  }

  CAISSON_HOST_DEVICE void StoreOfSource(uint64_t word, uint32_t value) {
    const uint32_t width = step_.from_width();
    for (uint32_t b = 0; b < 4; b += width < 4 ? width : 4) {
      const int64_t at = StreamAt(word, b);
      if (!InStream(at)) continue;
      const uint64_t elem = static_cast<uint64_t>(at) >> step_.from_log2;
      const auto within = static_cast<uint32_t>(at & (width - 1));
      if (!step_.converts && width >= 4) {
        if (job_.dst == nullptr) continue;
        const uint32_t stored = step_.swap == 1 ? value : SwapWord(value);
        StoreAs(job_.dst + (elem << step_.to_log2) + Swapped(within), stored);
        continue;
      }
      if (within != 0) continue;  // the lane of its first word has it
      uint64_t read = value >> (8 * b);
      if (width < 4) read &= (uint64_t{1} << (8 * width)) - 1;
      if (width == 8) read = LoadBits(Source(elem), 8);
      const uint64_t stored = Stored(elem, read);
      if (job_.dst == nullptr) continue;
      StoreBits(job_.dst + (elem << step_.to_log2), step_.to_width(), stored);
    }
  }

  const LaunchStep& step_;
  const LaunchJob& job_;
  const LaunchDim* const dims_;
  uint64_t bad_ = 0;
};

}  // namespace caisson::cuda
