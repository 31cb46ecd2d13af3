// SPDX-License-Identifier: Apache-2.0
//
// Compares tensors: what they are, what they share, their values.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "caisson/reader.h"
#include "caisson/state.h"
#include "cli/diff_values.h"
#include "cli/difference.h"

namespace caisson::cli {

// A tensor as a state holds it.
struct HeldTensor {
  const TensorView* view;
  bool parameter = false;      // within a torch.nn.Parameter
  bool requires_grad = false;  // of the Parameter, if it is one
};

// The tensor that `node` is, or that a Parameter without attributes holds.
std::optional<HeldTensor> TensorOf(const Node& node);

// "float32 [2, 3]", "Parameter float32 [2, 3]".
std::string TensorHead(const HeldTensor& tensor);

struct TensorDiffOptions {
  bool layout = false;  // offsets, strides and locations are compared too

  // Dtype, shape and values alone are compared; of a quantised tensor the
  // integers that it stores.
  bool contents = false;
};

// Used by one thread.
class TensorDiff {
 public:
  // `values` and `sink` outlive this.
  TensorDiff(ValueDiff* values, const DifferenceSink* sink,
             TensorDiffOptions options);

  // Tells the sink how two tensors at one path differ.
  void Compare(const Path& path, const HeldTensor& a, const HeldTensor& b);

  uint64_t compared() const { return compared_; }  // pairs of tensors

 private:
  // The storage that the other side has for one, and where that was seen.
  struct Partner {
    const Storage* storage;
    Path path;
  };
  using Partners = std::unordered_map<const Storage*, Partner>;

  void Differ(DifferenceKind kind, const Path& path,
              std::optional<std::string> a, std::optional<std::string> b);
  void CompareFlags(const Path& path, const HeldTensor& a, const HeldTensor& b);
  void CompareLayout(const Path& path, const TensorView& a,
                     const TensorView& b);
  void CompareSharing(const Path& path, const TensorView& a,
                      const TensorView& b);

  ValueDiff* const values_;
  const DifferenceSink* const sink_;
  const TensorDiffOptions options_;
  uint64_t compared_ = 0;
  Partners of_a_;
  Partners of_b_;
  std::set<std::pair<const Storage*, const Storage*>> paired_;
};

// Compares the tensors of two files by their names alone, whatever holds them.
//
// kInvalidArgument if a file has two tensors of one name.
Status DiffByName(const Reader& a, const Reader& b, TensorDiff* tensors,
                  const DifferenceSink& sink);

}  // namespace caisson::cli
