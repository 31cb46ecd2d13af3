// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/unpickler.h"

#include <bit>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/byte_cursor.h"
#include "core/base/state_walk.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"
#include "core/formats/pickle/machine.h"
#include "core/formats/pickle/memo_scan.h"
#include "core/formats/pickle/opcodes.h"

namespace caisson::pickle {
namespace {

std::string HexByte(uint8_t byte) {
  static constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

// Decodes opcodes and their arguments; Machine does what they say.
class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, Semantics& semantics,
            const Options& options)
      : cursor_(bytes),
        machine_(semantics, options, bytes.size(), FetchedEntries(bytes)) {
    strict_ = options.strict;
  }

  Status Run() {
    while (!machine_.stopped()) {
      at_ = cursor_.offset();
      const auto opcode = cursor_.TakeLittle<uint8_t>();
      if (!opcode) return Truncated();
      if (strict_ && !InWeightsOnly(Opcode{*opcode})) return Refuse(*opcode);
      CAISSON_RETURN_IF_ERROR(Step(Opcode{*opcode}));
    }
    return Status::Ok();
  }

  // Of the opcode that was taken last, and past all that were.
  size_t at() const { return at_; }
  size_t end() const { return cursor_.offset(); }
  Machine& machine() { return machine_; }

 private:
  static Status Truncated() { return Status::Corrupt("the pickle ends early"); }

  Status Refuse(uint8_t opcode) const {
    return Status::Unsupported(
        "opcode " + HexByte(opcode) +
        (strict_ ? ", which torch.load(weights_only=True) refuses" : ""));
  }

  Status Step(Opcode opcode) {
    switch (opcode) {
      case Opcode::kProto:
        return cursor_.Take(1) ? Status::Ok() : Truncated();
      case Opcode::kFrame:
        return cursor_.Take(8) ? Status::Ok() : Truncated();
      case Opcode::kStop:
        return machine_.Stop();
      case Opcode::kMark:
        return machine_.Mark();
      case Opcode::kPop:
        return machine_.Pop();
      case Opcode::kPopMark:
        return machine_.PopMark();
      case Opcode::kDup:
        return machine_.Dup();
      case Opcode::kNone:
        return machine_.Push(Node());
      case Opcode::kNewTrue:
        return machine_.Push(true);
      case Opcode::kNewFalse:
        return machine_.Push(false);
      case Opcode::kEmptyTuple:
        return machine_.Push(Tuple());
      case Opcode::kEmptyList:
        return machine_.Push(List());
      case Opcode::kEmptyDict:
        return machine_.Push(Dict());
      case Opcode::kEmptySet:
        return machine_.Push(Set());
      case Opcode::kTuple:
        return machine_.TupleFromMark();
      case Opcode::kTuple1:
        return machine_.TupleOf(1);
      case Opcode::kTuple2:
        return machine_.TupleOf(2);
      case Opcode::kTuple3:
        return machine_.TupleOf(3);
      case Opcode::kFrozenSet:
        return machine_.FrozenSetFromMark();
      case Opcode::kAppend:
        return machine_.Append();
      case Opcode::kAppends:
        return machine_.Appends();
      case Opcode::kSetItem:
        return machine_.SetItem();
      case Opcode::kSetItems:
        return machine_.SetItems();
      case Opcode::kAddItems:
        return machine_.AddItems();
      case Opcode::kReduce:
        return machine_.Reduce();
      case Opcode::kNewObj:
        return machine_.NewObj();
      case Opcode::kBuild:
        return machine_.Build();
      case Opcode::kBinPersId:
        return machine_.Persistent();
      case Opcode::kStackGlobal:
        return machine_.StackGlobal();
      case Opcode::kGlobal:
        return GlobalLines();
      case Opcode::kMemoize:
        return machine_.Memoize();
      case Opcode::kBinPut:
        return WithCount<uint8_t>([&](auto i) { return machine_.Put(i); });
      case Opcode::kLongBinPut:
        return WithCount<uint32_t>([&](auto i) { return machine_.Put(i); });
      case Opcode::kBinGet:
        return WithCount<uint8_t>([&](auto i) { return machine_.Get(i); });
      case Opcode::kLongBinGet:
        return WithCount<uint32_t>([&](auto i) { return machine_.Get(i); });
      default:
        return StepScalar(opcode);
    }
  }

