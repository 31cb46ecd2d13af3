// SPDX-License-Identifier: Apache-2.0
//
// Pickle opcodes: CPython's Lib/pickletools.py; formats.md 2.1, 2.8, 2.9.
#pragma once

#include <cstdint>

namespace caisson::pickle {

enum class Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  // Protocol 2
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  // Protocol 3
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  // Protocol 4
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  // Protocol 5
  kByteArray8 = 0x96,
};

// True for the opcodes that torch.load(weights_only=True) knows.
constexpr bool InWeightsOnly(Opcode opcode) {
  switch (opcode) {
    case Opcode::kMark:
    case Opcode::kStop:
    case Opcode::kBinFloat:
    case Opcode::kBinInt:
    case Opcode::kBinInt1:
    case Opcode::kBinInt2:
    case Opcode::kNone:
    case Opcode::kBinPersId:
    case Opcode::kReduce:
    case Opcode::kShortBinString:
    case Opcode::kBinUnicode:
    case Opcode::kAppend:
    case Opcode::kBuild:
    case Opcode::kGlobal:
    case Opcode::kAppends:
    case Opcode::kBinGet:
    case Opcode::kLongBinGet:
    case Opcode::kBinPut:
    case Opcode::kLongBinPut:
    case Opcode::kSetItem:
    case Opcode::kTuple:
    case Opcode::kSetItems:
    case Opcode::kEmptyDict:
    case Opcode::kEmptyList:
    case Opcode::kEmptyTuple:
    case Opcode::kProto:
    case Opcode::kNewObj:
    case Opcode::kTuple1:
    case Opcode::kTuple2:
    case Opcode::kTuple3:
    case Opcode::kNewTrue:
    case Opcode::kNewFalse:
    case Opcode::kLong1:
    case Opcode::kEmptySet:
      return true;
    default:
      return false;
  }
}

}  // namespace caisson::pickle
