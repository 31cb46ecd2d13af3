// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_semantics.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/formats/torch/allowed_globals.h"
#include "core/formats/torch/node_values.h"

namespace caisson::torch {
namespace {

using Args = std::span<const Node>;

Status Malformed(const Global& callable, const std::string& problem) {
  return Status::Corrupt(callable.dotted() + ": " + problem);
}

// A tuple of ints; torch.Size counts as one.
std::optional<std::vector<int64_t>> AsInts(const Node& node) {
  const Tuple* tuple = node.As<Tuple>();
  if (const Object* object = node.As<Object>();
      object != nullptr && object->global() == Global{"torch", "Size"}) {
    const Tuple* args = object->args.As<Tuple>();
    if (args != nullptr && args->items.size() == 1) {
      tuple = args->items[0].As<Tuple>();
    }
  }
  if (tuple == nullptr || tuple->items.size() > kMaxDims) return std::nullopt;
  std::vector<int64_t> ints;
  for (const Node& item : tuple->items) {
    const auto value = AsInt64(item);
    if (!value) return std::nullopt;
    ints.push_back(*value);
  }
  return ints;
}

// storage, offset, size, stride: how every rebuild of a strided tensor
// begins. `dtype`: that of the storage's class, if not given.
Result<TensorView> View(const Global& callable, Args args,
                        std::optional<DType> dtype) {
  const StorageHandle* storage = args[0].As<StorageHandle>();
  if (storage == nullptr) return Malformed(callable, "no storage");
  if (!dtype) dtype = (*storage)->dtype;
  if (!dtype) return Malformed(callable, "no dtype over an untyped storage");
  TensorView view;
  view.storage = *storage;
  view.spec.dtype = *dtype;
  const auto offset = AsInt64(args[1]);
  auto shape = AsInts(args[2]);
  auto strides = AsInts(args[3]);
  if (!offset || *offset < 0) return Malformed(callable, "a bad offset");
  if (!shape || !strides) return Malformed(callable, "a bad size or stride");
  view.offset = static_cast<uint64_t>(*offset);
  view.spec.shape = std::move(*shape);
  view.strides = std::move(*strides);
  const size_t width = std::max<size_t>(ByteWidth(*dtype), 1);
  if ((*storage)->region.bytes % width != 0) {
    return Malformed(
        callable, "a storage of " + std::to_string((*storage)->region.bytes) +
                      " bytes, which " + std::string(Name(*dtype)) +
                      " does not divide");
  }
  if (const Status status = view.Validate(); !status.ok()) {
    return Malformed(callable, std::string(status.message()));
  }
  return view;
}

// Stock always writes an empty OrderedDict here.
bool NoHooks(const Node& hooks) {
  const Dict* dict = hooks.As<Dict>();
  return hooks.none() || (dict != nullptr && dict->size() == 0);
}

bool IsComplex(DType dtype) {
  return dtype == DType::kComplex128 || dtype == DType::kComplex64 ||
         dtype == DType::kComplex32;
}

// {"conj": True, "neg": True}, either of them.
bool ReadBits(const Node& metadata, TensorView* view) {
  const Dict* dict = metadata.As<Dict>();
  if (dict == nullptr) return false;
  for (const auto& [key, value] : dict->entries()) {
    const std::string* name = key.AsStr();
    const bool* bit = value.As<bool>();
    if (name == nullptr || bit == nullptr) return false;
    if (*name == "conj" && IsComplex(view->spec.dtype)) {
      view->conj = *bit;
    } else if (*name == "neg") {
      view->neg = *bit;
    } else {
      return false;
    }
  }
  return true;
}

// requires_grad, hooks [, metadata].
Status ReadTail(const Global& callable, Args args, const Node* metadata,
                TensorView* view) {
  const bool* requires_grad = args[0].As<bool>();
  if (requires_grad == nullptr) {
    return Malformed(callable, "requires_grad is no bool");
  }
  view->requires_grad = *requires_grad;
  if (!NoHooks(args[1])) {
    return Status::Unsupported(callable.dotted() + ": backward hooks");
  }
  if (metadata != nullptr && !ReadBits(*metadata, view)) {
    return Status::Unsupported(callable.dotted() +
                               ": metadata other than conj and neg");
  }
  return Status::Ok();
}

std::optional<DType> AsDType(const Node& node) {
  const Global* global = node.As<Global>();
  if (global == nullptr || global->module != "torch") return std::nullopt;
  return ParseDType(global->name);
}

Result<TensorView> Rebuild(const Global& callable, Args args) {
  if (callable.name == "_rebuild_tensor") {
    if (args.size() != 4) return Malformed(callable, "expected 4 arguments");
    return View(callable, args, std::nullopt);
  }
  const bool v3 = callable.name == "_rebuild_tensor_v3";
  const size_t least = v3 ? 7 : 6;
  if (args.size() != least && args.size() != least + 1) {
    return Malformed(callable, std::to_string(args.size()) +
                                   " arguments, expected " +
                                   std::to_string(least) + " or one more");
  }
  const auto dtype = v3 ? AsDType(args[6]) : std::nullopt;
  if (v3 && !dtype) return Malformed(callable, "the dtype is none");
  CAISSON_ASSIGN_OR_RETURN(TensorView view, View(callable, args, dtype));
  const Node* metadata = args.size() > least ? &args[least] : nullptr;
  CAISSON_RETURN_IF_ERROR(
      ReadTail(callable, args.subspan(4, 2), metadata, &view));
  return view;
}

bool IsPlainRebuild(const Global& callable) {
  return callable.module == "torch._utils" &&
         (callable.name == "_rebuild_tensor" ||
          callable.name == "_rebuild_tensor_v2" ||
          callable.name == "_rebuild_tensor_v3");
}

Object CallOf(const Global& callable, std::vector<Node> args) {
  Object object;
  object.callable = callable;
  object.args = Tuple{std::move(args)};
  return object;
}

// How many values a tensor or list of them has, if `node` is one.
std::optional<uint64_t> CountOf(const Node& node) {
  if (const auto* view = node.As<TensorView>()) return view->spec.elems();
  if (const List* list = node.As<List>()) return list->items.size();
  return std::nullopt;
}

// (per_tensor_affine, scale, zero_point), or (per_channel_affine, scales,
// zero_points, axis), where stock also takes lists: formats.md 2.6.
Status CheckQuantizer(const Global& callable, const Node& node,
                      const TensorView& view) {
  const Tuple* quantizer = node.As<Tuple>();
  const size_t parts = quantizer != nullptr ? quantizer->items.size() : 0;
  const Global* scheme =
      parts == 3 || parts == 4 ? quantizer->items[0].As<Global>() : nullptr;
  const std::string_view family = parts == 3 ? "per_tensor_" : "per_channel_";
  if (scheme == nullptr || scheme->module != "torch" ||
      !scheme->name.starts_with(family)) {
    return Malformed(callable, "a bad quantizer");
  }
  const auto& items = quantizer->items;
  if (parts == 3) {
    const bool scale = items[1].As<double>() || items[1].As<Integer>();
    if (scale && AsInt64(items[2])) return Status::Ok();
    return Malformed(callable, "a scale or zero point that is no number");
  }
  const auto axis = AsInt64(items[3]);
  const auto rank = static_cast<int64_t>(view.spec.shape.size());
  if (!axis || *axis < -rank || *axis >= rank) {
    return Malformed(callable, "an axis beyond the tensor's dimensions");
  }
  const int64_t channels =
      view.spec.shape[static_cast<size_t>(*axis < 0 ? *axis + rank : *axis)];
  for (size_t i = 1; i < 3; ++i) {
    if (CountOf(items[i]) != static_cast<uint64_t>(channels)) {
      return Malformed(callable, "not one scale and zero point a channel");
    }
  }
  return Status::Ok();
}

// storage, offset, size, stride, quantizer, requires_grad, hooks: the first
// four become the tensor.
Result<std::optional<Node>> Quantised(const Global& callable, Args args) {
  if (args.size() != 7) return Malformed(callable, "expected 7 arguments");
  CAISSON_ASSIGN_OR_RETURN(TensorView view, View(callable, args, std::nullopt));
  CAISSON_RETURN_IF_ERROR(CheckQuantizer(callable, args[4], view));
  CAISSON_RETURN_IF_ERROR(
      ReadTail(callable, args.subspan(5, 2), nullptr, &view));
  const bool requires_grad = view.requires_grad;
  view.requires_grad = false;
  return std::optional<Node>(
      CallOf(callable, {std::move(view), args[4], requires_grad, args[6]}));
}

// func, type, args, state: the tensor that func(*args) gives takes the place
// of args.
Result<std::optional<Node>> FromType(const Global& callable, Args args) {
  if (args.size() != 4) return Malformed(callable, "expected 4 arguments");
  const Global* func = args[0].As<Global>();
  const Tuple* inner = args[2].As<Tuple>();
  if (func == nullptr || inner == nullptr) {
    return Malformed(callable, "no function or no arguments");
  }
  if (!IsPlainRebuild(*func)) return std::optional<Node>();
  CAISSON_ASSIGN_OR_RETURN(TensorView view, Rebuild(*func, inner->items));
  // Unfolding it again must give the arguments that `func` takes.
  const bool typed = !TorchStorageClass(view.spec.dtype).empty();
  if (func->name != (typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3")) {
    return std::optional<Node>();
  }
  return std::optional<Node>(
      CallOf(callable, {args[0], args[1], std::move(view), args[3]}));
}

// Layout, then 3 or 4 parts: formats.md 2.6.
Status CheckSparse(const Global& callable, Args args) {
  const Tuple* data = args.size() == 2 ? args[1].As<Tuple>() : nullptr;
  if (data == nullptr || (data->items.size() != 3 && data->items.size() != 4)) {
    return Malformed(callable, "expected a layout and 3 or 4 parts");
  }
  for (size_t i = 0; i < 2; ++i) {
    if (data->items[i].As<TensorView>() == nullptr) {
      return Malformed(callable, "indices or values that are no tensor");
    }
  }
  return Status::Ok();
}

Status CheckArity(const Global& callable, Args args) {
  struct Row {
    std::string_view name;
    size_t args;
    bool tensor_first;
  };
  static constexpr Row kRows[] = {
      {"_rebuild_parameter", 3, true},
      {"_rebuild_parameter_with_state", 4, true},
      {"_rebuild_nested_tensor", 4, true},
      {"_rebuild_meta_tensor_no_storage", 4, false},
      {"_rebuild_wrapper_subclass", 8, false},
      {"_rebuild_device_tensor_from_cpu_tensor", 4, true},
      {"_rebuild_device_tensor_from_numpy", 4, false},
  };
  for (const Row& row : kRows) {
    if (row.name != callable.name) continue;
    if (args.size() != row.args) {
      return Malformed(callable, std::to_string(args.size()) +
                                     " arguments, expected " +
                                     std::to_string(row.args));
    }
    // A Parameter may wrap another rebuilt object: a subclass, a sparse one.
    const bool tensor =
        row.args != 0 && (args[0].As<TensorView>() || args[0].As<Object>());
    if (row.tensor_first && !tensor) return Malformed(callable, "no tensor");
  }
  return Status::Ok();
}

}  // namespace

pickle::Trust TorchSemantics::Classify(const Global& global) const {
  return ClassifyGlobal(global);
}

Result<std::optional<Node>> TorchSemantics::Call(const Global& callable,
                                                 const Tuple& args) {
  if (callable.module == "torch._tensor" &&
      callable.name == "_rebuild_from_type_v2") {
    return FromType(callable, args.items);
  }
  if (callable.module != "torch._utils") return std::optional<Node>();
  if (IsPlainRebuild(callable)) {
    CAISSON_ASSIGN_OR_RETURN(TensorView view, Rebuild(callable, args.items));
    Node node(std::move(view));
    ids_.MoveToRoot(node);
    return std::optional<Node>(std::move(node));
  }
  if (callable.name == "_rebuild_qtensor") {
    return Quantised(callable, args.items);
  }
  if (callable.name == "_rebuild_sparse_tensor") {
    CAISSON_RETURN_IF_ERROR(CheckSparse(callable, args.items));
  }
  CAISSON_RETURN_IF_ERROR(CheckArity(callable, args.items));
  return std::optional<Node>();
}

}  // namespace caisson::torch
