// SPDX-License-Identifier: Apache-2.0
//
// Files that torch.save wrote before 1.6: formats.md 3. Files of stock torch
// are compared in tests/peers (peers_legacy).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/formats/torch_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using namespace std::string_literals;
using pickle::Class;
using pickle::Int;
using pickle::Little;
using pickle::Str;
using pickle::TupleOf;
using pickle::Whole;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string& Magic() {
  static const std::string magic =
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";
  return magic;
}

// The persistent id of a storage; `view`: the code of the sixth part.
std::string LegacyId(std::string_view cls, std::string_view key, int64_t elems,
                     const std::string& view = "N") {
  return TupleOf(Str("storage") + Class("torch", cls) + Str(key) + Str("cpu") +
                 Int(elems) + view) +
         "Q";
}

std::string ViewCode(std::string_view key, int64_t offset, int64_t elems) {
  return TupleOf(Str(key) + Int(offset) + Int(elems));
}

// What a test changes of a sound file.
struct LegacyFile {
  std::string protocol = Whole(Int(1001));
  std::string info = Whole("}");
  std::string object;
  std::vector<std::string> keys;
  std::string data;

  std::string Bytes() const {
    std::string list = "](";
    for (const std::string& key : keys) list += Str(key);
    return Magic() + protocol + info + object + Whole(list + "e") + data;
  }
};

std::string FloatData(std::vector<float> values) {
  std::string bytes = Little(static_cast<int64_t>(values.size()));
  for (const float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bytes += Little(bits);
  }
  return bytes;
}

// Two tensors over one storage.
LegacyFile Sound() {
  const std::string id = LegacyId("FloatStorage", "7", 4);
  LegacyFile file;
  file.object = Whole("}" + Str("a") + TensorV2(id, {4}, {1}) + "s" + Str("b") +
                      TensorV2(id, {2}, {2}, 1) + "s");
  file.keys = {"7"};
  file.data = FloatData({1, 2, 3, 4});
  return file;
}

std::vector<float> FloatsOf(const State& state, const char* name) {
  std::vector<float> values;
  const TensorView* view = state.root.Find(name)->As<TensorView>();
  for (int64_t i = 0; i < view->spec.shape.at(0); ++i) {
    float value;
    const auto at = view->offset + static_cast<uint64_t>(i * view->strides[0]);
    std::memcpy(&value, view->storage->region.data + 4 * at, 4);
    values.push_back(value);
  }
  return values;
}

void ExpectCorrupt(const std::string& bytes, const std::string& problem) {
  EXPECT_THAT(OpenBytes(bytes).status(),
              StatusIs(StatusCode::kCorrupt,
                       AllOf(HasSubstr("model.pt"), HasSubstr(problem))));
}

