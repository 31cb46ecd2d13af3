// SPDX-License-Identifier: Apache-2.0
//
// A strided view is read in the order in which its elements lie in the file,
// whatever the order of its dimensions, so that no range is read twice; what
// lies close together is read at once.
#include "core/engine/read/storage_io.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// The most that is read at once of a view with holes: little scratch, and
// large enough for any disk.
constexpr uint64_t kSpanBytes = uint64_t{8} << 20;

// A hole of up to this is read too: a device and a network give it sooner than
// they answer another call.
constexpr uint64_t kHoleBytes = uint64_t{16} << 10;

// A view without its dimensions of size 1.
struct Shape {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;  // elements

  void Add(int64_t size, int64_t stride) {
    sizes.push_back(size);
    strides.push_back(stride);
  }

  // Elements from the first to the last, inclusive. REQUIRES: a valid view
  // with elements.
  uint64_t Extent() const { return *CheckedExtent(0, sizes, strides); }

  bool Dense() const {
    int64_t expected = 1;
    for (size_t d = sizes.size(); d-- > 0;) {
      if (strides[d] != expected) return false;
      expected *= sizes[d];
    }
    return true;
  }

  // The same with `size` in its first dimension.
  Shape First(int64_t size) const {
    Shape first = *this;
    first.sizes[0] = size;
    return first;
  }

  // One element of its first dimension.
  Shape Row() const {
    return {{sizes.begin() + 1, sizes.end()},
            {strides.begin() + 1, strides.end()}};
  }
};

class ViewReader {
 public:
  ViewReader(const Sources& sources, const StorageLayout& storage, DType dtype,
             CrcCheck check)
      : sources_(sources),
        storage_(storage),
        dtype_(dtype),
        width_(ByteWidth(dtype)),
        check_(check) {}

  Result<StorageRead> Run(const TensorView& view, std::span<std::byte> dst) {
    Shape shape;
    for (size_t d = 0; d < view.strides.size(); ++d) {
      const int64_t size = view.spec.shape[d];
      if (size != 1) shape.Add(size, view.strides[d]);
    }
    const uint64_t first = view.offset * width_;
    if (shape.Dense()) {
      CAISSON_RETURN_IF_ERROR(Load(first, dst));
    } else if (Encoded() || Spans(first, shape, dst.size())) {
      CAISSON_ASSIGN_OR_RETURN(const auto whole, Scratch(storage_.bytes));
      CAISSON_RETURN_IF_ERROR(Load(0, whole));
      CAISSON_RETURN_IF_ERROR(Gather(&whole[first], shape, dst));
    } else {
      CAISSON_RETURN_IF_ERROR(ReadInFileOrder(first, shape, dst));
    }
    return read_;
  }

 private:
  // Whether a part of it takes decoding all of it.
  bool Encoded() const {
    return storage_.pieces.size() == 1 &&
           storage_.pieces.front().encoding != Encoding::kRaw;
  }

  // Whether to read the whole storage, which can then be checked: the view
  // reaches from its first byte to its last, and skips few of many.
  bool Spans(uint64_t first, const Shape& shape, uint64_t view_bytes) const {
    return first == 0 && shape.Extent() * width_ == storage_.bytes &&
           (storage_.bytes <= kSpanBytes || storage_.bytes / 2 <= view_bytes);
  }

  Result<std::span<std::byte>> Scratch(uint64_t bytes) {
    if (scratch_.size() < bytes) {
      CAISSON_ASSIGN_OR_RETURN(scratch_, Buffer::Allocate(bytes));
    }
    return scratch_.bytes().first(bytes);
  }

  Status Load(uint64_t first, std::span<std::byte> dst) {
    CAISSON_ASSIGN_OR_RETURN(
        const StorageRead one,
        ReadStorage(sources_, storage_, first, dst, check_, &decoded_));
    read_.checked = read_.checked && one.checked;
    read_.file_bytes += one.file_bytes;
    return Status::Ok();
  }

