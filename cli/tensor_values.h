// SPDX-License-Identifier: Apache-2.0
//
// A tensor's values in memory, and statistics over them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "caisson/dtype.h"
#include "caisson/reader.h"
#include "caisson/status.h"

namespace caisson::cli {

// Row-major, dense, in native byte order, with conj and neg applied. Of a type
// whose elements do not fill bytes: its storage.
struct TensorValues {
  std::unique_ptr<std::byte[]> data;
  size_t bytes = 0;
  bool checked = false;  // against a CRC, every byte

  std::span<const std::byte> span() const { return {data.get(), bytes}; }
};

// The values of a tensor of `reader`; `file` names it in messages.
//
// Errors: those of Reader::Read; kOutOfMemory if the dense tensor does not
// fit, however small its storage is.
Result<TensorValues> ReadValues(const Reader& reader, const TensorInfo& tensor,
                                const std::string& file);

// Turns stored elements of `view` into its values: what conj and neg say.
// REQUIRES: `data` holds whole elements in native byte order.
void ApplyBits(const TensorView& view, std::span<std::byte> data);

// What can be said of numbers at a glance.
struct Statistics {
  bool ordered = false;  // there is a least and a greatest: not for complex
  std::string min;       // of all that are no NaN; empty if there is none
  std::string max;
  std::string mean;  // of the finite ones; empty if there is none
  std::string std;   // unbiased; empty if fewer than two are finite
  uint64_t zeros = 0;
  uint64_t nans = 0;
  uint64_t infinities = 0;
};

// REQUIRES: `data` holds elements of that type; its class is not kBits.
Statistics Measure(DType dtype, std::span<const std::byte> data);

}  // namespace caisson::cli
