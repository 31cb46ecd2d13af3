// SPDX-License-Identifier: Apache-2.0
//
// Distributed checkpoints through Reader and Engine: tensors cut in every way,
// read whole, in blocks, in place and as the source of a save; damaged, and
// incomplete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "caisson/reader.h"
#include "tests/engine/dcp_files.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Cut in rows, in columns, in both, in three dimensions, and not at all.
void AddAll(DcpFiles& files) {
  files.Add("r", DType::kFloat32, {101, 33}, {26, 33}, 4, 1);
  files.Add("c", DType::kBFloat16, {300, 500}, {300, 67}, 4, 2);
  files.Add("g", DType::kInt64, {50, 60}, {13, 17}, 3, 3);
  files.Add("d", DType::kFloat16, {5, 6, 7}, {2, 3, 3}, 2, 4);
  files.Add("u", DType::kUInt16, {40, 6}, {40, 2}, 2, 5);
  files.Add("o", DType::kUInt8, {1000}, {1000}, 1, 6);
  files.Add("b", DType::kFloat32, {2, 1000, 1000}, {2, 1000, 300}, 4, 7);
  files.Add("s", DType::kFloat32, {}, {}, 1, 8);
}

void Write(const State& state, const std::string& path) {
  WriteOptions options;
  options.sync = false;
  EXPECT_THAT(Writer(options).Write(state, path).status(), IsOk());
}

void ExpectLoaded(const DcpFiles& files, const Result<State>& loaded) {
  ASSERT_THAT(loaded.status(), IsOk());
  EXPECT_EQ(loaded->root.As<Dict>()->size(), files.expected().size());
  for (const auto& [name, view] : files.expected()) {
    const Node* node = loaded->root.Find(name);
    ASSERT_NE(node, nullptr) << name;
    const TensorView* found = node->As<TensorView>();
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->spec.dtype, view.spec.dtype) << name;
    EXPECT_EQ(found->spec.shape, view.spec.shape) << name;
    EXPECT_EQ(PlainGather(*found), PlainGather(view)) << name;
  }
}

class DcpModes : public testing::TestWithParam<CompressMode> {};

TEST_P(DcpModes, IsOneFile) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write(GetParam());
  const auto reader = Reader::Open(files.folder());
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_EQ(reader->format(), "dcp");
  EXPECT_THAT(reader->tensors(), SizeIs(files.expected().size()));
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(files.folder())) {
    bytes += entry.file_size();
  }
  EXPECT_EQ(reader->file_bytes(), bytes);
  ExpectLoaded(files, reader->Load());
  ExpectLoaded(files, Reader::Open(files.folder() + "/caisson.json")->Load());
  for (const bool direct : {true, false}) {
    EngineOptions options;
    options.direct = direct;
    auto engine = Engine::Create(options);
    ASSERT_THAT(engine.status(), IsOk());
    ExpectLoaded(files, engine->Load(files.folder()));
    const auto report = engine->Verify(files.folder());
    ASSERT_THAT(report.status(), IsOk());
    EXPECT_THAT(report->damage, IsEmpty());
    EXPECT_THAT(report->unchecked, IsEmpty());
    EXPECT_EQ(report->unread, "");
    EXPECT_GT(report->checked, 30u);
    EXPECT_EQ(engine->Verify(*reader)->checked, report->checked);
    EXPECT_EQ(VerifyFile(files.folder())->checked, report->checked);
  }
}

TEST_P(DcpModes, GivesBlocks) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write(GetParam());
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  const auto reader = Engine::Open(files.folder());
  ASSERT_THAT(reader.status(), IsOk());
  for (const auto& [name, view] : files.expected()) {
    const auto info = reader->Find(name);
    ASSERT_THAT(info.status(), IsOk());
    std::vector<Range> block;
    size_t elems = 1;
    for (const int64_t size : view.spec.shape) {
      block.push_back({size / 5, size - size / 3});
      elems *= static_cast<size_t>(block.back().end - block.back().begin);
    }
    ByteVector bytes(elems * ByteWidth(view.spec.dtype));
    ReadRequest request;
    request.tensor = *info;
    request.block = block;
    request.dst = {bytes.data(), bytes.size(), Device::Cpu()};
    const auto expected = PlainGather(BytesOf(*view.storage), view, block);
    ASSERT_THAT(reader->Read(std::span(&request, 1)).status(), IsOk());
    EXPECT_EQ(bytes, expected) << name;
    bytes.assign(bytes.size(), std::byte{1});
    ASSERT_THAT(engine->Read(*reader, std::span(&request, 1)).status(), IsOk());
    EXPECT_EQ(bytes, expected) << name;
  }
}

