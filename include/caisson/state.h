// SPDX-License-Identifier: Apache-2.0
//
// State: the tree that a trainer saves.
//
//   caisson::State state;
//   state["model"]["w"] = caisson::DenseTensor(DType::kFloat32, {2, 3}, data);
//   state["optimizer"]["lr"] = 1e-3;
//   state["step"] = 100;
//   state["betas"] = caisson::Tuple{{0.9, 0.999}};
//
// A Node is a shared handle on a value, as a Python variable is: copies name
// the same object, and a change through one is seen through all. That keeps
// identity across a round trip through a file.
//
// Nodes follow the rules of plain containers: any number of threads may read,
// or one may write.
#pragma once

#include <complex>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/integer.h"
#include "caisson/profile.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "caisson/text.h"

namespace caisson {

class Node;
struct NodeValue;
struct Bytes;
struct ByteArray;
struct Global;
struct List;
struct Tuple;
struct Set;
class Dict;
struct Object;

// The kinds of value besides None, bool and float.
template <class T, class... Kinds>
concept AnyOf = (std::same_as<T, Kinds> || ...);
template <class T>
concept NodeKind =
    AnyOf<T, Integer, std::complex<double>, Text, Bytes, ByteArray, List, Tuple,
          Set, Dict, TensorView, StorageHandle, Global, Object>;

// Python's bytes and bytearray.
struct Bytes {
  std::string data;

  // The str that a pickle of protocol 2 made it of, where that has one
  // character: CPython has one object for each such str, so that others may
  // share it, and writing keeps that. None for bytes made otherwise.
  std::optional<Text> latin1 = std::nullopt;
};
struct ByteArray {
  std::string data;
};

// A class or function by name. Never looked up, never called.
struct Global {
  std::string module;
  std::string name;
  std::string dotted() const { return module + "." + name; }
  friend bool operator==(const Global&, const Global&) = default;
};

// A value, or nothing; the same small size for every kind.
class Node {
 public:
  Node() = default;  // None
  Node(bool value);
  Node(double value);
  Node(const char* text);
  template <std::integral T>
  requires(!std::same_as<T, bool>) Node(T value) : Node(Integer::From(value)) {}
  Node(std::string text);
  template <NodeKind T>
  Node(T value);

  bool none() const { return value_ == nullptr; }

  // The value as a T, or nullptr if it is of another kind.
  template <class T>
  const T* As() const;
  template <class T>
  T* As();

  // The str's content, or nullptr.
  const std::string* AsStr() const;

  // The value. REQUIRES: !none().
  const NodeValue& value() const { return *value_; }

  // True if both are the same object; None is the same as None.
  bool same(const Node& other) const { return value_ == other.value_; }
  const void* identity() const { return value_.get(); }

  // True if no other handle names this value; None is not its own.
  bool unique() const { return value_.use_count() == 1; }

  // The entry of a dict under the str `key`, made if it is missing. None
  // becomes an empty dict first. The reference is valid until the next
  // insertion into that dict: to give a value a second, new key, copy the
  // handle first, `Node w = state["w"]; state["tied"] = w;`.
  //
  // REQUIRES: a dict or None.
  Node& operator[](std::string_view key);

  // The entry of a dict under the str `key`, or nullptr if there is none or
  // this is no dict.
  const Node* Find(std::string_view key) const;

 private:
  std::shared_ptr<NodeValue> value_;  // null for None
};

struct List {
  std::vector<Node> items;
};
struct Tuple {
  std::vector<Node> items;
};
struct Set {
  std::vector<Node> items;
  bool frozen = false;
};

// dict, or OrderedDict when `ordered`. Keeps the order of insertion. Keys
// compare as in Python: 1, 1.0 and True are one key.
class Dict {
 public:
  using Entry = std::pair<Node, Node>;

  Dict() = default;
  explicit Dict(bool is_ordered) : ordered(is_ordered) {}

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

  // The value under `key`, or nullptr.
  const Node* Find(std::string_view key) const;
  const Node* Find(const char* key) const {
    return Find(std::string_view(key));
  }
  const Node* Find(const Node& key) const;

  // Replaces the value under `key`, or appends. kInvalidArgument if Python
  // could not hash `key` (a list, ...); kUnsupported for tensors as keys, for
  // keys of very many parts, and for very many unequal keys of one hash.
  Status Set(Node key, Node value);

  // The value under `key`, None appended if it is missing.
  Node& operator[](std::string_view key);

  // Drops every entry.
  void Clear();

  // collections.OrderedDict rather than dict.
  bool ordered = false;

  // The instance attributes of an OrderedDict (`_metadata` of a module's
  // state dict), as a dict; None when it has none.
  Node attributes;

 private:
  // Position of `key` or entries_.size().
  size_t Locate(const Node& key, size_t hash) const;

  std::vector<Entry> entries_;
  // Hash of key to position; built when the dict outgrows a linear search.
  std::unordered_multimap<size_t, size_t> index_;
};

// What a pickle builds by a call that we do not make: Counter, torch.Size,
// torch.device, Parameter, sparse and quantised tensors, unknown classes.
struct Object {
  enum class Made : uint8_t {
    kByCall,   // callable(*args): REDUCE
    kByClass,  // callable.__new__(callable, *args): NEWOBJ
  };

  Made made = Made::kByCall;
  Node callable;                     // a Global, save in odd pickles
  Node args;                         // a tuple
  std::vector<Node> items;           // appended to it afterwards
  std::vector<Dict::Entry> entries;  // set in it afterwards
  bool has_state = false;
  Node state;  // handed to __setstate__, or its attributes

  // The callable, or an empty Global.
  const Global& global() const;
};

// Every kind of value but None.
struct NodeValue : std::variant<bool, Integer, double, std::complex<double>,
                                Text, Bytes, ByteArray, List, Tuple, Set, Dict,
                                TensorView, StorageHandle, Global, Object> {
  using variant::variant;
};

// Where something stands in a State: dict keys and list positions from the
// root. Keys that are neither str nor int appear as text.
using PathStep = std::variant<std::string, int64_t>;
using Path = std::vector<PathStep>;

// A dict key as a step of a path.
PathStep StepOf(const Node& key);

// The steps joined by '.'.
std::string Join(const Path& path);

// A tensor and where it stands.
struct NamedTensor {
  Path path;
  const TensorView* view;
};

struct State {
  Node root = Dict();
  Profile profile;

  // The text that a safetensors file keeps beside its tensors, in UTF-8. A
  // PyTorch file has no place for it.
  std::map<std::string, std::string> metadata;

  Node& operator[](std::string_view key) { return root[key]; }

  // Every tensor in order of appearance, one entry for each path. Parameters
  // and tensors with attributes count under their own path; the parts of
  // sparse, quantised and other objects under "indices", "values", or the
  // position in the call's arguments.
  //
  // kInvalidArgument if the tree is deeper than kMaxDepth, contains itself,
  // or, by sharing, unfolds to far more paths than it has nodes.
  Result<std::vector<NamedTensor>> Tensors() const;
};

// The deepest nesting that is read or written.
inline constexpr size_t kMaxDepth = 1000;

template <NodeKind T>
Node::Node(T value) : value_(std::make_shared<NodeValue>(std::move(value))) {}

template <class T>
const T* Node::As() const {
  return value_ ? std::get_if<T>(value_.get()) : nullptr;
}

template <class T>
T* Node::As() {
  return value_ ? std::get_if<T>(value_.get()) : nullptr;
}

}  // namespace caisson
