// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/builtin_calls.h"

#include <complex>
#include <string>

#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace caisson::pickle {
namespace {

using Value = Result<std::optional<Node>>;

std::optional<Node> Some(Node node) { return node; }

Status Refused(const Global& callable) {
  return Status::InvalidArgument("arguments that " + callable.dotted() +
                                 " does not take");
}

// _codecs.encode(text, 'latin1'): how protocol 2 spells bytes.
Value Encode(const Global& callable, const Tuple& args) {
  if (args.items.size() != 2) return Refused(callable);
  const std::string* text = args.items[0].AsStr();
  const std::string* codec = args.items[1].AsStr();
  Bytes bytes;
  if (text == nullptr || codec == nullptr ||
      (*codec != "latin1" && *codec != "latin-1") ||
      !Utf8ToLatin1(*text, &bytes.data)) {
    return Refused(callable);
  }
  if (bytes.data.size() == 1) bytes.latin1 = *args.items[0].As<Text>();
  return Some(std::move(bytes));
}

Value MakeBytes(const Global& callable, const Tuple& args) {
  if (!args.items.empty()) return Refused(callable);
  return Some(Bytes());
}

// bytearray(), bytearray(bytes), and bytearray(text, 'latin-1') from before
// Python 3.8.
Value MakeByteArray(const Global& callable, const Tuple& args) {
  if (args.items.empty()) return Some(ByteArray());
  if (args.items.size() == 2) {
    CAISSON_ASSIGN_OR_RETURN(const auto encoded, Encode(callable, args));
    return Some(ByteArray{encoded->As<Bytes>()->data});
  }
  const Bytes* bytes = args.items[0].As<Bytes>();
  if (args.items.size() != 1 || bytes == nullptr) return Refused(callable);
  return Some(ByteArray{bytes->data});
}

// set(list) and frozenset(list). Equal items stay; Python would merge them.
Value MakeSet(const Global& callable, const Tuple& args) {
  Set set;
  set.frozen = callable.name == "frozenset";
  if (args.items.size() > 1) return Refused(callable);
  if (args.items.size() == 1) {
    const List* list = args.items[0].As<List>();
    const Tuple* tuple = args.items[0].As<Tuple>();
    if (list == nullptr && tuple == nullptr) return Refused(callable);
    set.items = list != nullptr ? list->items : tuple->items;
  }
  return Some(std::move(set));
}

std::optional<double> AsDouble(const Node& node) {
  if (const double* number = node.As<double>()) return *number;
  const Integer* integer = node.As<Integer>();
  const auto small = integer ? integer->ToInt64() : std::nullopt;
  if (small) return static_cast<double>(*small);
  return std::nullopt;
}

Value MakeComplex(const Global& callable, const Tuple& args) {
  if (args.items.size() != 2) return Refused(callable);
  const auto real = AsDouble(args.items[0]);
  const auto imag = AsDouble(args.items[1]);
  if (!real || !imag) return Refused(callable);
  return Some(std::complex<double>(*real, *imag));
}

// OrderedDict(), or OrderedDict([[key, value], ...]) from Python 2.
Value MakeOrderedDict(const Global& callable, const Tuple& args) {
  Dict dict(/*is_ordered=*/true);
  if (args.items.empty()) return Some(std::move(dict));
  const List* pairs = args.items[0].As<List>();
  if (args.items.size() != 1 || pairs == nullptr) return Refused(callable);
  for (const Node& pair : pairs->items) {
    const List* list = pair.As<List>();
    const Tuple* tuple = pair.As<Tuple>();
    if (list == nullptr && tuple == nullptr) return Refused(callable);
    const auto& entry = list != nullptr ? list->items : tuple->items;
    if (entry.size() != 2) return Refused(callable);
    CAISSON_RETURN_IF_ERROR(dict.Set(entry[0], entry[1]));
  }
  return Some(std::move(dict));
}

struct Row {
  std::string_view module;
  std::string_view name;
  Value (*make)(const Global&, const Tuple&);
};

constexpr Row kRows[] = {
    {"_codecs", "encode", Encode},
    {"builtins", "bytes", MakeBytes},
    {"builtins", "bytearray", MakeByteArray},
    {"builtins", "set", MakeSet},
    {"builtins", "frozenset", MakeSet},
    {"builtins", "complex", MakeComplex},
    {"collections", "OrderedDict", MakeOrderedDict},
};

const Row* Search(const Global& callable) {
  for (const Row& row : kRows) {
    if (row.name == callable.name && row.module == callable.module) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace

std::string_view ModernModule(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  return module;
}

bool IsBuiltinCall(const Global& callable) {
  return Search(callable) != nullptr;
}

Result<std::optional<Node>> CallBuiltin(const Global& callable,
                                        const Tuple& args) {
  const Row* row = Search(callable);
  if (row == nullptr) return std::optional<Node>();
  return row->make(callable, args);
}

}  // namespace caisson::pickle
