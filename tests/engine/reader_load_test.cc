// SPDX-License-Identifier: Apache-2.0
//
// Reader::Load and Reader::LoadInto.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const TensorView& TensorAt(const State& state, std::string_view key) {
  const Node* node = state.root.Find(key);
  if (node == nullptr || node->As<TensorView>() == nullptr) {
    ADD_FAILURE() << "no tensor " << key;
    static const TensorView none = RandomTensor(DType::kInt8, {0}, 0);
    return none;
  }
  return *node->As<TensorView>();
}

// Load.

TEST(ReaderLoad, SharesWhatTheFileShares) {
  const TensorView base = RandomTensor(DType::kFloat32, {4, 4}, 1);
  const Node same = base;
  State state;
  state["base"] = base;
  state["view"] = ViewOf(base, {4}, {4}, 1);
  state["twin"] = RandomTensor(DType::kFloat32, {4, 4}, 1);
  state["one"] = same;
  state["again"] = same;
  state["storage"] = base.storage;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(State loaded, reader.Load());
  EXPECT_EQ(TensorAt(loaded, "base").storage, TensorAt(loaded, "view").storage);
  EXPECT_NE(TensorAt(loaded, "base").storage, TensorAt(loaded, "twin").storage);
  EXPECT_TRUE(loaded["one"].same(loaded["again"]));
  EXPECT_FALSE(loaded["one"].same(loaded["base"]));
  ASSERT_NE(loaded["storage"].As<StorageHandle>(), nullptr);
  EXPECT_EQ(*loaded["storage"].As<StorageHandle>(),
            TensorAt(loaded, "base").storage);
  EXPECT_EQ(PlainGather(TensorAt(loaded, "view")),
            PlainGather(TensorAt(state, "view")));
  EXPECT_EQ(PlainGather(TensorAt(loaded, "twin")),
            PlainGather(TensorAt(state, "twin")));
}

TEST(ReaderLoad, GivesAStateThatNothingElseSees) {
  State state;
  state["t"] = RandomTensor(DType::kUInt8, {100}, 1);
  state["dict"]["x"] = 1;
  const ByteVector expected = PlainGather(TensorAt(state, "t"));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(State first, reader.Load());
  std::ranges::fill(BytesOf(*TensorAt(first, "t").storage), std::byte{0});
  first["dict"]["x"] = 2;
  first["dict"]["y"] = 3;
  first["t"] = Node();
  CAISSON_ASSERT_OK_AND_ASSIGN(State second, reader.Load());
  EXPECT_EQ(PlainGather(TensorAt(second, "t")), expected);
  EXPECT_EQ(second["dict"].As<Dict>()->size(), 1u);
  EXPECT_EQ(*second["dict"]["x"].As<Integer>(), Integer(1));
  EXPECT_EQ(reader.state().root.Find("dict")->As<Dict>()->size(), 1u);
}

TEST(ReaderLoad, OutlivesItsReaderAndItsFile) {
  State state;
  state["small"] = RandomTensor(DType::kFloat64, {3}, 1);
  state["large"] = RandomTensor(DType::kFloat64, {100, 100}, 2);
  state["empty"] = RandomTensor(DType::kFloat64, {0}, 3);
  State loaded;
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
    CAISSON_ASSERT_OK_AND_ASSIGN(loaded, reader.Load());
  }
  for (const char* name : {"small", "large", "empty"}) {
    EXPECT_EQ(PlainGather(TensorAt(loaded, name)),
              PlainGather(TensorAt(state, name)));
  }
}

TEST(ReaderLoad, RefusesAnUnknownGlobalByNameAndStillListsTheFile) {
  State state;
  Object call;
  call.callable = Global{"os", "system"};
  call.args = Tuple{{"true"}};
  state["evil"] = call;
  state["t"] = RandomTensor(DType::kInt8, {5}, 1);
  const std::string file = FileOf(state);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  EXPECT_THAT(reader.Load().status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("os.system")));
  EXPECT_EQ(reader.tensors().size(), 1u);
  const Node* evil = reader.state().root.Find("evil");
  ASSERT_NE(evil, nullptr);
  EXPECT_EQ(evil->As<Object>()->global().dotted(), "os.system");
  EXPECT_THAT(ReadNamed(reader, "t"),
              IsOkAndHolds(PlainGather(TensorAt(state, "t"))));
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
  EXPECT_TRUE(report.ok());
  EXPECT_FALSE(OpenBytes(file, {.strict = true}).has_value());
}

// LoadInto.

State Targets() {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {3, 4}, 50);
  state["b"] = RandomTensor(DType::kInt64, {5}, 51);
  state["step"] = 1;
  return state;
}

