// SPDX-License-Identifier: Apache-2.0
//
// Reader::Load with casts: the values, against plain loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/cast_states.h"
#include "tests/engine/state_files.h"
#include "tests/support/allocation_meter.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(ReaderCast, RoundsValuesAndShrinksStorages) {
  const std::vector<float> values = Floats(200'000, 1);
  State state;
  state["w"] = TensorOf(DType::kFloat32, {400, 500}, values);
  state["ids"] = RandomTensor(DType::kInt64, {10}, 2);
  state["step"] = 7;
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                               LoadCast(state, kAllToBFloat16));
  const TensorView& w = TensorAt(loaded, "w");
  EXPECT_EQ(w.spec.dtype, DType::kBFloat16);
  EXPECT_EQ(w.storage->dtype, DType::kBFloat16);
  EXPECT_EQ(w.storage->region.bytes, 400'000u);
  EXPECT_EQ(w.spec.shape, (std::vector<int64_t>{400, 500}));
  EXPECT_TRUE(ValuesOf<uint16_t>(w) == BFloat16(values));
  EXPECT_EQ(TensorAt(loaded, "ids").spec.dtype, DType::kInt64);
  EXPECT_EQ(PlainGather(TensorAt(loaded, "ids")),
            PlainGather(TensorAt(state, "ids")));
  // And what was read can be written and read.
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader again, OpenBytes(FileOf(loaded)));
  EXPECT_EQ((*again.Find("w"))->view.spec.dtype, DType::kBFloat16);
  EXPECT_THAT(ReadNamed(again, "w"), IsOkAndHolds(PlainGather(w)));
}

TEST(ReaderCast, ConvertsBetweenAllPairsThatAreFp32AndWider) {
  const std::vector<float> values = Floats(1000, 1);
  const std::vector<double> wide(values.begin(), values.end());
  State state;
  state["f"] = TensorOf(DType::kFloat32, {1000}, values);
  state["d"] = TensorOf(DType::kFloat64, {10, 100}, wide);
  state["b"] = TensorOf(DType::kBFloat16, {1000}, BFloat16(values));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      State loaded,
      LoadCast(state, {{"f", DType::kFloat64}, {"?", DType::kFloat32}}));
  EXPECT_EQ(ValuesOf<double>(TensorAt(loaded, "f")), wide);
  EXPECT_EQ(ValuesOf<float>(TensorAt(loaded, "d")), values);
  EXPECT_EQ(BFloat16(ValuesOf<float>(TensorAt(loaded, "b"))), BFloat16(values));
  CAISSON_ASSERT_OK_AND_ASSIGN(loaded, LoadCast(state, kAllToBFloat16));
  EXPECT_EQ(ValuesOf<uint16_t>(TensorAt(loaded, "d")), BFloat16(values));
  EXPECT_EQ(PlainGather(TensorAt(loaded, "b")),
            PlainGather(TensorAt(state, "b")));
}

TEST(ReaderCast, MakesWhatIsTooLargeInfinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  State state;
  state["t"] = TensorOf<float>(
      DType::kFloat32, {8},
      {0.0f, -0.0f, 65504.0f, 65519.0f, 65520.0f, -1e30f, kInf, 1e-8f});
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                               LoadCast(state, {{"*", DType::kFloat16}}));
  EXPECT_THAT(ValuesOf<uint16_t>(TensorAt(loaded, "t")),
              testing::ElementsAre(0x0000, 0x8000, 0x7bff, 0x7bff, 0x7c00,
                                   0xfc00, 0x7c00, 0x0000));
}

// Blocks are of 256 KiB.
TEST(ReaderCast, CrossesTheEdgesOfBlocks) {
  for (const size_t elems : {0, 1, 65535, 65536, 65537, 131072, 200001}) {
    const std::vector<float> values = Floats(elems, elems);
    State state;
    state["t"] =
        TensorOf(DType::kFloat32, {static_cast<int64_t>(elems)}, values);
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                                 LoadCast(state, kAllToBFloat16));
    EXPECT_TRUE(ValuesOf<uint16_t>(TensorAt(loaded, "t")) == BFloat16(values))
        << elems;
    CAISSON_ASSERT_OK_AND_ASSIGN(const State wide,
                                 LoadCast(state, {{"*", DType::kFloat64}}));
    EXPECT_TRUE(ValuesOf<double>(TensorAt(wide, "t")) ==
                std::vector<double>(values.begin(), values.end()))
        << elems;
  }
}

TEST(ReaderCast, KeepsViewsOfOneStorage) {
  const std::vector<float> values = Floats(100, 1);
  const TensorView base = TensorOf(DType::kFloat32, {10, 10}, values);
  State state;
  state["base"] = base;
  state["turned"] = ViewOf(base, {10, 10}, {1, 10});
  state["part"] = ViewOf(base, {3, 2}, {20, 3}, 7);
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                               LoadCast(state, kAllToBFloat16));
  const StorageHandle& storage = TensorAt(loaded, "base").storage;
  for (const char* name : {"base", "turned", "part"}) {
    const TensorView& view = TensorAt(loaded, name);
    EXPECT_EQ(view.storage, storage);
    EXPECT_EQ(view.offset, TensorAt(state, name).offset);
    EXPECT_EQ(view.strides, TensorAt(state, name).strides);
    EXPECT_EQ(ValuesOf<uint16_t>(view),
              BFloat16(ValuesOf<float>(TensorAt(state, name))));
  }
}

