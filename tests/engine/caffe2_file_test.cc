// SPDX-License-Identifier: Apache-2.0
//
// Caffe2's databases through Writer, Engine and Reader, and conformance 50 and
// 55 of saving and loading blobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caisson/caffe2.h"
#include "caisson/engine.h"
#include "caisson/reader.h"
#include "caisson/writer.h"
#include "tests/engine/flat_files.h"

namespace caisson {
namespace {

using caffe2::Blob;
using caffe2::DbLoadOptions;
using caffe2::DbSaveOptions;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr DType kTypes[] = {
    DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16,
    DType::kInt64,   DType::kInt32,   DType::kInt16,   DType::kInt8,
    DType::kUInt8,   DType::kUInt16,  DType::kBool,
};

// Tensors of every type that Caffe2 has.
State SomeState() {
  State state;
  uint64_t seed = 1;
  for (const DType dtype : kTypes) {
    TensorView view = RandomTensor(dtype, {50, 71}, seed++);
    for (std::byte& byte : BytesOf(*view.storage)) {
      if (dtype == DType::kBool) byte &= std::byte{1};
      // No NaN, whose bits text does not say.
      if (IsFloating(dtype)) byte &= std::byte{0x3F};
    }
    state["all"][Name(dtype)] = view;
  }
  state["none"] = RandomTensor(DType::kFloat16, {0, 4}, 4);
  state["one"] = RandomTensor(DType::kUInt8, {}, 5);
  return state;
}

struct Suffix {
  const char* suffix;
  const char* format;
};
constexpr Suffix kSuffixes[] = {
    {".minidb", "minidb"}, {".pb", "protodb"}, {".pbtxt", "protodb_text"}};

TEST(Caffe2File, ComesBackAsItWasInEachForm) {
  const ScratchDirectory scratch;
  for (const auto& [suffix, format] : kSuffixes) {
    SCOPED_TRACE(suffix);
    const std::string path = scratch / ("m" + std::string(suffix));
    const std::string file = Written(SomeState(), path);
    const auto reader = Reader::Open(path);
    ASSERT_THAT(reader.status(), IsOk());
    EXPECT_EQ(reader->format(), format);
    EXPECT_EQ(reader->file_bytes(), file.size());
    EXPECT_THAT(reader->warnings(), IsEmpty());
    const auto loaded = reader->Load();
    ASSERT_THAT(loaded.status(), IsOk());
    ExpectSame(SomeState(), *loaded);
    EXPECT_EQ(Written(*loaded, scratch / ("n" + std::string(suffix))), file);
    const auto report = VerifyFile(path);
    ASSERT_THAT(report.status(), IsOk());
    EXPECT_TRUE(report->ok());
    EXPECT_EQ(report->checked, 0u);
  }
}

TEST(Caffe2File, IsTheSameFromEveryWriter) {
  const ScratchDirectory scratch;
  WriteOptions chunks = QuickWrite();
  chunks.format.chunk_elems = 1000;
  const std::string expected =
      Written(SomeState(), scratch / "w.minidb", chunks);
  for (const size_t window : {size_t{4096}, size_t{8} << 20}) {
    EngineOptions options;
    options.window_bytes = window;
    options.pool_bytes = 4 * window;
    auto engine = Engine::Create(options);
    ASSERT_THAT(engine.status(), IsOk());
    const std::string path = scratch / "e.minidb";
    SaveOptions save;
    save.sync = false;
    save.format.chunk_elems = 1000;
    ASSERT_THAT(engine->Save(SomeState(), path, save).status(), IsOk());
    EXPECT_EQ(Content(path), expected);
    const auto loaded = engine->Load(path);
    ASSERT_THAT(loaded.status(), IsOk());
    ExpectSame(SomeState(), *loaded);
    AsyncOptions async;
    async.save = save;
    const auto ticket = engine->SaveAsync(SomeState(), path, async);
    ASSERT_THAT(ticket.status(), IsOk());
    ASSERT_THAT(ticket->Wait().status(), IsOk());
    EXPECT_EQ(Content(path), expected);
  }
}

TEST(Caffe2File, ReadsCastsBlocksAndInto) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  WriteOptions chunks = QuickWrite();
  chunks.format.chunk_elems = 700;
  Written(SomeState(), path, chunks);
  const auto reader = Reader::Open(path);
  ASSERT_THAT(reader.status(), IsOk());
  LoadOptions cast;
  cast.casts = {{"all.float16", DType::kFloat32}};
  const auto wide = reader->Load(cast);
  ASSERT_THAT(wide.status(), IsOk());
  EXPECT_EQ(wide->root.Find("all.float16")->As<TensorView>()->spec.dtype,
            DType::kFloat32);
  auto target = reader->Load();
  ASSERT_THAT(target.status(), IsOk());
  for (const char* name : {"all.int16", "all.float64"}) {
    TensorView& view = *target->root[name].As<TensorView>();
    const ByteVector before = PlainGather(view);
    const auto tensor = reader->Find(name);
    ASSERT_THAT(tensor.status(), IsOk());
    EXPECT_THAT(ReadBlock(*reader, *tensor, {{3, 7}, {10, 20}}),
                IsOkAndHolds(PlainGather(BytesOf(*view.storage),
                                         (*tensor)->view, {{3, 7}, {10, 20}})));
    std::ranges::fill(BytesOf(*view.storage), std::byte{0});
    CAISSON_EXPECT_OK(reader->LoadInto(*target));
    EXPECT_EQ(PlainGather(view), before);
  }
}

TEST(Caffe2File, AppendsByACopy) {
  const ScratchDirectory scratch;
  State more;
  more["more"] = RandomTensor(DType::kInt8, {9}, 77);
  for (const auto& [suffix, format] : kSuffixes) {
    const std::string path = scratch / ("m" + std::string(suffix));
    WriteOptions options = QuickWrite();
    options.format.append = true;
    const std::string first = Written(SomeState(), path, options);
    EXPECT_THAT(Written(more, path, options), testing::StartsWith(first));
    const auto loaded = Reader::Open(path)->Load();
    ASSERT_THAT(loaded.status(), IsOk());
    EXPECT_EQ(loaded->root.As<Dict>()->size(), std::size(kTypes) + 3);
    EXPECT_THAT(Writer(options).Write(more, path).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("'more'")));
  }
}

