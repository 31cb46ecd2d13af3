// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_clone.h"

#include <unordered_map>
#include <utility>

namespace caisson {
namespace {

class Cloner {
 public:
  Cloner(const std::function<StorageHandle(const StorageHandle&)>& storage,
         const std::function<void(TensorView&)>& view)
      : make_storage_(storage), change_view_(view) {}

  Node Clone(const Node& node) {
    if (node.none()) return node;
    const auto known = nodes_.find(node.identity());
    if (known != nodes_.end()) return known->second;
    Node copy =
        std::visit([&](const auto& value) { return Copy(value); },
                   static_cast<const NodeValue::variant&>(node.value()));
    nodes_.emplace(node.identity(), copy);
    return copy;
  }

 private:
  template <class Scalar>
  Node Copy(const Scalar& value) {
    return Node(Scalar(value));
  }

  Node Copy(const List& list) { return List{Items(list.items)}; }
  Node Copy(const Tuple& tuple) { return Tuple{Items(tuple.items)}; }

  Node Copy(const Set& set) { return Set{Items(set.items), set.frozen}; }

  Node Copy(const Dict& dict) {
    Dict copy(dict.ordered);
    for (const auto& [key, value] : dict.entries()) {
      // A key of the original has a hash, so its copy has one.
      (void)copy.Set(Clone(key), Clone(value));
    }
    copy.attributes = Clone(dict.attributes);
    return copy;
  }

  Node Copy(const Object& object) {
    Object copy;
    copy.made = object.made;
    copy.callable = Clone(object.callable);
    copy.args = Clone(object.args);
    copy.items = Items(object.items);
    for (const auto& [key, value] : object.entries) {
      copy.entries.emplace_back(Clone(key), Clone(value));
    }
    copy.has_state = object.has_state;
    copy.state = Clone(object.state);
    return copy;
  }

  Node Copy(const TensorView& view) {
    TensorView copy = view;
    copy.storage = Storage(view.storage);
    if (change_view_) change_view_(copy);
    return copy;
  }

  Node Copy(const StorageHandle& handle) { return Storage(handle); }

  std::vector<Node> Items(const std::vector<Node>& items) {
    std::vector<Node> copies;
    copies.reserve(items.size());
    for (const Node& item : items) copies.push_back(Clone(item));
    return copies;
  }

  StorageHandle Storage(const StorageHandle& handle) {
    auto& copy = storages_[handle.get()];
    if (copy == nullptr) copy = make_storage_(handle);
    return copy;
  }

  const std::function<StorageHandle(const StorageHandle&)>& make_storage_;
  const std::function<void(TensorView&)>& change_view_;
  std::unordered_map<const void*, Node> nodes_;
  std::unordered_map<const void*, StorageHandle> storages_;
};

}  // namespace

Node CloneTree(
    const Node& root,
    const std::function<StorageHandle(const StorageHandle&)>& storage,
    const std::function<void(TensorView&)>& view) {
  return Cloner(storage, view).Clone(root);
}

}  // namespace caisson
