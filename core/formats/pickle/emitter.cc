// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/emitter.h"

#include <bit>
#include <limits>

namespace caisson::pickle {
namespace {

constexpr uint8_t kProtocol = 2;

// The Python 2 name of a module, which protocol 2 writes.
std::string_view OldModule(std::string_view module) {
  if (module == "builtins") return "__builtin__";
  if (module == "copyreg") return "copy_reg";
  return module;
}

}  // namespace

Emitter::Emitter() {
  Op(Opcode::kProto);
  sink_.PutLittle(kProtocol);
}

std::vector<std::byte> Emitter::Stop() {
  Op(Opcode::kStop);
  return sink_.Take();
}

void Emitter::Int(const Integer& value) {
  const auto small = value.ToInt64();
  if (small && *small >= 0 && *small <= 0xff) {
    Op(Opcode::kBinInt1);
    sink_.PutLittle(static_cast<uint8_t>(*small));
  } else if (small && *small >= 0 && *small <= 0xffff) {
    Op(Opcode::kBinInt2);
    sink_.PutLittle(static_cast<uint16_t>(*small));
  } else if (small && *small >= std::numeric_limits<int32_t>::min() &&
             *small <= std::numeric_limits<int32_t>::max()) {
    Op(Opcode::kBinInt);
    sink_.PutLittle(static_cast<uint32_t>(*small));
  } else {
    const std::string bytes = value.ToTwosComplement();
    if (bytes.size() <= 0xff) {
      Op(Opcode::kLong1);
      sink_.PutLittle(static_cast<uint8_t>(bytes.size()));
    } else {
      Op(Opcode::kLong4);
      sink_.PutLittle(static_cast<uint32_t>(bytes.size()));
    }
    sink_.Put(bytes);
  }
}

void Emitter::Float(double value) {
  Op(Opcode::kBinFloat);
  sink_.PutBig(std::bit_cast<uint64_t>(value));
}

void Emitter::Bool(bool value) {
  Op(value ? Opcode::kNewTrue : Opcode::kNewFalse);
}

void Emitter::Str(const Text& text) {
  if (Recall(text.identity())) return;
  Unicode(text.str());
  Memoize(text.identity());
}

void Emitter::FreshStr(std::string_view text) {
  Unicode(text);
  Memoize();
}

void Emitter::Unicode(std::string_view text) {
  Op(Opcode::kBinUnicode);
  sink_.PutLittle(static_cast<uint32_t>(text.size()));
  sink_.Put(text);
}

void Emitter::Global(std::string_view module, std::string_view name) {
  const auto [known, added] = globals_.try_emplace(
      {std::string(module), std::string(name)}, memo_size_);
  if (!added) return Reference(known->second);
  Op(Opcode::kGlobal);
  sink_.Put(OldModule(module));
  sink_.Put("\n");
  sink_.Put(name);
  sink_.Put("\n");
  Memoize();
}

void Emitter::Memoize(const void* identity) {
  if (identity != nullptr) memo_.TryEmplace(identity, memo_size_);
  if (memo_size_ <= 0xff) {
    Op(Opcode::kBinPut);
    sink_.PutLittle(static_cast<uint8_t>(memo_size_));
  } else {
    Op(Opcode::kLongBinPut);
    sink_.PutLittle(memo_size_);
  }
  ++memo_size_;
}

bool Emitter::Recall(const void* identity) {
  const uint32_t* known = memo_.Find(identity);
  if (known == nullptr) return false;
  Reference(*known);
  return true;
}

void Emitter::Reference(uint32_t index) {
  if (index <= 0xff) {
    Op(Opcode::kBinGet);
    sink_.PutLittle(static_cast<uint8_t>(index));
  } else {
    Op(Opcode::kLongBinGet);
    sink_.PutLittle(index);
  }
}

void Emitter::OpenTuple(size_t count) {
  if (count > 3) Op(Opcode::kMark);
}

void Emitter::CloseTuple(size_t count, const void* identity) {
  switch (count) {
    case 0:
      Op(Opcode::kEmptyTuple);
      return;  // never memoised
    case 1:
      Op(Opcode::kTuple1);
      break;
    case 2:
      Op(Opcode::kTuple2);
      break;
    case 3:
      Op(Opcode::kTuple3);
      break;
    default:
      Op(Opcode::kTuple);
  }
  Memoize(identity);
}

}  // namespace caisson::pickle