TEST(ReaderLoadInto, FillsDenseAndStridedTargetsAndNothingBeside) {
  State file;
  file["a"] = RandomTensor(DType::kFloat32, {3, 4}, 1);
  const TensorView source = RandomTensor(DType::kInt64, {5, 3}, 2);
  file["b"] = ViewOf(source, {5}, {3}, 1);
  file["step"] = 100;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(file)));

  State dense = Targets();
  CAISSON_ASSERT_OK(reader.LoadInto(dense));
  EXPECT_EQ(PlainGather(TensorAt(dense, "a")),
            PlainGather(TensorAt(file, "a")));
  EXPECT_EQ(PlainGather(TensorAt(dense, "b")),
            PlainGather(TensorAt(file, "b")));
  EXPECT_EQ(*dense["step"].As<Integer>(), Integer(1));

  State strided;
  const TensorView frame = RandomTensor(DType::kFloat32, {10, 10}, 3);
  const ByteVector before = PlainGather(frame);
  strided["a"] = ViewOf(frame, {3, 4}, {1, 10}, 23);  // transposed, inside
  strided["b"] = ViewOf(RandomTensor(DType::kInt64, {20}, 4), {5}, {3}, 2);
  CAISSON_ASSERT_OK(reader.LoadInto(strided));
  EXPECT_EQ(PlainGather(TensorAt(strided, "a")),
            PlainGather(TensorAt(file, "a")));
  EXPECT_EQ(PlainGather(TensorAt(strided, "b")),
            PlainGather(TensorAt(file, "b")));
  const ByteVector after = PlainGather(frame);
  for (size_t i = 0; i < 100; ++i) {
    const size_t row = i / 10, column = i % 10;
    if (row >= 2 && row < 6 && column >= 3 && column < 6) continue;
    EXPECT_EQ(std::memcmp(&after[4 * i], &before[4 * i], 4), 0) << i;
  }
}

// Calls LoadInto, expects `matcher`, and that no byte of the target changed.
void ExpectUntouched(const Reader& reader, State& target,
                     const testing::Matcher<Status>& matcher) {
  std::vector<ByteVector> before;
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, target.Tensors());
  for (const NamedTensor& tensor : tensors) {
    const auto bytes = BytesOf(*tensor.view->storage);
    before.emplace_back(bytes.begin(), bytes.end());
  }
  EXPECT_THAT(reader.LoadInto(target), matcher);
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(
        std::ranges::equal(before[i], BytesOf(*tensors[i].view->storage)));
  }
}

TEST(ReaderLoadInto, NamesWhatDiffersBeforeAnyByteIsWritten) {
  State file;
  file["a"] = RandomTensor(DType::kFloat32, {3, 4}, 1);
  file["b"] = RandomTensor(DType::kInt64, {5}, 2);
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(file)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  const uint64_t reads = counted->reads;

  State dtype = Targets();
  dtype["b"] = RandomTensor(DType::kUInt64, {5}, 3);
  ExpectUntouched(reader, dtype,
                  StatusIs(StatusCode::kInvalidArgument,
                           AllOf(HasSubstr("model.pt"), HasSubstr("'b'"),
                                 HasSubstr("int64"), HasSubstr("uint64"))));
  State shape = Targets();
  shape["b"] = RandomTensor(DType::kInt64, {5, 1}, 3);
  ExpectUntouched(
      reader, shape,
      StatusIs(StatusCode::kInvalidArgument,
               AllOf(HasSubstr("'b'"), HasSubstr("[5]"), HasSubstr("[5, 1]"))));
  State missing = Targets();
  missing["c"]["d"] = RandomTensor(DType::kInt8, {1}, 3);
  ExpectUntouched(reader, missing,
                  StatusIs(StatusCode::kNotFound, HasSubstr("'c.d'")));
  State unused;
  unused["a"] = RandomTensor(DType::kFloat32, {3, 4}, 3);
  ExpectUntouched(reader, unused,
                  StatusIs(StatusCode::kInvalidArgument, HasSubstr("'b'")));
  State nowhere = Targets();
  TensorView described = *nowhere["b"].As<TensorView>();
  described.storage = std::make_shared<Storage>();
  described.storage->region.bytes = 40;
  nowhere["b"] = described;
  EXPECT_THAT(reader.LoadInto(nowhere),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'b'")));
  State beyond = Targets();
  beyond["b"] = ViewOf(*beyond["b"].As<TensorView>(), {5}, {1}, 1);
  ExpectUntouched(reader, beyond,
                  StatusIs(StatusCode::kInvalidArgument, HasSubstr("'b'")));
  State conjugate = Targets();
  conjugate["a"].As<TensorView>()->neg = true;
  ExpectUntouched(reader, conjugate,
                  StatusIs(StatusCode::kInvalidArgument, HasSubstr("'a'")));
  EXPECT_EQ(counted->reads, reads);

  CAISSON_ASSERT_OK(reader.LoadInto(unused, {.allow_unused = true}));
  EXPECT_EQ(PlainGather(TensorAt(unused, "a")),
            PlainGather(TensorAt(file, "a")));
}

TEST(ReaderLoadInto, TellsIntKeysFromTheirTexts) {
  const auto with_key = [](Node key, uint64_t seed) {
    Dict dict;
    CAISSON_EXPECT_OK(dict.Set(key, RandomTensor(DType::kInt8, {4}, seed)));
    State state;
    state["d"] = std::move(dict);
    return state;
  };
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader ints,
                               OpenBytes(FileOf(with_key(0, 1))));
  State text = with_key("0", 2);
  ExpectUntouched(ints, text, StatusIs(StatusCode::kNotFound));
  State number = with_key(0, 3);
  CAISSON_ASSERT_OK(ints.LoadInto(number));
  State list;
  list["d"] = List{{RandomTensor(DType::kInt8, {4}, 4)}};
  CAISSON_EXPECT_OK(ints.LoadInto(list));  // a position is an int as well

  State dots;
  dots["d.x"]["y"] = RandomTensor(DType::kInt8, {4}, 5);
  dots["d"]["x.y"] = RandomTensor(DType::kInt8, {4}, 6);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader both, OpenBytes(FileOf(dots)));
  State target;
  target["d"]["x.y"] = RandomTensor(DType::kInt8, {4}, 7);
  target["d.x"]["y"] = RandomTensor(DType::kInt8, {4}, 8);
  CAISSON_ASSERT_OK(both.LoadInto(target));
  EXPECT_EQ(PlainGather(*target["d"]["x.y"].As<TensorView>()),
            PlainGather(*dots["d"]["x.y"].As<TensorView>()));
}

