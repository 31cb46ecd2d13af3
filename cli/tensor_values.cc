// SPDX-License-Identifier: Apache-2.0
#include "cli/tensor_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <optional>

#include "cli/element_values.h"

namespace caisson::cli {
namespace {

constexpr size_t kBatch = 4096;  // numbers decoded at a time

// Numbers of `width` bytes: flips the sign of every `step`-th, from `first` on.
void FlipSigns(std::span<std::byte> data, size_t width, size_t first,
               size_t step) {
  const size_t sign =
      std::endian::native == std::endian::little ? width - 1 : 0;
  for (size_t at = first * width; at + width <= data.size();
       at += step * width) {
    data[at + sign] ^= std::byte{0x80};
  }
}

// Calls visit(numbers) for all of `data`, some at a time.
template <class Number, class Decode, class Visit>
void EachBatch(DType dtype, std::span<const std::byte> data, Decode decode,
               Visit visit) {
  const size_t per_element = NumbersIn(dtype);
  const size_t width = ByteWidth(dtype);
  const size_t elems = data.size() / width;
  std::array<Number, kBatch> numbers;
  for (size_t at = 0; at < elems;) {
    const size_t count = std::min(elems - at, kBatch / per_element);
    const auto batch = std::span(numbers).first(count * per_element);
    decode(dtype, data.data() + at * width, batch);
    visit(std::span<const Number>(batch));
    at += count;
  }
}

// Mean and standard deviation of the finite numbers, by two passes over the
// decoded values, as the difference of sums would cancel.
template <class Pass>
void FillMoments(uint64_t count, Pass pass, Statistics* statistics) {
  if (count == 0) return;
  double sum = 0;
  pass([&](double value) { sum += value; });
  const double mean = sum / static_cast<double>(count);
  statistics->mean = fmt::format("{:.5g}", mean);
  if (count < 2) return;
  double squares = 0;
  pass([&](double value) { squares += (value - mean) * (value - mean); });
  const double variance = squares / static_cast<double>(count - 1);
  statistics->std = fmt::format("{:.5g}", std::sqrt(variance));
}

// Five digits are enough for a glance; whole numbers are given exactly.
std::string Rounded(double value) {
  if (std::trunc(value) == value && std::abs(value) < 1e9) {
    return fmt::format("{:.0f}.", value);
  }
  return fmt::format("{:.5g}", value);
}

Statistics MeasureFloats(DType dtype, std::span<const std::byte> data) {
  Statistics result;
  result.ordered = true;
  double min = std::numeric_limits<double>::infinity();
  double max = -min;
  uint64_t finite = 0;
  const auto each = [&](auto visit) {
    EachBatch<double>(dtype, data, DecodeFloats,
                      [&](std::span<const double> batch) {
                        for (const double value : batch) visit(value);
                      });
  };
  each([&](double value) {
    if (std::isnan(value)) {
      ++result.nans;
      return;
    }
    min = std::min(min, value);
    max = std::max(max, value);
    result.zeros += value == 0;
    result.infinities += std::isinf(value);
    finite += std::isfinite(value);
  });
  if (min <= max) {
    result.min = Rounded(min);
    result.max = Rounded(max);
  }
  const auto each_finite = [&](auto visit) {
    each([&](double value) {
      if (std::isfinite(value)) visit(value);
    });
  };
  FillMoments(finite, each_finite, &result);
  return result;
}

Statistics MeasureComplex(DType dtype, std::span<const std::byte> data) {
  Statistics result;
  double real = 0;
  double imaginary = 0;
  uint64_t finite = 0;
  EachBatch<double>(dtype, data, DecodeFloats,
                    [&](std::span<const double> batch) {
                      for (size_t i = 0; i < batch.size(); i += 2) {
                        const double a = batch[i];
                        const double b = batch[i + 1];
                        result.zeros += a == 0 && b == 0;
                        result.nans += std::isnan(a) || std::isnan(b);
                        result.infinities += std::isinf(a) || std::isinf(b);
                        if (!std::isfinite(a) || !std::isfinite(b)) continue;
                        ++finite;
                        real += a;
                        imaginary += b;
                      }
                    });
  if (finite > 0) {
    const auto count = static_cast<double>(finite);
    result.mean =
        fmt::format("{:.5g}{:+.5g}j", real / count, imaginary / count);
  }
  return result;
}

template <class Integer>
Statistics MeasureIntegers(DType dtype, std::span<const std::byte> data) {
  Statistics result;
  result.ordered = true;
  Integer min = std::numeric_limits<Integer>::max();
  Integer max = std::numeric_limits<Integer>::min();
  const auto each = [&](auto visit) {
    EachBatch<int64_t>(dtype, data, DecodeIntegers,
                       [&](std::span<const int64_t> batch) {
                         for (const int64_t value : batch) {
                           visit(static_cast<Integer>(value));
                         }
                       });
  };
  uint64_t count = 0;
  each([&](Integer value) {
    min = std::min(min, value);
    max = std::max(max, value);
    result.zeros += value == 0;
    ++count;
  });
  if (count > 0) {
    result.min = fmt::format("{}", min);
    result.max = fmt::format("{}", max);
  }
  const auto each_double = [&](auto visit) {
    each([&](Integer value) { visit(static_cast<double>(value)); });
  };
  FillMoments(count, each_double, &result);
  return result;
}

}  // namespace

void ApplyBits(const TensorView& view, std::span<std::byte> data) {
  // torch sets conj on complex types only, and neg on those and on floats.
  const DType dtype = view.spec.dtype;
  const ElementClass kind = ClassOf(dtype);
  const size_t width = ByteWidth(dtype) / NumbersIn(dtype);
  if (width == 0) return;
  if (view.conj && kind == ElementClass::kComplex) FlipSigns(data, width, 1, 2);
  if (view.neg &&
      (kind == ElementClass::kComplex || kind == ElementClass::kFloat)) {
    FlipSigns(data, width, 0, 1);
  }
}

Result<TensorValues> ReadValues(const Reader& reader, const TensorInfo& tensor,
                                const std::string& file) {
  TensorValues values;
  const bool packed = ByteWidth(tensor.view.spec.dtype) == 0;
  const uint64_t bytes =
      packed ? tensor.view.storage->region.bytes : tensor.view.spec.bytes();
  if (bytes > std::numeric_limits<ptrdiff_t>::max()) {
    return Status::OutOfMemory(
        fmt::format("{}: tensor '{}' is too large to be shown: {} [{}]", file,
                    tensor.view.spec.name, Name(tensor.view.spec.dtype),
                    fmt::join(tensor.view.spec.shape, ", ")));
  }
  values.data.reset(new (std::nothrow) std::byte[bytes]);
  if (values.data == nullptr) {
    return Status::OutOfMemory(
        fmt::format("{}: tensor '{}': no memory for {} bytes", file,
                    tensor.view.spec.name, bytes));
  }
  values.bytes = bytes;
  ReadRequest request;
  request.tensor = &tensor;
  request.dst = {values.data.get(), values.bytes, Device::Cpu()};
  const Result<ReadReport> report = reader.Read({&request, 1});
  if (!report) return report.error();
  values.checked = report->checked.front();
  ApplyBits(tensor.view, {values.data.get(), values.bytes});
  return values;
}

Statistics Measure(DType dtype, std::span<const std::byte> data) {
  switch (ClassOf(dtype)) {
    case ElementClass::kFloat:
      return MeasureFloats(dtype, data);
    case ElementClass::kComplex:
      return MeasureComplex(dtype, data);
    default:
      return dtype == DType::kUInt64 ? MeasureIntegers<uint64_t>(dtype, data)
                                     : MeasureIntegers<int64_t>(dtype, data);
  }
}

}  // namespace caisson::cli
