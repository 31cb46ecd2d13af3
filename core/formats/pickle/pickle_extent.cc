// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/pickle_extent.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/pickle/opcodes.h"

namespace caisson::pickle {
namespace {

// How an opcode's argument is long.
enum class Argument : uint8_t {
  kUnknown,  // no opcode of ours
  kNone,
  kFixed1,
  kFixed2,
  kFixed4,
  kFixed8,
  kCounted1,  // bytes, behind their number in a u8
  kCounted4,
  kCounted8,
  kTwoLines,
};

constexpr Argument ArgumentOf(Opcode opcode) {
  switch (opcode) {
    case Opcode::kProto:
    case Opcode::kBinInt1:
    case Opcode::kBinGet:
    case Opcode::kBinPut:
      return Argument::kFixed1;
    case Opcode::kBinInt2:
      return Argument::kFixed2;
    case Opcode::kBinInt:
    case Opcode::kLongBinGet:
    case Opcode::kLongBinPut:
      return Argument::kFixed4;
    case Opcode::kBinFloat:
    case Opcode::kFrame:
      return Argument::kFixed8;
    case Opcode::kLong1:
    case Opcode::kShortBinUnicode:
    case Opcode::kShortBinString:
    case Opcode::kShortBinBytes:
      return Argument::kCounted1;
    case Opcode::kLong4:
    case Opcode::kBinUnicode:
    case Opcode::kBinString:
    case Opcode::kBinBytes:
      return Argument::kCounted4;
    case Opcode::kBinUnicode8:
    case Opcode::kBinBytes8:
    case Opcode::kByteArray8:
      return Argument::kCounted8;
    case Opcode::kGlobal:
      return Argument::kTwoLines;
    case Opcode::kMark:
    case Opcode::kStop:
    case Opcode::kPop:
    case Opcode::kPopMark:
    case Opcode::kDup:
    case Opcode::kNone:
    case Opcode::kBinPersId:
    case Opcode::kReduce:
    case Opcode::kAppend:
    case Opcode::kBuild:
    case Opcode::kAppends:
    case Opcode::kSetItem:
    case Opcode::kTuple:
    case Opcode::kSetItems:
    case Opcode::kEmptyDict:
    case Opcode::kEmptyList:
    case Opcode::kEmptyTuple:
    case Opcode::kNewObj:
    case Opcode::kTuple1:
    case Opcode::kTuple2:
    case Opcode::kTuple3:
    case Opcode::kNewTrue:
    case Opcode::kNewFalse:
    case Opcode::kEmptySet:
    case Opcode::kAddItems:
    case Opcode::kFrozenSet:
    case Opcode::kStackGlobal:
    case Opcode::kMemoize:
      return Argument::kNone;
  }
  return Argument::kUnknown;
}

class Walk {
 public:
  Walk(const ByteSource& source, uint64_t offset)
      : source_(source), start_(offset), at_(offset) {}

  Result<uint64_t> Run() {
    while (true) {
      const uint64_t opcode_at = at_;
      CAISSON_ASSIGN_OR_RETURN(const uint64_t byte, Take(1));
      const auto opcode = static_cast<Opcode>(byte);
      if (opcode == Opcode::kStop) return at_ - start_;
      const Argument argument = ArgumentOf(opcode);
      if (argument == Argument::kUnknown) {
        return Status::Unsupported(source_.name() + ": pickle at " +
                                   std::to_string(opcode_at) +
                                   ": unknown opcode " + std::to_string(byte));
      }
      CAISSON_RETURN_IF_ERROR(PassArgument(argument));
    }
  }

 private:
  Status PassArgument(Argument argument) {
    switch (argument) {
      case Argument::kFixed1:
        return Pass(1);
      case Argument::kFixed2:
        return Pass(2);
      case Argument::kFixed4:
        return Pass(4);
      case Argument::kFixed8:
        return Pass(8);
      case Argument::kCounted1:
        return PassCounted(1);
      case Argument::kCounted4:
        return PassCounted(4);
      case Argument::kCounted8:
        return PassCounted(8);
      case Argument::kTwoLines:
        CAISSON_RETURN_IF_ERROR(PassLine());
        return PassLine();
      default:
        return Status::Ok();
    }
  }

  Status Truncated() const {
    return source_.Corrupt(at_, "pickle", "the file ends before its STOP");
  }

  Status Pass(uint64_t bytes) {
    if (bytes > source_.size() - at_) return Truncated();
    at_ += bytes;
    return Status::Ok();
  }

  Status PassCounted(size_t width) {
    CAISSON_ASSIGN_OR_RETURN(const uint64_t bytes, Take(width));
    return Pass(bytes);
  }

  Status PassLine() {
    while (true) {
      CAISSON_ASSIGN_OR_RETURN(const uint64_t byte, Take(1));
      if (byte == '\n') return Status::Ok();
    }
  }

  // The next little-endian integer of `width` bytes.
  Result<uint64_t> Take(size_t width) {
    std::array<std::byte, 8> bytes{};
    for (size_t i = 0; i < width; ++i, ++at_) {
      const bool held = at_ >= held_from_ && at_ - held_from_ < held_;
      if (!held) CAISSON_RETURN_IF_ERROR(Refill());
      bytes[i] = buffer_[at_ - held_from_];
    }
    return LoadLittle<uint64_t>(bytes.data());
  }

  Status Refill() {
    if (at_ >= source_.size()) return Truncated();
    held_ = std::min<uint64_t>(buffer_.size(), source_.size() - at_);
    held_from_ = at_;
    return source_.ReadExact(at_, std::span(buffer_).first(held_), "pickle");
  }

  const ByteSource& source_;
  const uint64_t start_;
  uint64_t at_;
  std::array<std::byte, 4096> buffer_;
  uint64_t held_from_ = 0;
  size_t held_ = 0;
};

}  // namespace

Result<uint64_t> PickleExtent(const ByteSource& source, uint64_t offset) {
  return Walk(source, offset).Run();
}

}  // namespace caisson::pickle
