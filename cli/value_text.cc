// SPDX-License-Identifier: Apache-2.0
#include "cli/value_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/element_text.h"
#include "cli/terminal.h"

namespace caisson::cli {
namespace {

constexpr size_t kKeyWidth = 60;

// The argument at `index` of a call, or nullptr.
const Node* Argument(const Object& object, size_t index) {
  const Tuple* args = object.args.As<Tuple>();
  if (args == nullptr || index >= args->items.size()) return nullptr;
  return &args->items[index];
}

bool Calls(const Object& object, std::string_view module,
           std::string_view name) {
  const Global& global = object.global();
  return global.name == name && global.module == module;
}

bool IsBare(const Object& object) {
  return !object.has_state && object.items.empty() && object.entries.empty();
}

// The quotes that Python chooses.
char QuoteFor(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  return single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

// `c` as it stands between quotes, or "" for what needs no escape.
std::string_view Escape(char c, char quote) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\\':
      return "\\\\";
    case '\'':
      return quote == c ? "\\'" : "";
    default:
      return "";
  }
}

// A str in quotes, or none if it surely takes more than `width` characters.
std::optional<std::string> Quoted(std::string_view text, size_t width) {
  if (text.size() > 4 * width) return std::nullopt;
  const char quote = QuoteFor(text);
  std::string escaped;
  for (const char c : text) {
    const std::string_view escape = Escape(c, quote);
    escaped += escape.empty() ? std::string_view(&c, 1) : escape;
  }
  return quote + Printable(escaped) + quote;
}

// Bytes in quotes, or none if they surely take more than `width` characters.
std::optional<std::string> QuotedBytes(std::string_view data, size_t width) {
  if (data.size() > width) return std::nullopt;
  const char quote = QuoteFor(data);
  std::string text = std::string("b") + quote;
  for (const char c : data) {
    const std::string_view escape = Escape(c, quote);
    if (!escape.empty()) {
      text += escape;
    } else if (c >= 0x20 && c <= 0x7e) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return text + quote;
}

// A float as Python writes it within a complex: "1", "-0", "0.5".
std::string PartText(double value) {
  std::string text = FloatRepr(value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string ComplexText(std::complex<double> value) {
  const std::string imaginary = PartText(value.imag());
  if (value.real() == 0 && !std::signbit(value.real())) return imaginary + "j";
  return fmt::format("({}{}{}j)", PartText(value.real()),
                     imaginary.front() == '-' ? "" : "+", imaginary);
}

// "float32 [3, 2]" from the arguments of a tensor without storage.
std::string MetaText(const Object& object) {
  const Node* dtype = Argument(object, 0);
  const Global* name = dtype != nullptr ? dtype->As<Global>() : nullptr;
  std::string text = "meta tensor ";
  text += Printable(name != nullptr ? name->name : "?");
  const Node* size = Argument(object, 1);
  if (const Object* wrapped = size ? size->As<Object>() : nullptr) {
    size = Argument(*wrapped, 0);
  }
  std::vector<std::string> dims;
  if (const Tuple* tuple = size != nullptr ? size->As<Tuple>() : nullptr) {
    for (const Node& item : tuple->items) {
      const Integer* dim = item.As<Integer>();
      dims.push_back(dim != nullptr ? dim->ToString() : "?");
      if (dims.size() == kMaxDims) break;
    }
  }
  return fmt::format("{} [{}]", text, fmt::join(dims, ", "));
}

// Writes one value and gives up as soon as it does not fit.
class Line {
 public:
  explicit Line(size_t width) : width_(width) {}

  bool Write(const Node& node) {
    if (node.none()) return Add("None");
    return std::visit([&](const auto& value) { return WriteValue(value); },
                      static_cast<const NodeValue::variant&>(node.value()));
  }

  std::string Take() { return std::move(text_); }

 private:
  bool Add(std::string_view text) {
    text_ += text;
    // Bytes first: as long as these fit, the characters do.
    return text_.size() <= width_ || Width(text_) <= width_;
  }

  bool WriteValue(bool value) { return Add(value ? "True" : "False"); }
  bool WriteValue(const Integer& value) { return Add(value.ToString()); }
  bool WriteValue(double value) { return Add(FloatRepr(value)); }
  bool WriteValue(const std::complex<double>& value) {
    return Add(ComplexText(value));
  }
  bool WriteValue(const Text& value) {
    return AddIfAny(Quoted(value.str(), width_));
  }
  bool WriteValue(const Bytes& value) {
    return AddIfAny(QuotedBytes(value.data, width_));
  }
  bool WriteValue(const ByteArray& value) {
    return Add("bytearray(") && AddIfAny(QuotedBytes(value.data, width_)) &&
           Add(")");
  }
  bool WriteValue(const List& value) { return Items("[", value.items, "]"); }
  bool WriteValue(const Tuple& value) {
    return Items("(", value.items, value.items.size() == 1 ? ",)" : ")");
  }
  bool WriteValue(const Set& value) {
    if (value.frozen) return Items("frozenset({", value.items, "})");
    if (value.items.empty()) return Add("set()");
    return Items("{", value.items, "}");
  }
  bool WriteValue(const Dict& value) {
    if (!value.attributes.none()) return false;
    if (!value.ordered) return Entries("{", value.entries(), "}");
    return Entries("OrderedDict({", value.entries(), "})");
  }
  bool WriteValue(const TensorView&) { return false; }
  bool WriteValue(const StorageHandle&) { return Add("<storage>"); }
  bool WriteValue(const Global& value) {
    return Add(Printable(value.dotted()));
  }
  bool WriteValue(const Object& value) {
    if (!IsBare(value)) return false;
    const Node* first = Argument(value, 0);
    if (Calls(value, "torch.serialization", "_get_layout") && first &&
        first->AsStr()) {
      return Add(Printable(*first->AsStr()));
    }
    if (Calls(value, "torch._utils", "_rebuild_meta_tensor_no_storage")) {
      return Add(MetaText(value));
    }
    const bool counter = Calls(value, "collections", "Counter");
    if (!(counter ? Add("Counter") : Write(value.callable))) return false;
    const Tuple* args = value.args.As<Tuple>();
    if (args == nullptr) return Add("(...)");
    if (Calls(value, "torch", "Size") && first && first->As<Tuple>()) {
      return Items("([", first->As<Tuple>()->items, "])");
    }
    return Items("(", args->items, ")");
  }

  bool AddIfAny(const std::optional<std::string>& text) {
    return text && Add(*text);
  }

  bool Items(std::string_view open, const std::vector<Node>& items,
             std::string_view close) {
    if (!Add(open)) return false;
    for (const Node& item : items) {
      if (&item != &items.front() && !Add(", ")) return false;
      if (!Write(item)) return false;
    }
    return Add(close);
  }

  bool Entries(std::string_view open, const std::vector<Dict::Entry>& entries,
               std::string_view close) {
    if (!Add(open)) return false;
    for (const Dict::Entry& entry : entries) {
      if (&entry != &entries.front() && !Add(", ")) return false;
      if (!Write(entry.first) || !Add(": ") || !Write(entry.second)) {
        return false;
      }
    }
    return Add(close);
  }

  const size_t width_;
  std::string text_;
};

std::string_view KindOf(const Node& node) {
  if (node.As<List>()) return "list";
  if (node.As<Tuple>()) return "tuple";
  if (const Set* set = node.As<Set>()) return set->frozen ? "frozenset" : "set";
  const Dict* dict = node.As<Dict>();
  return dict != nullptr && dict->ordered ? "OrderedDict" : "dict";
}

std::string SparseHead(const Object& object) {
  const Node* layout = Argument(object, 0);
  std::string name = "sparse";
  if (const auto text = layout ? ShortText(*layout, 40) : std::nullopt) {
    name = *text;
  }
  const Node* data = Argument(object, 1);
  const Tuple* parts = data != nullptr ? data->As<Tuple>() : nullptr;
  std::string size;
  if (parts != nullptr) {
    for (const Node& part : parts->items) {
      const bool shape = part.As<Object>() || part.As<Tuple>();
      if (const auto text = shape ? ShortText(part, 60) : std::nullopt) {
        size = " of " + *text;
      }
    }
  }
  return name + " tensor" + size;
}

std::string QuantisedHead(const Object& object) {
  const Node* quantizer = Argument(object, 1);
  const auto parts = quantizer ? ShortText(*quantizer, 100) : std::nullopt;
  return "quantized tensor " + parts.value_or("per channel");
}

std::string ObjectHead(const Object& object) {
  if (Calls(object, "torch._utils", "_rebuild_sparse_tensor")) {
    return SparseHead(object);
  }
  if (Calls(object, "torch._utils", "_rebuild_qtensor")) {
    return QuantisedHead(object);
  }
  if (Calls(object, "torch._utils", "_rebuild_nested_tensor")) {
    return "nested tensor";
  }
  if (Calls(object, "torch._utils", "_rebuild_parameter_with_state")) {
    return "torch.nn.Parameter with attributes";
  }
  if (Calls(object, "torch._tensor", "_rebuild_from_type_v2")) {
    const Node* type = Argument(object, 1);
    const auto name = type ? ShortText(*type, 100) : std::nullopt;
    return name.value_or("tensor") + " with attributes";
  }
  if (const auto* args = object.args.As<Tuple>(); args && args->items.empty()) {
    return Abbreviated(object.global().dotted(), 100) + "()";
  }
  if (Calls(object, "collections", "Counter")) return "Counter";
  return Abbreviated(object.global().dotted(), 100) + "(...)";
}

}  // namespace

bool IsTensor(const Node& node) {
  if (node.As<TensorView>()) return true;
  const Object* object = node.As<Object>();
  if (object == nullptr || !IsBare(*object)) return false;
  if (!Calls(*object, "torch._utils", "_rebuild_parameter")) return false;
  const Node* data = Argument(*object, 0);
  return data != nullptr && data->As<TensorView>() != nullptr;
}

bool IsOpaque(const Node& node) {
  if (const Global* global = node.As<Global>()) {
    return global->module != "torch" && global->module != "torch.storage";
  }
  const Object* object = node.As<Object>();
  if (object == nullptr) return false;
  const Global& global = object->global();
  const bool known =
      Calls(*object, "torch", "Size") || Calls(*object, "torch", "device") ||
      Calls(*object, "collections", "Counter") ||
      Calls(*object, "torch.serialization", "_get_layout") ||
      Calls(*object, "torch._tensor", "_rebuild_from_type_v2") ||
      (global.module == "torch._utils" && global.name.starts_with("_rebuild"));
  return !known;
}

std::optional<std::string> ShortText(const Node& node, size_t width) {
  Line line(width);
  if (!line.Write(node)) return std::nullopt;
  return line.Take();
}

std::string FrontText(const Node& node, size_t width) {
  if (const std::string* text = node.AsStr()) {
    return fmt::format("'{}' ({} characters)", Abbreviated(*text, width),
                       Width(*text));
  }
  if (const Bytes* bytes = node.As<Bytes>()) {
    return fmt::format("bytes of {}", bytes->data.size());
  }
  if (const ByteArray* bytes = node.As<ByteArray>()) {
    return fmt::format("bytearray of {}", bytes->data.size());
  }
  if (const Integer* integer = node.As<Integer>()) {
    const std::string digits = integer->ToString();
    return fmt::format("{}... ({} digits)", digits.substr(0, width),
                       digits.size());
  }
  const std::vector<Node>* items = ItemsOf(node);
  if (items == nullptr) return HeadText(node);
  std::string text = HeadText(node) + ": ";
  for (const Node& item : *items) {
    const size_t left = width > text.size() ? width - text.size() : 0;
    const auto shown = ShortText(item, std::min<size_t>(left, 40));
    if (!shown) break;
    text += *shown + ", ";
  }
  return text + "...";
}

std::string HeadText(const Node& node) {
  if (const Object* object = node.As<Object>()) {
    return ObjectHead(*object) + (IsOpaque(node) ? "  [opaque]" : "");
  }
  const Dict* dict = node.As<Dict>();
  const std::vector<Node>* items = ItemsOf(node);
  const size_t entries = dict != nullptr    ? dict->size()
                         : items != nullptr ? items->size()
                                            : 0;
  return fmt::format("{} of {}", KindOf(node), entries);
}

std::string KeyText(const Node& key) {
  const std::string* text = key.AsStr();
  if (text == nullptr) {
    if (const auto shown = ShortText(key, kKeyWidth)) return *shown;
    return FrontText(key, kKeyWidth);
  }
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '/';
  };
  const bool word = !text->empty() && text->size() <= kKeyWidth &&
                    !(text->front() >= '0' && text->front() <= '9') &&
                    text->front() != '-' &&
                    std::all_of(text->begin(), text->end(), plain);
  return word ? *text : fmt::format("'{}'", Abbreviated(*text, kKeyWidth));
}

const std::vector<Node>* ItemsOf(const Node& node) {
  if (const List* list = node.As<List>()) return &list->items;
  if (const Tuple* tuple = node.As<Tuple>()) return &tuple->items;
  if (const Set* set = node.As<Set>()) return &set->items;
  return nullptr;
}

}  // namespace caisson::cli
