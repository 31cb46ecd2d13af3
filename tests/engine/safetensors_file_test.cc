// SPDX-License-Identifier: Apache-2.0
//
// Safetensors files through Writer, Engine and Reader: whole, sharded, damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/reader.h"
#include "caisson/writer.h"
#include "tests/engine/flat_files.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

State SomeState() {
  State state;
  state["model"]["w"] = RandomTensor(DType::kFloat32, {50, 70}, 1);
  state["model"]["b"] = RandomTensor(DType::kBFloat16, {33}, 2);
  state["ids"] = RandomTensor(DType::kInt64, {1000}, 3);
  state["none"] = RandomTensor(DType::kFloat16, {0, 4}, 4);
  state["flag"] = RandomTensor(DType::kUInt8, {}, 5);
  state.metadata = {{"format", "pt"}};
  return state;
}

void Overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(SafetensorsFile, ComesBackAsItWas) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  Written(SomeState(), path);
  const auto reader = Reader::Open(path);
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_EQ(reader->format(), "safetensors");
  EXPECT_THAT(reader->tensors(), SizeIs(5));
  const auto loaded = reader->Load();
  ASSERT_THAT(loaded.status(), IsOk());
  ExpectSame(SomeState(), *loaded);
  EXPECT_THAT(loaded->metadata, ElementsAre(testing::Pair("format", "pt")));
  // And again, byte for byte.
  EXPECT_EQ(Written(*loaded, scratch / "n.safetensors"), Content(path));
}

TEST(SafetensorsFile, IsTheSameFromEveryWriter) {
  const ScratchDirectory scratch;
  const std::string expected = Written(SomeState(), scratch / "w.safetensors");
  for (const size_t window : {size_t{4096}, size_t{8} << 20}) {
    EngineOptions options;
    options.window_bytes = window;
    options.pool_bytes = 4 * window;
    auto engine = Engine::Create(options);
    ASSERT_THAT(engine.status(), IsOk());
    const std::string path = scratch / "e.safetensors";
    SaveOptions save;
    save.sync = false;
    const auto report = engine->Save(SomeState(), path, save);
    ASSERT_THAT(report.status(), IsOk());
    EXPECT_EQ(report->file_bytes, expected.size());
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

TEST(SafetensorsFile, HasNoCrcsIfNotAskedFor) {
  const ScratchDirectory scratch;
  WriteOptions options = QuickWrite();
  options.format.checksums = false;
  const std::string path = scratch / "m.safetensors";
  EXPECT_THAT(Written(SomeState(), path, options),
              testing::Not(HasSubstr("caisson")));
  const auto report = VerifyFile(path);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->checked, 0u);
  EXPECT_THAT(report->unchecked, SizeIs(5));
}

TEST(SafetensorsFile, VerifyFindsEachFlippedByteOfATensor) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {3}, 1);
  state["b"] = RandomTensor(DType::kFloat32, {2}, 2);
  const std::string file = Written(state, path);
  const size_t data = file.size() - 20;
  for (size_t at = data; at < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    Overwrite(path, damaged);
    const auto report = VerifyFile(path);
    ASSERT_THAT(report.status(), IsOk());
    ASSERT_THAT(report->damage, SizeIs(1));
    const std::string name = at < data + 12 ? "a" : "b";
    EXPECT_EQ(report->damage[0].record, name);
    EXPECT_THAT(report->damage[0].tensors, ElementsAre(name));
    const auto loaded = Reader::Open(path)->Load();
    EXPECT_THAT(loaded.status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("'" + name + "'")));
    LoadOptions unchecked;
    unchecked.verify = false;
    EXPECT_THAT(Reader::Open(path)->Load(unchecked).status(), IsOk());
  }
}

TEST(SafetensorsFile, VerifyReportsAHeaderThatCannotBe) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  const std::string file = Written(SomeState(), path);
  for (const size_t bytes :
       {size_t{0}, size_t{3}, size_t{8}, size_t{100}, file.size() - 1}) {
    Overwrite(path, file.substr(0, bytes));
    const auto report = VerifyFile(path);
    ASSERT_THAT(report.status(), IsOk()) << bytes;
    EXPECT_THAT(report->damage, SizeIs(1)) << bytes;
  }
}

