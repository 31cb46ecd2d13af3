// SPDX-License-Identifier: Apache-2.0
//
// Writer: what comes back from a file is what was written, in every layout.
#include "caisson/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <limits>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "core/base/endian.h"
#include "tests/engine/state_files.h"
#include "tests/support/canonical_text.h"
#include "tests/support/golden_archives.h"

namespace caisson {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Object Call(const char* module, const char* name, std::vector<Node> args) {
  Object object;
  object.callable = Global{module, name};
  object.args = Tuple{std::move(args)};
  return object;
}

Integer TwoTo(int bit, bool negative = false) {
  std::vector<std::byte> bytes(static_cast<size_t>(bit) / 8 + 2, std::byte{0});
  bytes[static_cast<size_t>(bit) / 8] = std::byte(1 << bit % 8);
  if (negative) bytes.back() = std::byte{0xff};
  return Integer::FromTwosComplement(bytes);
}

List Numbers() {
  List list;
  for (const int64_t edge :
       {int64_t{0}, int64_t{255}, int64_t{256}, int64_t{65535}, int64_t{65536},
        int64_t{1} << 31, int64_t{1} << 62}) {
    for (const int64_t step : {-1, 0, 1}) {
      list.items.push_back(edge + step);
      list.items.push_back(-edge - step);
    }
  }
  list.items.push_back(std::numeric_limits<int64_t>::min());
  list.items.push_back(std::numeric_limits<int64_t>::max());
  list.items.push_back(TwoTo(64));
  list.items.push_back(TwoTo(2030, true));
  for (const double number :
       {0.0, -0.0, 1e-310, 1.5, std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::quiet_NaN()}) {
    list.items.push_back(number);
    list.items.push_back(std::complex<double>(number, -number));
  }
  list.items.push_back(true);
  list.items.push_back(false);
  list.items.push_back(Node());
  return list;
}

List Containers() {
  Dict keys;
  CAISSON_EXPECT_OK(keys.Set(7, "int"));
  CAISSON_EXPECT_OK(keys.Set("7", "str"));
  CAISSON_EXPECT_OK(keys.Set(2.5, "float"));
  CAISSON_EXPECT_OK(keys.Set(true, "bool"));
  CAISSON_EXPECT_OK(keys.Set(Node(), "none"));
  CAISSON_EXPECT_OK(keys.Set(Tuple{{1, "a"}}, "tuple"));
  CAISSON_EXPECT_OK(keys.Set(Bytes{"b"}, "bytes"));
  Dict ordered(true);
  ordered["x"] = 1;
  Dict metadata;
  metadata["version"] = 1;
  Dict attributes;
  attributes["_metadata"] = std::move(metadata);
  ordered.attributes = std::move(attributes);
  List many;
  for (int i = 0; i < 2001; ++i) many.items.push_back(i);
  const Node shared = List{{1, 2}};
  const Node frozen = Set{{1, 2}, true};
  return List{{std::move(keys), std::move(ordered), std::move(many), shared,
               shared, Tuple{}, Tuple{{1}}, Tuple{{1, 2, 3, 4}}, List{}, Dict(),
               Dict(true), Set{{3, "x"}, false}, frozen, frozen}};
}

List Texts() {
  return List{{"", "weight", "\xe4\xb8\xad\xe6\x96\x87", "\xed\xa0\x80",
               std::string(300, 'x'), std::string("a\0b", 3), Bytes{},
               Bytes{std::string("\0\xff\x80", 3)}, ByteArray{},
               ByteArray{"abc\xfe"}}};
}

List Tensors() {
  List list;
  for (const DType dtype : AllDTypes()) {
    const bool in_torch =
        dtype != DType::kFloat6E2M3 && dtype != DType::kFloat6E3M2;
    if (in_torch && ByteWidth(dtype) > 0) {
      list.items.push_back(RandomTensor(dtype, {3, 5}, 1));
    }
  }
  const TensorView base = RandomTensor(DType::kComplex64, {4, 6}, 2);
  TensorView odd = ViewOf(base, {3, 2, 2}, {0, 6, 3}, 1);
  odd.requires_grad = odd.conj = odd.neg = true;
  TensorView conjugate = base;
  conjugate.conj = true;
  const Node twice = base;
  for (const TensorView& view :
       {odd, conjugate, ViewOf(base, {}, {}, 23), ViewOf(base, {6, 4}, {1, 6}),
        RandomTensor(DType::kFloat32, {0, 4}, 3),
        RandomTensor(DType::kBFloat16, {}, 4)}) {
    list.items.push_back(view);
  }
  list.items.push_back(twice);
  list.items.push_back(twice);
  return list;
}

List Objects() {
  Dict counts;
  CAISSON_EXPECT_OK(counts.Set("a", 2));
  return List{{Call("torch", "Size", {Tuple{{2, 3}}}),
               Call("torch", "device", {"cuda", 1}),
               Call("collections", "Counter", {std::move(counts)}),
               Call("torch._utils", "_rebuild_parameter",
                    {RandomTensor(DType::kFloat32, {4}, 5), true, Dict(true)}),
               Global{"torch", "float16"}}};
}

State EveryKindOfNode() {
  State state;
  state["numbers"] = Numbers();
  state["texts"] = Texts();
  state["containers"] = Containers();
  state["tensors"] = Tensors();
  state["objects"] = Objects();
  return state;
}

State LoadBytes(const std::string& file) {
  const Result<Reader> reader = OpenBytes(file);
  EXPECT_THAT(reader.status(), IsOk());
  if (!reader.has_value()) return {};
  Result<State> state = reader->Load();
  EXPECT_THAT(state.status(), IsOk());
  return state.has_value() ? *std::move(state) : State();
}

std::string TextOf(const State& state) {
  const Result<std::string> text = CanonicalText(state);
  EXPECT_THAT(text.status(), IsOk());
  return text.has_value() ? *text : "";
}

WriteOptions WithProfile(Profile profile) {
  WriteOptions options;
  options.profile = std::move(profile);
  return options;
}

// Round trips.

TEST(Writer, GivesBackEveryKindOfNodeInEveryProfile) {
  const State state = EveryKindOfNode();
  Profile unchecked;
  unchecked.crc32 = false;
  Profile bare = Profile::Torch1_13();
  bare.storage_alignment = true;  // what tells a reader of the next line
  bare.alignment = 1;
  for (const Profile& profile : {Profile(), Profile::Torch2_6(),
                                 Profile::Torch1_13(), unchecked, bare}) {
    const std::string file = FileOf(state, WithProfile(profile));
    const State loaded = LoadBytes(file);
    EXPECT_EQ(TextOf(loaded), TextOf(state));
    Profile expected = profile;
    expected.prefix = "archive";
    EXPECT_EQ(loaded.profile, expected);
    // Sharing and every identity are kept: the same file again.
    EXPECT_TRUE(FileOf(loaded) == file);
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.unchecked.empty(), profile.crc32);
  }
}

