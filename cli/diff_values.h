// SPDX-License-Identifier: Apache-2.0
//
// Compares the values of tensors bit by bit, a block at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "cli/difference.h"

namespace caisson::cli {

// A file that takes part. Used by one thread.
class DiffSide {
 public:
  // `reader` outlives this; `path` is what it was opened from.
  DiffSide(const Reader& reader, std::string path);

  const Reader& reader() const { return reader_; }

  // A tensor of the reader with the storage and the geometry of `view`, or
  // nullptr. The same one for all views that are alike.
  const TensorInfo* Find(const TensorView& view) const;

  // Whether the record of `tensor` is damaged: kCorrupt, naming it, if it is.
  // Reads the whole file, once. Errors: those of Reader::Verify.
  Status CheckRecord(const TensorInfo& tensor);

 private:
  using Geometry =
      std::tuple<const Storage*, DType, uint64_t, std::vector<int64_t>,
                 std::vector<int64_t>, bool, bool>;
  static Geometry GeometryOf(const TensorView& view);

  const Reader& reader_;
  const std::string path_;
  std::map<Geometry, const TensorInfo*> tensors_;
  std::optional<Result<VerifyReport>> verified_;
};

// Used by one thread. Memory is bounded by two blocks, and by the storage for
// one that is stored deflated.
class ValueDiff {
 public:
  // Told before each block: bytes read so far, and from which tensor.
  using Progress = std::function<void(uint64_t bytes, std::string_view name)>;

  // Both sides outlive this.
  ValueDiff(DiffSide* a, DiffSide* b, Progress progress);

  // How the values of two tensors differ, conj and neg applied; none if they
  // do not. Views that were compared before are not read again. Where the
  // values differ and a part of a record was read, the whole record is checked
  // too, so that damage is not taken for a difference.
  //
  // REQUIRES: one dtype, one shape.
  // Errors: kCorrupt for damage, kUnsupported for what cannot be compared,
  // those of Reader::Read.
  Result<std::optional<ElementDifference>> Compare(const TensorView& a,
                                                   const TensorView& b);

  uint64_t bytes() const { return bytes_; }  // compared, of each side

 private:
  using Outcome = Result<std::optional<ElementDifference>>;

  Outcome CompareOnce(const TensorInfo& a, const TensorInfo& b);

  DiffSide* const a_;
  DiffSide* const b_;
  const Progress progress_;
  uint64_t bytes_ = 0;
  uint64_t bytes_read_ = 0;
  std::map<std::pair<const TensorInfo*, const TensorInfo*>, Outcome> known_;
};

}  // namespace caisson::cli
