// SPDX-License-Identifier: Apache-2.0
//
// The pickle machine: a stack, its marks, and the memo. Each opcode of the
// reader is one method; arguments are decoded elsewhere.
//
// Every method checks that the stack above the last mark holds what it takes,
// and fails with kCorrupt where it does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/pickle/containers.h"
#include "core/formats/pickle/unpickler.h"

namespace caisson::pickle {

class Machine {
 public:
  // `input_bytes` bounds what calls may copy. `fetched`: the memo entries
  // below `input_bytes` that will be fetched; the others are not kept.
  Machine(Semantics& semantics, const Options& options, size_t input_bytes,
          std::vector<bool> fetched);

  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  bool stopped() const { return stopped_; }

  // The result. kInvalidArgument if anything that was built, and not used up
  // by a call, contains itself or is nested too deeply. REQUIRES: stopped().
  Result<Unpickled> Take();

  Status Push(Node node);
  Status PushGlobal(std::string_view module, std::string_view name);
  Status StackGlobal();

  Status Stop();
  Status Mark();
  Status Pop();
  Status PopMark();
  Status Dup();

  Status Put(uint32_t index);
  Status Get(uint32_t index);
  Status Memoize();

  Status TupleOf(size_t count);
  Status TupleFromMark();
  Status FrozenSetFromMark();

  Status Append();
  Status Appends();
  Status SetItem();
  Status SetItems();
  Status AddItems();

  Status Reduce();
  Status NewObj();
  Status Build();
  Status Persistent();

 private:
  // How many items lie above the last mark.
  size_t Above() const;
  Status Need(size_t count) const;
  Node PopNode();
  // The items above the last mark, which goes too.
  Result<std::vector<Node>> PopToMark();

  bool IsFetched(uint32_t index) const {
    return index < fetched_.size() && fetched_[index];
  }

  Status AppendAll(std::vector<Node> items);
  Status SetAll(std::vector<Node> items);
  // Objects of unknown or counting classes, to which items may be added.
  Object* OpenObject(Node& node, bool mapping);

  // Counts what a call copies out of its arguments.
  Status ChargeCopies(const Tuple& args);
  Trust Classify(const Global& global);

  Semantics& semantics_;
  const bool strict_;
  const uint64_t copy_limit_;
  uint64_t copied_ = 0;
  bool stopped_ = false;

  std::vector<Node> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  // The memo: indices that came in order, None where it will not be fetched,
  // and the others.
  std::vector<Node> memo_;
  std::unordered_map<uint32_t, Node> sparse_memo_;
  const std::vector<bool> fetched_;
  // Behind stack_ and memo_, before which it goes.
  Containers containers_;
  std::set<std::pair<std::string, std::string>> unknown_;
  std::vector<Global> unknown_in_order_;
};

}  // namespace caisson::pickle
