// SPDX-License-Identifier: Apache-2.0
//
// What WriteTorchArchive lays out, and what it refuses.
#include "core/formats/torch/torch_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/formats/torch/torch_archive.h"
#include "tests/formats/part_runner.h"
#include "tests/formats/torch_code.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

// A dense tensor of bytes of its own.
TensorView TensorOf(DType dtype, std::vector<int64_t> shape,
                    uint64_t seed = 1) {
  const TensorSpec spec{"", dtype, shape};
  auto owner =
      std::make_shared<std::vector<std::byte>>(RandomBytes(spec.bytes(), seed));
  return DenseTensor(dtype, std::move(shape), owner->data(), owner);
}

State StateOf(Node root) {
  State state;
  state.root = std::move(root);
  return state;
}

std::vector<std::string> RecordsOf(const std::string& file) {
  const ByteSource source(
      std::make_shared<MemoryAdapter>(std::as_bytes(std::span(file)), "f"));
  const auto archive = TorchArchive::Open(source);
  EXPECT_THAT(archive.status(), IsOk());
  std::vector<std::string> names;
  if (!archive) return names;
  for (const zip::Entry& entry : archive->entries()) {
    names.emplace_back(archive->RecordName(entry));
  }
  return names;
}

std::vector<std::string> RecordsAs(const State& state, const Profile& profile) {
  const auto file = TorchBytes(state, profile);
  EXPECT_THAT(file, IsOk());
  return file ? RecordsOf(*file) : std::vector<std::string>();
}

Result<State> LoadBytes(std::string bytes) {
  auto reader = OpenBytes(std::move(bytes));
  if (!reader) return reader.error();
  return reader->Load();
}

TEST(TorchWriter, WritesTheRecordsOfItsProfile) {
  const State state = StateOf(TensorOf(DType::kFloat32, {2}));
  EXPECT_THAT(
      RecordsAs(state, Profile::Torch2_7()),
      ElementsAre("data.pkl", ".format_version", ".storage_alignment",
                  "byteorder", "data/0", "version", ".data/serialization_id"));
  EXPECT_THAT(RecordsAs(state, Profile::Torch2_6()),
              ElementsAre("data.pkl", "byteorder", "data/0", "version",
                          ".data/serialization_id"));
  EXPECT_THAT(RecordsAs(state, Profile::Torch1_13()),
              ElementsAre("data.pkl", "data/0", "version"));
}

TEST(TorchWriter, OrdersTwelveStoragesByNumberOrAsText) {
  List list;
  for (int i = 0; i < 12; ++i) {
    list.items.push_back(TensorOf(DType::kUInt8, {i}));
  }
  std::vector<std::string> numeric, text;
  for (int i = 0; i < 12; ++i) numeric.push_back("data/" + std::to_string(i));
  text = numeric;
  std::ranges::sort(text);
  const auto storages = [&](const Profile& profile) {
    std::vector<std::string> names = RecordsAs(StateOf(list), profile);
    std::erase_if(names, [](const std::string& name) {
      return !name.starts_with("data/");
    });
    return names;
  };
  EXPECT_EQ(storages(Profile::Torch2_7()), numeric);
  EXPECT_EQ(storages(Profile::Torch2_6()), text);
  EXPECT_EQ(storages(Profile::Torch1_13()), text);
}

TEST(TorchWriter, WritesAStorageOnceForAllItsViews) {
  const TensorView base = TensorOf(DType::kInt64, {10});
  TensorView slice = base;
  slice.spec.shape = {3};
  slice.strides = {2};
  slice.offset = 4;
  TensorView expanded = base;
  expanded.spec.shape = {1000, 1000};
  expanded.strides = {0, 0};
  const Node root = List{{base, slice, expanded, base.storage}};
  const auto file = TorchBytes(StateOf(root), Profile());
  CAISSON_ASSERT_OK(file);
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(*file));
  EXPECT_EQ(NodeText(state.root), NodeText(root));
  const auto& items = state.root.As<List>()->items;
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(items[i].As<TensorView>()->storage,
              items[0].As<TensorView>()->storage);
  }
  EXPECT_EQ(*items[3].As<StorageHandle>(), items[0].As<TensorView>()->storage);
}

