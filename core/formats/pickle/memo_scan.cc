// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/memo_scan.h"

#include <cstdint>
#include <optional>

#include "core/base/byte_cursor.h"
#include "core/formats/pickle/opcodes.h"

namespace caisson::pickle {
namespace {

class Scanner {
 public:
  explicit Scanner(std::span<const std::byte> bytes)
      : limit_(bytes.size()), cursor_(bytes) {}

  std::vector<bool> Run() {
    for (bool more = true; more;) {
      const auto opcode = cursor_.TakeLittle<uint8_t>();
      more = opcode && Opcode{*opcode} != Opcode::kStop &&
             PassArgument(Opcode{*opcode});
    }
    return std::move(fetched_);
  }

 private:
  // False if the bytes end within it.
  bool PassArgument(Opcode opcode) {
    switch (opcode) {
      case Opcode::kBinGet:
        return Fetch(cursor_.TakeLittle<uint8_t>());
      case Opcode::kLongBinGet:
        return Fetch(cursor_.TakeLittle<uint32_t>());
      case Opcode::kProto:
      case Opcode::kBinInt1:
      case Opcode::kBinPut:
        return Pass(1);
      case Opcode::kBinInt2:
        return Pass(2);
      case Opcode::kBinInt:
      case Opcode::kLongBinPut:
        return Pass(4);
      case Opcode::kBinFloat:
      case Opcode::kFrame:
        return Pass(8);
      case Opcode::kLong1:
      case Opcode::kShortBinUnicode:
      case Opcode::kShortBinString:
      case Opcode::kShortBinBytes:
        return Pass(cursor_.TakeLittle<uint8_t>());
      case Opcode::kLong4:
      case Opcode::kBinUnicode:
      case Opcode::kBinString:
      case Opcode::kBinBytes:
        return Pass(cursor_.TakeLittle<uint32_t>());
      case Opcode::kBinUnicode8:
      case Opcode::kBinBytes8:
      case Opcode::kByteArray8:
        return Pass(cursor_.TakeLittle<uint64_t>());
      case Opcode::kGlobal:
        return cursor_.TakeLine() && cursor_.TakeLine();
      default:
        return true;  // it has none, or the reader refuses it
    }
  }

  bool Pass(std::optional<uint64_t> count) {
    return count && cursor_.Take(*count);
  }

  bool Fetch(std::optional<uint32_t> index) {
    if (!index) return false;
    if (*index >= limit_) return true;
    if (*index >= fetched_.size()) fetched_.resize(*index + size_t{1});
    fetched_[*index] = true;
    return true;
  }

  const size_t limit_;
  ByteCursor cursor_;
  std::vector<bool> fetched_;
};

}  // namespace

std::vector<bool> FetchedEntries(std::span<const std::byte> bytes) {
  return Scanner(bytes).Run();
}

}  // namespace caisson::pickle