TEST_P(DcpModes, FillsTensorsInPlaceAndCasts) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write(GetParam());
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  State state;
  for (const auto& [name, view] : files.expected()) {
    state[name] = RandomTensor(view.spec.dtype, view.spec.shape, 99);
  }
  ASSERT_THAT(engine->LoadInto(files.folder(), state), IsOk());
  ExpectLoaded(files, state);
  // What can lie in the shards does.
  LoadOptions map;
  map.map = true;
  ExpectLoaded(files, engine->Load(files.folder(), map));
  LoadOptions cast;
  cast.casts = {{"r", DType::kFloat64}, {"b", DType::kFloat64}};
  const auto cast_state = engine->Load(files.folder(), cast);
  ASSERT_THAT(cast_state.status(), IsOk());
  for (const char* name : {"r", "b"}) {
    const auto* view = cast_state->root.Find(name)->As<TensorView>();
    EXPECT_EQ(view->spec.dtype, DType::kFloat64);
    const TensorView& from = files.expected().at(name);
    const auto* wide =
        reinterpret_cast<const double*>(view->storage->region.data);
    const auto* narrow =
        reinterpret_cast<const float*>(from.storage->region.data);
    for (size_t i = 0; i < from.spec.elems(); ++i) {
      if (narrow[i] == narrow[i]) {
        ASSERT_EQ(wide[i], narrow[i]) << name << " " << i;
      }
    }
  }
}

// The manifest was read when it was opened.
TEST(DcpFile, TellsWhichWayTheBytesOfItsShardsCame) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  files.Add("c", DType::kBFloat16, {300, 500}, {300, 67}, 4, 2);
  files.Write();
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  LoadReport report;
  ASSERT_THAT(engine->Load(files.folder(), {}, {}, &report).status(), IsOk());
  EXPECT_EQ(report.io, "adapter");  // puts the chunks together
}

// Chunks check themselves as they are put together.
TEST(DcpFile, IsReadOnceInPlace) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  files.Add("c", DType::kBFloat16, {300, 500}, {300, 67}, 4, 2);
  files.Write();
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  State state;
  state["c"] = RandomTensor(DType::kBFloat16, {300, 500}, 99);
  LoadReport report;
  ASSERT_THAT(engine->LoadInto(files.folder(), state, {}, {}, &report), IsOk());
  EXPECT_EQ(report.file_bytes, 300u * 500 * 2);
  ExpectLoaded(files, state);
}