  // `dst` gets the elements of the view of `shape` that begins at `src`.
  Status Gather(const std::byte* src, const Shape& shape,
                std::span<std::byte> dst) const {
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                             KernelsFor(Device::Cpu()));
    const Strides view = {shape.sizes, shape.strides};
    Job job;
    job.src = src;
    job.dst = dst.data();
    job.elems = dst.size() / width_;
    job.view = &view;
    const Step step = {Op::kCopy, dtype_, dtype_, CrcOf::kStored};
    return kernels->transform(step, std::span(&job, 1), {}, {});
  }

  // The dimension with the largest stride first.
  Status ReadInFileOrder(uint64_t first, const Shape& shape,
                         std::span<std::byte> dst) {
    std::vector<size_t> order(shape.sizes.size());
    for (size_t d = 0; d < order.size(); ++d) order[d] = d;
    std::ranges::stable_sort(order, [&](size_t a, size_t b) {
      return shape.strides[a] > shape.strides[b];
    });
    if (std::ranges::is_sorted(order)) return ReadRows(first, shape, dst);

    Shape sorted;
    for (const size_t d : order) sorted.Add(shape.sizes[d], shape.strides[d]);
    CAISSON_ASSIGN_OR_RETURN(const Buffer rows, Buffer::Allocate(dst.size()));
    CAISSON_RETURN_IF_ERROR(ReadRows(first, sorted, rows.bytes()));
    const std::vector<int64_t> strides = RowMajorStrides(sorted.sizes);
    Shape back = shape;
    for (size_t i = 0; i < order.size(); ++i) {
      back.strides[order[i]] = strides[i];
    }
    return Gather(rows.data(), back, dst);
  }

  // How many rows to read at once.
  int64_t RowsAtOnce(const Shape& shape) const {
    const uint64_t step = static_cast<uint64_t>(shape.strides[0]) * width_;
    const uint64_t row = shape.Row().Extent() * width_;
    if (row > kSpanBytes || step > row + kHoleBytes) return 1;
    if (step == 0) return shape.sizes[0];
    const uint64_t fitting = 1 + (kSpanBytes - row) / step;
    return static_cast<int64_t>(
        std::min(static_cast<uint64_t>(shape.sizes[0]), fitting));
  }

  // REQUIRES: strides that do not grow.
  Status ReadRows(uint64_t first, const Shape& shape,
                  std::span<std::byte> dst) {
    if (shape.Dense()) return Load(first, dst);
    const int64_t rows = shape.sizes[0];
    const int64_t at_once = RowsAtOnce(shape);
    const uint64_t step = static_cast<uint64_t>(shape.strides[0]) * width_;
    const size_t row_bytes = dst.size() / static_cast<size_t>(rows);
    for (int64_t row = 0; row < rows; row += at_once) {
      const int64_t count = std::min(at_once, rows - row);
      const uint64_t from = first + static_cast<uint64_t>(row) * step;
      const auto part = dst.subspan(static_cast<size_t>(row) * row_bytes,
                                    static_cast<size_t>(count) * row_bytes);
      if (count == 1) {
        CAISSON_RETURN_IF_ERROR(ReadRows(from, shape.Row(), part));
        continue;
      }
      const Shape some = shape.First(count);
      CAISSON_ASSIGN_OR_RETURN(const auto span,
                               Scratch(some.Extent() * width_));
      CAISSON_RETURN_IF_ERROR(Load(from, span));
      CAISSON_RETURN_IF_ERROR(Gather(span.data(), some, part));
    }
    return Status::Ok();
  }

  const Sources& sources_;
  const StorageLayout& storage_;
  const DType dtype_;
  const size_t width_;
  const CrcCheck check_;
  DecodedPiece decoded_;  // rows that follow each other share it
  Buffer scratch_;
  StorageRead read_;
};

// A part of a raw piece; returns how many bytes were read for it. A view may
// have another dtype than its storage, and then cut an element that is swapped.
Result<uint64_t> ReadPart(const ByteSource& source, const Piece& piece,
                          DType dtype, uint64_t offset,
                          std::span<std::byte> dst, const std::string& what) {
  const bool swapped = piece.order != kNativeOrder;
  const size_t width = swapped ? std::max<size_t>(ByteWidth(dtype), 1) : 1;
  const uint64_t end = offset + dst.size();
  const uint64_t from = offset / width * width;
  const uint64_t to = (end + width - 1) / width * width;
  if (from == offset && to == end) {
    CAISSON_RETURN_IF_ERROR(
        ReadPieceRange(source, piece, dtype, offset, dst, what));
    return dst.size();
  }
  CAISSON_ASSIGN_OR_RETURN(const Buffer elems, Buffer::Allocate(to - from));
  CAISSON_RETURN_IF_ERROR(
      ReadPieceRange(source, piece, dtype, from, elems.bytes(), what));
  std::ranges::copy(elems.bytes().subspan(offset - from, dst.size()),
                    dst.begin());
  return to - from;
}