TEST(ReaderCast, GoesToAndFromUntypedStorages) {
  State state;
  state["f8"] = TensorOf<uint8_t>(DType::kFloat8E4M3Fn, {3},
                                  {0x38, 0xb8, 0x7e});  // 1, -1, 448
  state["f4"] = TensorOf<float>(DType::kFloat32, {3}, {1.0f, -1.0f, 448.0f});
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const State loaded,
      LoadCast(state, {{"f8", DType::kFloat32}, {"f4", DType::kFloat8E4M3Fn}}));
  EXPECT_EQ(TensorAt(loaded, "f8").storage->dtype, DType::kFloat32);
  EXPECT_EQ(ValuesOf<float>(TensorAt(loaded, "f8")),
            ValuesOf<float>(TensorAt(state, "f4")));
  EXPECT_EQ(TensorAt(loaded, "f4").storage->dtype, std::nullopt);
  EXPECT_EQ(PlainGather(TensorAt(loaded, "f4")),
            PlainGather(TensorAt(state, "f8")));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader again, OpenBytes(FileOf(loaded)));
  EXPECT_EQ((*again.Find("f4"))->view.spec.dtype, DType::kFloat8E4M3Fn);
}

// CRCs.

TEST(ReaderCast, FindsDamageInTheBytesOfTheFile) {
  State state;
  state["w"] = TensorOf(DType::kFloat32, {100'000}, Floats(100'000, 1));
  std::string file = FileOf(state);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  const TensorInfo info = reader.tensors()[0];
  // The lowest bits of an element, which rounding would hide.
  for (const uint64_t at :
       {uint64_t{0}, uint64_t{262'144}, uint64_t{399'996}}) {
    file[info.offset + at] ^= 1;
    EXPECT_THAT(LoadCast(file, kAllToBFloat16).status(),
                StatusIs(StatusCode::kCorrupt,
                         AllOf(HasSubstr("'data/0'"), HasSubstr("crc32"))))
        << at;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader damaged, OpenBytes(file));
    LoadOptions unverified;
    unverified.verify = false;
    unverified.casts = kAllToBFloat16;
    CAISSON_EXPECT_OK(damaged.Load(unverified));
    file[info.offset + at] ^= 1;
  }
  CAISSON_EXPECT_OK(LoadCast(file, kAllToBFloat16));
}

// Files of other machines and archivers.

State SmallAndLarge() {
  State state;
  state["large"] = TensorOf(DType::kFloat32, {70'001}, Floats(70'001, 1));
  const std::vector<float> values = Floats(33, 2);
  state["small"] =
      TensorOf<double>(DType::kFloat64, {33}, {values.begin(), values.end()});
  return state;
}

void ExpectSmallAndLarge(const Result<State>& loaded) {
  CAISSON_ASSERT_OK(loaded);
  EXPECT_TRUE(ValuesOf<uint16_t>(TensorAt(*loaded, "large")) ==
              BFloat16(Floats(70'001, 1)));
  EXPECT_EQ(ValuesOf<uint16_t>(TensorAt(*loaded, "small")),
            BFloat16(Floats(33, 2)));
}

Records BigEndianRecords() {
  Records records = RecordsOf(FileOf(SmallAndLarge()));
  records["byteorder"].content = "big";
  records["data/0"].content = Swapped(records["data/0"].content, 4);
  records["data/1"].content = Swapped(records["data/1"].content, 8);
  return records;
}

TEST(ReaderCast, SwapsBigEndianFilesFirst) {
  std::string file = Rebuilt(BigEndianRecords()).Build();
  ExpectSmallAndLarge(LoadCast(file, kAllToBFloat16));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  file[reader.tensors()[0].offset + 270'003] ^= 1;  // a lowest byte
  EXPECT_THAT(LoadCast(file, kAllToBFloat16).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("'data/0'")));
}

TEST(ReaderCast, InflatesDeflatedRecordsFirst) {
  for (const bool big : {false, true}) {
    ZipBuilder zip;
    for (const auto& item : big ? BigEndianRecords().items
                                : RecordsOf(FileOf(SmallAndLarge())).items) {
      zip.AddDeflated(item.name, item.content);
    }
    ExpectSmallAndLarge(LoadCast(zip.Build(), kAllToBFloat16));
  }
  Records records = RecordsOf(FileOf(SmallAndLarge()));
  ZipBuilder zip;
  for (const auto& item : records.items) {
    ZipEntry& entry = zip.AddDeflated(item.name, item.content);
    if (item.name == "archive/data/0") entry.crc32 ^= 1;
  }
  EXPECT_THAT(LoadCast(zip.Build(), kAllToBFloat16).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("'data/0'")));
}

TEST(ReaderCast, TakesNoMoreMemoryThanTheResult) {
  constexpr size_t kElems = size_t{4} << 20;
  State state;
  for (const char* name : {"a", "b"}) {
    state[name] = TensorOf(DType::kFloat32, {static_cast<int64_t>(kElems)},
                           std::vector<float>(kElems, 1.0f));
  }
  const std::string file = FileOf(state);
  state = State();
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  LoadOptions options;
  options.casts = kAllToBFloat16;
  const AllocationMeter meter;
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, reader.Load(options));
  EXPECT_EQ(TensorAt(loaded, "a").storage->region.bytes, 2 * kElems);
  // The storages have pages of their own. On the heap are one block of
  // scratch and the tree.
  EXPECT_LT(meter.PeakBytes(), size_t{1} << 20);
}

}  // namespace
}  // namespace caisson
