// SPDX-License-Identifier: Apache-2.0
#include "cli/value_ids.h"

#include <algorithm>
#include <complex>
#include <cstring>
#include <vector>

#include "cli/held_nodes.h"

namespace caisson::cli {
namespace {

void AddNumber(uint64_t number, std::string* out) {
  char bytes[sizeof(number)];
  std::memcpy(bytes, &number, sizeof(number));
  out->append(bytes, sizeof(bytes));
}

void AddBits(double value, std::string* out) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  AddNumber(bits, out);
}

// What the value itself says, without what it holds.
void AddPayload(const Node& node, std::string* out) {
  if (const bool* truth = node.As<bool>()) *out += *truth ? '1' : '0';
  if (const Integer* integer = node.As<Integer>()) {
    *out += integer->ToTwosComplement();
  }
  if (const double* number = node.As<double>()) AddBits(*number, out);
  if (const auto* number = node.As<std::complex<double>>()) {
    AddBits(number->real(), out);
    AddBits(number->imag(), out);
  }
  if (const std::string* text = node.AsStr()) *out += *text;
  if (const Bytes* bytes = node.As<Bytes>()) *out += bytes->data;
  if (const ByteArray* bytes = node.As<ByteArray>()) *out += bytes->data;
  if (const Global* global = node.As<Global>()) {
    AddNumber(global->module.size(), out);
    *out += global->module + global->name;
  }
  if (const Set* set = node.As<Set>()) *out += set->frozen ? 'f' : 's';
  if (const Dict* dict = node.As<Dict>()) {
    *out += dict->ordered ? 'o' : 'd';
    AddNumber(dict->size(), out);
  }
  if (const Object* object = node.As<Object>()) {
    *out += object->made == Object::Made::kByCall ? 'c' : 'n';
    *out += object->has_state ? 's' : '-';
    AddNumber(object->items.size(), out);
    AddNumber(object->entries.size(), out);
  }
  if (const TensorView* view = node.As<TensorView>()) {
    AddNumber(static_cast<uint64_t>(view->spec.dtype), out);
    for (const int64_t size : view->spec.shape) {
      AddNumber(static_cast<uint64_t>(size), out);
    }
  }
  if (const StorageHandle* storage = node.As<StorageHandle>()) {
    AddNumber((*storage)->region.bytes, out);
  }
}

}  // namespace

uint64_t ValueIds::Of(const Node& node) {
  if (node.none()) return 0;
  const auto known = by_node_.find(node.identity());
  if (known != by_node_.end()) return known->second;
  const uint64_t next = by_spelling_.size() + 1;
  const uint64_t id = by_spelling_.emplace(Spell(node), next).first->second;
  by_node_[node.identity()] = id;
  return id;
}

std::string ValueIds::Spell(const Node& node) {
  std::string spelling(1, static_cast<char>(node.value().index()));
  AddPayload(node, &spelling);
  std::vector<uint64_t> held;
  ForEachHeld(node,
              [&](const Node& child, HeldAs) { held.push_back(Of(child)); });
  // The members of a set come in any order.
  if (node.As<Set>() != nullptr) std::ranges::sort(held);
  for (const uint64_t id : held) AddNumber(id, &spelling);
  return spelling;
}

}  // namespace caisson::cli