// All of an encoded piece, of which dst gets a part. Returns how many bytes
// were read for it.
Result<uint64_t> DecodePart(const ByteSource& source, const Piece& piece,
                            DType dtype, uint64_t offset,
                            std::span<std::byte> dst, CrcCheck check,
                            const std::string& what, DecodedPiece& last) {
  const size_t width = std::max<size_t>(ByteWidth(dtype), 1);
  const size_t bytes = piece.elems * width;
  uint64_t read = 0;
  if (last.piece != &piece) {
    last.piece = nullptr;
    if (last.bytes.size() < bytes) {
      CAISSON_ASSIGN_OR_RETURN(last.bytes, Buffer::Allocate(bytes));
    }
    CAISSON_ASSIGN_OR_RETURN(
        last.checked, ReadPiece(source, piece, dtype,
                                last.bytes.bytes().first(bytes), check, what));
    last.piece = &piece;
    read = piece.stored_bytes;
  }
  std::ranges::copy(last.bytes.bytes().subspan(offset, dst.size()),
                    dst.begin());
  return read;
}

}  // namespace

Result<StorageRead> ReadStorage(const Sources& sources,
                                const StorageLayout& storage, uint64_t offset,
                                std::span<std::byte> dst, CrcCheck check,
                                DecodedPiece* last) {
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  const uint64_t end = offset + dst.size();
  StorageRead read;
  DecodedPiece own;
  // Pieces before the first that has any of it are passed over.
  const auto first = std::ranges::upper_bound(storage.pieces, offset / width,
                                              {}, &Piece::first_elem);
  const size_t begin =
      first == storage.pieces.begin() ? 0 : first - storage.pieces.begin() - 1;
  for (size_t i = begin; i < storage.pieces.size(); ++i) {
    const Piece& piece = storage.pieces[i];
    if (piece.first_elem * width >= end && !dst.empty()) break;
    const std::string what = PieceName(storage, i);
    const uint64_t piece_first = piece.first_elem * width;
    const uint64_t piece_end = piece_first + piece.elems * width;
    const uint64_t from = std::max(offset, piece_first);
    const uint64_t to = std::min(end, piece_end);
    const bool whole = from == piece_first && to == piece_end;
    if (from >= to && !(whole && dst.empty())) continue;
    const auto part = dst.subspan(from - offset, to - from);
    bool checked = false;
    uint64_t file_bytes = piece.stored_bytes;
    const bool known = last != nullptr && last->piece == &piece;
    if (whole && !known) {
      CAISSON_ASSIGN_OR_RETURN(
          checked, ReadPiece(sources.Of(piece), piece, storage.dtype, part,
                             check, what));
    } else if (piece.encoding != Encoding::kRaw) {
      DecodedPiece& decoded = last != nullptr ? *last : own;
      CAISSON_ASSIGN_OR_RETURN(
          file_bytes,
          DecodePart(sources.Of(piece), piece, storage.dtype,
                     from - piece_first, part, check, what, decoded));
      checked = decoded.checked;
    } else {
      CAISSON_ASSIGN_OR_RETURN(file_bytes,
                               ReadPart(sources.Of(piece), piece, storage.dtype,
                                        from - piece_first, part, what));
    }
    read.file_bytes += file_bytes;
    read.checked = read.checked && checked;
  }
  return read;
}

Result<StorageRead> ReadStorageAs(const Sources& sources,
                                  const StorageLayout& storage, DType from,
                                  DType to, std::span<std::byte> dst,
                                  CrcCheck check) {
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  // What `units` of the storage take in dst.
  const auto converted = [&](uint64_t units) {
    return units * width / ByteWidth(from) * ByteWidth(to);
  };
  StorageRead read;
  for (size_t i = 0; i < storage.pieces.size(); ++i) {
    const Piece& piece = storage.pieces[i];
    const std::string what = PieceName(storage, i);
    const auto part =
        dst.subspan(converted(piece.first_elem), converted(piece.elems));
    CAISSON_ASSIGN_OR_RETURN(
        const bool checked,
        ReadPieceAs(sources.Of(piece), piece, from, to, part, check, what));
    read.file_bytes += piece.stored_bytes;
    read.checked = read.checked && checked;
  }
  return read;
}

Result<StorageRead> ReadView(const Sources& sources,
                             const StorageLayout& storage,
                             const TensorView& view, std::span<std::byte> dst,
                             CrcCheck check) {
  if (dst.empty()) return StorageRead{};
  ViewReader reader(sources, storage, view.spec.dtype, check);
  return reader.Run(view, dst);
}

}  // namespace caisson
