// SPDX-License-Identifier: Apache-2.0
#include "caisson/state.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace caisson {
namespace {

// Below this a dict is searched from the front.
constexpr size_t kIndexFrom = 9;

// The most parts that a key may have: nodes, and runs of this many bytes that
// must be hashed each time. Bounds the work that one entry of a crafted file
// can ask for.
constexpr int kMaxKeyParts = 256;
constexpr size_t kKeyPartBytes = 256;

// The most unequal keys of one hash in a dict that is searched by hash. Honest
// ones are two at most; a crafted file may make all its keys collide.
constexpr size_t kMaxAlike = 64;

size_t Mix(size_t seed, size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2));
}

// The integer that a number key equals in Python, if any.
std::optional<int64_t> AsIntegral(const Node& key) {
  if (const bool* truth = key.As<bool>()) return *truth ? 1 : 0;
  if (const Integer* integer = key.As<Integer>()) return integer->ToInt64();
  const double* number = key.As<double>();
  if (const auto* complex = key.As<std::complex<double>>()) {
    if (complex->imag() != 0) return std::nullopt;
    const double real = complex->real();
    return AsIntegral(Node(real));
  }
  // 2^63 itself does not fit.
  if (number != nullptr && std::trunc(*number) == *number &&
      *number >= -0x1p63 && *number < 0x1p63) {
    return static_cast<int64_t>(*number);
  }
  return std::nullopt;
}

std::optional<size_t> HashBytes(const std::string& bytes, int& budget) {
  const size_t parts = bytes.size() / kKeyPartBytes;
  if (parts > static_cast<size_t>(budget)) {
    budget = -1;
    return std::nullopt;
  }
  budget -= static_cast<int>(parts);
  return std::hash<std::string>()(bytes);
}

// -0.0 and 0.0 are equal, so they need one hash.
uint64_t HashBits(double value) { return std::bit_cast<uint64_t>(value + 0.0); }

// Differs from run to run, so that no file can know it.
size_t Salt() {
  static const size_t salt = [] {
    const auto memory = std::make_unique<char>();
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return Mix(reinterpret_cast<uintptr_t>(memory.get()),
               static_cast<size_t>(now.count()));
  }();
  return salt;
}

// Where the index keeps a hash. The standard hash of an int is the int, and
// its bucket the remainder: without this, multiples of the number of buckets
// would share one. Two rounds of multiply and fold, as in MurmurHash3's finish.
size_t Scattered(size_t hash) {
  uint64_t bits = uint64_t{hash} ^ Salt();
  bits = (bits ^ bits >> 32) * 0xff51afd7ed558ccdu;
  bits = (bits ^ bits >> 32) * 0xc4ceb9fe1a85ec53u;
  return static_cast<size_t>(bits ^ bits >> 32);
}

// Equal to nothing but itself.
bool IsNan(const Node& key) {
  if (const double* number = key.As<double>()) return std::isnan(*number);
  const auto* number = key.As<std::complex<double>>();
  return number != nullptr &&
         (std::isnan(number->real()) || std::isnan(number->imag()));
}

// The hash of a key, or none if it has no hash or more parts than `budget`,
// which then is negative.
std::optional<size_t> HashKey(const Node& key, int& budget) {
  if (--budget < 0) return std::nullopt;
  if (key.none()) return 1;
  if (const Text* text = key.As<Text>()) return text->hash();
  if (const auto integral = AsIntegral(key)) {
    return std::hash<int64_t>()(*integral);
  }
  if (IsNan(key)) return std::hash<const void*>()(key.identity());
  if (const double* number = key.As<double>()) {
    return std::hash<uint64_t>()(HashBits(*number));
  }
  if (const auto* number = key.As<std::complex<double>>()) {
    return Mix(HashBits(number->real()), HashBits(number->imag()));
  }
  if (const Integer* integer = key.As<Integer>()) {
    return HashBytes(integer->ToTwosComplement(), budget);
  }
  if (const Bytes* bytes = key.As<Bytes>()) {
    return HashBytes(bytes->data, budget);
  }
  if (const Global* global = key.As<Global>()) {
    return HashBytes(global->dotted(), budget);
  }
  size_t seed = 2;
  if (const Tuple* tuple = key.As<Tuple>()) {
    for (const Node& item : tuple->items) {
      const auto hash = HashKey(item, budget);
      if (!hash) return std::nullopt;
      seed = Mix(seed, *hash);
    }
    return seed;
  }
  if (const Set* set = key.As<Set>(); set != nullptr && set->frozen) {
    for (const Node& item : set->items) {
      const auto hash = HashKey(item, budget);
      if (!hash) return std::nullopt;
      seed += *hash * 0x9e3779b97f4a7c15u;  // order does not matter
    }
    return seed;
  }
  if (const Object* object = key.As<Object>()) {
    if (object->has_state || !object->items.empty()) {
      return std::hash<const void*>()(key.identity());
    }
    const auto callable = HashKey(object->callable, budget);
    const auto args = HashKey(object->args, budget);
    if (!callable || !args) return std::nullopt;
    return Mix(*callable, *args);
  }
  return std::nullopt;  // list, dict, set, bytearray, tensor, storage
}

// Tensors, and what holds them: Python takes each as a key of its own. Looks
// at no more than `budget` nodes, as HashKey() stopped at the first that it
// could not hash.
bool HashedByIdentity(const Node& key, int& budget) {
  if (--budget < 0) return false;
  if (key.As<TensorView>() || key.As<StorageHandle>()) return true;
  if (const Tuple* tuple = key.As<Tuple>()) {
    return std::ranges::any_of(tuple->items, [&](const Node& item) {
      return HashedByIdentity(item, budget);
    });
  }
  const Object* object = key.As<Object>();
  return object != nullptr && HashedByIdentity(object->args, budget);
}