TEST(Caffe2File, RefusesWhatItCannotCarryUnlessToldToDropIt) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  State state;
  state["w"] = RandomTensor(DType::kFloat32, {2, 3}, 1);
  state["c"] = RandomTensor(DType::kComplex64, {2}, 1);
  state["step"] = 7;
  EXPECT_THAT(Writer(QuickWrite()).Write(state, path).status(),
              StatusIs(StatusCode::kUnsupported,
                       AllOf(HasSubstr("Caffe2"), HasSubstr("'step': an int"),
                             HasSubstr("'c': the dtype complex64"))));
  EXPECT_FALSE(std::filesystem::exists(path));
  WriteOptions options = QuickWrite();
  options.format.drop = true;
  const auto report = Writer(options).Write(state, path);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->dropped, SizeIs(2));
  EXPECT_THAT(Reader::Open(path)->tensors(), SizeIs(1));
  State odd;
  odd["a#%b"] = RandomTensor(DType::kFloat32, {1}, 1);
  EXPECT_THAT(Writer(QuickWrite()).Write(odd, path).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'a#%b'")));
}

TEST(Caffe2File, TextNamesTheNanThatItLoses) {
  const ScratchDirectory scratch;
  const uint32_t bits[] = {0x7FC00001};
  State state;
  state["w"] = DenseTensor(DType::kFloat32, {1}, const_cast<uint32_t*>(bits));
  EXPECT_THAT(
      Writer(QuickWrite()).Write(state, scratch / "m.pbtxt").status(),
      StatusIs(StatusCode::kUnsupported, HasSubstr("'w': the bits of a NaN")));
}

TEST(Caffe2File, DamageIsFoundByOpeningOrByVerifying) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  State state;
  state["w"] = RandomTensor(DType::kInt32, {300}, 1);
  const std::string file = Written(state, path);
  std::ofstream(path, std::ios::binary) << file.substr(0, file.size() - 1);
  const auto cut = VerifyFile(path);
  ASSERT_THAT(cut.status(), IsOk());
  EXPECT_THAT(cut->damage, SizeIs(1));
  // The last byte of a varint says that another follows.
  std::string damaged = file;
  std::ofstream(path, std::ios::binary) << file;
  const auto whole = Reader::Open(path);
  ASSERT_THAT(whole.status(), IsOk());
  const TensorInfo& tensor = whole->tensors()[0];
  const size_t last = tensor.offset + tensor.stored_bytes - 1;
  damaged[last] = static_cast<char>(damaged[last] | 0x80);
  std::ofstream(path, std::ios::binary) << damaged;
  const auto report = VerifyFile(path);
  ASSERT_THAT(report.status(), IsOk());
  ASSERT_THAT(report->damage, SizeIs(1));
  EXPECT_EQ(report->damage[0].record, "w");
  EXPECT_THAT(Reader::Open(path)->Load().status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("varints")));
}

