// SPDX-License-Identifier: Apache-2.0
#include "core/engine/storage_io.h"

#include <algorithm>
#include <string>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// A strided view is read by spans of at most this, so that a column of a large
// matrix needs little scratch and not one read an element.
constexpr uint64_t kSpanBytes = uint64_t{8} << 20;

class ViewReader {
 public:
  ViewReader(const ByteSource& source, const StorageLayout& storage,
             DType dtype, CrcCheck check)
      : source_(source),
        storage_(storage),
        dtype_(dtype),
        width_(ByteWidth(dtype)),
        check_(check) {}

  Result<bool> Read(uint64_t offset, std::span<const int64_t> shape,
                    std::span<const int64_t> strides,
                    std::span<std::byte> dst) {
    if (dst.empty()) return true;
    const uint64_t extent = *CheckedExtent(0, shape, strides) * width_;
    const uint64_t first = offset * width_;
    const bool dense = IsDense(shape, strides);
    if (dense) return ReadStorage(source_, storage_, first, dst, check_);
    const bool whole = first == 0 && extent == storage_.bytes;
    if (whole || extent <= kSpanBytes) {
      return Gather(first, extent, shape, strides, dst);
    }
    // Too wide: one subview after the other along the first dimension.
    bool checked = true;
    const size_t step = dst.size() / static_cast<size_t>(shape[0]);
    for (int64_t i = 0; i < shape[0]; ++i) {
      CAISSON_ASSIGN_OR_RETURN(
          const bool one,
          Read(offset + static_cast<uint64_t>(i * strides[0]), shape.subspan(1),
               strides.subspan(1),
               dst.subspan(static_cast<size_t>(i) * step, step)));
      checked = checked && one;
    }
    return checked;
  }

 private:
  static bool IsDense(std::span<const int64_t> shape,
                      std::span<const int64_t> strides) {
    int64_t expected = 1;
    for (size_t d = shape.size(); d-- > 0;) {
      if (shape[d] == 1) continue;
      if (strides[d] != expected) return false;
      expected *= shape[d];
    }
    return true;
  }

  Result<bool> Gather(uint64_t first, uint64_t extent,
                      std::span<const int64_t> shape,
                      std::span<const int64_t> strides,
                      std::span<std::byte> dst) {
    CAISSON_ASSIGN_OR_RETURN(const Buffer scratch, Buffer::Allocate(extent));
    CAISSON_ASSIGN_OR_RETURN(
        const bool checked,
        ReadStorage(source_, storage_, first, scratch.bytes(), check_));
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                             KernelsFor(Device::Cpu()));
    const Strides view = {shape, strides};
    Job job;
    job.src = scratch.data();
    job.dst = dst.data();
    job.elems = dst.size() / width_;
    job.view = &view;
    const Step step = {Op::kCopy, dtype_, dtype_, CrcOf::kStored};
    CAISSON_RETURN_IF_ERROR(
        kernels->transform(step, std::span(&job, 1), {}, {}));
    return checked;
  }

  const ByteSource& source_;
  const StorageLayout& storage_;
  const DType dtype_;
  const size_t width_;
  const CrcCheck check_;
};

}  // namespace

Result<bool> ReadStorage(const ByteSource& source, const StorageLayout& storage,
                         uint64_t offset, std::span<std::byte> dst,
                         CrcCheck check) {
  const std::string what = "record '" + storage.record + "'";
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  const uint64_t end = offset + dst.size();
  bool checked = true;
  for (const Piece& piece : storage.pieces) {
    const uint64_t piece_first = piece.first_elem * width;
    const uint64_t piece_end = piece_first + piece.elems * width;
    const uint64_t from = std::max(offset, piece_first);
    const uint64_t to = std::min(end, piece_end);
    const bool whole = from == piece_first && to == piece_end;
    if (from >= to && !(whole && dst.empty())) continue;
    const auto part = dst.subspan(from - offset, to - from);
    if (whole) {
      CAISSON_ASSIGN_OR_RETURN(
          const bool one,
          ReadPiece(source, piece, storage.dtype, part, check, what));
      checked = checked && one;
    } else {
      CAISSON_RETURN_IF_ERROR(ReadPieceRange(source, piece, storage.dtype,
                                             from - piece_first, part, what));
      checked = false;
    }
  }
  return checked;
}

Result<bool> ReadView(const ByteSource& source, const StorageLayout& storage,
                      const TensorView& view, std::span<std::byte> dst,
                      CrcCheck check) {
  ViewReader reader(source, storage, view.spec.dtype, check);
  return reader.Read(view.offset, view.spec.shape, view.strides, dst);
}

}  // namespace caisson