TEST(TorchWriter, RoundTripsEveryDTypeThatTorchHas) {
  for (const DType dtype : AllDTypes()) {
    if (Name(dtype).starts_with("float6")) continue;
    TensorView view;
    if (ByteWidth(dtype) > 0) {
      view = TensorOf(dtype, {3, 2});
    } else {  // packed: a storage of bytes
      view = TensorOf(DType::kUInt8, {4});
      view.storage->dtype = dtype;
      view.spec.dtype = dtype;
    }
    for (const Profile& profile :
         {Profile::Torch2_7(), Profile::Torch2_6(), Profile::Torch1_13()}) {
      const auto file = TorchBytes(StateOf(view), profile);
      CAISSON_ASSERT_OK(file);
      CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(*file));
      EXPECT_EQ(NodeText(state.root), NodeText(Node(view)));
      const Region& region = state.root.As<TensorView>()->storage->region;
      EXPECT_EQ(
          std::memcmp(region.data, view.storage->region.data, region.bytes), 0);
    }
  }
}

TEST(TorchWriter, KeepsTheBitsOfATensor) {
  TensorView view = TensorOf(DType::kComplex64, {2});
  for (int bits = 0; bits < 8; ++bits) {
    view.requires_grad = (bits & 1) != 0;
    view.conj = (bits & 2) != 0;
    view.neg = (bits & 4) != 0;
    const auto file = TorchBytes(StateOf(view), Profile());
    CAISSON_ASSERT_OK(file);
    CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(*file));
    EXPECT_EQ(NodeText(state.root), NodeText(Node(view)));
  }
}

Object CallOf(const char* module, const char* name, std::vector<Node> args) {
  Object object;
  object.callable = Global{module, name};
  object.args = Tuple{std::move(args)};
  return object;
}

// The reader folds storage and geometry into a tensor, the writer unfolds it.
TEST(TorchWriter, RoundTripsRebuiltObjects) {
  const TensorView quantised = TensorOf(DType::kQInt8, {2, 3});
  const Node per_channel =
      Tuple{{Global{"torch", "per_channel_affine"},
             TensorOf(DType::kFloat64, {2}), TensorOf(DType::kInt64, {2}), 0}};
  Node attributes = Dict();
  attributes["note"] = "x";
  const Node kObjects[] = {
      CallOf("torch._utils", "_rebuild_parameter",
             {TensorOf(DType::kFloat32, {2}), true, Dict(true)}),
      CallOf("torch._utils", "_rebuild_parameter_with_state",
             {TensorOf(DType::kFloat32, {2}), true, Dict(true), attributes}),
      CallOf("torch._utils", "_rebuild_qtensor",
             {quantised, per_channel, false, Dict(true)}),
      CallOf("torch._utils", "_rebuild_qtensor",
             {quantised, Tuple{{Global{"torch", "per_tensor_affine"}, 0.5, 3}},
              true, Dict(true)}),
      CallOf("torch._tensor", "_rebuild_from_type_v2",
             {Global{"torch._utils", "_rebuild_tensor_v2"},
              Global{"torch", "Tensor"}, TensorOf(DType::kFloat32, {2}),
              attributes}),
      CallOf("torch._tensor", "_rebuild_from_type_v2",
             {Global{"torch._utils", "_rebuild_tensor_v3"},
              Global{"torch", "Tensor"}, TensorOf(DType::kUInt16, {2}),
              attributes}),
      CallOf(
          "torch._utils", "_rebuild_sparse_tensor",
          {CallOf("torch.serialization", "_get_layout", {"torch.sparse_coo"}),
           Tuple{{TensorOf(DType::kInt64, {1, 2}),
                  TensorOf(DType::kFloat32, {2}),
                  CallOf("torch", "Size", {Tuple{{4}}})}}}),
      CallOf("torch._utils", "_rebuild_meta_tensor_no_storage",
             {Global{"torch", "float32"}, Tuple{{2}}, Tuple{{1}}, false}),
  };
  for (const Node& object : kObjects) {
    const auto file = TorchBytes(StateOf(object), Profile());
    CAISSON_ASSERT_OK(file);
    CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(*file));
    EXPECT_EQ(NodeText(state.root), NodeText(object));
    const auto again = TorchBytes(state, Profile());
    CAISSON_ASSERT_OK(again);
    EXPECT_TRUE(*again == *file) << NodeText(object);
  }
}

