// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <span>

#include "caisson/crc32.h"
#include "cli/element_text.h"
#include "cli/element_values.h"
#include "cli/tensor_blocks.h"
#include "cli/tensor_values.h"

namespace caisson::cli {
namespace {

// Large enough for any disk, and what Reader::Read reads at once of a view.
constexpr uint64_t kBlockBytes = uint64_t{8} << 20;

constexpr uint64_t kMostElems = std::numeric_limits<uint64_t>::max();

// Bytes that are compared as one: an element, or a byte of a packed type.
size_t UnitBytes(DType dtype) { return std::max<size_t>(ByteWidth(dtype), 1); }

// What one side reads of a tensor.
class BlockReader {
 public:
  BlockReader(const DiffSide& side, const TensorInfo& tensor)
      : side_(side), tensor_(tensor) {
    const TensorView& view = tensor.view;
    sums_ = tensor.crc32 && tensor.compression == Compression::kNone &&
            view.offset == 0 && view.contiguous() &&
            view.spec.bytes() == view.storage->region.bytes;
  }

  // The elements of `block`, of `bytes` bytes; all of it if `block` is empty.
  // Valid until the next call.
  Result<std::span<std::byte>> Read(const std::vector<Range>& block,
                                    uint64_t bytes) {
    if (Status status = Reserve(bytes); !status.ok()) return status;
    ReadRequest request;
    request.tensor = &tensor_;
    request.block = block;
    request.dst = {data_.get(), bytes, Device::Cpu()};
    const Result<ReadReport> report = side_.reader().Read({&request, 1});
    if (!report) return report.error();
    checked_ = checked_ && report->checked.front();
    bytes_read_ += report->bytes_read;
    const std::span<std::byte> data(data_.get(), bytes);
    if (sums_ && !checked_) crc32_ = Crc32(crc32_, data);
    ApplyBits(tensor_.view, data);
    return data;
  }

  // Whether all that was read agrees with the record's CRC. False too where
  // that cannot be told: of a part of a record, or one in another byte order.
  bool Checked() const {
    return checked_ || (sums_ && crc32_ == *tensor_.crc32);
  }

  uint64_t bytes_read() const { return bytes_read_; }

 private:
  Status Reserve(uint64_t bytes) {
    if (bytes <= capacity_) return Status::Ok();
    const bool fits = bytes <= std::numeric_limits<ptrdiff_t>::max();
    if (fits) data_.reset(new (std::nothrow) std::byte[bytes]);
    if (fits && data_ != nullptr) {
      capacity_ = bytes;
      return Status::Ok();
    }
    capacity_ = 0;
    return Status::OutOfMemory(fmt::format(
        "tensor '{}': no memory for {} bytes", tensor_.view.spec.name, bytes));
  }

  const DiffSide& side_;
  const TensorInfo& tensor_;
  std::unique_ptr<std::byte[]> data_;
  uint64_t capacity_ = 0;
  uint64_t bytes_read_ = 0;
  bool checked_ = true;
  bool sums_;  // whether the blocks, one after the other, are the record
  uint32_t crc32_ = 0;
};

// "0.5", and its bits too if `bits` is set.
std::string UnitText(DType dtype, const std::byte* data, bool bits) {
  const size_t width = UnitBytes(dtype);
  std::string text = ByteWidth(dtype) == 0 ? ElementText(DType::kBits8, data)
                                           : ElementText(dtype, data);
  if (!bits) return text;
  text += " (0x";
  for (size_t i = 0; i < width; ++i) {  // the most significant byte first
    const bool little = std::endian::native == std::endian::little;
    text += fmt::format("{:02x}",
                        static_cast<uint8_t>(data[little ? width - 1 - i : i]));
  }
  return text + ")";
}

// Gathers what differs, block by block.
class Gatherer {
 public:
  explicit Gatherer(const TensorSpec& spec)
      : dtype_(spec.dtype), width_(UnitBytes(spec.dtype)) {
    const ElementClass kind = ClassOf(dtype_);
    floats_ = ByteWidth(dtype_) != 0 &&
              (kind == ElementClass::kFloat || kind == ElementClass::kComplex);
    result_.packed = ByteWidth(dtype_) == 0;
    result_.elems = spec.elems();
  }

  // `index_of(at)` is the index in the tensor of the block's unit `at`.
  template <class IndexOf>
  void Add(std::span<const std::byte> a, std::span<const std::byte> b,
           uint64_t repeats, IndexOf index_of) {
    // Most blocks are equal, and nothing is faster than memcmp.
    if (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0) return;
    uint64_t differing = 0;
    for (size_t at = 0; at < a.size(); at += width_) {
      if (std::memcmp(&a[at], &b[at], width_) == 0) continue;
      if (differing++ == 0) SetFirst(&a[at], &b[at], index_of(at / width_));
      if (floats_) Measure(&a[at], &b[at]);
    }
    const bool fits = differing <= kMostElems / repeats &&
                      differing * repeats <= kMostElems - result_.differing;
    result_.differing =
        fits ? result_.differing + differing * repeats : kMostElems;
  }

  void set_elems(uint64_t elems) { result_.elems = elems; }

  std::optional<ElementDifference> Take() {
    if (result_.differing == 0) return std::nullopt;
    return std::move(result_);
  }

 private:
  // Blocks may come in another order than their elements.
  void SetFirst(const std::byte* a, const std::byte* b,
                std::vector<int64_t> index) {
    if (result_.differing > 0 && result_.index <= index) return;
    result_.index = std::move(index);
    result_.a = UnitText(dtype_, a, false);
    result_.b = UnitText(dtype_, b, false);
    if (result_.a != result_.b) return;
    result_.a = UnitText(dtype_, a, true);
    result_.b = UnitText(dtype_, b, true);
  }