TEST(Legacy, ReadsTensorsThatShareAStorage) {
  const auto reader = OpenBytes(Sound().Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_EQ(reader->format(), "pytorch_legacy");
  const auto state = reader->Load();
  ASSERT_THAT(state.status(), IsOk());
  EXPECT_THAT(FloatsOf(*state, "a"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(FloatsOf(*state, "b"), ElementsAre(2, 4));
  EXPECT_EQ(state->root.Find("a")->As<TensorView>()->storage,
            state->root.Find("b")->As<TensorView>()->storage);
  const auto report = reader->Verify();
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->unchecked, ElementsAre("7"));
}

TEST(Legacy, PlacesStoragesInTheOrderOfTheKeys) {
  LegacyFile file;
  file.object = Whole(
      "}" + Str("a") + TensorV2(LegacyId("FloatStorage", "9", 1), {1}, {1}) +
      "s" + Str("b") + TensorV2(LegacyId("FloatStorage", "10", 1), {1}, {1}) +
      "s");
  file.keys = {"10", "9"};
  file.data = FloatData({10}) + FloatData({9});
  const auto reader = OpenBytes(file.Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  const auto state = reader->Load();
  ASSERT_THAT(state.status(), IsOk());
  EXPECT_THAT(FloatsOf(*state, "a"), ElementsAre(9));
  EXPECT_THAT(FloatsOf(*state, "b"), ElementsAre(10));
}

// PyTorch 0.3 pickled parts of storages.
TEST(Legacy, LetsTensorsOverPartsOfAStorageShareIt) {
  const auto id = [](const std::string& view) {
    return LegacyId("FloatStorage", "7", 4, view);
  };
  LegacyFile file = Sound();
  file.object =
      Whole("}" + Str("a") + TensorV2(id(ViewCode("8", 1, 2)), {2}, {1}) + "s" +
            Str("b") + TensorV2(id(ViewCode("9", 2, 2)), {1}, {1}, 1) + "s" +
            Str("c") + TensorV2(id(ViewCode("8", 1, 2)), {1}, {1}) + "s");
  const auto reader = OpenBytes(file.Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  const auto state = reader->Load();
  ASSERT_THAT(state.status(), IsOk());
  EXPECT_THAT(FloatsOf(*state, "a"), ElementsAre(2, 3));
  EXPECT_THAT(FloatsOf(*state, "b"), ElementsAre(4));
  EXPECT_THAT(FloatsOf(*state, "c"), ElementsAre(2));
  EXPECT_EQ(state->root.Find("a")->As<TensorView>()->storage,
            state->root.Find("b")->As<TensorView>()->storage);
  EXPECT_THAT(reader->Verify()->unchecked, ElementsAre("7"));
}

// As PyTorch 0.3.1 wrote storage()[:1] and storage()[1:] of [1, 2]: the file
// of test_serialization_storage_slice.
TEST(Legacy, ReadsStorageSlicesOfTorch031) {
  const std::string path = CAISSON_TEST_DATA "/legacy/slices_torch_0_3_1.pt";
  const auto reader = Reader::Open(path);
  ASSERT_THAT(reader.status(), IsOk());
  const auto state = reader->Load();
  ASSERT_THAT(state.status(), IsOk());
  const Tuple* pair = state->root.As<Tuple>();
  ASSERT_NE(pair, nullptr);
  ASSERT_EQ(pair->items.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const StorageHandle* storage = pair->items[i].As<StorageHandle>();
    ASSERT_NE(storage, nullptr);
    ASSERT_EQ((*storage)->region.bytes, 4u);
    EXPECT_EQ(LoadLittle<uint32_t>((*storage)->region.data),
              i == 0 ? 0x3f800000u : 0x40000000u);
  }
}

TEST(Legacy, ReadsStringsAndIntsOfPython2) {
  const auto short_str = [](std::string_view text) {
    return "U"s + static_cast<char>(text.size()) + std::string(text);
  };
  const auto long1 = [](char value) { return "\x8a\x01"s + value; };
  LegacyFile file = Sound();
  const std::string id =
      TupleOf(short_str("storage") + Class("torch", "FloatStorage") +
              short_str("7") + short_str("cpu") + long1(4) + "N") +
      "Q";
  file.object =
      Whole("}" + short_str("a") +
            Call("torch._utils", "_rebuild_tensor",
                 id + long1(0) + TupleOf(long1(4)) + TupleOf(long1(1))) +
            "s");
  const auto reader = OpenBytes(file.Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  const auto state = reader->Load();
  ASSERT_THAT(state.status(), IsOk());
  EXPECT_THAT(FloatsOf(*state, "a"), ElementsAre(1, 2, 3, 4));
}

TEST(Legacy, ReadsSavesOneAfterTheOther) {
  const std::string first = Sound().Bytes();
  LegacyFile second = Sound();
  second.data = FloatData({5, 6, 7, 8});
  auto owner = std::make_shared<const std::string>(first + second.Bytes());
  for (const uint64_t start : {uint64_t{0}, uint64_t{first.size()}}) {
    ReaderOptions options;
    options.start = start;
    const auto reader =
        Reader::Open(std::make_shared<MemoryAdapter>(
                         std::as_bytes(std::span(*owner)), "model.pt", owner),
                     options);
    ASSERT_THAT(reader.status(), IsOk());
    const auto state = reader->Load();
    ASSERT_THAT(state.status(), IsOk());
    EXPECT_EQ(FloatsOf(*state, "a")[0], start == 0 ? 1 : 5);
  }
}

TEST(Legacy, RefusesEveryTruncation) {
  const std::string file = Sound().Bytes();
  for (size_t bytes = 15; bytes < file.size(); ++bytes) {
    EXPECT_THAT(OpenBytes(file.substr(0, bytes)).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("model.pt")))
        << bytes;
  }
}

TEST(Legacy, RefusesAnotherMagicOrProtocol) {
  std::string file = Sound().Bytes();
  file[5] ^= 1;
  EXPECT_THAT(OpenBytes(file).status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("a pickle")));
  LegacyFile other = Sound();
  for (const std::string& protocol :
       {Whole(Int(1000)), Whole("N"), Whole(Str("1001"))}) {
    other.protocol = protocol;
    ExpectCorrupt(other.Bytes(), "protocol version");
  }
}

TEST(Legacy, RefusesNumbersThatDiffer) {
  LegacyFile file = Sound();
  file.data = FloatData({1, 2, 3});
  ExpectCorrupt(file.Bytes() + "xxxx", "3 elements, but the pickle says 4");
  file.data = Little(int64_t{-4}) + std::string(16, 'x');
  ExpectCorrupt(file.Bytes(), "-4 elements");
}

TEST(Legacy, RefusesKeysThatAreNotThoseOfTheObject) {
  LegacyFile file = Sound();
  file.keys = {"8"};
  ExpectCorrupt(file.Bytes(), "'8'");
  file.keys = {};
  ExpectCorrupt(file.Bytes(), "'7' is missing");
  file.keys = {"7", "7"};
  file.data += file.data;
  ExpectCorrupt(file.Bytes(), "twice");
}

TEST(Legacy, RefusesViewsOutsideTheirStorage) {
  const auto with_view = [](const std::string& view) {
    LegacyFile file = Sound();
    file.object = Whole(LegacyId("FloatStorage", "7", 4, view));
    return file.Bytes();
  };
  EXPECT_THAT(OpenBytes(with_view(ViewCode("8", 0, 4))).status(), IsOk());
  ExpectCorrupt(with_view(ViewCode("8", 1, 4)), "outside its storage");
  ExpectCorrupt(with_view(ViewCode("8", 5, 0)), "outside its storage");
  ExpectCorrupt(with_view(ViewCode("8", -1, 1)), "wrong type");
  ExpectCorrupt(with_view(ViewCode("8", 0, -1)), "wrong type");
  ExpectCorrupt(with_view(ViewCode("8", INT64_MAX, 1)), "outside its storage");
  ExpectCorrupt(with_view(TupleOf(Str("8") + Int(0))), "three parts");
  ExpectCorrupt(with_view(Int(1)), "three parts");
}

TEST(Legacy, RefusesIdsOfFiveParts) {
  LegacyFile file = Sound();
  file.object = Whole(StorageId("FloatStorage", "7", 4));
  ExpectCorrupt(file.Bytes(), "a tuple of 6");
}

// Each part of a storage that stands alone is loaded alone.
TEST(Legacy, RefusesPartsThatUnfoldToMoreThanTheFile) {
  LegacyFile file = Sound();
  std::string parts = "](";
  for (int i = 0; i < 1000; ++i) {
    parts += LegacyId("FloatStorage", "7", 10'000,
                      ViewCode("v" + std::to_string(i), 0, 10'000));
  }
  file.object = Whole(parts + "e");
  file.data = FloatData(std::vector<float>(10'000, 1));
  EXPECT_THAT(OpenBytes(file.Bytes()).status(),
              StatusIs(StatusCode::kUnsupported,
                       HasSubstr("more bytes than the file")));
}

TEST(Legacy, TakesNoMemoryForASizeThatIsOnlyDeclared) {
  LegacyFile file = Sound();
  file.object = Whole(
      TensorV2(LegacyId("FloatStorage", "7", int64_t{1} << 40), {4}, {1}));
  file.data = Little(int64_t{1} << 40) + std::string(64, 'x');
  const std::string bytes = file.Bytes();
  const AllocationMeter meter;
  ExpectCorrupt(bytes, "needs 4398046511104 bytes");
  EXPECT_LT(meter.PeakBytes(), 1u << 20);
}

TEST(Legacy, NamesGlobalsThatTorchWouldRefuse) {
  LegacyFile file = Sound();
  file.object = Whole(Call("os", "system", Str("true")));
  file.keys = {};
  file.data = "";
  const auto reader = OpenBytes(file.Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_THAT(reader->Load().status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("os.system")));
  EXPECT_THAT(OpenBytes(file.Bytes(), /*strict=*/true).status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("os.system")));
}

// A pickled nn.Module: its class comes with its source, which is not looked at.
TEST(Legacy, KeepsAClassWithItsSourceAsAName) {
  LegacyFile file = Sound();
  file.object = Whole(TupleOf(Str("module") + Class("my", "Net") +
                              Str("net.py") + Str("class Net: ...")) +
                      "Q");
  file.keys = {};
  file.data = "";
  const auto reader = OpenBytes(file.Bytes());
  ASSERT_THAT(reader.status(), IsOk());
  ASSERT_EQ(reader->unknown_globals().size(), 1u);
  EXPECT_EQ(reader->unknown_globals()[0].dotted(), "my.Net");
}

}  // namespace
}  // namespace caisson::torch
