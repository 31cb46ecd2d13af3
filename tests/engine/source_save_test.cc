// SPDX-License-Identifier: Apache-2.0
//
// Saves of what lies in another file: the same bytes as of the state in memory,
// for each way in which storages can lie, be wanted and be damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "caisson/edit.h"
#include "caisson/engine.h"
#include "caisson/reader.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

SaveOptions Quick() {
  SaveOptions options;
  options.sync = false;
  options.format.drop = true;
  return options;
}

// Sizes around those of a window, many tiny ones, and views of each kind.
State MixedState(uint64_t seed) {
  std::mt19937_64 random(seed);
  State state;
  const DType dtypes[] = {DType::kUInt8, DType::kBFloat16, DType::kFloat32,
                          DType::kInt64};
  for (int i = 0; i < 40; ++i) {
    const uint64_t most = i % 4 == 0 ? 40000 : 40;
    state["t" + std::to_string(i)] =
        RandomTensor(dtypes[random() % 4],
                     {static_cast<int64_t>(random() % most)}, random());
  }
  const TensorView base = RandomTensor(DType::kFloat32, {60, 70}, seed);
  state["base"] = base;
  state["again"] = base;
  state["transposed"] = ViewOf(base, {70, 60}, {1, 70});
  const TensorView shared = RandomTensor(DType::kFloat16, {5000}, seed + 1);
  state["tail"] = ViewOf(shared, {100}, {1}, 4900);
  state["head"] = ViewOf(shared, {4000}, {1});
  state["step"] = 7;
  return state;
}

class SourceSave : public testing::Test {
 protected:
  // The files that become of `in`: from memory, and past it.
  void ExpectSameFile(const std::string& in, const std::string& suffix,
                      const EngineOptions& engine_options,
                      const SaveOptions& options = Quick()) {
    CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(engine_options));
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Engine::Open(in));
    fs::create_directories(scratch_ / "memory");
    fs::create_directories(scratch_ / "source");
    const std::string name = "m" + suffix;
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, engine.Load(reader));
    CAISSON_ASSERT_OK(
        engine.Save(loaded, scratch_ / "memory/" + name, options));
    CAISSON_ASSERT_OK_AND_ASSIGN(const State outline, reader.Outline());
    SaveOptions from = options;
    from.source = &reader;
    const auto report = engine.Save(outline, scratch_ / "source/" + name, from);
    CAISSON_ASSERT_OK(report);
    for (const auto& entry : fs::directory_iterator(scratch_ / "memory")) {
      const std::string file = entry.path().filename();
      EXPECT_TRUE(Content(entry.path()) == Content(scratch_ / "source/" + file))
          << in << " as " << file;
    }
  }

  std::string File(const State& state, const std::string& name,
                   const SaveOptions& options = Quick()) {
    const std::string path = scratch_ / name;
    EXPECT_THAT(engine_->Save(state, path, options).status(), IsOk());
    return path;
  }

  std::string File(const std::string& bytes, const std::string& name) {
    const std::string path = scratch_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  Status SaveOf(const std::string& in, const std::string& out) {
    const auto reader = Engine::Open(in);
    if (!reader) return reader.error();
    const auto outline = reader->Outline();
    SaveOptions options = Quick();
    options.source = &*reader;
    return engine_->Save(*outline, out, options).status();
  }

  const ScratchDirectory scratch_;
  Result<Engine> engine_ = Engine::Create({});
};

// Windows of a page, so that every tensor of some size crosses several slabs.
EngineOptions Small() {
  EngineOptions options;
  options.window_bytes = 4096;
  options.pool_bytes = 8 * 4096;
  return options;
}

TEST_F(SourceSave, GivesTheBytesOfTheStateInMemory) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const std::string pt = File(MixedState(seed), "in.pt");
    const std::string flat = File(MixedState(seed), "in.safetensors");
    for (const EngineOptions& options : {EngineOptions(), Small()}) {
      ExpectSameFile(pt, ".pt", options);
      ExpectSameFile(pt, ".safetensors", options);
      ExpectSameFile(flat, ".safetensors", options);
      ExpectSameFile(flat, ".pt", options);
    }
  }
}

TEST_F(SourceSave, TakesAPoolOfOneWindow) {
  EngineOptions options = Small();
  options.pool_bytes = options.window_bytes;
  ExpectSameFile(File(MixedState(1), "in.pt"), ".safetensors", options);
}

TEST_F(SourceSave, WritesAndReadsShards) {
  SaveOptions sharded = Quick();
  sharded.format.shard_bytes = 50000;
  const std::string pt = File(MixedState(3), "in.pt");
  ExpectSameFile(pt, ".safetensors", Small(), sharded);
  const std::string index = scratch_ / "source/m.safetensors.index.json";
  ASSERT_TRUE(fs::exists(index));
  ExpectSameFile(index, ".pt", Small());
}

