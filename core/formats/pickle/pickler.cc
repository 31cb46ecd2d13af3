// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/pickler.h"

#include <algorithm>
#include <complex>
#include <limits>

#include "core/base/state_walk.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace caisson::pickle {
namespace {

// BINUNICODE's length has 32 bits.
constexpr size_t kMaxText = std::numeric_limits<uint32_t>::max();

}  // namespace

Result<std::vector<std::byte>> Pickler::Run(const Node& root) {
  CAISSON_RETURN_IF_ERROR(CheckTree(root));
  CAISSON_RETURN_IF_ERROR(Save(root));
  return emitter_.Stop();
}

Status Pickler::Save(const Node& node) {
  if (node.none()) {
    emitter_.Op(Opcode::kNone);
    return Status::Ok();
  }
  // A str is memoised as the Text that it holds.
  const bool known =
      node.As<Text>() == nullptr && emitter_.Recall(node.identity());
  return known ? Status::Ok() : SaveValue(node);
}

Status Pickler::SaveValue(const Node& node) {
  const void* identity = node.identity();
  if (const bool* truth = node.As<bool>()) {
    emitter_.Bool(*truth);
  } else if (const Integer* integer = node.As<Integer>()) {
    emitter_.Int(*integer);
  } else if (const double* number = node.As<double>()) {
    emitter_.Float(*number);
  } else if (const auto* pair = node.As<std::complex<double>>()) {
    emitter_.Global("builtins", "complex");
    emitter_.Float(pair->real());
    emitter_.Float(pair->imag());
    emitter_.CloseTuple(2);
    emitter_.Op(Opcode::kReduce);
    emitter_.Memoize(identity);
  } else if (const Text* text = node.As<Text>()) {
    return SaveText(*text);
  } else if (const Bytes* bytes = node.As<Bytes>()) {
    return SaveBytes(*bytes, identity);
  } else if (const ByteArray* array = node.As<ByteArray>()) {
    return SaveByteArray(array->data, identity);
  } else if (const Global* global = node.As<Global>()) {
    return SaveGlobal(*global);
  } else if (const Tuple* tuple = node.As<Tuple>()) {
    return SaveTuple(*tuple, identity);
  } else if (const List* list = node.As<List>()) {
    return SaveList(*list, identity);
  } else if (const Dict* dict = node.As<Dict>()) {
    return dict->ordered ? SaveOrderedDict(*dict, identity)
                         : SaveDict(*dict, identity);
  } else if (const Set* set = node.As<Set>()) {
    return SaveSet(*set, identity);
  } else if (const Object* object = node.As<Object>()) {
    return SaveObject(*object, identity);
  } else if (const StorageHandle* storage = node.As<StorageHandle>()) {
    return rules_.EmitStorage(*storage, *this);
  } else if (const TensorView* view = node.As<TensorView>()) {
    CAISSON_RETURN_IF_ERROR(rules_.EmitTensor(*view, *this));
    emitter_.Memoize(identity);
  }
  return Status::Ok();
}

Status Pickler::SaveText(const Text& text) {
  if (text.str().size() > kMaxText) {
    return Status::InvalidArgument("a str of more than 4 GiB");
  }
  if (!IsUtf8SurrogatePass(text.str())) {
    return Status::InvalidArgument("a str that is no UTF-8");
  }
  emitter_.Str(text);
  return Status::Ok();
}

// Protocol 2 spells a global as two lines; protocol 4 could give it any name,
// and what follows a line break would be taken for opcodes.
Status Pickler::SaveGlobal(const Global& global) {
  if (global.dotted().find('\n') != std::string::npos) {
    return Status::InvalidArgument("a global with a line break in its name");
  }
  emitter_.Global(global.module, global.name);
  return Status::Ok();
}

// Protocol 2 knows no bytes: _codecs.encode(text, 'latin1') makes them, and
// bytes() the empty ones.
Status Pickler::SaveBytes(const Bytes& bytes, const void* identity) {
  if (bytes.data.empty()) {
    emitter_.Global("builtins", "bytes");
    emitter_.CloseTuple(0);
  } else {
    const std::string text = Latin1ToUtf8(bytes.data);
    if (text.size() > kMaxText) {
      return Status::InvalidArgument("bytes of more than 4 GiB as text");
    }
    emitter_.Global("_codecs", "encode");
    if (bytes.latin1 && bytes.latin1->str() == text) {
      emitter_.Str(*bytes.latin1);
    } else {
      emitter_.FreshStr(text);
    }
    emitter_.Str(latin1_);
    emitter_.CloseTuple(2);
  }
  emitter_.Op(Opcode::kReduce);
  emitter_.Memoize(identity);
  return Status::Ok();
}

Status Pickler::SaveByteArray(const std::string& bytes, const void* identity) {
  emitter_.Global("builtins", "bytearray");
  if (bytes.empty()) {
    emitter_.CloseTuple(0);
  } else {
    CAISSON_RETURN_IF_ERROR(SaveBytes(Bytes{bytes}, nullptr));
    emitter_.CloseTuple(1);
  }
  emitter_.Op(Opcode::kReduce);
  emitter_.Memoize(identity);
  return Status::Ok();
}

Status Pickler::SaveTuple(const Tuple& tuple, const void* identity) {
  emitter_.OpenTuple(tuple.items.size());
  for (const Node& item : tuple.items) CAISSON_RETURN_IF_ERROR(Save(item));
  emitter_.CloseTuple(tuple.items.size(), identity);
  return Status::Ok();
}

