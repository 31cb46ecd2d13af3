// SPDX-License-Identifier: Apache-2.0
#include "tests/support/node_text.h"

#include <charconv>
#include <complex>
#include <string_view>
#include <vector>

namespace caisson {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '\'' && c != '\\') {
      quoted.push_back(c);
    } else {
      quoted.append("\\x");
      quoted.push_back("0123456789abcdef"[byte >> 4]);
      quoted.push_back("0123456789abcdef"[byte & 15]);
    }
  }
  return quoted + "'";
}

// The shortest text that reads as the same number, always with a point.
std::string NumberText(double value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + 32, value);
  std::string text(digits, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string Within(std::string_view open, std::string_view text,
                   std::string_view close) {
  std::string within(open);
  return within.append(text).append(close);
}

std::string Joined(const std::vector<Node>& items) {
  std::string text;
  for (const Node& item : items) {
    if (!text.empty()) text += ", ";
    text += NodeText(item);
  }
  return text;
}

std::string Joined(const std::vector<Dict::Entry>& entries) {
  std::string text = "{";
  for (const auto& [key, value] : entries) {
    if (text.size() > 1) text += ", ";
    text += NodeText(key) + ": " + NodeText(value);
  }
  return text + "}";
}

std::string Joined(const std::vector<int64_t>& ints) {
  std::string text;
  for (const int64_t value : ints) {
    if (!text.empty()) text += ",";
    text += std::to_string(value);
  }
  return Within("[", text, "]");
}

std::string StorageText(const StorageHandle& storage) {
  if (storage == nullptr) return "no storage";
  return (storage->dtype ? std::string(Name(*storage->dtype)) : "untyped") +
         " storage of " + std::to_string(storage->region.bytes) + " bytes on " +
         storage->location.str();
}

struct Writer {
  std::string operator()(bool value) const { return value ? "True" : "False"; }
  std::string operator()(const Integer& value) const {
    return value.ToString();
  }
  std::string operator()(double value) const { return NumberText(value); }
  std::string operator()(const std::complex<double>& value) const {
    return Within("complex(", NumberText(value.real()), ", ") +
           NumberText(value.imag()) + ")";
  }
  std::string operator()(const Text& value) const {
    return Quoted(value.str());
  }
  std::string operator()(const Bytes& value) const {
    return Within("b", Quoted(value.data), "");
  }
  std::string operator()(const ByteArray& value) const {
    return Within("bytearray(b", Quoted(value.data), ")");
  }
  std::string operator()(const List& value) const {
    return Within("[", Joined(value.items), "]");
  }
  std::string operator()(const Tuple& value) const {
    return Within("(", Joined(value.items),
                  value.items.size() == 1 ? ",)" : ")");
  }
  std::string operator()(const Set& value) const {
    return Within(value.frozen ? "frozenset(" : "set(", Joined(value.items),
                  ")");
  }
  std::string operator()(const Dict& value) const {
    std::string text =
        (value.ordered ? "OrderedDict" : "") + Joined(value.entries());
    if (!value.attributes.none()) {
      text += " with " + NodeText(value.attributes);
    }
    return text;
  }
  std::string operator()(const TensorView& value) const {
    return Within("tensor ", Name(value.spec.dtype), "") +
           Joined(value.spec.shape) + " at " + std::to_string(value.offset) +
           " by " + Joined(value.strides) +
           (value.requires_grad ? " grad" : "") + (value.conj ? " conj" : "") +
           (value.neg ? " neg" : "") + " of a " + StorageText(value.storage);
  }
  std::string operator()(const StorageHandle& value) const {
    return StorageText(value);
  }
  std::string operator()(const Global& value) const { return value.dotted(); }
  std::string operator()(const Object& value) const {
    std::string text = NodeText(value.callable);
    if (value.made == Object::Made::kByClass) text += ".__new__";
    text += NodeText(value.args);
    if (!value.items.empty()) text += " items [" + Joined(value.items) + "]";
    if (!value.entries.empty()) text += " entries " + Joined(value.entries);
    if (value.has_state) text += " state " + NodeText(value.state);
    return text;
  }
};

}  // namespace

std::string NodeText(const Node& node) {
  if (node.none()) return "None";
  return std::visit(Writer(),
                    static_cast<const NodeValue::variant&>(node.value()));
}

}  // namespace caisson