TEST(SafetensorsFile, LoadsCastMappedAndInto) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  Written(SomeState(), path);
  const auto reader = Reader::Open(path);
  ASSERT_THAT(reader.status(), IsOk());
  LoadOptions mapped;
  mapped.map = true;
  const auto in_place = reader->Load(mapped);
  ASSERT_THAT(in_place.status(), IsOk());
  ExpectSame(SomeState(), *in_place);
  LoadOptions cast;
  cast.casts = {{"model.w", DType::kFloat64}};
  const auto wide = reader->Load(cast);
  ASSERT_THAT(wide.status(), IsOk());
  EXPECT_EQ(wide->root.Find("model.w")->As<TensorView>()->spec.dtype,
            DType::kFloat64);
  auto target = reader->Load();
  ASSERT_THAT(target.status(), IsOk());
  TensorView& view = *target->root["ids"].As<TensorView>();
  const ByteVector before = PlainGather(view);
  std::ranges::fill(BytesOf(*view.storage), std::byte{0});
  CAISSON_EXPECT_OK(reader->LoadInto(*target));
  EXPECT_EQ(PlainGather(view), before);
  const auto tensor = reader->Find("model.w");
  ASSERT_THAT(tensor.status(), IsOk());
  EXPECT_THAT(
      ReadBlock(*reader, *tensor, {{3, 7}, {10, 20}}),
      IsOkAndHolds(PlainGather(
          BytesOf(*in_place->root.Find("model.w")->As<TensorView>()->storage),
          (*tensor)->view, {{3, 7}, {10, 20}})));
}

TEST(SafetensorsFile, RefusesWhatItCannotCarryUnlessToldToDropIt) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  State state;
  const TensorView base = RandomTensor(DType::kFloat32, {2, 3}, 1);
  state["w"] = base;
  TensorView turned = base;
  turned.spec.shape = {3, 2};
  turned.strides = {1, 3};
  state["turned"] = turned;
  state["step"] = 7;
  EXPECT_THAT(
      Writer(QuickWrite()).Write(state, path).status(),
      StatusIs(StatusCode::kUnsupported,
               AllOf(HasSubstr("m.safetensors"), HasSubstr("'step': an int"),
                     HasSubstr("'turned': shares memory with 'w'"))));
  EXPECT_FALSE(fs::exists(path));
  WriteOptions options = QuickWrite();
  options.format.drop = true;
  const auto report = Writer(options).Write(state, path);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->dropped, SizeIs(2));
  const auto loaded = Reader::Open(path)->Load();
  ASSERT_THAT(loaded.status(), IsOk());
  EXPECT_EQ(PlainGather(*loaded->root.Find("turned")->As<TensorView>()),
            PlainGather(turned));
  EXPECT_EQ(loaded->root.Find("step"), nullptr);
}

TEST(SafetensorsFile, NamesATensorThatIsNotInMemory) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "m.safetensors";
  Written(SomeState(), path);
  const auto reader = Reader::Open(path);
  EXPECT_THAT(
      Writer(QuickWrite())
          .Write(reader->state(), scratch / "n.safetensors")
          .status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("load it first")));
  EXPECT_FALSE(fs::exists(scratch / "n.safetensors"));
}

class ShardedTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteOptions options = QuickWrite();
    options.format.shard_bytes = 8010;
    Written(SomeState(), scratch_ / "m.safetensors", options);
  }

  std::string File(const std::string& name) const { return scratch_ / name; }
  std::string index() const { return File("m.safetensors.index.json"); }
  std::string shard(int i) const {
    return File("m-0000" + std::to_string(i) + "-of-00003.safetensors");
  }

  const ScratchDirectory scratch_;
};

TEST_F(ShardedTest, ComesBackFromIndexAndFolder) {
  for (const std::string& path : {index(), File("")}) {
    const auto reader = Reader::Open(path);
    ASSERT_THAT(reader.status(), IsOk()) << path;
    EXPECT_THAT(reader->warnings(), IsEmpty());
    EXPECT_EQ((*reader->Find("model.w"))->file, shard(1));
    EXPECT_EQ((*reader->Find("ids"))->file, shard(3));
    const auto loaded = reader->Load();
    ASSERT_THAT(loaded.status(), IsOk());
    ExpectSame(SomeState(), *loaded);
    LoadOptions mapped;
    mapped.map = true;
    const auto in_place = reader->Load(mapped);
    ASSERT_THAT(in_place.status(), IsOk());
    ExpectSame(SomeState(), *in_place);
    auto engine = Engine::Create();
    const auto fast = engine->Load(path);
    ASSERT_THAT(fast.status(), IsOk());
    ExpectSame(SomeState(), *fast);
    const auto report = engine->Verify(path);
    ASSERT_THAT(report.status(), IsOk());
    EXPECT_EQ(report->checked, 5u);
  }
}