std::map<std::string, Blob> SomeBlobs() {
  std::map<std::string, Blob> blobs;
  blobs["gpu/w"].Set(RandomTensor(DType::kFloat32, {5}, 1));
  blobs["gpu/b"].Set(RandomTensor(DType::kInt8, {3}, 2));
  blobs["text"].Set(std::string("hello"));
  return blobs;
}

std::vector<std::string> NamesOf(const std::map<std::string, Blob>& blobs) {
  std::vector<std::string> names;
  for (const auto& [name, blob] : blobs) names.push_back(name);
  return names;
}

std::vector<std::string> KeysOf(const std::string& path) {
  std::vector<std::string> keys;
  EXPECT_THAT(caffe2::ForEachRecord(path,
                                    [&](const std::string& key, std::string) {
                                      keys.push_back(key);
                                      return Status::Ok();
                                    }),
              IsOk());
  return keys;
}

TEST(Caffe2Conformance50, ChunkSizeZeroAndMinusOneAreSwappedInTheArgument) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  std::map<std::string, Blob> blobs;
  blobs["w"].Set(RandomTensor(DType::kUInt8, {2500000}, 1));
  blobs["e"].Set(RandomTensor(DType::kUInt8, {0}, 1));
  DbSaveOptions options;
  options.sync = false;
  const auto keys = [&] {
    EXPECT_THAT(SaveBlobs(path, blobs, options), IsOk());
    return KeysOf(path);
  };
  EXPECT_THAT(keys(), ElementsAre("e#%0", "w#%0", "w#%1", "w#%2"));
  options.options.options = {{"w", -1, caffe2::FloatFormat::kDefault}};
  EXPECT_THAT(keys(), ElementsAre("e#%0", "w#%0"));
  options.options.options = {};
  options.chunk_size = 0;  // the argument: none
  EXPECT_THAT(keys(), ElementsAre("e#%0", "w#%0"));
  options.chunk_size = -1;  // and the default
  EXPECT_THAT(keys(), ElementsAre("e#%0", "w#%0", "w#%1", "w#%2"));
  options.chunk_size = 1250000;
  EXPECT_THAT(keys(), ElementsAre("e#%0", "w#%0", "w#%1"));
  // The writer of states does the same.
  State state;
  state["w"] = *blobs["w"].Get<TensorView>();
  Written(state, scratch / "s.minidb");
  EXPECT_THAT(KeysOf(scratch / "s.minidb"),
              ElementsAre("w#%0", "w#%1", "w#%2"));
}

TEST(Caffe2Conformance55, PrefixesAreStrippedAndAdded) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  DbSaveOptions save;
  save.sync = false;
  save.strip_prefix = "gpu/";
  CAISSON_EXPECT_OK(SaveBlobs(path, SomeBlobs(), save));
  EXPECT_THAT(KeysOf(path), ElementsAre("b#%0", "w#%0", "text"));
  DbLoadOptions load;
  load.strip_prefix = "te";
  load.add_prefix = "cpu/";
  const auto blobs = caffe2::LoadBlobs({path}, load);
  ASSERT_THAT(blobs.status(), IsOk());
  EXPECT_THAT(NamesOf(*blobs), ElementsAre("cpu/b", "cpu/w", "cpu/xt"));
  EXPECT_EQ(*blobs->at("cpu/xt").Get<std::string>(), "hello");
}

TEST(Caffe2Conformance55, OverridesNameBlobs) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  DbSaveOptions save;
  save.sync = false;
  save.blob_name_overrides = {{"gpu/w", "weight"}};
  CAISSON_EXPECT_OK(SaveBlobs(path, SomeBlobs(), save));
  EXPECT_THAT(KeysOf(path), ElementsAre("gpu/b#%0", "weight#%0", "text"));
  save.strip_prefix = "gpu/";
  EXPECT_THAT(SaveBlobs(path, SomeBlobs(), save),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("exclude")));
  save.strip_prefix.clear();
  save.blob_name_overrides = {{"gpu/w", "text"}};
  EXPECT_THAT(SaveBlobs(path, SomeBlobs(), save),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'text'")));
}

