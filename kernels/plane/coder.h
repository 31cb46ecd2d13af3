// SPDX-License-Identifier: Apache-2.0
//
// The entropy coder: range asymmetric numeral systems (Duda, "Asymmetric
// numeral systems", 2013) with a state of 16 bits for each of 32 lanes, which
// gives and takes single bytes. docs/codec.md 4.
//
// Pure; any thread, on either side.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/plane/model.h"

namespace caisson::plane {

// Where states start and end; below it a lane takes a byte.
inline constexpr uint32_t kLeastState = 256;

// What a slot says: 128 of them are a table. Plain data.
struct Slot {
  uint8_t freq;
  uint8_t offset;  // of the slot within its row
  uint8_t row;
  uint8_t unused;
};

// A state after a symbol, before a byte is taken. At most 128 * 511 + 127.
CAISSON_HOST_DEVICE constexpr uint32_t Advanced(uint32_t state, Slot slot) {
  return slot.freq * (state / kSlots) + slot.offset;
}

// Whether a state gives up a byte before it takes a symbol of frequency `freq`.
CAISSON_HOST_DEVICE constexpr bool GivesByte(uint32_t state, uint32_t freq) {
  return state >> 8 >= 2 * freq;
}

// A state that takes a symbol which has the slots from `start` on.
// REQUIRES: state < 512 * freq.
CAISSON_HOST_DEVICE constexpr uint32_t Pushed(uint32_t state, uint32_t freq,
                                              uint32_t start) {
  return state / freq * kSlots + state % freq + start;
}

}  // namespace caisson::plane
