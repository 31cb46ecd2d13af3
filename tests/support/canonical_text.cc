// SPDX-License-Identifier: Apache-2.0
#include "tests/support/canonical_text.h"

#include <algorithm>
#include <complex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/status_macros.h"
#include "tests/support/canonical_words.h"

namespace caisson {
namespace {

using Args = std::vector<Node>;

Status Foreign(const std::string& what) {
  return Status::Unsupported("no canonical form for " + what);
}

class Dumper {
 public:
  Result<std::string> Lines(const Node& node, size_t depth) {
    if (node.none()) return Line(depth, "none");
    return std::visit([&](const auto& value) { return Of(value, depth); },
                      static_cast<const NodeValue::variant&>(node.value()));
  }

 private:
  static std::string Line(size_t depth, const std::string& text) {
    return std::to_string(depth) + " " + text + "\n";
  }

  static std::string Named(const std::string& kind, const std::string& hex) {
    return hex.empty() ? kind : kind + " " + hex;
  }

  Result<std::string> Of(bool value, size_t depth) {
    return Line(depth, value ? "bool true" : "bool false");
  }
  Result<std::string> Of(const Integer& value, size_t depth) {
    return Line(depth, "int " + value.ToString());
  }
  Result<std::string> Of(double value, size_t depth) {
    return Line(depth, "float " + Bits(value));
  }
  Result<std::string> Of(const std::complex<double>& value, size_t depth) {
    return Line(depth,
                "complex " + Bits(value.real()) + " " + Bits(value.imag()));
  }
  Result<std::string> Of(const Text& value, size_t depth) {
    return Line(depth, Named("str", Hex(value.str())));
  }
  Result<std::string> Of(const Bytes& value, size_t depth) {
    return Line(depth, Named("bytes", Hex(value.data)));
  }
  Result<std::string> Of(const ByteArray& value, size_t depth) {
    return Line(depth, Named("bytearray", Hex(value.data)));
  }
  Result<std::string> Of(const List& value, size_t depth) {
    return Sequence("list", value.items, depth);
  }
  Result<std::string> Of(const Tuple& value, size_t depth) {
    return Sequence("tuple", value.items, depth);
  }
  Result<std::string> Of(const Set& value, size_t depth) {
    std::vector<std::string> blocks;
    for (const Node& item : value.items) {
      CAISSON_ASSIGN_OR_RETURN(std::string block, Lines(item, depth + 1));
      blocks.push_back(std::move(block));
    }
    std::sort(blocks.begin(), blocks.end());
    std::string text = Line(depth, (value.frozen ? "frozenset " : "set ") +
                                       std::to_string(blocks.size()));
    for (const std::string& block : blocks) text += block;
    return text;
  }
  Result<std::string> Of(const Dict& value, size_t depth) {
    CAISSON_ASSIGN_OR_RETURN(
        std::string text,
        Mapping(value.ordered ? "ordereddict" : "dict", value, depth));
    CAISSON_ASSIGN_OR_RETURN(const std::string attributes,
                             Attributes(value.attributes, depth));
    return text + attributes;
  }
  Result<std::string> Of(const TensorView& value, size_t depth) {
    return Tensor(value, value.requires_grad, depth);
  }
  Result<std::string> Of(const StorageHandle&, size_t) {
    return Foreign("a storage");
  }
  Result<std::string> Of(const Global& value, size_t depth) {
    if (value.module != "torch") return Foreign(value.dotted());
    const bool scheme = value.name.starts_with("per_tensor_") ||
                        value.name.starts_with("per_channel_");
    return Line(depth, (scheme ? "qscheme " : "dtype ") + value.dotted());
  }
  Result<std::string> Of(const Object& value, size_t depth) {
    const Tuple* args = value.args.As<Tuple>();
    const bool plain = args != nullptr && !value.has_state &&
                       value.items.empty() && value.entries.empty() &&
                       value.made == Object::Made::kByCall;
    if (!plain) return Foreign(value.global().dotted());
    return Call(value.global(), args->items, depth);
  }

  Result<std::string> Sequence(const std::string& kind, const Args& items,
                               size_t depth) {
    CAISSON_ASSIGN_OR_RETURN(const std::string children,
                             Children(items, depth));
    return Line(depth, kind + " " + std::to_string(items.size())) + children;
  }

  Result<std::string> Children(const Args& items, size_t depth) {
    std::string text;
    for (const Node& item : items) {
      CAISSON_ASSIGN_OR_RETURN(const std::string lines, Lines(item, depth + 1));
      text += lines;
    }
    return text;
  }

  Result<std::string> Mapping(const std::string& kind, const Dict& dict,
                              size_t depth) {
    std::string text = Line(depth, kind + " " + std::to_string(dict.size()));
    for (const auto& [key, value] : dict.entries()) {
      CAISSON_ASSIGN_OR_RETURN(const std::string head, Lines(key, depth + 1));
      CAISSON_ASSIGN_OR_RETURN(const std::string body, Lines(value, depth + 1));
      text += head;
      text += body;
    }
    return text;
  }