  void Measure(const std::byte* a, const std::byte* b) {
    std::array<double, 2> left{};
    std::array<double, 2> right{};
    const size_t count = NumbersIn(dtype_);
    DecodeFloats(dtype_, a, std::span(left).first(count));
    DecodeFloats(dtype_, b, std::span(right).first(count));
    std::array<double, 2> distance{};
    for (size_t i = 0; i < count; ++i) {
      // Equal infinities have no difference, but a distance of 0.
      if (left[i] != right[i]) distance[i] = std::abs(left[i] - right[i]);
    }
    double whole = distance[0];
    if (count == 2) {  // only a complex number may hold a NaN
      whole = ClassOf(dtype_) == ElementClass::kComplex
                  ? std::hypot(distance[0], distance[1])
                  : std::max(distance[0], distance[1]);
    }
    if (!std::isnan(whole)) {
      result_.greatest = std::max(result_.greatest.value_or(0), whole);
    }
  }

  const DType dtype_;
  const size_t width_;
  bool floats_;
  ElementDifference result_;
};

Status Incomparable(const TensorInfo& tensor, const std::string& problem) {
  return Status::Unsupported(
      fmt::format("tensor '{}': {}", tensor.view.spec.name, problem));
}

}  // namespace

DiffSide::DiffSide(const Reader& reader, std::string path)
    : reader_(reader), path_(std::move(path)) {
  for (const TensorInfo& tensor : reader_.tensors()) {
    tensors_.emplace(GeometryOf(tensor.view), &tensor);
  }
}

DiffSide::Geometry DiffSide::GeometryOf(const TensorView& view) {
  return {view.storage.get(), view.spec.dtype, view.offset, view.spec.shape,
          view.strides,       view.conj,       view.neg};
}

const TensorInfo* DiffSide::Find(const TensorView& view) const {
  const auto found = tensors_.find(GeometryOf(view));
  return found != tensors_.end() ? found->second : nullptr;
}

Status DiffSide::CheckRecord(const TensorInfo& tensor) {
  if (!verified_) verified_ = reader_.Verify();
  if (!*verified_) return verified_->error();
  for (const Damage& damage : (*verified_)->damage) {
    if (damage.record != tensor.record) continue;
    return Status::Corrupt(fmt::format("{}: {} at {}: {}", path_, damage.record,
                                       damage.offset, damage.problem));
  }
  return Status::Ok();
}

ValueDiff::ValueDiff(DiffSide* a, DiffSide* b, Progress progress)
    : a_(a), b_(b), progress_(std::move(progress)) {}

ValueDiff::Outcome ValueDiff::Compare(const TensorView& a,
                                      const TensorView& b) {
  const TensorInfo* in_a = a_->Find(a);
  const TensorInfo* in_b = b_->Find(b);
  if (in_a == nullptr || in_b == nullptr) {
    return Status::Unsupported("no tensor that can be read");
  }
  const auto known = known_.find({in_a, in_b});
  if (known != known_.end()) return known->second;
  Outcome outcome = CompareOnce(*in_a, *in_b);
  known_.emplace(std::pair(in_a, in_b), outcome);
  return outcome;
}

ValueDiff::Outcome ValueDiff::CompareOnce(const TensorInfo& a,
                                          const TensorInfo& b) {
  const DType dtype = a.view.spec.dtype;
  const size_t width = UnitBytes(dtype);
  const bool packed = ByteWidth(dtype) == 0;
  BlockReader from_a(*a_, a);
  BlockReader from_b(*b_, b);
  Gatherer gatherer(a.view.spec);
  const uint64_t before = bytes_read_;
  const auto compare = [&](const std::vector<Range>& block, uint64_t bytes,
                           uint64_t repeats, auto index_of) {
    progress_(bytes_read_, a.view.spec.name);
    const auto left = from_a.Read(block, bytes);
    if (!left) return left.error();
    const auto right = from_b.Read(block, bytes);
    if (!right) return right.error();
    gatherer.Add(*left, *right, repeats, index_of);
    bytes_ += bytes;
    bytes_read_ = before + from_a.bytes_read() + from_b.bytes_read();
    return Status::Ok();
  };

  if (packed) {
    // These are read as their storages, whose elements no block can name.
    const uint64_t bytes = a.view.storage->region.bytes;
    if (bytes != b.view.storage->region.bytes ||
        a.view.offset != b.view.offset || a.view.strides != b.view.strides) {
      return Incomparable(a,
                          "packed elements that the files lay out differently");
    }
    gatherer.set_elems(bytes);
    const Status status = compare({}, bytes, 1, [](uint64_t at) {
      return std::vector<int64_t>{static_cast<int64_t>(at)};
    });
    if (!status.ok()) return status;
  } else {
    // A part of a deflated record takes inflating all of it.
    const bool whole = a.compression == Compression::kDeflate ||
                       b.compression == Compression::kDeflate;
    TensorBlocks blocks(a.view, b.view,
                        whole ? kMostElems : kBlockBytes / width);
    while (blocks.Next()) {
      const Status status =
          compare(blocks.block(), blocks.elems() * width, blocks.repeats(),
                  [&](uint64_t at) { return blocks.IndexOf(at); });
      if (!status.ok()) return status;
    }
  }

  std::optional<ElementDifference> difference = gatherer.Take();
  if (!difference) return difference;
  for (const auto& [side, tensor, reader] :
       {std::tuple(a_, &a, &from_a), std::tuple(b_, &b, &from_b)}) {
    if (reader->Checked() || !tensor->crc32) continue;
    if (Status status = side->CheckRecord(*tensor); !status.ok()) return status;
  }
  return difference;
}

}  // namespace caisson::cli