TEST(Writer, GivesBackStoragesWithoutTensors) {
  State state;
  const TensorView typed = RandomTensor(DType::kInt32, {6}, 1);
  const TensorView untyped = RandomTensor(DType::kUInt16, {6}, 2);
  state["typed"] = typed.storage;
  state["untyped"] = untyped.storage;
  state["view"] = typed;
  State loaded = LoadBytes(FileOf(state));
  for (const auto& [name, expected] :
       {std::pair("typed", typed.storage), {"untyped", untyped.storage}}) {
    const auto* handle = loaded[name].As<StorageHandle>();
    ASSERT_NE(handle, nullptr);
    EXPECT_EQ((*handle)->dtype, expected->dtype);
    EXPECT_TRUE(std::ranges::equal(BytesOf(**handle), BytesOf(*expected)));
  }
  EXPECT_EQ(*loaded["typed"].As<StorageHandle>(),
            loaded["view"].As<TensorView>()->storage);
}

TEST(Writer, WritesWhatTorchWroteByteForByte) {
  for (const GoldenArchive& golden : GoldenArchives()) {
    EXPECT_TRUE(FileOf(LoadBytes(golden.bytes)) == golden.bytes) << golden.name;
  }
}

TEST(Writer, WritesARootThatIsNoDict) {
  for (const Node& root :
       {Node(), Node(5), Node(RandomTensor(DType::kFloat32, {3}, 1)),
        Node(List{{1, 2}}), Node("text")}) {
    State state;
    state.root = root;
    EXPECT_EQ(TextOf(LoadBytes(FileOf(state))), TextOf(state));
  }
}

// Layouts.

TEST(Writer, GivesTheSameFileForEveryWindow) {
  State state = EveryKindOfNode();
  for (int i = 0; i < 20; ++i) {
    state["more"].operator[](std::to_string(i)) = RandomTensor(
        DType::kUInt8, {4096 * (i % 5) + 37 * i}, static_cast<uint64_t>(i));
  }
  const std::string expected = FileOf(state);
  for (const size_t window : {1, 2, 3, 5, 16, 17, 2048}) {
    WriteOptions options;
    options.window_bytes = window * 4096;
    EXPECT_TRUE(FileOf(state, options) == expected) << window;
  }
}

