// SPDX-License-Identifier: Apache-2.0
//
// Emits pickle protocol 2 opcodes as CPython's C pickler does, memo and
// batches included. formats.md 2.1 to 2.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/integer.h"
#include "caisson/state.h"
#include "caisson/text.h"
#include "core/base/byte_sink.h"
#include "core/base/identity_map.h"
#include "core/formats/pickle/opcodes.h"

namespace caisson::pickle {

class Emitter {
 public:
  Emitter();

  void Op(Opcode opcode) { sink_.PutLittle(static_cast<uint8_t>(opcode)); }

  // Ends the pickle and gives its bytes.
  std::vector<std::byte> Stop();

  void Int(const Integer& value);
  void Float(double value);
  void Bool(bool value);

  // A str; the same Text again is a reference to the first.
  void Str(const Text& text);

  // A str that is an object of its own.
  void FreshStr(std::string_view text);

  // A class or function, under its Python 2 module name.
  void Global(std::string_view module, std::string_view name);

  // Memoises what was just emitted. `identity` finds it again; nullptr for
  // what can never be met again.
  void Memoize(const void* identity = nullptr);

  // If `identity` was memoised, emits a reference and returns true.
  bool Recall(const void* identity);

  // Closes a tuple of `count` items that were emitted after OpenTuple(count).
  void OpenTuple(size_t count);
  void CloseTuple(size_t count, const void* identity = nullptr);

 private:
  void Unicode(std::string_view text);
  void Reference(uint32_t index);

  ByteSink sink_;
  uint32_t memo_size_ = 0;
  IdentityMap<uint32_t> memo_;
  std::map<std::pair<std::string, std::string>, uint32_t> globals_;
};

// Items that CPython gives to one APPENDS or SETITEMS.
inline constexpr size_t kBatch = 1000;

}  // namespace caisson::pickle
