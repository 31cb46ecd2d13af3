// SPDX-License-Identifier: Apache-2.0
#include "cli/tensor_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "cli/element_text.h"
#include "cli/element_values.h"

namespace caisson::cli {
namespace {

constexpr size_t kColumns = 80;
constexpr uint64_t kShowAll = 1000;  // torch's threshold
constexpr int64_t kEdge = 3;         // torch's edgeitems
constexpr uint64_t kMostShown = 4096;
constexpr int64_t kGap = -1;  // stands for the positions that are left out

// Positions of a dimension that are shown.
using Positions = std::vector<int64_t>;

Positions All(int64_t size) {
  Positions positions;
  for (int64_t i = 0; i < size; ++i) positions.push_back(i);
  return positions;
}

Positions Edges(int64_t size) {
  if (size <= 2 * kEdge) return All(size);
  return {0, 1, 2, kGap, size - 3, size - 2, size - 1};
}

Positions Front(int64_t size) {
  return size > 1 ? Positions{0, kGap} : All(size);
}

uint64_t ElementsOf(const std::vector<Positions>& chosen) {
  uint64_t elems = 1;
  for (const Positions& positions : chosen) {
    const bool gap = std::count(positions.begin(), positions.end(), kGap) > 0;
    elems *= positions.size() - (gap ? 1 : 0);
    if (elems > kMostShown) return elems;
  }
  return elems;
}

// The shown positions of every dimension; at most kMostShown elements.
std::vector<Positions> Choose(const TensorSpec& spec) {
  const uint64_t elems = spec.elems();
  std::vector<Positions> chosen;
  if (elems == 0) return chosen;
  for (const int64_t size : spec.shape) {
    chosen.push_back(elems <= kShowAll ? All(size) : Edges(size));
  }
  // Too many dimensions: only the front of the outer ones.
  for (size_t d = 0; ElementsOf(chosen) > kMostShown; ++d) {
    chosen[d] = Front(spec.shape[d]);
  }
  return chosen;
}

// How a set of floats is printed: whole numbers as "2.", others with four
// decimals, or with a power where those would hide digits; torch's limits.
struct FloatForm {
  bool whole = true;
  bool power = false;

  explicit FloatForm(const std::vector<double>& values) {
    double least = HUGE_VAL;
    double greatest = 0;
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      whole = whole && std::trunc(value) == value;
      if (value == 0) continue;
      least = std::min(least, std::abs(value));
      greatest = std::max(greatest, std::abs(value));
    }
    const bool small = greatest / least > 1000 || least < 1e-4;
    power = greatest > 1e8 || (!whole && small);
  }

  std::string Text(double value) const {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    if (power) return fmt::format("{:.4e}", value);
    if (whole) return fmt::format("{:.0f}.", value);
    return fmt::format("{:.4f}", value);
  }
};

class Printer {
 public:
  Printer(const TensorSpec& spec, std::span<const std::byte> data)
      : spec_(spec), data_(data), chosen_(Choose(spec)) {
    steps_ = RowMajorStrides(spec.shape);
    Collect();
    FormatAll();
  }

  std::string Print() {
    if (spec_.elems() == 0) return "[]";
    next_ = 0;
    text_.clear();
    Open(0);
    return std::move(text_);
  }

 private:
  using VisitElement = std::function<void(const std::byte*)>;

  // Visits the shown elements from dimension `d` on, in order.
  void Walk(size_t d, int64_t at, const VisitElement& visit) {
    if (d == chosen_.size()) {
      visit(data_.data() + static_cast<size_t>(at) * ByteWidth(spec_.dtype));
      return;
    }
    for (const int64_t i : chosen_[d]) {
      if (i != kGap) Walk(d + 1, at + i * steps_[d], visit);
    }
  }

  void Collect() {
    if (spec_.elems() == 0) return;
    Walk(0, 0, [&](const std::byte* element) { shown_.push_back(element); });
  }

  // Plain floats and complex numbers get one form; all else stands alone.
  void FormatAll() {
    const ElementClass kind = ClassOf(spec_.dtype);
    const bool complex = kind == ElementClass::kComplex;
    const bool plain =
        kind == ElementClass::kFloat && NumbersIn(spec_.dtype) == 1;
    if (complex || plain) {
      std::vector<double> numbers;
      for (const std::byte* element : shown_) {
        std::array<double, 2> parts{};
        DecodeFloats(spec_.dtype, element,
                     std::span(parts).first(complex ? 2 : 1));
        numbers.insert(numbers.end(), parts.begin(),
                       parts.begin() + (complex ? 2 : 1));
      }
      const FloatForm form(numbers);
      for (size_t i = 0; i < numbers.size(); ++i) {
        std::string text = form.Text(numbers[i]);
        if (complex) {
          const std::string second = form.Text(numbers[++i]);
          text += (second.front() == '-' ? "" : "+") + second + "j";
        }
        texts_.push_back(std::move(text));
      }
    } else {
      for (const std::byte* element : shown_) {
        texts_.push_back(ElementText(spec_.dtype, element));
      }
    }
    for (const std::string& text : texts_)
      width_ = std::max(width_, text.size());
  }

  // Prints everything from dimension `d` on.
  void Open(size_t d) {
    const size_t dims = chosen_.size();
    if (d == dims) {
      text_ += texts_[next_++];
      return;
    }
    text_ += '[';
    if (d + 1 == dims) {
      Row(d);
    } else {
      for (size_t i = 0; i < chosen_[d].size(); ++i) {
        if (i > 0) {
          text_ += ',' + std::string(dims - d - 1, '\n');
          text_ += std::string(d + 1, ' ');
        }
        if (chosen_[d][i] == kGap) {
          text_ += "...";
        } else {
          Open(d + 1);
        }
      }
    }
    text_ += ']';
  }

  // The innermost dimension, broken into lines.
  void Row(size_t d) {
    const size_t per_line = std::max<size_t>(
        1, (kColumns - std::min(kColumns / 2, d + 1)) / (width_ + 2));
    size_t on_line = 0;
    for (size_t i = 0; i < chosen_[d].size(); ++i) {
      if (i > 0) text_ += ',';
      if (on_line == per_line) {
        text_ += '\n' + std::string(d + 1, ' ');
        on_line = 0;
      } else if (i > 0) {
        text_ += ' ';
      }
      ++on_line;
      if (chosen_[d][i] == kGap) {
        text_ += " ...";
      } else {
        text_ += fmt::format("{:>{}}", texts_[next_++], width_);
      }
    }
  }

  const TensorSpec& spec_;
  const std::span<const std::byte> data_;
  const std::vector<Positions> chosen_;
  std::vector<int64_t> steps_;  // elements
  std::vector<const std::byte*> shown_;
  std::vector<std::string> texts_;  // of shown_
  size_t width_ = 0;                // of the longest of texts_
  size_t next_ = 0;                 // of texts_, while printing
  std::string text_;
};

}  // namespace

std::string TensorText(const TensorSpec& spec,
                       std::span<const std::byte> data) {
  return Printer(spec, data).Print();
}

}  // namespace caisson::cli
