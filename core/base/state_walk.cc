// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_walk.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Depth-first, with a stack of its own: neither the graph's depth nor its
// sharing costs more than memory proportional to its handles.
class Measure {
 public:
  Status Add(const Node& root) {
    if (root.none() || heights_.contains(root.identity())) return Status::Ok();
    Push(root);
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (frame.next == frame.children.size()) {
        const size_t height = frame.height;
        heights_[frame.identity] = height;
        stack_.pop_back();
        if (height > kMaxDepth) return TooDeep();
        if (!stack_.empty()) {
          stack_.back().height = std::max(stack_.back().height, height + 1);
        }
        continue;
      }
      const Node& child = *frame.children[frame.next++];
      const auto known = heights_.find(child.identity());
      if (known == heights_.end()) {
        Push(child);
      } else if (known->second == kOpen) {
        return Status::InvalidArgument("a container holds itself");
      } else {
        frame.height = std::max(frame.height, known->second + 1);
      }
    }
    return Status::Ok();
  }

  TreeSize size() const { return size_; }

 private:
  static constexpr size_t kOpen = 0;  // on the stack

  struct Frame {
    const void* identity;
    std::vector<const Node*> children;
    size_t next = 0;
    size_t height = 1;
  };

  static Status TooDeep() {
    return Status::InvalidArgument("nested deeper than " +
                                   std::to_string(kMaxDepth));
  }

  void Push(const Node& node) {
    Frame frame;
    frame.identity = node.identity();
    ForEachChild(node.value(), [&](const Node& child) {
      ++size_.handles;
      if (!child.none()) frame.children.push_back(&child);
    });
    ++size_.nodes;
    if (const std::string* text = node.AsStr()) {
      size_.text_bytes += text->size();
    } else if (const Bytes* bytes = node.As<Bytes>()) {
      size_.text_bytes += bytes->data.size();
    }
    heights_[frame.identity] = kOpen;
    stack_.push_back(std::move(frame));
  }

  TreeSize size_;
  std::vector<Frame> stack_;
  std::unordered_map<const void*, size_t> heights_;  // 1 for a leaf
};

}  // namespace

Result<TreeSize> MeasureTree(const Node& root) {
  return MeasureTrees(std::span(&root, 1));
}

Result<TreeSize> MeasureTrees(std::span<const Node> roots) {
  Measure measure;
  for (const Node& root : roots) {
    CAISSON_RETURN_IF_ERROR(measure.Add(root));
  }
  return measure.size();
}

}  // namespace caisson