// Byte for byte what a save of the whole tensors gives, in windows of any size.
TEST_P(DcpModes, IsTheSourceOfASave) {
  const ScratchDirectory scratch;
  const ScratchDirectory out;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write(GetParam());
  const auto reader = Engine::Open(files.folder());
  ASSERT_THAT(reader.status(), IsOk());
  const auto outline = reader->Outline();
  ASSERT_THAT(outline.status(), IsOk());
  State whole;
  const Text location = "cpu";
  const auto named = outline->Tensors();
  ASSERT_THAT(named.status(), IsOk());
  for (const NamedTensor& tensor : *named) {
    const TensorView& view = files.expected().at(Join(tensor.path));
    view.storage->location = location;
    whole[Join(tensor.path)] = view;
  }
  for (const size_t window : {size_t{64} << 10, size_t{8} << 20}) {
    EngineOptions engine_options;
    engine_options.window_bytes = window;
    engine_options.pool_bytes = 4 * window;
    auto engine = Engine::Create(engine_options);
    ASSERT_THAT(engine.status(), IsOk());
    for (const char* name : {"x.pt", "x.safetensors"}) {
      SaveOptions save;
      save.sync = false;
      ASSERT_THAT(engine->Save(whole, out / name, save).status(), IsOk());
      const std::string expected = Content(out / name);
      save.source = &*reader;
      ASSERT_THAT(engine->Save(*outline, out / name, save).status(), IsOk());
      EXPECT_TRUE(Content(out / name) == expected) << name << " " << window;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllModes, DcpModes,
                         testing::Values(CompressMode::kNone,
                                         CompressMode::kDeflate,
                                         CompressMode::kPlane),
                         [](const auto& mode) {
                           return "Mode" +
                                  std::to_string(static_cast<int>(mode.param));
                         });

// Every shard, a byte of every tensor's first chunk in it.
TEST(DcpDamage, IsNamedByEveryCall) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  for (size_t shard = 0; shard < 4; ++shard) {
    const std::string path = files.PathOf(shard);
    const std::string sound = Content(path);
    const auto reader = Reader::Open(path);
    ASSERT_THAT(reader.status(), IsOk());
    for (const TensorInfo& info : reader->tensors()) {
      const std::string name = info.view.spec.name.substr(0, 1);
      std::string damaged = sound;
      const uint64_t at = info.offset + info.stored_bytes / 2;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      Put(path, damaged);
      const auto report = engine->Verify(files.folder());
      ASSERT_THAT(report.status(), IsOk());
      ASSERT_THAT(report->damage, SizeIs(1)) << name;
      EXPECT_EQ(report->damage[0].file, path);
      EXPECT_EQ(report->damage[0].record, info.record);
      EXPECT_EQ(report->damage[0].offset, info.offset);
      EXPECT_THAT(report->damage[0].tensors, ElementsAre(name));
      const auto named =
          StatusIs(StatusCode::kCorrupt,
                   AllOf(HasSubstr(path), HasSubstr("'" + name + "'"),
                         HasSubstr("at " + std::to_string(info.offset)),
                         HasSubstr("crc32")));
      EXPECT_THAT(engine->Load(files.folder()).status(), named);
      EXPECT_THAT(Reader::Open(files.folder())->Load().status(), named);
      const auto checkpoint = Engine::Open(files.folder());
      ASSERT_THAT(checkpoint.status(), IsOk());
      SaveOptions save;
      save.source = &*checkpoint;
      const ScratchDirectory out;
      EXPECT_THAT(
          engine->Save(*checkpoint->Outline(), out / "x.pt", save).status(),
          named);
      EXPECT_THAT(out.Names(), IsEmpty());
    }
    Put(path, sound);
  }
  // All of it, not the first.
  for (size_t shard = 0; shard < 4; ++shard) {
    std::string content = Content(files.PathOf(shard));
    if (shard == 1) content.resize(content.size() / 2);
    if (shard == 2) content = "no archive";
    Put(files.PathOf(shard), content);
  }
  fs::remove(files.PathOf(3));
  const auto report = engine->Verify(files.folder());
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->damage, SizeIs(3));
  EXPECT_GT(report->checked, 0u);
}

// A part was read while it was intact; the CRC is of what the load gives.
TEST(DcpDamage, IsFoundInWhatWasReadBefore) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  const auto reader = Reader::Open(files.folder());
  ASSERT_THAT(reader.status(), IsOk());
  ByteVector bytes(size_t{150} * 67 * 2);
  const std::vector<Range> block = {{0, 150}, {0, 67}};
  ReadRequest request;
  request.tensor = *reader->Find("c");
  request.block = block;
  request.dst = {bytes.data(), bytes.size(), Device::Cpu()};
  ASSERT_THAT(engine->Read(*reader, std::span(&request, 1)).status(), IsOk());
  const auto shard = Reader::Open(files.PathOf(0));
  ASSERT_THAT(shard.status(), IsOk());
  const auto info = shard->Find("c@[0,0]");
  ASSERT_THAT(info.status(), IsOk());
  std::string damaged = Content(files.PathOf(0));
  damaged[(*info)->offset + 10] ^= 1;
  Put(files.PathOf(0), damaged);
  const auto named = StatusIs(StatusCode::kCorrupt,
                              AllOf(HasSubstr("'c'"), HasSubstr("crc32")));
  EXPECT_THAT(engine->Load(*reader).status(), named);
  EXPECT_THAT(reader->Load().status(), named);
}

// The .metadata of values "v0" and on, at `offset` of __0_0.distcp each.
void PutStock(const std::string& folder, const std::vector<int64_t>& offsets,
              int64_t file_bytes) {
  std::string state;
  std::string storage;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const std::string name = "v" + std::to_string(i);
    state += pickle::Str(name) + dcp::BytesCode();
    storage += dcp::PlaceCode(name, "", "__0_0.distcp", offsets[i],
                              file_bytes - offsets[i]);
  }
  Put(folder + "/.metadata", dcp::MetadataCode(state, storage));
}