bool KeysEqual(const Node& a, const Node& b);

bool ItemsEqual(const std::vector<Node>& a, const std::vector<Node>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!KeysEqual(a[i], b[i])) return false;
  }
  return true;
}

// REQUIRES: HashKey() accepted both, which bounds their size.
bool KeysEqual(const Node& a, const Node& b) {
  if (a.same(b)) return true;
  if (a.none() || b.none()) return false;
  const auto integral_a = AsIntegral(a);
  const auto integral_b = AsIntegral(b);
  if (integral_a || integral_b) return integral_a == integral_b;
  if (a.value().index() != b.value().index()) return false;
  if (const Text* text = a.As<Text>()) return *text == *b.As<Text>();
  if (const double* number = a.As<double>()) return *number == *b.As<double>();
  if (const auto* number = a.As<std::complex<double>>()) {
    return *number == *b.As<std::complex<double>>();
  }
  if (const Integer* integer = a.As<Integer>()) {
    return *integer == *b.As<Integer>();
  }
  if (const Bytes* bytes = a.As<Bytes>()) {
    return bytes->data == b.As<Bytes>()->data;
  }
  if (const Global* global = a.As<Global>()) return *global == *b.As<Global>();
  if (const Tuple* tuple = a.As<Tuple>()) {
    return ItemsEqual(tuple->items, b.As<Tuple>()->items);
  }
  if (const Set* set = a.As<Set>()) {
    return ItemsEqual(set->items, b.As<Set>()->items);
  }
  if (const Object* object = a.As<Object>()) {
    const Object* other = b.As<Object>();
    return !object->has_state && !other->has_state && object->items.empty() &&
           other->items.empty() &&
           KeysEqual(object->callable, other->callable) &&
           KeysEqual(object->args, other->args);
  }
  return false;
}

// The last entry enters the index, if the dict has outgrown a linear search.
void AddToIndex(const std::vector<Dict::Entry>& entries,
                std::unordered_multimap<size_t, size_t>& index, size_t hash) {
  if (entries.size() == kIndexFrom) {
    for (size_t i = 0; i + 1 < entries.size(); ++i) {
      int budget = kMaxKeyParts;
      index.emplace(Scattered(*HashKey(entries[i].first, budget)), i);
    }
  }
  if (entries.size() >= kIndexFrom) {
    index.emplace(Scattered(hash), entries.size() - 1);
  }
}

}  // namespace

Node::Node(bool value) : value_(std::make_shared<NodeValue>(value)) {}
Node::Node(double value) : value_(std::make_shared<NodeValue>(value)) {}
Node::Node(std::string text)
    : value_(std::make_shared<NodeValue>(Text(std::move(text)))) {}
Node::Node(const char* text)
    : value_(std::make_shared<NodeValue>(Text(text))) {}

const std::string* Node::AsStr() const {
  const Text* text = As<Text>();
  return text != nullptr ? &text->str() : nullptr;
}

Node& Node::operator[](std::string_view key) {
  if (none()) *this = Node(Dict());
  Dict* dict = As<Dict>();
  assert(dict != nullptr && "operator[] on a node that is no dict");
  return (*dict)[key];
}

const Node* Node::Find(std::string_view key) const {
  const Dict* dict = As<Dict>();
  return dict != nullptr ? dict->Find(key) : nullptr;
}

size_t Dict::Locate(const Node& key, size_t hash) const {
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (KeysEqual(entries_[i].first, key)) return i;
    }
    return entries_.size();
  }
  const auto [first, last] = index_.equal_range(Scattered(hash));
  for (auto it = first; it != last; ++it) {
    if (KeysEqual(entries_[it->second].first, key)) return it->second;
  }
  return entries_.size();
}

const Node* Dict::Find(std::string_view key) const {
  return Find(Node(Text(key)));
}

const Node* Dict::Find(const Node& key) const {
  int budget = kMaxKeyParts;
  const auto hash = HashKey(key, budget);
  if (!hash) return nullptr;
  const size_t at = Locate(key, *hash);
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

Status Dict::Set(Node key, Node value) {
  int budget = kMaxKeyParts;
  const auto hash = HashKey(key, budget);
  if (!hash && budget < 0) {
    return Status::Unsupported("a dict key of more than " +
                               std::to_string(kMaxKeyParts) + " parts");
  }
  if (budget = kMaxKeyParts; !hash && HashedByIdentity(key, budget)) {
    return Status::Unsupported("a tensor as a dict key");
  }
  if (!hash) {
    return Status::InvalidArgument("a dict key that cannot be hashed");
  }
  const size_t at = Locate(key, *hash);
  if (at < entries_.size()) {
    entries_[at].second = std::move(value);
    return Status::Ok();
  }
  if (index_.count(Scattered(*hash)) >= kMaxAlike) {
    return Status::Unsupported("more than " + std::to_string(kMaxAlike) +
                               " dict keys of one hash");
  }
  entries_.emplace_back(std::move(key), std::move(value));
  AddToIndex(entries_, index_, *hash);
  return Status::Ok();
}

Node& Dict::operator[](std::string_view key) {
  Node node = Text(key);
  const size_t hash = node.As<Text>()->hash();
  const size_t at = Locate(node, hash);
  if (at == entries_.size()) {
    entries_.emplace_back(std::move(node), Node());
    AddToIndex(entries_, index_, hash);
  }
  return entries_[at].second;
}

void Dict::Clear() {
  entries_.clear();
  index_.clear();
}

const Global& Object::global() const {
  static const Global kNone;
  const Global* global = callable.As<Global>();
  return global != nullptr ? *global : kNone;
}

}  // namespace caisson