  // The block behind an object whose __dict__ is not empty. The state of a
  // tensor may also be the pair of its __dict__ and its slots.
  Result<std::string> Attributes(const Node& state, size_t depth) {
    if (state.none()) return std::string();
    if (const Tuple* pair = state.As<Tuple>()) {
      const bool no_slots = pair->items.size() == 2 && pair->items[1].none();
      return no_slots ? Attributes(pair->items[0], depth)
                      : Result<std::string>(Foreign("a tensor with slots"));
    }
    const Dict* dict = state.As<Dict>();
    if (dict == nullptr) return Foreign("attributes that are no dict");
    if (dict->size() == 0) return std::string();
    CAISSON_ASSIGN_OR_RETURN(const std::string lines,
                             Mapping("dict", *dict, depth + 2));
    return Line(depth + 1, "attributes") + lines;
  }

  Result<std::string> Tensor(const TensorView& view, bool requires_grad,
                             size_t depth) {
    const auto [known, first] =
        storages_.emplace(view.storage.get(), storages_.size());
    const std::string index = std::to_string(known->second);
    std::string text =
        Line(depth, "tensor " + std::string(Name(view.spec.dtype)) + " " +
                        Dims(view.spec.shape) + " " + Dims(view.strides) + " " +
                        std::to_string(view.offset) + " " + index + " " +
                        Flag(requires_grad) + " " + Flag(view.conj) + " " +
                        Flag(view.neg));
    if (!first) return text;
    if (!view.storage->resident()) return Foreign("a storage without bytes");
    const uint64_t bytes = view.storage->region.bytes;
    return text + Line(depth + 1,
                       Named("storage " + index + " " + std::to_string(bytes),
                             StorageHex(*view.storage)));
  }

  // A tensor that lost its gradient flag, as Parameter.data has.
  Result<std::string> Detached(const Node& node, size_t depth) {
    const TensorView* view = node.As<TensorView>();
    return view != nullptr ? Tensor(*view, false, depth) : Lines(node, depth);
  }

  Result<std::string> Parameter(const Args& args, const Node& state,
                                size_t depth) {
    const bool* requires_grad = args[1].As<bool>();
    if (requires_grad == nullptr) return Foreign("this Parameter");
    CAISSON_ASSIGN_OR_RETURN(const std::string data,
                             Detached(args[0], depth + 1));
    CAISSON_ASSIGN_OR_RETURN(const std::string attributes,
                             Attributes(state, depth));
    return Line(depth, "parameter " + Flag(*requires_grad)) + data + attributes;
  }

  // func, type, args or the tensor that they give, state.
  Result<std::string> FromType(const Args& args, size_t depth) {
    const Global* func = args[0].As<Global>();
    const Global* type = args[1].As<Global>();
    if (func == nullptr || type == nullptr) return Foreign("this tensor");
    const std::string name = type->dotted();
    if (name == "torch.nn.parameter.Parameter") {
      const Tuple* inner = args[2].As<Tuple>();
      if (inner == nullptr || inner->items.size() < 2) {
        return Foreign("this Parameter");
      }
      return Parameter(inner->items, args[3], depth);
    }
    if (name != "torch.Tensor") return Foreign(name);
    Result<std::string> tensor = args[2].As<TensorView>() != nullptr
                                     ? Lines(args[2], depth)
                                     : Inner(*func, args[2], depth);
    if (!tensor) return tensor;
    CAISSON_ASSIGN_OR_RETURN(const std::string attributes,
                             Attributes(args[3], depth));
    return *tensor + attributes;
  }

  Result<std::string> Inner(const Global& func, const Node& args,
                            size_t depth) {
    const Tuple* tuple = args.As<Tuple>();
    if (tuple == nullptr) return Foreign(func.dotted());
    return Call(func, tuple->items, depth);
  }

  // The tensor, then (scheme, scale, zero point) or (scheme, scales, zero
  // points, axis).
  Result<std::string> Quantised(const Args& args, size_t depth) {
    const TensorView* view = args[0].As<TensorView>();
    const Tuple* tuple = args[1].As<Tuple>();
    if (view == nullptr || tuple == nullptr) return Foreign("this quantizer");
    const Args& parts = tuple->items;
    const Global* scheme = parts.empty() ? nullptr : parts[0].As<Global>();
    if (scheme == nullptr) return Foreign("this quantizer");
    const bool* grad = args[2].As<bool>();
    const bool requires_grad = grad != nullptr && *grad;
    if (scheme->name == "per_tensor_affine" && parts.size() == 3) {
      const double* scale = parts[1].As<double>();
      const Integer* zero = parts[2].As<Integer>();
      if (scale == nullptr || zero == nullptr) return Foreign("this quantizer");
      CAISSON_ASSIGN_OR_RETURN(const std::string tensor,
                               Tensor(*view, requires_grad, depth + 1));
      return Line(depth, "quantized per_tensor_affine " + Bits(*scale) + " " +
                             zero->ToString()) +
             tensor;
    }
    if (parts.size() != 4) return Foreign("this quantizer");
    const TensorView* zeros = parts[2].As<TensorView>();
    const Integer* axis = parts[3].As<Integer>();
    if (zeros == nullptr || axis == nullptr) return Foreign("this quantizer");
    const bool floats = zeros->spec.dtype == DType::kFloat32 ||
                        zeros->spec.dtype == DType::kFloat64;
    CAISSON_ASSIGN_OR_RETURN(const std::string channels,
                             Children({parts[1], parts[2]}, depth));
    CAISSON_ASSIGN_OR_RETURN(const std::string tensor,
                             Tensor(*view, requires_grad, depth + 1));
    return Line(depth, std::string("quantized ") +
                           (floats ? "per_channel_affine_float_qparams "
                                   : "per_channel_affine ") +
                           axis->ToString()) +
           channels + tensor;
  }