TEST(TorchWriter, RefusesTwoDTypesOverOneStorage) {
  const TensorView floats = TensorOf(DType::kFloat32, {2});
  TensorView ints = floats;
  ints.spec.dtype = DType::kInt32;
  TensorView shorts = floats;
  shorts.spec.dtype = DType::kUInt16;
  EXPECT_THAT(TorchBytes(StateOf(List{{floats, ints}}), Profile()),
              StatusIs(kInvalid, AllOf(HasSubstr("FloatStorage"),
                                       HasSubstr("IntStorage"))));
  EXPECT_THAT(TorchBytes(StateOf(List{{floats, shorts}}), Profile()),
              StatusIs(kInvalid, HasSubstr("UntypedStorage")));
  CAISSON_EXPECT_OK(
      TorchBytes(StateOf(List{{shorts, shorts}}), Profile()).status());
}

TEST(TorchWriter, RefusesWhatIsNoTensor) {
  TensorView view = TensorOf(DType::kFloat32, {2});
  view.offset = 1;
  EXPECT_THAT(TorchBytes(StateOf(view), Profile()),
              StatusIs(kInvalid, HasSubstr("needs 12 bytes")));
  view = TensorOf(DType::kFloat32, {2});
  view.storage = nullptr;
  EXPECT_THAT(TorchBytes(StateOf(view), Profile()),
              StatusIs(kInvalid, HasSubstr("no storage")));
  EXPECT_THAT(TorchBytes(StateOf(StorageHandle()), Profile()),
              StatusIs(kInvalid, HasSubstr("no storage")));
  view = TensorOf(DType::kUInt8, {7});
  view.spec.dtype = DType::kFloat32;
  view.spec.shape = {1};
  EXPECT_THAT(
      TorchBytes(StateOf(view), Profile()),
      StatusIs(kInvalid, HasSubstr("7 bytes, which float32 does not divide")));
  view = TensorOf(DType::kUInt8, {3});
  view.spec.dtype = DType::kFloat6E2M3;
  EXPECT_THAT(TorchBytes(StateOf(view), Profile()),
              StatusIs(kInvalid, HasSubstr("PyTorch has no float6_e2m3")));
}

TEST(TorchWriter, RefusesALocationThatIsNoText) {
  const TensorView view = TensorOf(DType::kFloat32, {2});
  view.storage->location = "\xff";
  EXPECT_THAT(TorchBytes(StateOf(view), Profile()),
              StatusIs(kInvalid, HasSubstr("no UTF-8")));
}

TEST(TorchWriter, RefusesCyclesAndDeepNesting) {
  Node cycle = List();
  cycle.As<List>()->items = {cycle};
  EXPECT_THAT(TorchBytes(StateOf(cycle), Profile()),
              StatusIs(kInvalid, HasSubstr("itself")));
  cycle.As<List>()->items.clear();
  Node deep;
  for (int i = 0; i < 1001; ++i) deep = List{{deep}};
  EXPECT_THAT(TorchBytes(StateOf(deep), Profile()),
              StatusIs(kInvalid, HasSubstr("nested deeper")));
}

