// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_rules.h"

#include <algorithm>
#include <string>

#include "core/base/status_macros.h"

namespace caisson::torch {
namespace {

using pickle::Opcode;

// The storage class that torch.save uses for a dtype; none: untyped.
std::optional<DType> ClassOf(DType dtype) {
  if (TorchStorageClass(dtype).empty()) return std::nullopt;
  return dtype;
}

std::string ClassName(std::optional<DType> dtype) {
  return dtype ? std::string(TorchStorageClass(*dtype)) : "UntypedStorage";
}

void EmitInts(const std::vector<int64_t>& ints, pickle::Emitter& emit) {
  emit.OpenTuple(ints.size());
  for (const int64_t value : ints) emit.Int(value);
  emit.CloseTuple(ints.size());
}

// {"neg": True, "conj": True}, the bits that are set, in stock's order.
void EmitBits(const TensorView& view, pickle::Emitter& emit) {
  const size_t count = size_t{view.conj} + size_t{view.neg};
  emit.Op(Opcode::kEmptyDict);
  emit.Memoize();
  if (count == 2) emit.Op(Opcode::kMark);
  if (view.neg) {
    emit.FreshStr("neg");
    emit.Bool(true);
  }
  if (view.conj) {
    emit.FreshStr("conj");
    emit.Bool(true);
  }
  emit.Op(count == 2 ? Opcode::kSetItems : Opcode::kSetItem);
}

// The function that takes what EmitTensorArgs() gives.
std::string_view RebuildName(DType dtype) {
  return ClassOf(dtype) ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3";
}

bool IsCall(const Object& object, std::string_view module,
            std::string_view name) {
  return object.global().module == module && object.global().name == name;
}

}  // namespace

Status TorchRules::EmitId(const StorageHandle& storage,
                          std::optional<DType> dtype, DType seen,
                          pickle::Pickler& pickler) {
  const uint64_t bytes = storage->region.bytes;
  const auto [known, added] =
      by_handle_.TryEmplace(storage.get(), storages_.size());
  if (added) {
    storages_.push_back(
        {storage, std::to_string(storages_.size()), dtype, seen});
  }
  const SavedStorage& saved = storages_[*known];
  if (saved.dtype != dtype) {
    return Status::InvalidArgument(
        "one storage seen as " + ClassName(saved.dtype) + " and as " +
        ClassName(dtype) + "; a PyTorch file cannot hold both");
  }
  const size_t width = dtype ? std::max<size_t>(ByteWidth(*dtype), 1) : 1;
  if (bytes % width != 0) {
    return Status::InvalidArgument(
        "a storage of " + std::to_string(bytes) + " bytes, which " +
        std::string(Name(*dtype)) + " does not divide");
  }
  pickle::Emitter& emit = pickler.emit();
  emit.OpenTuple(5);
  emit.Str(tag_);
  emit.Global(dtype ? "torch" : "torch.storage", ClassName(dtype));
  emit.Str(saved.key);
  CAISSON_RETURN_IF_ERROR(pickler.SaveText(storage->location));
  emit.Int(static_cast<int64_t>(bytes / width));
  emit.CloseTuple(5);
  emit.Op(Opcode::kBinPersId);
  return Status::Ok();
}

Status TorchRules::EmitStorage(const StorageHandle& storage,
                               pickle::Pickler& pickler) {
  if (storage == nullptr) return Status::InvalidArgument("no storage");
  return EmitId(storage, storage->dtype, storage->dtype.value_or(DType::kUInt8),
                pickler);
}

Status TorchRules::EmitView(const TensorView& view, pickle::Pickler& pickler) {
  CAISSON_RETURN_IF_ERROR(view.Validate());
  CAISSON_RETURN_IF_ERROR(
      EmitId(view.storage, ClassOf(view.spec.dtype), view.spec.dtype, pickler));
  pickle::Emitter& emit = pickler.emit();
  emit.Int(static_cast<int64_t>(view.offset));
  EmitInts(view.spec.shape, emit);
  EmitInts(view.strides, emit);
  return Status::Ok();
}

Status TorchRules::EmitTensorArgs(const TensorView& view,
                                  pickle::Pickler& pickler) {
  pickle::Emitter& emit = pickler.emit();
  const bool typed = ClassOf(view.spec.dtype).has_value();
  const bool bits = view.conj || view.neg;
  const size_t count = (typed ? 6 : 7) + (bits ? 1 : 0);
  emit.OpenTuple(count);
  CAISSON_RETURN_IF_ERROR(EmitView(view, pickler));
  emit.Bool(view.requires_grad);
  pickler.SaveEmptyOrderedDict();
  if (!typed) emit.Global("torch", Name(view.spec.dtype));
  if (bits) EmitBits(view, emit);
  emit.CloseTuple(count);
  return Status::Ok();
}

Status TorchRules::EmitTensor(const TensorView& view,
                              pickle::Pickler& pickler) {
  const DType dtype = view.spec.dtype;
  if (dtype == DType::kFloat6E2M3 || dtype == DType::kFloat6E3M2) {
    return Status::InvalidArgument("tensor '" + view.spec.name +
                                   "': PyTorch has no " +
                                   std::string(Name(dtype)));
  }
  pickler.emit().Global("torch._utils", RebuildName(dtype));
  CAISSON_RETURN_IF_ERROR(EmitTensorArgs(view, pickler));
  pickler.emit().Op(Opcode::kReduce);
  return Status::Ok();
}

// The inverse of what TorchSemantics folds into a TensorView.
Result<bool> TorchRules::EmitArgs(const Object& object,
                                  pickle::Pickler& pickler) {
  const Tuple* args = object.args.As<Tuple>();
  if (args == nullptr || args->items.size() != 4) return false;
  pickle::Emitter& emit = pickler.emit();
  if (IsCall(object, "torch._utils", "_rebuild_qtensor")) {
    const TensorView* view = args->items[0].As<TensorView>();
    if (view == nullptr) return false;
    emit.OpenTuple(7);
    CAISSON_RETURN_IF_ERROR(EmitView(*view, pickler));
    for (size_t i = 1; i < 4; ++i) {
      CAISSON_RETURN_IF_ERROR(pickler.Save(args->items[i]));
    }
    emit.CloseTuple(7);
    return true;
  }
  if (IsCall(object, "torch._tensor", "_rebuild_from_type_v2")) {
    const TensorView* view = args->items[2].As<TensorView>();
    if (view == nullptr) return false;
    emit.OpenTuple(4);
    // Its first argument, after a cast too.
    emit.Global("torch._utils", RebuildName(view->spec.dtype));
    CAISSON_RETURN_IF_ERROR(pickler.Save(args->items[1]));
    CAISSON_RETURN_IF_ERROR(EmitTensorArgs(*view, pickler));
    CAISSON_RETURN_IF_ERROR(pickler.Save(args->items[3]));
    emit.CloseTuple(4);
    return true;
  }
  return false;
}

}  // namespace caisson::torch
