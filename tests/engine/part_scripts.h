// SPDX-License-Identifier: Apache-2.0
//
// Scripts of parts that try every kind of them, and files in memory to write
// them into.
#pragma once

#include <sys/mman.h>

#include <iterator>
#include <random>
#include <string>

#include "core/io/file.h"
#include "tests/engine/part_script.h"
#include "tests/support/status_matchers.h"

namespace caisson {

inline constexpr DType kWidths[] = {
    DType::kUInt8,     DType::kBFloat16,  DType::kFloat32,   DType::kInt64,
    DType::kComplex32, DType::kComplex64, DType::kComplex128};

// An empty file in memory.
inline File NewFile() {
  return File(memfd_create("parts", MFD_CLOEXEC), "parts", FileSystem::Posix());
}

inline std::string Content(const File& file) {
  std::string content(file.Size().has_value() ? *file.Size() : 0, '\0');
  EXPECT_THAT(file.ReadAt(0, AsWritable(content)), IsOk());
  return content;
}

inline Script EveryKindOfPart() {
  Script script;
  script.AddFrontBlock(37);
  script.AddLiteral(11, 1);
  script.AddDeferred(5);  // before any piece
  uint64_t seed = 0;
  for (const DType dtype : kWidths) {
    for (const ByteOrder order : {kNativeOrder, kOtherOrder}) {
      script.AddPiece(dtype, order, seed % 3, 5 + seed % 7, seed);
      script.AddDeferred(3 + seed % 4);
      script.AddLiteral(seed % 3, seed);
      ++seed;
    }
  }
  script.AddLiteral(0, 1);
  script.AddDeferred(0);
  script.AddPiece(DType::kFloat32, kOtherOrder, 2, 0, 1);
  script.AddMeasure(DType::kFloat64, 9);
  script.AddMeasure(DType::kUInt8, 0);
  script.AddPiece(DType::kInt16, kOtherOrder, 0, 1, 3);  // a short head
  script.AddDeferred(300);
  return script;
}

inline Script RandomScript(std::mt19937& random) {
  Script script;
  if (random() % 2 == 0) script.AddFrontBlock(random() % 6000);
  for (uint32_t parts = random() % 30; parts > 0; --parts) {
    const DType dtype = kWidths[random() % std::size(kWidths)];
    switch (random() % 4) {
      case 0:
        script.AddLiteral(random() % 5000, random());
        break;
      case 1:
        script.AddDeferred(random() % 5000);
        break;
      case 2:
        script.AddMeasure(dtype, random() % 100);
        break;
      default:
        script.AddPiece(dtype, random() % 2 ? kOtherOrder : kNativeOrder,
                        random() % 50, random() % 9000, random());
    }
  }
  return script;
}

}  // namespace caisson
