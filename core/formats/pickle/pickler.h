// SPDX-License-Identifier: Apache-2.0
//
// Writes a tree of nodes as the pickle that CPython would make of the objects
// they stand for.
#pragma once

#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/pickle/emitter.h"

namespace caisson::pickle {

class Pickler;

// How the nodes that are no plain Python objects are written.
class ReduceRules {
 public:
  virtual ~ReduceRules() = default;

  // Emits a storage as a persistent id.
  virtual Status EmitStorage(const StorageHandle& storage,
                             Pickler& pickler) = 0;

  // Emits a tensor as a rebuild call.
  virtual Status EmitTensor(const TensorView& view, Pickler& pickler) = 0;

  // Emits the arguments of a call that the reader folded into other nodes,
  // as a tuple; false if `object` holds them as they are.
  virtual Result<bool> EmitArgs(const Object& object, Pickler& pickler) = 0;
};

class Pickler {
 public:
  explicit Pickler(ReduceRules& rules) : rules_(rules) {}

  // The pickle of `root`. kInvalidArgument if the tree contains itself, is
  // deeper than kMaxDepth, holds what the rules refuse, or what no pickle can
  // hold: a str that is no UTF-8, an object without a callable.
  Result<std::vector<std::byte>> Run(const Node& root);

  // For the rules.
  Emitter& emit() { return emitter_; }
  Status Save(const Node& node);
  Status SaveText(const Text& text);

  // collections.OrderedDict(), new each time: a tensor's backward hooks.
  void SaveEmptyOrderedDict();

 private:
  Status SaveValue(const Node& node);
  Status SaveGlobal(const Global& global);
  Status SaveBytes(const Bytes& bytes, const void* identity);
  Status SaveByteArray(const std::string& bytes, const void* identity);
  Status SaveTuple(const Tuple& tuple, const void* identity);
  Status SaveList(const List& list, const void* identity);
  Status SaveDict(const Dict& dict, const void* identity);
  Status SaveOrderedDict(const Dict& dict, const void* identity);
  Status SaveObject(const Object& object, const void* identity);
  Status SaveSet(const Set& set, const void* identity);

  // The two flavours of filling: formats.md 2.2.
  Status Append(const std::vector<Node>& items);
  Status SetDictItems(const std::vector<Dict::Entry>& entries);
  Status SetItems(const std::vector<Dict::Entry>& entries);
  Status SaveEntries(const std::vector<Dict::Entry>& entries, size_t first,
                     size_t last);

  ReduceRules& rules_;
  Emitter emitter_;
  const Text latin1_ = "latin1";  // one object for all bytes, as in CPython
};

}  // namespace caisson::pickle