  // _get_layout('torch.x'), then (indices, values, size[, is_coalesced]) or
  // (compressed, plain, values, size).
  Result<std::string> Sparse(const Args& args, size_t depth) {
    const Object* layout = args[0].As<Object>();
    const Tuple* names = layout != nullptr ? layout->args.As<Tuple>() : nullptr;
    const Tuple* data = args[1].As<Tuple>();
    const std::string* name = names != nullptr && names->items.size() == 1
                                  ? names->items[0].AsStr()
                                  : nullptr;
    if (name == nullptr || data == nullptr || !name->starts_with("torch.")) {
      return Foreign("this sparse tensor");
    }
    const bool coo = *name == "torch.sparse_coo";
    const Args& parts = data->items;
    const size_t tensors = coo ? 2 : 3;
    if (parts.size() <= tensors) return Foreign("this sparse tensor");
    const auto size = AsInts(parts[tensors]);
    if (!size) return Foreign("this sparse tensor");
    std::string head = name->substr(6) + " " + Dims(*size);
    if (coo) {
      const bool* coalesced = parts.size() > 3 ? parts[3].As<bool>() : nullptr;
      head += " " + Flag(coalesced != nullptr && *coalesced);
    }
    const auto end = parts.begin() + static_cast<ptrdiff_t>(tensors);
    CAISSON_ASSIGN_OR_RETURN(const std::string children,
                             Children(Args(parts.begin(), end), depth));
    return Line(depth, head) + children;
  }

  // dtype, size, stride, requires_grad.
  Result<std::string> Meta(const Args& args, size_t depth) {
    const Global* dtype = args[0].As<Global>();
    const auto size = AsInts(args[1]);
    const auto strides = AsInts(args[2]);
    const bool* grad = args[3].As<bool>();
    if (dtype == nullptr || !size || !strides || grad == nullptr) {
      return Foreign("this meta tensor");
    }
    return Line(depth, "meta " + dtype->name + " " + Dims(*size) + " " +
                           Dims(*strides) + " " + Flag(*grad));
  }

  Result<std::string> Named(const Global& global, const Args& args,
                            size_t depth) {
    const std::string* text = args.empty() ? nullptr : args[0].AsStr();
    if (text == nullptr) return Foreign(global.dotted());
    if (global.name == "_get_layout") return Line(depth, "layout " + *text);
    const Integer* index = args.size() > 1 ? args[1].As<Integer>() : nullptr;
    return Line(depth, "device " + *text +
                           (index != nullptr ? ":" + index->ToString() : ""));
  }

  Result<std::string> Call(const Global& global, const Args& args,
                           size_t depth) {
    const std::string name = global.dotted();
    if (name == "torch.Size" && args.size() <= 1) {
      const auto size = args.empty() ? std::vector<int64_t>() : AsInts(args[0]);
      if (size) return Line(depth, "size " + Dims(*size));
    }
    if (name == "torch.device" || name == "torch.serialization._get_layout") {
      return Named(global, args, depth);
    }
    if (name == "collections.Counter" && args.size() == 1) {
      if (const Dict* dict = args[0].As<Dict>()) {
        return Mapping("counter", *dict, depth);
      }
    }
    if (name == "torch._utils._rebuild_parameter" && args.size() == 3) {
      return Parameter(args, Node(), depth);
    }
    if (name == "torch._utils._rebuild_parameter_with_state" &&
        args.size() == 4) {
      return Parameter(args, args[3], depth);
    }
    if (name == "torch._tensor._rebuild_from_type_v2" && args.size() == 4) {
      return FromType(args, depth);
    }
    if (name == "torch._utils._rebuild_qtensor" && args.size() == 4) {
      return Quantised(args, depth);
    }
    if (name == "torch._utils._rebuild_sparse_tensor" && args.size() == 2) {
      return Sparse(args, depth);
    }
    if (name == "torch._utils._rebuild_meta_tensor_no_storage" &&
        args.size() == 4) {
      return Meta(args, depth);
    }
    if (name == "torch._utils._rebuild_nested_tensor" && args.size() == 4) {
      CAISSON_ASSIGN_OR_RETURN(const std::string children,
                               Children(args, depth));
      return Line(depth, "nested") + children;
    }
    return Foreign(name);
  }

  // In order of first appearance.
  std::unordered_map<const Storage*, size_t> storages_;
};

}  // namespace

Result<std::string> CanonicalText(const State& state) {
  return Dumper().Lines(state.root, 0);
}

}  // namespace caisson
