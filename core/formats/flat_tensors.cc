// SPDX-License-Identifier: Apache-2.0
#include "core/formats/flat_tensors.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/state_steps.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

// What a value without tensors is called in a message.
std::string KindOf(const Node& node) {
  if (node.none()) return "None";
  if (node.As<bool>()) return "a bool";
  if (node.As<Integer>()) return "an int";
  if (node.As<double>()) return "a float";
  if (node.As<std::complex<double>>()) return "a complex number";
  if (node.As<Text>()) return "a str";
  if (node.As<Bytes>()) return "bytes";
  if (node.As<ByteArray>()) return "a bytearray";
  if (node.As<Set>()) return "a set";
  if (node.As<StorageHandle>()) return "a storage";
  if (const Global* global = node.As<Global>()) return global->dotted();
  if (const Object* object = node.As<Object>()) {
    return "an object of " + object->global().dotted();
  }
  return "an empty container";
}

bool IsCall(const Object& object, const char* module, const char* name) {
  return object.made == Object::Made::kByCall &&
         object.global() == Global{module, name};
}

class Flattener {
 public:
  explicit Flattener(const std::function<bool(DType)>& holds) : holds_(holds) {}

  // The recursion is bounded: State::Tensors() has checked the depth.
  Status Add(const Node& node) {
    if (const TensorView* view = node.As<TensorView>()) return AddTensor(*view);
    if (const Object* object = node.As<Object>())
      return AddObject(*object, node);
    const bool container =
        node.As<Dict>() || node.As<List>() || node.As<Tuple>();
    if (!container) {
      Lose(KindOf(node));
      return Status::Ok();
    }
    bool any = false;
    const bool dict = node.As<Dict>() != nullptr;
    CAISSON_RETURN_IF_ERROR(ForEachChildAt(node, [&](const ChildAt& at) {
      const bool attributes = dict && !at.entry;
      any = any || !attributes;
      const size_t tensors = flat_.tensors.size();
      const size_t losses = flat_.losses.size();
      path_.push_back(*at.step);
      const Status added = Add(*at.child);
      path_.pop_back();
      if (attributes && flat_.tensors.size() == tensors) {
        flat_.losses.resize(losses);
      }
      return added;
    }));
    if (!any && !path_.empty()) Lose(KindOf(node));
    return Status::Ok();
  }

  Result<FlatState> Finish() {
    FindSharing();
    return std::move(flat_);
  }

 private:
  std::string Quoted() const { return "'" + Join(path_) + "'"; }

  void Lose(const std::string& what) {
    flat_.losses.push_back(Quoted() + ": " + what);
  }

  // A Parameter is its tensor. So is a tensor with attributes, without them.
  Status AddObject(const Object& object, const Node& node) {
    const Tuple* args = object.args.As<Tuple>();
    const bool parameter = IsCall(object, "torch._utils", "_rebuild_parameter");
    const bool with_state =
        IsCall(object, "torch._utils", "_rebuild_parameter_with_state");
    const bool typed = IsCall(object, "torch._tensor", "_rebuild_from_type_v2");
    const size_t at = typed ? 2 : 0;
    const TensorView* view = (parameter || with_state || typed) &&
                                     args != nullptr && args->items.size() > at
                                 ? args->items[at].As<TensorView>()
                                 : nullptr;
    if (view == nullptr) {
      Lose(KindOf(node));
      return Status::Ok();
    }
    if (!parameter) Lose("attributes of a tensor");
    return AddTensor(*view);
  }

  Status AddTensor(const TensorView& view) {
    std::string name = Join(path_);
    if (!view.Validate().ok()) {
      TensorView named = view;
      named.spec.name = name;
      return named.Validate();
    }
    if (view.conj || view.neg) {
      Lose(view.conj ? "a conjugate view" : "a negative view");
      return Status::Ok();
    }
    if (!holds_(view.spec.dtype)) {
      Lose("the dtype " + std::string(Name(view.spec.dtype)));
      return Status::Ok();
    }
    const auto [known, added] = paths_.emplace(name, path_);
    if (!added) {
      return Status::InvalidArgument("the name '" + name + "' is that of " +
                                     Spelled(known->second) + " and of " +
                                     Spelled(path_));
    }
    flat_.tensors.push_back({std::move(name), view});
    return Status::Ok();
  }

  // Tensors whose elements lie in overlapping ranges of one storage. Each gets
  // its own values; that a change of one was one of the other is lost.
  void FindSharing() {
    struct Range {
      const Storage* storage;
      uint64_t begin;
      uint64_t end;
      size_t tensor;
    };
    std::vector<Range> ranges;
    for (size_t i = 0; i < flat_.tensors.size(); ++i) {
      const TensorView& view = flat_.tensors[i].view;
      if (view.spec.elems() == 0) continue;
      const uint64_t bits = BitWidth(view.spec.dtype);
      // Validate() has checked it.
      const uint64_t extent =
          CheckedExtent(view.offset, view.spec.shape, view.strides)
              .value_or(view.offset);
      ranges.push_back(
          {view.storage.get(), view.offset * bits, extent * bits, i});
    }
    std::ranges::sort(ranges, [](const Range& a, const Range& b) {
      return std::tie(a.storage, a.begin, a.tensor) <
             std::tie(b.storage, b.begin, b.tensor);
    });
    const Range* widest = nullptr;                  // of this storage, so far
    std::vector<std::pair<size_t, size_t>> shared;  // tensor, with which
    for (const Range& range : ranges) {
      if (widest == nullptr || widest->storage != range.storage) {
        widest = &range;
        continue;
      }
      if (range.begin < widest->end) {
        shared.push_back(std::minmax(range.tensor, widest->tensor));
      }
      if (range.end > widest->end) widest = &range;
    }
    std::ranges::sort(shared, {}, [](const auto& pair) { return pair.second; });
    for (const auto& [first, second] : shared) {
      flat_.losses.push_back("'" + flat_.tensors[second].name +
                             "': shares memory with '" +
                             flat_.tensors[first].name + "'");
    }
  }

  const std::function<bool(DType)>& holds_;
  Path path_;
  FlatState flat_;
  std::unordered_map<std::string, Path> paths_;  // by name
};

}  // namespace

Result<FlatState> Flatten(const State& state,
                          const std::function<bool(DType)>& holds) {
  CAISSON_RETURN_IF_ERROR(state.Tensors().status());
  Flattener flattener(holds);
  CAISSON_RETURN_IF_ERROR(flattener.Add(state.root));
  return flattener.Finish();
}

}  // namespace caisson