  Status StepScalar(Opcode opcode) {
    switch (opcode) {
      case Opcode::kBinInt1:
        return WithCount<uint8_t>([&](auto v) { return machine_.Push(v); });
      case Opcode::kBinInt2:
        return WithCount<uint16_t>([&](auto v) { return machine_.Push(v); });
      case Opcode::kBinInt:
        return WithCount<uint32_t>(
            [&](auto v) { return machine_.Push(static_cast<int32_t>(v)); });
      case Opcode::kBinFloat:
        return Float();
      case Opcode::kLong1:
        return WithBytes<uint8_t>([&](auto b) { return Long(b); });
      case Opcode::kLong4:
        return WithBytes<uint32_t>([&](auto b) { return Long(b); });
      case Opcode::kShortBinUnicode:
        return WithBytes<uint8_t>([&](auto b) { return Unicode(b); });
      case Opcode::kBinUnicode:
        return WithBytes<uint32_t>([&](auto b) { return Unicode(b); });
      case Opcode::kBinUnicode8:
        return WithBytes<uint64_t>([&](auto b) { return Unicode(b); });
      case Opcode::kShortBinString:
        return WithBytes<uint8_t>([&](auto b) { return OldString(b); });
      case Opcode::kBinString:
        return WithBytes<uint32_t>([&](auto b) { return OldString(b); });
      case Opcode::kShortBinBytes:
        return WithBytes<uint8_t>([&](auto b) { return PushBytes(b); });
      case Opcode::kBinBytes:
        return WithBytes<uint32_t>([&](auto b) { return PushBytes(b); });
      case Opcode::kBinBytes8:
        return WithBytes<uint64_t>([&](auto b) { return PushBytes(b); });
      case Opcode::kByteArray8:
        return WithBytes<uint64_t>([&](auto b) {
          return machine_.Push(ByteArray{std::string(AsText(b))});
        });
      default:
        return Refuse(static_cast<uint8_t>(opcode));
    }
  }

  // Calls use(n) with the little-endian argument n.
  template <class T, class Use>
  Status WithCount(Use use) {
    const auto count = cursor_.TakeLittle<T>();
    return count ? use(*count) : Truncated();
  }

  // Calls use(bytes) with the bytes behind their count.
  template <class T, class Use>
  Status WithBytes(Use use) {
    const auto count = cursor_.TakeLittle<T>();
    const auto bytes = count ? cursor_.Take(*count) : std::nullopt;
    return bytes ? use(*bytes) : Truncated();
  }

  static std::string_view AsText(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Status Float() {
    const auto bytes = cursor_.Take(8);
    if (!bytes) return Truncated();
    return machine_.Push(
        std::bit_cast<double>(LoadBig<uint64_t>(bytes->data())));
  }

  Status Long(std::span<const std::byte> bytes) {
    return machine_.Push(Integer::FromTwosComplement(bytes));
  }

  Status Unicode(std::span<const std::byte> bytes) {
    const std::string_view text = AsText(bytes);
    if (!IsUtf8SurrogatePass(text)) {
      return Status::Corrupt("a str that is no UTF-8");
    }
    return machine_.Push(Text(text));
  }

  // A Python 2 str: text where it can be, as torch.load decodes it.
  Status OldString(std::span<const std::byte> bytes) {
    const std::string_view text = AsText(bytes);
    if (IsUtf8SurrogatePass(text)) return machine_.Push(Text(text));
    if (strict_) return Status::Corrupt("a Python 2 str that is no UTF-8");
    return machine_.Push(Bytes{std::string(text)});
  }

  Status PushBytes(std::span<const std::byte> bytes) {
    return machine_.Push(Bytes{std::string(AsText(bytes))});
  }

  Status GlobalLines() {
    const auto module = cursor_.TakeLine();
    const auto name = module ? cursor_.TakeLine() : std::nullopt;
    if (!name) return Truncated();
    return machine_.PushGlobal(*module, *name);
  }

  ByteCursor cursor_;
  Machine machine_;
  size_t at_ = 0;
  bool strict_ = false;
};

}  // namespace

Result<Unpickled> Unpickle(std::span<const std::byte> bytes,
                           const std::string& name, Semantics& semantics,
                           const Options& options) {
  Unpickler unpickler(bytes, semantics, options);
  const Status status = unpickler.Run();
  if (!status.ok()) {
    // Semantics and containers refuse arguments; the argument is the file.
    const StatusCode code = status.code() == StatusCode::kInvalidArgument
                                ? StatusCode::kCorrupt
                                : status.code();
    return Status(code, std::string(status.message()))
        .WithContext(name + " at " + std::to_string(unpickler.at()));
  }
  auto result = unpickler.machine().Take();
  if (!result) {
    // Too deep, or a cycle: legal, and beyond us.
    return Status::Unsupported(std::string(result.error().message()))
        .WithContext(name);
  }
  result->bytes = unpickler.end();
  return result;
}

}  // namespace caisson::pickle
