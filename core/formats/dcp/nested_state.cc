// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/nested_state.h"

#include "core/base/status_macros.h"

namespace caisson::dcp {
namespace {

Status Taken(const Path& path) {
  return Status::Corrupt("'" + Join(path) +
                         "': its path meets that of another value");
}

}  // namespace

Status NestedState::Put(const Path& path, Node value) {
  Branch* branch = &root_;
  for (size_t i = 0; i < path.size(); ++i) {
    const bool last = i + 1 == path.size();
    const auto [at, added] =
        branch->places.emplace(path[i], branch->children.size());
    if (added) {
      branch->children.emplace_back(path[i], Node());
      Child& child = branch->children.back().second;
      if (last) {
        child = std::move(value);
        return Status::Ok();
      }
      child = std::make_unique<Branch>();
    }
    Child& child = branch->children[at->second].second;
    auto* inner = std::get_if<std::unique_ptr<Branch>>(&child);
    if (last || inner == nullptr) return Taken(path);
    branch = inner->get();
  }
  return Status::Ok();
}

Result<Node> NestedState::Finish() { return Made(root_); }

Node NestedState::KeyOf(const PathStep& step) {
  const auto* key = std::get_if<std::string>(&step);
  if (key == nullptr) return Node(std::get<int64_t>(step));
  Node& node = keys_[*key];
  if (node.none()) node = Node(*key);
  return node;
}

// The recursion is as deep as the longest path.
Result<Node> NestedState::Made(Branch& branch) {
  // The steps differ, so all of 0, 1, ..., n - 1 are there if each is below n.
  bool list = !branch.children.empty();
  for (const auto& [step, child] : branch.children) {
    const auto* index = std::get_if<int64_t>(&step);
    list = list && index != nullptr && *index >= 0 &&
           static_cast<uint64_t>(*index) < branch.children.size();
  }
  List items;
  Dict dict;
  if (list) items.items.resize(branch.children.size());
  for (auto& [step, child] : branch.children) {
    Node node;
    if (auto* inner = std::get_if<std::unique_ptr<Branch>>(&child)) {
      CAISSON_ASSIGN_OR_RETURN(node, Made(**inner));
    } else {
      node = std::move(std::get<Node>(child));
    }
    if (list) {
      items.items[static_cast<size_t>(std::get<int64_t>(step))] =
          std::move(node);
    } else {
      CAISSON_RETURN_IF_ERROR(dict.Set(KeyOf(step), std::move(node)));
    }
  }
  return list ? Node(std::move(items)) : Node(std::move(dict));
}

}  // namespace caisson::dcp
