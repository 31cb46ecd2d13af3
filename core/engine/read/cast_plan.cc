// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/cast_plan.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/glob.h"
#include "core/base/state_steps.h"
#include "core/base/state_walk.h"
#include "core/base/status_macros.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// What the objects around a tensor say of its dtype.
enum class Bond : uint8_t {
  kNone,
  kQuantised,  // a quantised tensor or its scales: no floating one
  kTold,       // a rebuild call has the dtype as an argument of its own
};

Bond BondBelow(const Object& object, Bond outer) {
  const Global& global = object.global();
  if (outer != Bond::kNone) return outer;
  if (global == Global{"torch._utils", "_rebuild_qtensor"}) {
    return Bond::kQuantised;
  }
  if (global ==
      Global{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor"}) {
    return Bond::kTold;
  }
  // The reader made a tensor of the arguments where it knows the function.
  if (global == Global{"torch._tensor", "_rebuild_from_type_v2"}) {
    const Tuple* args = object.args.As<Tuple>();
    const bool known = args != nullptr && args->items.size() == 4 &&
                       args->items[2].As<TensorView>() != nullptr;
    return known ? Bond::kNone : Bond::kTold;
  }
  return Bond::kNone;
}

// The bonds of all tensors, in the order of State::Tensors().
void CollectBonds(const Node& node, Bond bond, std::vector<Bond>* bonds) {
  if (node.none()) return;
  if (node.As<TensorView>() != nullptr) return bonds->push_back(bond);
  if (const Object* object = node.As<Object>()) bond = BondBelow(*object, bond);
  (void)ForEachChildAt(node, [&](const ChildAt& at) {
    CollectBonds(*at.child, bond, bonds);
    return Status::Ok();
  });
}

std::string Named(const TensorLayout& tensor) {
  return "tensor '" + tensor.view.spec.name + "'";
}

class Planner {
 public:
  Planner(const Layout& layout, std::span<const Cast> casts)
      : layout_(layout),
        casts_(casts),
        uses_(casts.size()),
        firsts_(layout.storages.size()) {}

  Result<CastPlan> Run() {
    for (const Cast& cast : casts_) CAISSON_RETURN_IF_ERROR(CheckTarget(cast));
    std::vector<Bond> bonds;
    CollectBonds(layout_.state.root, Bond::kNone, &bonds);
    for (size_t i = 0; i < layout_.tensors.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(Place(layout_.tensors[i], bonds[i]));
    }
    for (size_t i = 0; i < casts_.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(CheckUse(casts_[i], uses_[i]));
    }
    if (!plan_.empty()) CAISSON_RETURN_IF_ERROR(CheckHolders());
    return std::move(plan_);
  }

 private:
  // What a cast covers.
  struct Use {
    const TensorLayout* covered = nullptr;  // the first
    bool floating = false;                  // any of them
  };

  // What the first tensor over a storage wants of it.
  struct First {
    const TensorLayout* tensor = nullptr;
    std::optional<DType> to;  // none: to stay
  };

  static Status CheckTarget(const Cast& cast) {
    if (IsFloating(cast.dtype) && ByteWidth(cast.dtype) != 0) {
      return Status::Ok();
    }
    return Status::InvalidArgument("cast '" + cast.name_glob +
                                   "': " + std::string(Name(cast.dtype)) +
                                   " is no floating type of whole bytes");
  }

  static Status CheckUse(const Cast& cast, const Use& use) {
    const std::string context = "cast '" + cast.name_glob + "': ";
    if (use.covered == nullptr) {
      return Status::NotFound(context + "no tensor has such a name");
    }
    if (use.floating) return Status::Ok();
    const TensorSpec& spec = use.covered->view.spec;
    return Status::InvalidArgument(
        context + "no floating tensor has such a name; '" + spec.name +
        "' is " + std::string(Name(spec.dtype)));
  }

  // What `tensor` becomes; none if it stays.
  std::optional<DType> Target(const TensorLayout& tensor, Bond bond) {
    const TensorSpec& spec = tensor.view.spec;
    const bool floating = IsFloating(spec.dtype) && bond != Bond::kQuantised;
    std::optional<DType> to;
    for (size_t i = 0; i < casts_.size(); ++i) {
      if (!GlobMatches(casts_[i].name_glob, spec.name)) continue;
      if (uses_[i].covered == nullptr) uses_[i].covered = &tensor;
      uses_[i].floating |= floating;
      if (!to && floating) to = casts_[i].dtype;
    }
    return to == spec.dtype ? std::nullopt : to;
  }

  // Notes what becomes of the tensor's storage.
  Status Place(const TensorLayout& tensor, Bond bond) {
    const std::optional<DType> to = Target(tensor, bond);
    First& first = firsts_[tensor.storage];
    if (first.tensor == nullptr) {
      first = {&tensor, to};
      return to ? Add(tensor, *to, bond) : Status::Ok();
    }
    if (first.to != to) return Conflict(*first.tensor, first.to, tensor, to);
    const DType dtype = tensor.view.spec.dtype;
    if (to && dtype != first.tensor->view.spec.dtype) {
      return Status::Unsupported(
          Named(tensor) + ": views as " + std::string(Name(dtype)) +
          " the storage that " + Named(*first.tensor) + " views as " +
          std::string(Name(first.tensor->view.spec.dtype)));
    }
    return to ? CheckBond(tensor, bond) : Status::Ok();
  }

  static Status Conflict(const TensorLayout& a, std::optional<DType> a_to,
                         const TensorLayout& b, std::optional<DType> b_to) {
    const auto what = [](std::optional<DType> to) {
      return to ? "to become " + std::string(Name(*to)) : "to stay";
    };
    return Status::InvalidArgument(Named(a) + " is " + what(a_to) + " and " +
                                   Named(b) + " " + what(b_to) +
                                   ", but they share a storage");
  }

  static Status CheckBond(const TensorLayout& tensor, Bond bond) {
    if (bond != Bond::kTold) return Status::Ok();
    return Status::Unsupported(
        Named(tensor) + ": part of an object that this build does not convert");
  }

  // Whether the tensor's numbers are known as they lie in the file.
  static Status CheckValues(const TensorLayout& tensor,
                            const StorageLayout& storage) {
    const DType from = tensor.view.spec.dtype;
    if (ByteWidth(from) == 0) {
      return Status::Unsupported(Named(tensor) + ": no kernel converts " +
                                 std::string(Name(from)));
    }
    // Nobody turns the bytes of untyped storages over: formats.md 1.10.
    const bool foreign = std::ranges::any_of(
        storage.pieces,
        [](const Piece& piece) { return piece.order != kNativeOrder; });
    if (foreign && !storage.handle->dtype && SwapWidth(from) > 1) {
      return Status::Unsupported(
          Named(tensor) + ": an untyped storage in the byte order of another " +
          "machine, whose numbers cannot be cast");
    }
    return Status::Ok();
  }

  Status Add(const TensorLayout& tensor, DType to, Bond bond) {
    CAISSON_RETURN_IF_ERROR(CheckBond(tensor, bond));
    const StorageLayout& storage = layout_.storages[tensor.storage];
    const DType from = tensor.view.spec.dtype;
    const std::optional<DType> typed = storage.handle->dtype;
    if (typed && *typed != from) {
      return Status::Unsupported(
          Named(tensor) + ": views a storage of " + std::string(Name(*typed)) +
          " as " + std::string(Name(from)) + ", which cannot be cast");
    }
    CAISSON_RETURN_IF_ERROR(CheckValues(tensor, storage));
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                             KernelsFor(Device::Cpu()));
    const Step step = {Op::kConvert, from, to, CrcOf::kSource};
    if (const Status able = kernels->transform(step, {}, {}, {}); !able.ok()) {
      return able.WithContext(Named(tensor));
    }
    const auto bytes =
        CheckedMul(storage.bytes / ByteWidth(from), ByteWidth(to));
    if (!bytes) {
      return Status::OutOfMemory(Named(tensor) + ": its storage as " +
                                 std::string(Name(to)));
    }
    plan_.emplace(storage.handle.get(), StorageCast{from, to, *bytes});
    return Status::Ok();
  }

  // Also what has no name holds storages: objects below a callable, and
  // storages that are pickled by themselves.
  Status CheckHolders() const {
    std::unordered_set<const void*> seen;
    std::vector<const Node*> todo = {&layout_.state.root};
    while (!todo.empty()) {
      const Node& node = *todo.back();
      todo.pop_back();
      if (node.none() || !seen.insert(node.identity()).second) continue;
      CAISSON_RETURN_IF_ERROR(CheckHolder(node));
      ForEachChild(node.value(),
                   [&](const Node& child) { todo.push_back(&child); });
    }
    return Status::Ok();
  }

  Status CheckHolder(const Node& node) const {
    const auto* view = node.As<TensorView>();
    const auto* handle = node.As<StorageHandle>();
    if (view == nullptr && handle == nullptr) return Status::Ok();
    const Storage* storage = view ? view->storage.get() : handle->get();
    const auto cast = plan_.find(storage);
    if (cast == plan_.end()) return Status::Ok();
    if (view != nullptr && view->spec.dtype == cast->second.from) {
      return Status::Ok();
    }
    for (const StorageLayout& layout : layout_.storages) {
      if (layout.handle.get() != storage) continue;
      return Status::Unsupported(
          "record '" + layout.record +
          "': the file holds the storage of a tensor that is to be cast "
          "by itself too");
    }
    return Status::Ok();
  }

  const Layout& layout_;
  const std::span<const Cast> casts_;
  std::vector<Use> uses_;      // parallel to casts_
  std::vector<First> firsts_;  // parallel to the layout's storages
  CastPlan plan_;
};

}  // namespace

Result<CastPlan> PlanCasts(const Layout& layout, std::span<const Cast> casts) {
  if (casts.empty()) return CastPlan();
  return Planner(layout, casts).Run();
}

}  // namespace caisson