TEST_F(SourceSave, ReadsWhatIsCompressed) {
  const std::string file = FileOf(MixedState(4));
  ZipBuilder zip(ZipStyle::kPython);
  for (const auto& item : RecordsOf(file).items) {
    zip.AddDeflated(item.name, item.content);
  }
  const std::string path = File(zip.Build(), "in.pt");
  for (const char* suffix : {".pt", ".safetensors"}) {
    ExpectSameFile(path, suffix, Small());
  }
}

// Some of whose plans look at the bytes, and whose sizes depend on them.
TEST_F(SourceSave, WritesWhatIsEncoded) {
  const std::string in = File(MixedState(9), "in.pt");
  for (const char* suffix : {".minidb", ".pb", ".pbtxt"}) {
    ExpectSameFile(in, suffix, Small());
  }
  for (const CompressMode mode :
       {CompressMode::kDeflate, CompressMode::kPlane}) {
    SaveOptions options = Quick();
    options.compress = mode;
    ExpectSameFile(in, ".pt", Small(), options);
    // And what was packed, as any other source.
    const std::string packed = scratch_ / "source/m.pt";
    const std::string kept = scratch_ / "packed.pt";
    fs::copy_file(packed, kept, fs::copy_options::overwrite_existing);
    ExpectSameFile(kept, ".safetensors", Small());
  }
}

TEST_F(SourceSave, ReadsTheOtherByteOrder) {
  const std::string file = FileOf(MixedState(5));
  Records records = RecordsOf(file);
  records["byteorder"].content = "big";
  const std::string path = File(Rebuilt(records).Build(), "in.pt");
  for (const char* suffix : {".pt", ".safetensors"}) {
    ExpectSameFile(path, suffix, Small());
  }
}

TEST_F(SourceSave, KeepsWhatTheOutlineWasChangedTo) {
  const std::string in = File(MixedState(6), "in.pt");
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Engine::Open(in));
  CAISSON_ASSERT_OK_AND_ASSIGN(State outline, reader.Outline());
  CAISSON_ASSERT_OK(Rename(outline, "base", "renamed"));
  outline["new"] = RandomTensor(DType::kFloat32, {100}, 1);
  EXPECT_NE(reader.state().root.Find("base"), nullptr);
  SaveOptions options = Quick();
  options.source = &reader;
  CAISSON_ASSERT_OK(engine_->Save(outline, in, options));  // over itself
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader again, Reader::Open(in));
  const State state = MixedState(6);
  EXPECT_TRUE(*ReadNamed(again, "renamed") ==
              PlainGather(*state.root.Find("base")->As<TensorView>()));
  EXPECT_TRUE(*ReadNamed(again, "new") ==
              PlainGather(RandomTensor(DType::kFloat32, {100}, 1)));
}

TEST_F(SourceSave, FindsEveryFlippedByte) {
  for (const char* suffix : {".pt", ".safetensors"}) {
    const State state = MixedState(7);
    const std::string in = File(state, std::string("in") + suffix);
    const std::string file = Content(in);
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(in));
    std::vector<TensorInfo> infos(reader.tensors().begin(),
                                  reader.tensors().end());
    for (const TensorInfo& info : infos) {
      if (info.view.spec.elems() == 0) continue;
      std::string damaged = file;
      damaged[info.offset + info.stored_bytes / 2] ^= 1;
      File(damaged, std::string("in") + suffix);
      for (const char* to : {".pt", ".safetensors"}) {
        const std::string out = scratch_ / (std::string("out") + to);
        EXPECT_THAT(SaveOf(in, out),
                    StatusIs(StatusCode::kCorrupt,
                             AllOf(HasSubstr(in), HasSubstr(info.record))))
            << info.view.spec.name;
        EXPECT_FALSE(fs::exists(out));
      }
    }
  }
}

TEST_F(SourceSave, RefusesStoragesOfAnotherFileAndAsynchronousSaves) {
  const std::string in = File(MixedState(8), "in.pt");
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Engine::Open(in));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader other, Engine::Open(in));
  CAISSON_ASSERT_OK_AND_ASSIGN(const State outline, reader.Outline());
  AsyncOptions options;
  options.save = Quick();
  options.save.source = &other;
  EXPECT_THAT(
      engine_->Save(outline, scratch_ / "out.pt", options.save).status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("not in memory")));
  EXPECT_THAT(
      engine_->SaveAsync(outline, scratch_ / "out.pt", options).status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("asynchronous")));
}

}  // namespace
}  // namespace caisson