// Its end record is the last of all, so that each offset begins an archive.
TEST(DcpDamage, IsArchivesThatOverlap) {
  const ScratchDirectory scratch;
  State state;
  state["t"] = RandomTensor(DType::kFloat32, {1000}, 1);
  WriteOptions options;
  options.sync = false;
  const std::string shard = scratch / "__0_0.distcp";
  ASSERT_THAT(Writer(options).Write(state, shard).status(), IsOk());
  const std::string archive = Content(shard);
  std::string many;
  std::vector<int64_t> offsets;
  for (int i = 0; i < 40; ++i) {
    offsets.push_back(static_cast<int64_t>(many.size()));
    many += archive;
  }
  Put(shard, many);
  PutStock(scratch.path(), offsets, static_cast<int64_t>(many.size()));
  const auto report = VerifyFile(scratch.path());
  ASSERT_THAT(report.status(), IsOk());
  const auto refused = [](const Damage& damage) {
    return damage.problem == "the metadata names more than it holds";
  };
  EXPECT_EQ(std::ranges::count_if(report->damage, refused), 1);
  // A part of them was looked at.
  EXPECT_LT(report->checked / 4 + report->damage.size(), 12u);
}

TEST(DcpDamage, IsAPartThatIsNoArchive) {
  const ScratchDirectory scratch;
  State state;
  state["t"] = RandomTensor(DType::kFloat32, {1000}, 1);
  Write(state, scratch / "x.safetensors");
  const std::string other = Content(scratch / "x.safetensors");
  Put(scratch / "__0_0.distcp", other);
  PutStock(scratch.path(), {0}, static_cast<int64_t>(other.size()));
  const auto report = VerifyFile(scratch.path());
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_EQ(report->checked, 0u);
  EXPECT_THAT(report->unchecked, IsEmpty());
  ASSERT_THAT(report->damage, SizeIs(1));
  EXPECT_EQ(report->damage[0].file, scratch / "__0_0.distcp");
}

TEST(DcpDamage, IsFoundInTheManifest) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  const std::string manifest = files.folder() + "/caisson.json";
  std::string text = Content(manifest);
  text[text.find("bfloat16")] = 'c';
  Put(manifest, text);
  EXPECT_THAT(Reader::Open(files.folder()).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr(manifest)));
  const auto report = VerifyFile(files.folder());
  ASSERT_THAT(report.status(), IsOk());
  ASSERT_THAT(report->damage, SizeIs(1));
  EXPECT_EQ(report->damage[0].file, manifest);
}

// Shards are intact and somebody else's.
TEST(DcpDamage, IsAnotherSavesShard) {
  const ScratchDirectory scratch;
  const ScratchDirectory other;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  DcpFiles others(other.path());
  others.Add("r", DType::kFloat32, {101, 33}, {26, 33}, 4, 77);
  others.Write();
  fs::copy_file(others.PathOf(0), files.PathOf(0),
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(Reader::Open(files.folder()).status(),
              StatusIs(StatusCode::kCorrupt,
                       HasSubstr("not the one that the manifest has")));
  const auto report = VerifyFile(files.folder());
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->damage, SizeIs(1));
}

TEST(DcpDamage, IsALinkForAShard) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  fs::rename(files.PathOf(1), scratch / "elsewhere");
  fs::create_symlink("elsewhere", files.PathOf(1));
  EXPECT_THAT(Reader::Open(files.folder()).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("symbolic link")));
}

// Twice a gibibyte of one element.
TEST(DcpDamage, IsAChunkOfMoreElementsThanAreStored) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  TensorView one = RandomTensor(DType::kFloat32, {1}, 1);
  one.spec.shape = {int64_t{1} << 28};
  one.strides = {0};
  files.AddParts("t", {one, one});
  files.Write();
  EXPECT_THAT(Reader::Open(files.folder()).status(),
              StatusIs(StatusCode::kCorrupt,
                       AllOf(HasSubstr("'t'"),
                             HasSubstr("more elements than are stored"))));
}

// An archive of one tensor of eight mebibytes, all zeros.
std::string ZerosArchive() {
  const ScratchDirectory scratch;
  auto zeros = std::make_shared<ByteVector>(size_t{8} << 20);
  State state;
  state["z"] =
      DenseTensor(DType::kUInt8, {int64_t{8} << 20}, zeros->data(), zeros);
  Write(state, scratch / "z.pt");
  return Content(scratch / "z.pt");
}