TEST(Caffe2Conformance55, MissingBlobsAreAnErrorAndExcessOnesAreNot) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  DbSaveOptions save;
  save.sync = false;
  CAISSON_EXPECT_OK(SaveBlobs(path, SomeBlobs(), save));
  DbLoadOptions load;
  load.source_blob_names = {"gpu/w"};
  EXPECT_THAT(NamesOf(*caffe2::LoadBlobs({path}, load)), ElementsAre("gpu/w"));
  load.source_blob_names = {"gpu/w", "absent"};
  EXPECT_THAT(caffe2::LoadBlobs({path}, load).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("'absent'")));
  load.allow_incomplete = true;
  EXPECT_THAT(NamesOf(*caffe2::LoadBlobs({path}, load)), ElementsAre("gpu/w"));
}

TEST(Caffe2Conformance55, AKeyOfTwoDatabasesIsAnError) {
  const ScratchDirectory scratch;
  DbSaveOptions save;
  save.sync = false;
  CAISSON_EXPECT_OK(SaveBlobs(scratch / "a.minidb", SomeBlobs(), save));
  CAISSON_EXPECT_OK(SaveBlobs(scratch / "b.minidb", SomeBlobs(), save));
  EXPECT_THAT(
      caffe2::LoadBlobs({scratch / "a.minidb", scratch / "b.minidb"}).status(),
      StatusIs(StatusCode::kCorrupt, HasSubstr("duplicate key")));
}

TEST(Caffe2Conformance55, TheFirstRegexThatFitsTheWholeNameCounts) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  std::map<std::string, Blob> blobs;
  blobs["w1"].Set(RandomTensor(DType::kUInt8, {4}, 1));
  blobs["w12"].Set(RandomTensor(DType::kUInt8, {4}, 2));
  DbSaveOptions save;
  save.sync = false;
  save.options.options = {{"w.", 1, {}}, {"w.*", 2, {}}, {"", 3, {}}};
  CAISSON_EXPECT_OK(SaveBlobs(path, blobs, save));
  EXPECT_THAT(KeysOf(path), ElementsAre("w1#%0", "w1#%1", "w1#%2", "w1#%3",
                                        "w12#%0", "w12#%1"));
  save.options.options = {{"(", 1, {}}};
  EXPECT_THAT(SaveBlobs(path, blobs, save),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'('")));
}

TEST(Caffe2Conformance55, DevicesAreResetUnlessKept) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.minidb";
  std::map<std::string, Blob> blobs;
  TensorView view = RandomTensor(DType::kFloat32, {5}, 1);
  view.storage->location = Text("cuda:1");
  blobs["w"].Set(view);
  DbSaveOptions save;
  save.sync = false;
  CAISSON_EXPECT_OK(SaveBlobs(path, blobs, save));
  DbLoadOptions load;
  const auto location = [&] {
    const auto loaded = caffe2::LoadBlobs({path}, load);
    EXPECT_THAT(loaded.status(), IsOk());
    return loaded->at("w").Get<TensorView>()->storage->location.str();
  };
  EXPECT_EQ(location(), "cpu");
  load.keep_device = true;
  EXPECT_EQ(location(), "cuda:1");
  const auto state = Reader::Open(path)->Load();
  ASSERT_THAT(state.status(), IsOk());
  EXPECT_EQ(state->root.Find("w")->As<TensorView>()->storage->location.str(),
            "cuda:1");
}

TEST(Caffe2Conformance55, DatabasesAreAppendedTo) {
  const ScratchDirectory scratch;
  for (const auto type : {caffe2::DbType::kMinidb, caffe2::DbType::kProtodb}) {
    const std::string path =
        scratch / (type == caffe2::DbType::kMinidb ? "m.minidb" : "m.pb");
    DbSaveOptions save;
    save.sync = false;
    save.type = type;
    save.append = true;
    std::map<std::string, Blob> blobs;
    blobs["a"].Set(RandomTensor(DType::kFloat32, {5}, 1));
    CAISSON_EXPECT_OK(SaveBlobs(path, blobs, save));
    std::map<std::string, Blob> more;
    more["b"].Set(RandomTensor(DType::kInt64, {5}, 1));
    CAISSON_EXPECT_OK(SaveBlobs(path, more, save));
    EXPECT_THAT(NamesOf(*caffe2::LoadBlobs({path})), ElementsAre("a", "b"));
    EXPECT_THAT(Reader::Open(path)->tensors(), SizeIs(2));
  }
  DbSaveOptions protodb;
  protodb.sync = false;
  protodb.type = caffe2::DbType::kProtodb;
  EXPECT_THAT(SaveBlobs(scratch / "t.pb", SomeBlobs(), protodb),
              StatusIs(StatusCode::kUnsupported, HasSubstr("'text'")));
}

}  // namespace
}  // namespace caisson
