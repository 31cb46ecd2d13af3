// SPDX-License-Identifier: Apache-2.0
//
// The names of a State's tensors.
#include <string>
#include <utility>
#include <vector>

#include "caisson/state.h"
#include "core/base/state_steps.h"
#include "core/base/state_walk.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

class Collector {
 public:
  explicit Collector(uint64_t budget) : budget_(budget) {}

  Status Visit(const Node& node) {
    if (node.none()) return Status::Ok();
    CAISSON_RETURN_IF_ERROR(Spend(1));
    if (const TensorView* view = node.As<TensorView>()) {
      CAISSON_RETURN_IF_ERROR(Spend(CostOf(*view)));
      found_.push_back({path_, view});
      return Status::Ok();
    }
    return ForEachChildAt(node, [this](const ChildAt& at) {
      return at.step ? VisitAt(*at.step, *at.child) : Visit(*at.child);
    });
  }

  std::vector<NamedTensor> Take() { return std::move(found_); }

 private:
  // What it takes to keep a step beyond the one unit that each has.
  static uint64_t TextCost(const PathStep& step) {
    const auto* text = std::get_if<std::string>(&step);
    return text != nullptr ? text->size() / sizeof(PathStep) : 0;
  }

  // What it takes to keep the path and a copy of the view's geometry, in
  // units of a step.
  uint64_t CostOf(const TensorView& view) const {
    uint64_t units = path_.size() + view.spec.shape.size() / 2;
    for (const PathStep& step : path_) units += TextCost(step);
    return units;
  }

  Status Spend(uint64_t units) {
    spent_ += units;
    if (spent_ <= budget_) return Status::Ok();
    return Status::InvalidArgument("shared containers unfold to more than " +
                                   std::to_string(budget_) +
                                   " nodes and path steps");
  }

  Status VisitAt(PathStep step, const Node& node) {
    CAISSON_RETURN_IF_ERROR(Spend(TextCost(step)));
    if (node.none()) return Status::Ok();
    path_.push_back(std::move(step));
    CAISSON_RETURN_IF_ERROR(Visit(node));
    path_.pop_back();
    return Status::Ok();
  }

  const uint64_t budget_;
  uint64_t spent_ = 0;
  Path path_;
  std::vector<NamedTensor> found_;
};

}  // namespace

std::string Join(const Path& path) {
  std::string joined;
  for (const PathStep& step : path) {
    if (&step != &path.front()) joined.push_back('.');
    if (const auto* text = std::get_if<std::string>(&step)) {
      joined.append(*text);
    } else {
      joined.append(std::to_string(std::get<int64_t>(step)));
    }
  }
  return joined;
}

Result<std::vector<NamedTensor>> State::Tensors() const {
  CAISSON_ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(root));
  // Ordinary sharing repeats a leaf or a small tuple; a crafted file doubles
  // its tree with every few bytes.
  Collector collector(4096 + 16 * (size.nodes + size.handles +
                                   size.text_bytes / sizeof(PathStep)));
  CAISSON_RETURN_IF_ERROR(collector.Visit(root));
  return collector.Take();
}

}  // namespace caisson
