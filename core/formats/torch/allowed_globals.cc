// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/allowed_globals.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "caisson/dtype.h"

namespace caisson::torch {
namespace {

using pickle::Trust;

struct Row {
  std::string_view module;
  std::string_view name;
};

constexpr Row kFunctions[] = {
    {"_codecs", "encode"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor"},
    {"torch._utils", "_rebuild_device_tensor_from_numpy"},
    {"torch._utils", "_rebuild_meta_tensor_no_storage"},
    {"torch._utils", "_rebuild_nested_tensor"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch._utils", "_rebuild_parameter_with_state"},
    {"torch._utils", "_rebuild_qtensor"},
    {"torch._utils", "_rebuild_sparse_tensor"},
    {"torch._utils", "_rebuild_tensor"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_tensor_v3"},
    {"torch._utils", "_rebuild_wrapper_subclass"},
    {"torch.serialization", "_get_layout"},
    // Registered when its module is imported.
    {"torch.nested._internal.nested_tensor", "_rebuild_njt"},
};

constexpr Row kClasses[] = {
    {"builtins", "bytearray"},
    {"builtins", "complex"},
    {"builtins", "set"},
    {"collections", "Counter"},
    {"collections", "OrderedDict"},
    {"torch", "Size"},
    {"torch", "Tensor"},
    {"torch", "device"},
    {"torch.nn.parameter", "Parameter"},
    // Registered when their module is imported.
    {"torch._dynamo.decorators", "_DimRange"},
    {"torch.distributed.device_mesh", "DeviceMesh"},
    {"torch.distributed.tensor", "DTensor"},
    {"torch.distributed.tensor._dtensor_spec", "DTensorSpec"},
    {"torch.distributed.tensor._dtensor_spec", "TensorMeta"},
    {"torch.distributed.tensor.placement_types", "Partial"},
    {"torch.distributed.tensor.placement_types", "Replicate"},
    {"torch.distributed.tensor.placement_types", "Shard"},
    {"torch.nested._internal.nested_tensor", "NestedTensor"},
};

constexpr Row kValues[] = {
    {"torch", "per_channel_affine"},
    {"torch", "per_channel_affine_float_qparams"},
    {"torch", "per_channel_symmetric"},
    {"torch", "per_tensor_affine"},
    {"torch", "per_tensor_symmetric"},
    {"torch.storage", "TypedStorage"},
    {"torch.storage", "UntypedStorage"},
};

// torch.FloatTensor and its like, also under torch.cuda, torch.sparse and
// torch.cuda.sparse.
constexpr std::string_view kTensorClasses[] = {
    "DoubleTensor", "FloatTensor", "HalfTensor", "BFloat16Tensor", "LongTensor",
    "IntTensor",    "ShortTensor", "CharTensor", "ByteTensor",     "BoolTensor",
};

bool Holds(std::span<const Row> rows, const Global& global) {
  return std::ranges::any_of(rows, [&](const Row& row) {
    return row.name == global.name && row.module == global.module;
  });
}

bool IsDType(const Global& global) {
  if (global.module != "torch") return false;
  const auto dtype = ParseDType(global.name);
  // safetensors' two have no counterpart.
  return dtype && dtype != DType::kFloat6E2M3 && dtype != DType::kFloat6E3M2;
}

bool IsStorageClass(const Global& global) {
  const bool cuda = global.module == "torch.cuda";
  if (!cuda && global.module != "torch") return false;
  const auto dtype = ParseTorchStorageClass(global.name);
  return dtype && !(cuda && global.name.starts_with("Q"));
}

bool IsTensorClass(const Global& global) {
  const std::string_view module = global.module;
  const bool sparse = module == "torch.sparse" || module == "torch.cuda.sparse";
  if (!sparse && module != "torch" && module != "torch.cuda") return false;
  return std::ranges::find(kTensorClasses, global.name) !=
             std::end(kTensorClasses) &&
         !(sparse && global.name == "BoolTensor");
}

}  // namespace

Trust ClassifyGlobal(const Global& global) {
  if (IsDType(global) || IsStorageClass(global) || Holds(kValues, global)) {
    return Trust::kValue;
  }
  if (Holds(kFunctions, global)) return Trust::kFunction;
  if (Holds(kClasses, global) || IsTensorClass(global)) return Trust::kClass;
  return Trust::kUnknown;
}

}  // namespace caisson::torch
