// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/machine.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/base/status_macros.h"
#include "core/formats/pickle/builtin_calls.h"

namespace caisson::pickle {
namespace {

// What a call may copy out of one argument, in bytes or items.
uint64_t CopySize(const Node& node) {
  if (const std::string* text = node.AsStr()) return text->size();
  if (const Bytes* bytes = node.As<Bytes>()) return bytes->data.size();
  if (const List* list = node.As<List>()) return list->items.size();
  if (const Tuple* tuple = node.As<Tuple>()) return tuple->items.size();
  return 0;
}

Status Refused(std::string what) { return Status::Corrupt(std::move(what)); }

}  // namespace

Machine::Machine(Semantics& semantics, const Options& options,
                 size_t input_bytes, std::vector<bool> fetched)
    : semantics_(semantics),
      strict_(options.strict),
      copy_limit_(4096 + 4 * uint64_t{input_bytes}),
      fetched_(std::move(fetched)) {}

Result<Unpickled> Machine::Take() {
  // Garbage counts too: what the result does not reach is freed as deeply.
  CAISSON_RETURN_IF_ERROR(containers_.Release());
  Unpickled result;
  result.root = std::move(stack_.front());
  result.unknown = std::move(unknown_in_order_);
  return result;
}

size_t Machine::Above() const {
  return stack_.size() - (marks_.empty() ? 0 : marks_.back());
}

Status Machine::Need(size_t count) const {
  if (Above() >= count) return Status::Ok();
  return Refused("needs " + std::to_string(count) +
                 " items above the mark, found " + std::to_string(Above()));
}

Node Machine::PopNode() {
  Node node = std::move(stack_.back());
  stack_.pop_back();
  return node;
}

Result<std::vector<Node>> Machine::PopToMark() {
  if (marks_.empty()) return Refused("no mark on the stack");
  const auto first = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<Node> items(std::make_move_iterator(first),
                          std::make_move_iterator(stack_.end()));
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

Status Machine::Push(Node node) {
  containers_.Add(node);
  stack_.push_back(std::move(node));
  return Status::Ok();
}

Trust Machine::Classify(const Global& global) {
  const Trust trust = semantics_.Classify(global);
  // Some harmless builtins are beyond what torch.load takes: bytes().
  const bool builtin = !strict_ && IsBuiltinCall(global);
  return builtin ? Trust::kClass : trust;
}

Status Machine::PushGlobal(std::string_view module, std::string_view name) {
  Global global{std::string(ModernModule(module)), std::string(name)};
  if (Classify(global) == Trust::kUnknown) {
    if (strict_) {
      return Status::Unsupported(
          "the global " + global.dotted() +
          ", which torch.load(weights_only=True) refuses");
    }
    if (unknown_.emplace(global.module, global.name).second) {
      unknown_in_order_.push_back(global);
    }
  }
  return Push(std::move(global));
}

Status Machine::StackGlobal() {
  CAISSON_RETURN_IF_ERROR(Need(2));
  const Node name = PopNode();
  const Node module = PopNode();
  if (name.AsStr() == nullptr || module.AsStr() == nullptr) {
    return Refused("a global whose name is no str");
  }
  CAISSON_RETURN_IF_ERROR(ChargeCopies(Tuple{{name, module}}));
  return PushGlobal(*module.AsStr(), *name.AsStr());
}

Status Machine::Stop() {
  if (!marks_.empty()) return Refused("STOP with an open mark");
  if (stack_.size() != 1) {
    return Refused("STOP with " + std::to_string(stack_.size()) +
                   " items on the stack, expected 1");
  }
  stopped_ = true;
  return Status::Ok();
}

Status Machine::Mark() {
  marks_.push_back(stack_.size());
  return Status::Ok();
}

Status Machine::Pop() {
  if (Above() == 0 && !marks_.empty()) {
    marks_.pop_back();
    return Status::Ok();
  }
  CAISSON_RETURN_IF_ERROR(Need(1));
  stack_.pop_back();
  return Status::Ok();
}

Status Machine::PopMark() { return PopToMark().status(); }

Status Machine::Dup() {
  CAISSON_RETURN_IF_ERROR(Need(1));
  stack_.push_back(stack_.back());
  return Status::Ok();
}

Status Machine::Put(uint32_t index) {
  CAISSON_RETURN_IF_ERROR(Need(1));
  if (index <= memo_.size()) {
    if (index == memo_.size()) {
      memo_.emplace_back();
      sparse_memo_.erase(index);
    }
    if (IsFetched(index)) memo_[index] = stack_.back();
  } else {
    sparse_memo_[index] = stack_.back();
  }
  return Status::Ok();
}

Status Machine::Get(uint32_t index) {
  if (index < memo_.size() && IsFetched(index)) {
    stack_.push_back(memo_[index]);
    return Status::Ok();
  }
  const auto found = sparse_memo_.find(index);
  if (found == sparse_memo_.end()) {
    return Refused("memo entry " + std::to_string(index) + " was never set");
  }
  stack_.push_back(found->second);
  return Status::Ok();
}

Status Machine::Memoize() {
  return Put(static_cast<uint32_t>(memo_.size() + sparse_memo_.size()));
}

Status Machine::TupleOf(size_t count) {
  CAISSON_RETURN_IF_ERROR(Need(count));
  Tuple tuple;
  const auto first = stack_.end() - static_cast<ptrdiff_t>(count);
  tuple.items.assign(std::make_move_iterator(first),
                     std::make_move_iterator(stack_.end()));
  stack_.erase(first, stack_.end());
  return Push(std::move(tuple));
}

Status Machine::TupleFromMark() {
  CAISSON_ASSIGN_OR_RETURN(auto items, PopToMark());
  return Push(Tuple{std::move(items)});
}

Status Machine::FrozenSetFromMark() {
  CAISSON_ASSIGN_OR_RETURN(auto items, PopToMark());
  Set set;
  set.items = std::move(items);
  set.frozen = true;
  return Push(std::move(set));
}

Object* Machine::OpenObject(Node& node, bool mapping) {
  Object* object = node.As<Object>();
  if (object == nullptr) return nullptr;
  const Global& global = object->global();
  if (mapping && global == Global{"collections", "Counter"}) return object;
  const bool unknown =
      global.name.empty() || Classify(global) == Trust::kUnknown;
  return unknown ? object : nullptr;
}

Status Machine::AppendAll(std::vector<Node> items) {
  CAISSON_RETURN_IF_ERROR(Need(1));
  Node& target = stack_.back();
  std::vector<Node>* to = nullptr;
  if (List* list = target.As<List>()) {
    to = &list->items;
  } else if (Object* object = OpenObject(target, /*mapping=*/false)) {
    to = &object->items;
  } else {
    return Refused("APPEND to something that is no list");
  }
  to->insert(to->end(), std::make_move_iterator(items.begin()),
             std::make_move_iterator(items.end()));
  return Status::Ok();
}

Status Machine::Append() {
  CAISSON_RETURN_IF_ERROR(Need(2));
  return AppendAll({PopNode()});
}

Status Machine::Appends() {
  CAISSON_ASSIGN_OR_RETURN(auto items, PopToMark());
  return AppendAll(std::move(items));
}

Status Machine::SetAll(std::vector<Node> items) {
  if (items.size() % 2 != 0) {
    return Refused("SETITEMS with a key that has no value");
  }
  CAISSON_RETURN_IF_ERROR(Need(1));
  Node& target = stack_.back();
  Dict* dict = target.As<Dict>();
  Object* object = dict ? nullptr : OpenObject(target, /*mapping=*/true);
  if (dict == nullptr && object == nullptr) {
    return Refused("SETITEM on something that is no dict");
  }
  for (size_t i = 0; i < items.size(); i += 2) {
    if (dict != nullptr) {
      CAISSON_RETURN_IF_ERROR(
          dict->Set(std::move(items[i]), std::move(items[i + 1])));
    } else {
      object->entries.emplace_back(std::move(items[i]),
                                   std::move(items[i + 1]));
    }
  }
  return Status::Ok();
}

Status Machine::SetItem() {
  CAISSON_RETURN_IF_ERROR(Need(3));
  Node value = PopNode();
  Node key = PopNode();
  return SetAll({std::move(key), std::move(value)});
}

Status Machine::SetItems() {
  CAISSON_ASSIGN_OR_RETURN(auto items, PopToMark());
  return SetAll(std::move(items));
}

Status Machine::AddItems() {
  CAISSON_ASSIGN_OR_RETURN(auto items, PopToMark());
  CAISSON_RETURN_IF_ERROR(Need(1));
  Set* set = stack_.back().As<Set>();
  if (set == nullptr || set->frozen) {
    return Refused("ADDITEMS to something that is no set");
  }
  set->items.insert(set->items.end(), std::make_move_iterator(items.begin()),
                    std::make_move_iterator(items.end()));
  return Status::Ok();
}

// In an ordinary pickle each string and list is an argument once. A crafted
// one names the same megabyte in call after call.
Status Machine::ChargeCopies(const Tuple& args) {
  for (const Node& arg : args.items) copied_ += CopySize(arg);
  if (copied_ <= copy_limit_) return Status::Ok();
  return Refused("calls copy far more than the pickle holds");
}

Status Machine::Reduce() {
  CAISSON_RETURN_IF_ERROR(Need(2));
  Node args = PopNode();
  Node callable = PopNode();
  const Tuple* tuple = args.As<Tuple>();
  if (tuple == nullptr) return Refused("REDUCE with arguments in no tuple");
  if (const Global* global = callable.As<Global>()) {
    const Trust trust = Classify(*global);
    if (trust == Trust::kValue) {
      return Refused("a call of " + global->dotted() +
                     ", which is no function");
    }
    CAISSON_RETURN_IF_ERROR(ChargeCopies(*tuple));
    CAISSON_ASSIGN_OR_RETURN(auto value, CallBuiltin(*global, *tuple));
    if (!value) {
      CAISSON_ASSIGN_OR_RETURN(value, semantics_.Call(*global, *tuple));
    }
    if (value) {
      // Of a tensor, say, a dozen nodes: not kept until the end.
      args = Node();
      containers_.DropUnused();
      return Push(std::move(*value));
    }
  } else if (strict_ || callable.As<Object>() == nullptr) {
    return Refused("a call of something that is no global");
  }
  Object object;
  object.callable = std::move(callable);
  object.args = std::move(args);
  return Push(std::move(object));
}

Status Machine::NewObj() {
  CAISSON_RETURN_IF_ERROR(Need(2));
  Node args = PopNode();
  Node cls = PopNode();
  const Global* global = cls.As<Global>();
  if (global == nullptr || args.As<Tuple>() == nullptr) {
    return Refused("NEWOBJ without a class and a tuple");
  }
  const Trust trust = Classify(*global);
  if (trust == Trust::kValue || trust == Trust::kFunction) {
    return Refused("an instance of " + global->dotted() +
                   ", which is no class");
  }
  // OrderedDict.__new__(OrderedDict) and its like mean the call.
  if (IsBuiltinCall(*global)) {
    stack_.push_back(std::move(cls));
    stack_.push_back(std::move(args));
    return Reduce();
  }
  Object object;
  object.made = Object::Made::kByClass;
  object.callable = std::move(cls);
  object.args = std::move(args);
  return Push(std::move(object));
}

Status Machine::Build() {
  CAISSON_RETURN_IF_ERROR(Need(2));
  Node state = PopNode();
  Node& target = stack_.back();
  if (Dict* dict = target.As<Dict>(); dict != nullptr && dict->ordered) {
    if (state.As<Dict>() == nullptr || !dict->attributes.none()) {
      return Refused("BUILD of an OrderedDict with no dict, or twice");
    }
    dict->attributes = std::move(state);
    return Status::Ok();
  }
  Object* object = target.As<Object>();
  const bool takes_state =
      object != nullptr && (object->made == Object::Made::kByClass ||
                            OpenObject(target, /*mapping=*/false) != nullptr);
  if (!takes_state || object->has_state) {
    return Refused("BUILD of something that takes no state, or twice");
  }
  object->has_state = true;
  object->state = std::move(state);
  return Status::Ok();
}

Status Machine::Persistent() {
  CAISSON_RETURN_IF_ERROR(Need(1));
  const Node id = PopNode();
  CAISSON_ASSIGN_OR_RETURN(Node node, semantics_.LoadPersistent(id));
  return Push(std::move(node));
}

}  // namespace caisson::pickle