// One bar from nothing to all of it, over all files, and the index last.
TEST_F(ShardedTest, IsSavedWhileTheCallerGoesOn) {
  auto engine = Engine::Create();
  std::vector<Progress> seen;
  AsyncOptions options;
  options.save.sync = false;
  options.save.format.shard_bytes = 8000;
  options.save.progress = [&](const Progress& now) { seen.push_back(now); };
  State state = SomeState();
  fs::create_directory(File("async"));
  const auto ticket =
      engine->SaveAsync(state, File("async/m.safetensors"), options);
  ASSERT_THAT(ticket.status(), IsOk());
  EXPECT_THAT(ticket->Staged(), IsOk());
  const auto tensors = state.Tensors();
  for (const NamedTensor& tensor : *tensors) {
    std::ranges::fill(BytesOf(*tensor.view->storage), std::byte{0});
  }
  const auto report = ticket->Wait();
  ASSERT_THAT(report.status(), IsOk());
  const auto loaded = Reader::Open(File("async"))->Load();
  ASSERT_THAT(loaded.status(), IsOk());
  ExpectSame(SomeState(), *loaded);

  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(File("async"))) {
    bytes += entry.file_size();
  }
  EXPECT_EQ(report->file_bytes, bytes);
  ASSERT_THAT(seen, SizeIs(testing::Ge(4u)));
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_GE(seen[i].bytes, seen[i - 1].bytes);
    EXPECT_EQ(seen[i].total, seen[0].total);
  }
  EXPECT_EQ(seen.back().bytes, bytes);
  EXPECT_GE(seen.back().total, bytes);
  EXPECT_EQ(ticket->progress().bytes, bytes);
}

TEST_F(ShardedTest, VerifyNamesTheShardThatIsDamaged) {
  std::string bytes = Content(shard(3));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  Overwrite(shard(3), bytes);
  const auto report = VerifyFile(index());
  ASSERT_THAT(report.status(), IsOk());
  ASSERT_THAT(report->damage, SizeIs(1));
  EXPECT_EQ(report->damage[0].file, shard(3));
  EXPECT_EQ(report->checked, 4u);
  EXPECT_THAT(Reader::Open(index())->Load().status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr(shard(3))));
}

TEST_F(ShardedTest, RefusesASetThatIsNotWhole) {
  const std::string json = Content(index());
  std::string other = json;
  other.replace(other.find("\"ids\""), 5, "\"idz\"");
  Overwrite(index(), other);
  EXPECT_THAT(Reader::Open(index()).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("'idz'")));
  Overwrite(index(), json);
  fs::remove(shard(2));
  EXPECT_THAT(Reader::Open(index()).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr(shard(2))));
}

TEST_F(ShardedTest, TellsOfWhatItPassesOver) {
  std::string json = Content(index());
  const size_t total = json.find("total_size\": ") + 13;
  json[total] = json[total] == '9' ? '8' : '9';
  const size_t entry = json.find("    \"flag\"");
  json.erase(entry, json.find('\n', entry) + 1 - entry);
  Overwrite(index(), json);
  const auto reader = Reader::Open(index());
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_THAT(reader->warnings(),
              ElementsAre(HasSubstr("1 tensors that the index does not list"),
                          HasSubstr("total_size")));
  EXPECT_THAT(reader->tensors(), SizeIs(4));
}

TEST_F(ShardedTest, AFolderOfSeveralWantsAName) {
  fs::copy(index(), File("n.safetensors.index.json"));
  EXPECT_THAT(Reader::Open(File("")).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("name one")));
  const ScratchDirectory empty;
  EXPECT_THAT(Reader::Open(empty / "").status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("without")));
}

TEST(SafetensorsFile, OfOneShardIsOneFile) {
  const ScratchDirectory scratch;
  WriteOptions options = QuickWrite();
  options.format.shard_bytes = 1 << 20;
  Written(SomeState(), scratch / "m.safetensors", options);
  EXPECT_THAT(Reader::Open(scratch / "m.safetensors").status(), IsOk());
  EXPECT_FALSE(fs::exists(scratch / "m.safetensors.index.json"));
  options.format.format = FileFormat::kPyTorch;
  EXPECT_THAT(Writer(options).Write(SomeState(), scratch / "m.pt").status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("shards")));
}

}  // namespace
}  // namespace caisson
