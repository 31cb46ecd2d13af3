// SPDX-License-Identifier: Apache-2.0
//
// How much of the heap a piece of code takes:
//
//   const AllocationMeter meter;
//   (void)Unpickle(bytes, ...);
//   EXPECT_LT(meter.PeakBytes(), 4096 + 400 * bytes.size());
//
// Counts what operator new gives, by the allocator's own sizes; a program that
// uses it links allocation_meter.cc, which replaces the operator.
//
// Thread safety: all threads are counted together; one meter at a time.
#pragma once

#include <cstddef>

namespace caisson {

class AllocationMeter {
 public:
  AllocationMeter();

  // The most that was held at once since construction, beyond what was held
  // then.
  size_t PeakBytes() const;

  // What is held now beyond what was held at construction.
  size_t HeldBytes() const;

 private:
  size_t start_;
};

}  // namespace caisson
