// SPDX-License-Identifier: Apache-2.0
//
// One thing in which two files differ, as a line and as JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "cli/json_state.h"

namespace caisson::cli {

enum class DifferenceKind : uint8_t {
  kOnlyInA,   // an entry, an item, an attribute; `a` shows it
  kOnlyInB,   // `b` shows it
  kType,      // two kinds of value; nothing below them is compared, unless
              // both are dicts, or both lists or tuples, or both sets
  kValue,     // two values of one kind that hold no tensor
  kOrder,     // the same keys in another order; the first two that differ
  kDType,     // of a tensor, whose values are then not compared
  kShape,     // the same
  kFlag,      // requires_grad, conj or neg, shown on the side that has it
  kSharing,   // a tensor that shares its storage with the one that `a` or `b`
              // names, on that side alone
  kLayout,    // offset, strides, storage and location of a tensor
  kElements,  // values of a tensor; `elements` tells which
  kRepeated,  // a container that was compared before, at the path that `a` and
              // `b` name, and differed
};

// "only_in_a", "type", ...
std::string_view Name(DifferenceKind kind);

// The elements of a tensor that differ in at least one bit.
struct ElementDifference {
  uint64_t differing = 0;      // saturates
  uint64_t elems = 0;          // in all; kTooLarge if 64 bits cannot hold it
  bool packed = false;         // counts and index are those of the stored bytes
  std::vector<int64_t> index;  // of the first in row-major order
  std::string a;               // that element; with its bits where the values
  std::string b;               // look the same

  // The greatest distance of two elements that are no NaNs; none for types
  // that are no floats, or if each pair has a NaN.
  std::optional<double> greatest;
};

struct Difference {
  DifferenceKind kind;
  Path path;
  std::optional<std::string> a = std::nullopt;  // ready for a terminal
  std::optional<std::string> b = std::nullopt;
  std::optional<ElementDifference> elements = std::nullopt;
};

// Who is told what is found.
struct DifferenceSink {
  std::function<void(Difference)> differ;

  // What could not be compared, and why.
  std::function<void(const Path&, const Status&)> fail;
};

// "model.w: 3 of 6 elements differ, first at [0, 1]: 0.5 in A, 0.25 in B; ...",
// ready for a terminal, without a line feed.
std::string DifferenceLine(const Difference& difference);

// {"kind", "name", "path", "a", "b"}, and for elements "differing", "elems",
// "index" and "greatest".
Json DifferenceJson(const Difference& difference);

}  // namespace caisson::cli
