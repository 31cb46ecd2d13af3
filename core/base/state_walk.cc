// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_walk.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/identity_map.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Depth-first, with a stack of its own: neither the graph's depth nor its
// sharing costs more than memory proportional to its handles.
class Walk {
 public:
  // Without sizes, nodes that hold no others are passed over.
  explicit Walk(bool sizes) : sizes_(sizes) {}

  Status Add(const Node& root) {
    if (root.none() || heights_.Find(root.identity()) != nullptr) {
      return Status::Ok();
    }
    Push(root);
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (children_.size() == frame.first_child) {
        const size_t height = frame.height;
        *heights_.Find(frame.identity) = height;
        stack_.pop_back();
        if (height > kMaxDepth) return TooDeep();
        if (!stack_.empty()) {
          stack_.back().height = std::max(stack_.back().height, height + 1);
        }
        continue;
      }
      const Node& child = *children_.back();
      children_.pop_back();
      const size_t* known = heights_.Find(child.identity());
      if (known == nullptr) {
        Push(child);
      } else if (*known == kOpen) {
        return Status::InvalidArgument("a container holds itself");
      } else {
        frame.height = std::max(frame.height, *known + 1);
      }
    }
    return Status::Ok();
  }

  TreeSize size() const { return size_; }

 private:
  static constexpr size_t kOpen = 0;  // on the stack

  struct Frame {
    const void* identity;
    size_t first_child;  // of its children that are left, in children_
    size_t height;
  };

  static Status TooDeep() {
    return Status::InvalidArgument("nested deeper than " +
                                   std::to_string(kMaxDepth));
  }

  void Push(const Node& node) {
    heights_.TryEmplace(node.identity(), kOpen);
    if (sizes_) Count(node);
    Frame frame = {node.identity(), children_.size(), 1};
    ForEachChild(node.value(), [&](const Node& child) {
      ++size_.handles;
      if (child.none()) return;
      if (HoldsNodes(child)) {
        children_.push_back(&child);
        return;
      }
      frame.height = 2;
      const bool added =
          sizes_ && heights_.TryEmplace(child.identity(), 1).second;
      if (added) Count(child);
    });
    stack_.push_back(frame);
  }

  void Count(const Node& node) {
    ++size_.nodes;
    if (const std::string* text = node.AsStr()) {
      size_.text_bytes += text->size();
    } else if (const Bytes* bytes = node.As<Bytes>()) {
      size_.text_bytes += bytes->data.size();
    }
  }

  const bool sizes_;
  TreeSize size_;
  std::vector<Frame> stack_;
  std::vector<const Node*> children_;  // yet to be seen, of all frames
  IdentityMap<size_t> heights_;        // 1 for a leaf
};

}  // namespace

Result<TreeSize> MeasureTree(const Node& root) {
  Walk walk(/*sizes=*/true);
  CAISSON_RETURN_IF_ERROR(walk.Add(root));
  return walk.size();
}

Status CheckTrees(std::span<const Node> roots) {
  Walk walk(/*sizes=*/false);
  for (const Node& root : roots) CAISSON_RETURN_IF_ERROR(walk.Add(root));
  return Status::Ok();
}

Status CheckTree(const Node& root) { return CheckTrees(std::span(&root, 1)); }

}  // namespace caisson