TEST(TorchWriter, RefusesAProfileThatIsNone) {
  const State state = StateOf(1);
  for (const uint32_t alignment : {0u, 32769u, 65536u, 0xffffffffu}) {
    Profile profile;
    profile.alignment = alignment;
    EXPECT_THAT(TorchBytes(state, profile),
                StatusIs(kInvalid, HasSubstr("expected 1 to 32768")));
  }
  for (const char* prefix : {"", "a/b", "/"}) {
    Profile profile;
    profile.prefix = prefix;
    EXPECT_THAT(TorchBytes(state, profile),
                StatusIs(kInvalid, HasSubstr("no name of a folder")));
  }
  Profile profile;
  profile.prefix = std::string("a\0b", 3);
  EXPECT_THAT(TorchBytes(state, profile), StatusIs(kInvalid));
}

TEST(TorchWriter, AlignsEveryRecordAndFillsWithZ) {
  State state = StateOf(
      List{{TensorOf(DType::kFloat32, {5}), TensorOf(DType::kUInt8, {0}),
            TensorOf(DType::kInt16, {3})}});
  for (const uint32_t alignment : {1u, 8u, 63u, 64u, 256u, 4096u, 32768u}) {
    Profile profile;
    profile.alignment = alignment;
    const auto file = TorchBytes(state, profile);
    CAISSON_ASSERT_OK(file);
    const ByteSource source(
        std::make_shared<MemoryAdapter>(std::as_bytes(std::span(*file)), "f"));
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto archive,
                                 TorchArchive::Open(source));
    for (const zip::Entry& entry : archive.entries()) {
      EXPECT_EQ(entry.data_offset % alignment, 0u) << entry.name;
      const uint64_t extra =
          entry.header_offset + 30 + entry.name.size();  // APPNOTE 4.3.7
      ASSERT_EQ(file->substr(extra, 2), "FB") << entry.name;
      const std::string pad =
          file->substr(extra + 4, entry.data_offset - extra - 4);
      EXPECT_EQ(pad, std::string(pad.size(), 'Z'));
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, LoadBytes(*file));
    EXPECT_EQ(loaded.profile.alignment, alignment);
  }
}

TEST(TorchWriter, StoresNoCrcWhereTheProfileHasNone) {
  Profile profile;
  profile.crc32 = false;
  const auto file =
      TorchBytes(StateOf(TensorOf(DType::kFloat32, {2})), profile);
  CAISSON_ASSERT_OK(file);
  const ByteSource source(
      std::make_shared<MemoryAdapter>(std::as_bytes(std::span(*file)), "f"));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto archive, TorchArchive::Open(source));
  for (const zip::Entry& entry : archive.entries()) {
    EXPECT_EQ(entry.crc32, 0u) << entry.name;
  }
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, LoadBytes(*file));
  EXPECT_FALSE(state.profile.crc32);
}

TEST(PrefixFor, IsTheStemOfThePath) {
  const auto is = [](const char* prefix) {
    return IsOkAndHolds(std::string(prefix));
  };
  EXPECT_THAT(PrefixFor("model.pt"), is("model"));
  EXPECT_THAT(PrefixFor("a/b/model.v1.pt"), is("model.v1"));
  EXPECT_THAT(PrefixFor("x.tar.gz"), is("x.tar"));
  EXPECT_THAT(PrefixFor("noext"), is("noext"));
  EXPECT_THAT(PrefixFor("C:\\dir\\model.pt"), is("model"));
  EXPECT_THAT(PrefixFor("dir.d/model"), is("model"));
  EXPECT_THAT(PrefixFor("model."), is("model"));
  EXPECT_THAT(PrefixFor("m\xc3\xb6"
                        "del.pt"),
              is("archive"));
  EXPECT_THAT(PrefixFor("\xc3\xb6/model.pt"), is("archive"));
  for (const char* path : {"", ".hidden", "a/.pt", "dir/", "dir\\"}) {
    EXPECT_THAT(PrefixFor(path), StatusIs(kInvalid)) << path;
  }
}

}  // namespace
}  // namespace caisson::torch