// True and "True" look the same in a path. Each of two targets once got the
// first tensor's bytes.
TEST(ReaderLoadInto, RefusesKeysThatLookTheSame) {
  Dict dict;
  CAISSON_ASSERT_OK(dict.Set(true, RandomTensor(DType::kInt8, {4}, 1)));
  CAISSON_ASSERT_OK(dict.Set("True", RandomTensor(DType::kInt8, {4}, 2)));
  State state;
  state["d"] = std::move(dict);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(State target, reader.Load());
  EXPECT_THAT(reader.LoadInto(target, {.allow_unused = true}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'d.True'")));
}

// Its scale and zero point are no tensors, and would stay as they were.
TEST(ReaderLoadInto, RefusesQuantisedTensorsByName) {
  for (const DType dtype : {DType::kQInt8, DType::kQInt32, DType::kQUInt4x2}) {
    TensorView view = RandomTensor(dtype, {4}, 1);
    view.storage->region.bytes = view.spec.bytes();
    Object call;
    call.callable = Global{"torch._utils", "_rebuild_qtensor"};
    call.args =
        Tuple{{view, Tuple{{Global{"torch", "per_tensor_affine"}, 0.5, 3}},
               false, Dict(true)}};
    State state;
    state["q"] = call;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
    CAISSON_ASSERT_OK_AND_ASSIGN(State target, reader.Load());
    ExpectUntouched(reader, target,
                    StatusIs(StatusCode::kUnsupported, HasSubstr("'q'")));
  }
}

// Views of parts of a storage were once filled without any check.
TEST(ReaderLoadInto, ChecksRecordsOfWhichItReadsParts) {
  const TensorView flat = RandomTensor(DType::kFloat32, {1000}, 1);
  State state;
  state["a"] = ViewOf(flat, {300}, {1}, 0);
  state["b"] = ViewOf(flat, {10, 20}, {1, 10}, 500);
  std::string file = FileOf(state);
  file[RecordsOf(file)["data/0"].offset + 4 * 510] ^= 0x40;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
  State target;
  target["a"] = RandomTensor(DType::kFloat32, {300}, 2);
  target["b"] = RandomTensor(DType::kFloat32, {10, 20}, 3);
  EXPECT_THAT(reader.LoadInto(target),
              StatusIs(StatusCode::kCorrupt, HasSubstr("'data/0'")));
  CAISSON_EXPECT_OK(reader.LoadInto(target, {.verify = false}));
}

TEST(ReaderLoadInto, FillsWhatLoadGaveAndReadsNoUnusedPayload) {
  State state;
  for (int i = 0; i < 10; ++i) {
    state[std::to_string(i)] = RandomTensor(DType::kUInt8, {9000 + i}, i);
  }
  const auto counted =
      std::make_shared<CountingAdapter>(InMemory(FileOf(state)));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(counted));
  CAISSON_ASSERT_OK_AND_ASSIGN(State loaded, reader.Load());
  for (int i = 0; i < 10; ++i) {
    std::ranges::fill(BytesOf(*TensorAt(loaded, std::to_string(i)).storage),
                      std::byte{0});
  }
  CAISSON_ASSERT_OK(reader.LoadInto(loaded));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, loaded.Tensors());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(PlainGather(*tensors[i].view),
              PlainGather(TensorAt(state, std::to_string(i))));
  }
  State one;
  one["3"] = RandomTensor(DType::kUInt8, {9003}, 99);
  const uint64_t before = counted->bytes;
  CAISSON_ASSERT_OK(reader.LoadInto(one, {.allow_unused = true}));
  EXPECT_EQ(counted->bytes - before, 9003u);
}

}  // namespace
}  // namespace caisson