TEST(DcpDamage, IsValuesThatDecodeToFarMoreThanIsStored) {
  const std::string archive = ZerosArchive();
  for (const size_t count : {4, 12}) {
    const ScratchDirectory scratch;
    DcpFiles files(scratch.path());
    for (size_t i = 0; i < count; ++i) {
      files.AddValue("v" + std::to_string(i), archive);
    }
    files.Write(CompressMode::kDeflate);
    const auto reader = Reader::Open(files.folder());
    if (count == 4) {
      ASSERT_THAT(reader.status(), IsOk());
      EXPECT_THAT(reader->tensors(), SizeIs(count));
      EXPECT_THAT(reader->Load().status(), IsOk());
    } else {
      EXPECT_THAT(reader.status(),
                  StatusIs(StatusCode::kCorrupt,
                           AllOf(HasSubstr(files.folder() + "/caisson.json"),
                                 HasSubstr("when decoded"))));
    }
  }
}

// What torch has transposed comes as it was taken.
TEST(DcpFile, PutsStridedChunksTogether) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  const TensorView first = RandomTensor(DType::kFloat32, {10}, 1);
  TensorView second = RandomTensor(DType::kFloat32, {10}, 2);
  second.spec.shape = {5};
  second.strides = {2};
  files.AddParts("t", {first, second});
  files.Write();
  const auto loaded = Reader::Open(files.folder())->Load();
  ASSERT_THAT(loaded.status(), IsOk());
  ByteVector expected = PlainGather(first);
  const ByteVector rest = PlainGather(second);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(PlainGather(*loaded->root.Find("t")->As<TensorView>()), expected);
}

// The soft limit of open files, lower while this is there.
class FewFiles {
 public:
  explicit FewFiles(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

  rlim_t most() const { return before_.rlim_max; }

 private:
  rlimit before_;
};

TEST(DcpFile, MayHaveMoreShardsThanFilesMayBeOpen) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  files.Add("t", DType::kFloat32, {600, 4}, {2, 4}, 300, 1);
  files.Write();
  for (const bool verify : {false, true}) {
    const FewFiles few(128);
    if (few.most() < 1024) GTEST_SKIP() << "a hard limit of " << few.most();
    auto engine = Engine::Create();
    ASSERT_THAT(engine.status(), IsOk());
    if (verify) {
      const auto report = engine->Verify(files.folder());
      ASSERT_THAT(report.status(), IsOk());
      EXPECT_THAT(report->damage, IsEmpty());
      EXPECT_EQ(report->unread, "");
    } else {
      ExpectLoaded(files, engine->Load(files.folder()));
    }
  }
}

TEST(DcpFolder, OfSafetensorsMayHaveAnotherFileOfThatName) {
  const ScratchDirectory scratch;
  State state;
  state["t"] = RandomTensor(DType::kFloat32, {10}, 1);
  Write(state, scratch / "x.safetensors");
  Put(scratch / ".metadata", "{}");
  const auto reader = Reader::Open(scratch.path());
  ASSERT_THAT(reader.status(), IsOk());
  EXPECT_EQ(reader->format(), "safetensors");
  EXPECT_FALSE(IsDistributedCheckpoint(scratch.path()));
  // Metadata it is, of a checkpoint whose shards are gone.
  PutStock(scratch.path(), {0}, 1);
  EXPECT_TRUE(IsDistributedCheckpoint(scratch.path()));
}

TEST(DcpFolder, WithoutMetadataIsIncomplete) {
  const ScratchDirectory scratch;
  DcpFiles files(scratch.path());
  AddAll(files);
  files.Write();
  fs::remove(files.folder() + "/caisson.json");
  const auto incomplete = StatusIs(
      StatusCode::kNotFound,
      AllOf(HasSubstr(scratch.path()), HasSubstr("incomplete checkpoint")));
  EXPECT_TRUE(IsDistributedCheckpoint(scratch.path()));
  EXPECT_THAT(Reader::Open(scratch.path()).status(), incomplete);
  EXPECT_THAT(VerifyFile(scratch.path()).status(), incomplete);
  const ScratchDirectory stock;
  Put(stock / "__12_3.distcp", "x");
  EXPECT_THAT(
      Reader::Open(stock.path()).status(),
      StatusIs(StatusCode::kNotFound, HasSubstr("incomplete checkpoint")));
  Put(stock / "__12.metadata", "x");
  EXPECT_THAT(Reader::Open(stock.path()).status(),
              StatusIs(StatusCode::kUnsupported));
  const ScratchDirectory none;
  for (const char* name : {"__a_0.distcp", "__0_0.pt", "0_0.distcp", "x.pt"}) {
    Put(none / name, "x");
    EXPECT_FALSE(IsDistributedCheckpoint(none.path())) << name;
  }
}

}  // namespace
}  // namespace caisson