Status Pickler::SaveList(const List& list, const void* identity) {
  emitter_.Op(Opcode::kEmptyList);
  emitter_.Memoize(identity);
  return Append(list.items);
}

Status Pickler::SaveDict(const Dict& dict, const void* identity) {
  emitter_.Op(Opcode::kEmptyDict);
  emitter_.Memoize(identity);
  return SetDictItems(dict.entries());
}

void Pickler::SaveEmptyOrderedDict() {
  emitter_.Global("collections", "OrderedDict");
  emitter_.CloseTuple(0);
  emitter_.Op(Opcode::kReduce);
  emitter_.Memoize();
}

Status Pickler::SaveOrderedDict(const Dict& dict, const void* identity) {
  emitter_.Global("collections", "OrderedDict");
  emitter_.CloseTuple(0);
  emitter_.Op(Opcode::kReduce);
  emitter_.Memoize(identity);
  CAISSON_RETURN_IF_ERROR(SetItems(dict.entries()));
  if (dict.attributes.none()) return Status::Ok();
  if (dict.attributes.As<Dict>() == nullptr) {
    return Status::InvalidArgument("attributes of an OrderedDict in no dict");
  }
  CAISSON_RETURN_IF_ERROR(Save(dict.attributes));
  emitter_.Op(Opcode::kBuild);
  return Status::Ok();
}

Status Pickler::SaveSet(const Set& set, const void* identity) {
  emitter_.Global("builtins", set.frozen ? "frozenset" : "set");
  emitter_.Op(Opcode::kEmptyList);
  emitter_.Memoize();
  CAISSON_RETURN_IF_ERROR(Append(set.items));
  emitter_.CloseTuple(1);
  emitter_.Op(Opcode::kReduce);
  emitter_.Memoize(identity);
  return Status::Ok();
}

Status Pickler::SaveObject(const Object& object, const void* identity) {
  const bool callable =
      object.callable.As<Global>() != nullptr ||
      (object.made == Object::Made::kByCall && object.callable.As<Object>());
  if (!callable || object.args.As<Tuple>() == nullptr) {
    return Status::InvalidArgument(
        "an object without a callable and a tuple of arguments");
  }
  CAISSON_RETURN_IF_ERROR(Save(object.callable));
  CAISSON_ASSIGN_OR_RETURN(const bool emitted, rules_.EmitArgs(object, *this));
  if (!emitted) CAISSON_RETURN_IF_ERROR(Save(object.args));
  emitter_.Op(object.made == Object::Made::kByClass ? Opcode::kNewObj
                                                    : Opcode::kReduce);
  emitter_.Memoize(identity);
  CAISSON_RETURN_IF_ERROR(Append(object.items));
  CAISSON_RETURN_IF_ERROR(SetItems(object.entries));
  if (!object.has_state) return Status::Ok();
  CAISSON_RETURN_IF_ERROR(Save(object.state));
  emitter_.Op(Opcode::kBuild);
  return Status::Ok();
}

Status Pickler::Append(const std::vector<Node>& items) {
  if (items.size() == 1) {
    CAISSON_RETURN_IF_ERROR(Save(items[0]));
    emitter_.Op(Opcode::kAppend);
    return Status::Ok();
  }
  for (size_t first = 0; first < items.size(); first += kBatch) {
    const size_t last = std::min(first + kBatch, items.size());
    emitter_.Op(Opcode::kMark);
    for (size_t i = first; i < last; ++i) {
      CAISSON_RETURN_IF_ERROR(Save(items[i]));
    }
    emitter_.Op(Opcode::kAppends);
  }
  return Status::Ok();
}

Status Pickler::SaveEntries(const std::vector<Dict::Entry>& entries,
                            size_t first, size_t last) {
  for (size_t i = first; i < last; ++i) {
    CAISSON_RETURN_IF_ERROR(Save(entries[i].first));
    CAISSON_RETURN_IF_ERROR(Save(entries[i].second));
  }
  return Status::Ok();
}

// An exact dict: a full last batch is followed by an empty one.
Status Pickler::SetDictItems(const std::vector<Dict::Entry>& entries) {
  if (entries.empty()) return Status::Ok();
  if (entries.size() == 1) {
    CAISSON_RETURN_IF_ERROR(SaveEntries(entries, 0, 1));
    emitter_.Op(Opcode::kSetItem);
    return Status::Ok();
  }
  for (size_t first = 0; first <= entries.size(); first += kBatch) {
    const size_t last = std::min(first + kBatch, entries.size());
    emitter_.Op(Opcode::kMark);
    CAISSON_RETURN_IF_ERROR(SaveEntries(entries, first, last));
    emitter_.Op(Opcode::kSetItems);
  }
  return Status::Ok();
}

// The items of a reduced object: a last batch of one has no mark.
Status Pickler::SetItems(const std::vector<Dict::Entry>& entries) {
  for (size_t first = 0; first < entries.size(); first += kBatch) {
    const size_t last = std::min(first + kBatch, entries.size());
    const bool single = last - first == 1;
    if (!single) emitter_.Op(Opcode::kMark);
    CAISSON_RETURN_IF_ERROR(SaveEntries(entries, first, last));
    emitter_.Op(single ? Opcode::kSetItem : Opcode::kSetItems);
  }
  return Status::Ok();
}

}  // namespace caisson::pickle