TEST(Writer, AlignsEveryRecord) {
  State state;
  state["a"] = RandomTensor(DType::kUInt8, {1}, 1);
  state["empty"] = RandomTensor(DType::kUInt8, {0}, 1);
  state["b"] = RandomTensor(DType::kFloat64, {1001}, 2);
  state["c"] = RandomTensor(DType::kInt16, {3}, 3);
  for (const uint32_t alignment : {1u, 8u, 64u, 256u, 4096u, 32768u, 48u, 7u}) {
    SCOPED_TRACE(alignment);
    Profile profile;
    profile.alignment = alignment;
    const std::string file = FileOf(state, WithProfile(profile));
    CAISSON_ASSERT_OK_AND_ASSIGN(const PyTorchStreamReader archive,
                                 PyTorchStreamReader::Open(InMemory(file)));
    EXPECT_THAT(archive.getAllRecords(), SizeIs(10));
    for (const std::string& name : archive.getAllRecords()) {
      SCOPED_TRACE(name);
      const uint64_t header = *archive.getRecordHeaderOffset(name);
      const uint64_t data = *archive.getRecordOffset(name);
      EXPECT_EQ(data % alignment, 0u);
      // formats.md 1.4: 30 bytes, the name, "FB", a length, that many 'Z'.
      const uint64_t padding =
          header + 30 + std::string("archive/").size() + name.size();
      ASSERT_LE(padding + 4, data);
      EXPECT_EQ(file.substr(padding, 2), "FB");
      EXPECT_EQ(LoadLittle<uint16_t>(&file[padding + 2]), data - padding - 4);
      EXPECT_THAT(file.substr(padding + 4, data - padding - 4), Each('Z'));
    }
    const State loaded = LoadBytes(file);
    EXPECT_EQ(TextOf(loaded), TextOf(state));
    EXPECT_EQ(loaded.profile.alignment, alignment);
  }
}

TEST(Writer, OrdersTheRecordsByItsProfile) {
  State state;
  for (int i = 0; i < 12; ++i) {
    state[std::to_string(i)] = RandomTensor(DType::kUInt8, {i}, 1);
  }
  const auto order_in = [&](const Profile& profile) {
    std::vector<std::string> names;
    for (const auto& item :
         RecordsOf(FileOf(state, WithProfile(profile))).items) {
      names.push_back(item.name.substr(8));
    }
    return names;
  };
  EXPECT_THAT(
      order_in(Profile::Torch2_7()),
      ElementsAre("data.pkl", ".format_version", ".storage_alignment",
                  "byteorder", "data/0", "data/1", "data/2", "data/3", "data/4",
                  "data/5", "data/6", "data/7", "data/8", "data/9", "data/10",
                  "data/11", "version", ".data/serialization_id"));
  EXPECT_THAT(order_in(Profile::Torch2_6()),
              ElementsAre("data.pkl", "byteorder", "data/0", "data/1",
                          "data/10", "data/11", "data/2", "data/3", "data/4",
                          "data/5", "data/6", "data/7", "data/8", "data/9",
                          "version", ".data/serialization_id"));
  EXPECT_THAT(order_in(Profile::Torch1_13()),
              ElementsAre("data.pkl", "data/0", "data/1", "data/10", "data/11",
                          "data/2", "data/3", "data/4", "data/5", "data/6",
                          "data/7", "data/8", "data/9", "version"));
}

TEST(Writer, StoresNoCrcWhereTheProfileHasNone) {
  State state;
  state["a"] = RandomTensor(DType::kUInt8, {100}, 1);
  Profile profile;
  profile.crc32 = false;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(FileOf(state, WithProfile(profile))));
  EXPECT_FALSE(reader.tensors()[0].crc32.has_value());
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report, reader.Verify());
  EXPECT_EQ(report.checked, 0u);
  EXPECT_THAT(report.damage, IsEmpty());
}

TEST(Writer, ReportsWhatItWrote) {
  const TensorView base = RandomTensor(DType::kFloat32, {100}, 1);
  State state;
  state["a"] = base;
  state["b"] = ViewOf(base, {3}, {1});
  state["c"] = RandomTensor(DType::kUInt8, {7}, 1);
  const ScratchDirectory scratch;
  const std::string path = scratch / "f.pt";
  CAISSON_ASSERT_OK_AND_ASSIGN(const WriteReport report,
                               Writer().Write(state, path));
  EXPECT_EQ(report.file_bytes, Content(path).size());
  EXPECT_EQ(report.tensor_bytes, 407u);
  EXPECT_GT(report.seconds, 0);
  EXPECT_LT(report.seconds, 60);
}

TEST(Writer, NamesTheFolderAfterTheFile) {
  const ScratchDirectory scratch;
  State state;
  state["a"] = 1;
  const std::pair<std::string, std::string> kFolders[] = {
      {"model.v1.pt", "model.v1"}, {"noext", "noext"},
      {"x.tar.gz", "x.tar"},       {"a b.bin", "a b"},
      {"m\xc3\xbc.pt", "archive"}, {"back\\slash.pth", "slash"}};
  for (const auto& [file, folder] : kFolders) {
    CAISSON_ASSERT_OK(Writer().Write(state, scratch / file));
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                 Reader::Open(scratch / file));
    EXPECT_EQ(reader.state().profile.prefix, folder) << file;
  }
}

}  // namespace
}  // namespace caisson
