// SPDX-License-Identifier: Apache-2.0
//
// WriteParts: whatever the window cuts, the file is the same.
#include "core/engine/write/part_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/write/window.h"
#include "core/io/file.h"
#include "tests/engine/part_scripts.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::HasSubstr;

// Writes `script` through a window of `window_bytes` and compares.
void ExpectWrites(const Script& script, size_t window_bytes) {
  File file = NewFile();
  Script::Stream parts(script);
  std::vector<std::byte> window(window_bytes);
  CAISSON_ASSERT_OK_AND_ASSIGN(const PartTotals totals,
                               WriteParts(parts, file, window));
  const std::string expected = script.Image();
  EXPECT_EQ(totals.file_bytes, expected.size());
  EXPECT_EQ(totals.tensor_bytes, script.tensor_bytes());
  ASSERT_TRUE(Content(file) == expected)
      << "window of " << window_bytes << " bytes";
}

TEST(PartWriter, CutsAnyPartAtAnyByte) {
  const Script script = EveryKindOfPart();
  for (size_t window = 1; window <= script.Image().size() + 1; ++window) {
    ExpectWrites(script, window);
  }
}

TEST(PartWriter, CutsElementsOfEveryWidthAtEveryCursor) {
  for (const DType dtype : kWidths) {
    for (uint64_t before = 0; before < 17; ++before) {
      Script script;
      script.AddLiteral(before, 1);
      script.AddPiece(dtype, kOtherOrder, 1, 9, 2);
      script.AddDeferred(20);
      for (const size_t window : {1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 64}) {
        ExpectWrites(script, window);
      }
    }
  }
}

TEST(PartWriter, WritesRandomScripts) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    const Script script = RandomScript(random);
    for (const size_t window : {size_t{97}, size_t{4096}, size_t{8192},
                                size_t{20480}, size_t{8} << 20}) {
      ExpectWrites(script, window);
    }
  }
}

TEST(PartWriter, WritesNoPartsAsAnEmptyFile) {
  ExpectWrites(Script(), 4096);
  Script front;
  front.AddFrontBlock(5000);
  ExpectWrites(front, 4096);
}

// Each full window is one write at a multiple of its size.
TEST(PartWriter, FillsItsWindows) {
  File file = NewFile();
  std::vector<std::byte> window(100);
  WindowCursor cursor(file, window);
  CAISSON_ASSERT_OK(cursor.Put(std::vector<std::byte>(60)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto rest, cursor.Room(1000));
  EXPECT_EQ(rest.data(), &window[60]);
  EXPECT_EQ(rest.size(), 40u);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto some, cursor.Room(7));
  EXPECT_EQ(some.size(), 7u);
  cursor.Advance(40);
  EXPECT_EQ(cursor.offset(), 100u);
  EXPECT_EQ(Content(file).size(), 0u);
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto next, cursor.Room(1));
  EXPECT_EQ(next.data(), &window[0]);
  EXPECT_EQ(Content(file).size(), 100u);
  CAISSON_ASSERT_OK(cursor.Flush());
  EXPECT_EQ(Content(file).size(), 100u);
}

// What cannot be written.

Status WriteStatus(const Script& script) {
  File file = NewFile();
  Script::Stream parts(script);
  std::vector<std::byte> window(64);
  return WriteParts(parts, file, window).status();
}

TEST(PartWriter, RefusesAFrontBlockThatIsNotAtTheFront) {
  Script late;
  late.AddLiteral(1, 1);
  late.AddRaw(FrontBlock{});
  EXPECT_THAT(WriteStatus(late), StatusIs(StatusCode::kInvalidArgument));
  Script twice;
  twice.AddFrontBlock(0);
  twice.AddRaw(FrontBlock{});
  EXPECT_THAT(WriteStatus(twice), StatusIs(StatusCode::kInvalidArgument));
}

TEST(PartWriter, RefusesPiecesThatItCannotProduce) {
  const TensorView tensor = RandomTensor(DType::kFloat32, {4}, 1);
  TensorPiece piece;
  piece.storage = tensor.storage;
  piece.bytes = 16;
  for (const bool measured : {false, true}) {
    const auto status_of = [&](const TensorPiece& bad) {
      Script script;
      script.AddLiteral(3, 1);
      script.AddRaw(measured ? Part(Measure{bad}) : Part(bad));
      return WriteStatus(script);
    };
    TensorPiece nested = piece;
    nested.encoding = Encoding::kNested;
    EXPECT_THAT(status_of(nested), StatusIs(StatusCode::kUnsupported));
    TensorPiece absent = piece;
    absent.storage = std::make_shared<Storage>();
    absent.storage->region.bytes = 16;
    EXPECT_THAT(status_of(absent),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("16 bytes")));
    TensorPiece device = piece;
    device.storage = std::make_shared<Storage>(*tensor.storage);
    device.storage->region.device = Device::Cuda(1);
    EXPECT_THAT(status_of(device),
                StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:1")));
  }
}

// Gives one literal, then an error.
class FailingStream : public PartStream {
 public:
  Result<std::optional<Part>> Next(const Facts& facts) override {
    if (facts.cursor > 0) return Status::Cancelled("enough");
    return std::optional<Part>(Literal{std::vector<std::byte>(100)});
  }
};

TEST(PartWriter, HandsOnTheFormatsErrors) {
  File file = NewFile();
  FailingStream failing;
  std::vector<std::byte> window(64);
  EXPECT_THAT(WriteParts(failing, file, window).status(),
              StatusIs(StatusCode::kCancelled, "enough"));

  const auto refuse = [](const Facts&, std::span<std::byte>) {
    return Status::Cancelled("cannot fill");
  };
  Script deferred;
  deferred.AddRaw(DeferredLiteral{8, refuse});
  EXPECT_THAT(WriteStatus(deferred), StatusIs(StatusCode::kCancelled));
  Script front;
  front.AddRaw(FrontBlock{0, refuse});
  EXPECT_THAT(WriteStatus(front), StatusIs(StatusCode::kCancelled));
}

}  // namespace
}  // namespace caisson
