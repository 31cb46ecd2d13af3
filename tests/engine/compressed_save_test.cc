// SPDX-License-Identifier: Apache-2.0
//
// Saves that compress, by Writer and Engine, and loads of what they made, on
// every path that a load can take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "tests/engine/compressed_case.h"

namespace caisson {
namespace {

using testing::HasSubstr;
using testing::Not;

class CompressedSaveTest : public testing::TestWithParam<CompressMode> {
 protected:
  std::string CompressedFile(const State& state, const Profile& profile = {}) {
    WriteOptions options;
    options.profile = profile;
    options.compress = GetParam();
    return FileOf(state, options);
  }

  const ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "archive.pt";
};

INSTANTIATE_TEST_SUITE_P(Codecs, CompressedSaveTest,
                         testing::Values(CompressMode::kDeflate,
                                         CompressMode::kPlane),
                         [](const auto& test) {
                           return std::string(test.param == CompressMode::kPlane
                                                  ? "Plane"
                                                  : "Deflate");
                         });

TEST_P(CompressedSaveTest, IsSmallerAndGivesTheStateBack) {
  const State state = MixedState();
  const std::string plain = FileOf(state);
  const std::string packed = CompressedFile(state);
  EXPECT_LT(packed.size(), plain.size() * 9 / 10);
  const auto reader = OpenBytes(packed);
  ASSERT_THAT(reader.status(), IsOk());
  const auto loaded = reader->Load();
  ASSERT_THAT(loaded.status(), IsOk());
  // The profile is that of the file without compression.
  EXPECT_EQ(FileOf(*loaded), plain);
  const auto verified = reader->Verify();
  ASSERT_THAT(verified.status(), IsOk());
  EXPECT_TRUE(verified->ok());
  EXPECT_TRUE(verified->unchecked.empty());
}

TEST_P(CompressedSaveTest, EveryEngineMakesTheBytesOfTheWriter) {
  const State state = MixedState();
  const std::string expected = CompressedFile(state);
  for (const size_t threads : {1, 2, 4}) {
    for (const size_t window :
         {size_t{4096}, size_t{64} << 10, size_t{1} << 20}) {
      EngineOptions options;
      options.threads = threads;
      options.window_bytes = window;
      options.pool_bytes = 3 * window;
      auto engine = Engine::Create(options);
      ASSERT_THAT(engine.status(), IsOk());
      SaveOptions save;
      save.compress = GetParam();
      const auto report = engine->Save(state, path_, save);
      ASSERT_THAT(report.status(), IsOk());
      EXPECT_EQ(Content(path_), expected) << threads << " threads, " << window;
      EXPECT_EQ(report->file_bytes, expected.size());
      EXPECT_GT(report->stages.encode, 0);
      AsyncOptions async;
      async.save = save;
      const auto ticket = engine->SaveAsync(state, path_, async);
      ASSERT_THAT(ticket.status(), IsOk());
      ASSERT_THAT(ticket->Staged(), IsOk());
      const auto done = ticket->Wait();
      ASSERT_THAT(done.status(), IsOk());
      EXPECT_FALSE(done->compression.storages.empty());
      EXPECT_EQ(ticket->progress().bytes, expected.size());
      EXPECT_EQ(Content(path_), expected);
    }
  }
}

TEST_P(CompressedSaveTest, EveryLoadGivesTheSame) {
  const State state = MixedState(7);
  const std::string plain = FileOf(state);
  CAISSON_ASSERT_OK(WriteCompressed(state, path_, GetParam()));
  for (const bool direct : {false, true}) {
    for (const size_t window : {size_t{4096}, size_t{1} << 20}) {
      EngineOptions options;
      options.threads = 3;
      options.direct = direct;
      options.window_bytes = window;
      options.pool_bytes = 4 * window;
      auto engine = Engine::Create(options);
      ASSERT_THAT(engine.status(), IsOk());
      for (const bool map : {false, true}) {
        LoadOptions load;
        load.map = map;
        const auto loaded = engine->Load(path_, load);
        ASSERT_THAT(loaded.status(), IsOk());
        EXPECT_EQ(FileOf(*loaded), plain);
      }
      State target = MixedState(8);
      CAISSON_ASSERT_OK(engine->LoadInto(path_, target));
      target["step"] = int64_t{7};
      EXPECT_EQ(FileOf(target), plain);
      LoadReport report;
      const auto verified = engine->Verify(path_, {}, &report);
      ASSERT_THAT(verified.status(), IsOk());
      EXPECT_TRUE(verified->ok());
    }
  }
}

TEST_P(CompressedSaveTest, CastsAsAnUncompressedFileDoes) {
  const State state = MixedState(3);
  CAISSON_ASSERT_OK(WriteCompressed(state, path_, GetParam()));
  LoadOptions load;
  load.casts = {{"fp32", DType::kBFloat16},
                {"bf16", DType::kFloat32},
                {"turned", DType::kFloat32}};
  const auto reference = OpenBytes(FileOf(state));
  ASSERT_THAT(reference.status(), IsOk());
  const auto expected = reference->Load(load);
  ASSERT_THAT(expected.status(), IsOk());
  const auto one_by_one = Reader::Open(path_);
  ASSERT_THAT(one_by_one.status(), IsOk());
  const auto first = one_by_one->Load(load);
  ASSERT_THAT(first.status(), IsOk());
  EXPECT_EQ(FileOf(*first), FileOf(*expected));
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  const auto second = engine->Load(path_, load);
  ASSERT_THAT(second.status(), IsOk());
  EXPECT_EQ(FileOf(*second), FileOf(*expected));
}

TEST_P(CompressedSaveTest, ASliceReadsItsChunksOnly) {
  State state;
  state["w"] = NormalTensor(DType::kFloat32, {2000, 500}, 3);
  const TensorView& view = *state["w"].As<TensorView>();
  CAISSON_ASSERT_OK(WriteCompressed(state, path_, GetParam()));
  const auto reader = Reader::Open(path_);
  ASSERT_THAT(reader.status(), IsOk());
  const auto info = reader->Find("w");
  ASSERT_THAT(info.status(), IsOk());
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  const std::vector<std::vector<Range>> blocks = {
      {{1000, 1001}, {0, 500}},  // within a chunk
      {{100, 900}, {3, 7}},      // columns
      {{1999, 2000}, {499, 500}},
      {{0, 2000}, {0, 500}}};
  for (const std::vector<Range>& block : blocks) {
    const ByteVector expected =
        PlainGather(BytesOf(*view.storage), view, block);
    for (const bool by_engine : {false, true}) {
      ByteVector got(expected.size());
      ReadRequest request;
      request.tensor = *info;
      request.block = block;
      request.dst.data = got.data();
      request.dst.bytes = got.size();
      const auto report = by_engine
                              ? engine->Read(*reader, std::span(&request, 1))
                              : reader->Read(std::span(&request, 1));
      ASSERT_THAT(report.status(), IsOk());
      EXPECT_EQ(got, expected);
      // Chunks are always checked.
      EXPECT_TRUE(report->checked[0]);
      const uint64_t rows =
          static_cast<uint64_t>(block[0].end - block[0].begin);
      EXPECT_LE(report->bytes_read, rows * 2000 + 2 * (uint64_t{256} << 10));
    }
  }
}

TEST_P(CompressedSaveTest, KeepsEveryProfile) {
  const State state = MixedState(5);
  Profile odd = Profile::Torch2_7();
  odd.alignment = 4096;
  odd.crc32 = false;
  odd.prefix = "folder";
  for (const Profile& profile :
       {Profile::Torch1_13(), Profile::Torch2_6(), Profile::Torch2_7(), odd}) {
    WriteOptions plain;
    plain.profile = profile;
    const std::string expected = FileOf(state, plain);
    const std::string packed = CompressedFile(state, profile);
    const auto records = RecordsOf(packed);
    for (const auto& item : records.items) {
      EXPECT_THAT(item.name, Not(HasSubstr(".format_version")));
      EXPECT_THAT(item.name, Not(HasSubstr(".storage_alignment")));
    }
    const auto reader = OpenBytes(packed);
    ASSERT_THAT(reader.status(), IsOk());
    EXPECT_TRUE(reader->extra_records().empty());
    const auto loaded = reader->Load();
    ASSERT_THAT(loaded.status(), IsOk());
    EXPECT_EQ(FileOf(*loaded), expected);
  }
}

TEST_P(CompressedSaveTest, WhatDoesNotGetSmallerStaysAsItIs) {
  State state;
  state["small"] = RandomTensor(DType::kFloat32, {1000}, 1);
  state["step"] = int64_t{1};
  // Nothing to compress: the same file as without.
  EXPECT_EQ(CompressedFile(state), FileOf(state));
}

TEST_P(CompressedSaveTest, TellsWhatItDid) {
  const State state = MixedState();
  WriteOptions options;
  options.compress = GetParam();
  options.sync = false;
  const auto report = Writer(options).Write(state, path_);
  ASSERT_THAT(report.status(), IsOk());
  const auto reader = Reader::Open(path_);
  ASSERT_THAT(reader.status(), IsOk());
  size_t found = 0;
  for (const CompressionChoice& choice : report->compression.storages) {
    const auto info = reader->Find(choice.tensor);
    ASSERT_THAT(info.status(), IsOk());
    EXPECT_EQ((*info)->compression, choice.compression) << choice.tensor;
    EXPECT_EQ((*info)->view.storage->region.bytes, choice.bytes);
    found += choice.compression == Compression::kNone ? 0 : 1;
  }
  EXPECT_GE(found, 5u);
}

// Of the file, every byte: what is damaged is told, whatever it is.
TEST_P(CompressedSaveTest, AFlippedBitIsFoundAndNamed) {
  State state;
  state["w"] = NormalTensor(DType::kBFloat16, {150000}, 4);
  const std::string plain = FileOf(state);
  const std::string packed = CompressedFile(state);
  const std::string record =
      GetParam() == CompressMode::kPlane ? "plane/0" : "data/0";
  const auto whole = OpenBytes(packed);
  ASSERT_THAT(whole.status(), IsOk());
  const TensorInfo& info = whole->tensors()[0];
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  size_t named = 0;
  const size_t step = 997;  // a prime
  for (size_t at = 0; at < info.stored_bytes; at += step) {
    std::string bad = packed;
    bad[info.offset + at] ^= static_cast<char>(1 << at % 8);
    const auto reader = OpenBytes(bad);
    if (!reader.has_value()) {  // the index
      EXPECT_THAT(reader.status(),
                  StatusIs(StatusCode::kCorrupt, HasSubstr(record)));
      continue;
    }
    for (const bool by_engine : {false, true}) {
      const auto loaded = by_engine ? engine->Load(*reader) : reader->Load();
      ASSERT_THAT(loaded.status(),
                  StatusIs(StatusCode::kCorrupt,
                           HasSubstr("record '" + record + "', chunk ")))
          << at;
    }
    const auto verified = reader->Verify();
    ASSERT_THAT(verified.status(), IsOk());
    ASSERT_EQ(verified->damage.size(), 1u) << at;
    EXPECT_EQ(verified->damage[0].record, record);
    EXPECT_EQ(verified->damage[0].tensors, std::vector<std::string>{"w"});
    EXPECT_THAT(verified->damage[0].problem, HasSubstr("chunk "));
    ++named;
  }
  EXPECT_GT(named, 100u);
}

TEST_P(CompressedSaveTest, CutAnywhereItIsRefused) {
  State state;
  state["w"] = NormalTensor(DType::kBFloat16, {9000}, 4);
  const std::string packed = CompressedFile(state);
  for (size_t bytes = 0; bytes < packed.size(); bytes += 1 + bytes % 7) {
    const auto reader = OpenBytes(packed.substr(0, bytes));
    EXPECT_FALSE(reader.has_value()) << bytes;
  }
}

TEST_P(CompressedSaveTest, SafetensorsFilesAreNotCompressed) {
  State state;
  state["w"] = NormalTensor(DType::kBFloat16, {9000}, 4);
  EXPECT_THAT(
      WriteCompressed(state, scratch_ / "model.safetensors", GetParam()),
      StatusIs(StatusCode::kUnsupported, HasSubstr("not compressed")));
}

TEST_P(CompressedSaveTest, CancelledItLeavesTheOldFile) {
  const State state = MixedState();
  CAISSON_ASSERT_OK(WriteCompressed(state, path_, CompressMode::kNone));
  const std::string before = Content(path_);
  EngineOptions options;
  options.window_bytes = 4096;
  options.pool_bytes = size_t{3} * 4096;
  auto engine = Engine::Create(options);
  ASSERT_THAT(engine.status(), IsOk());
  for (int i = 0; i < 20; ++i) {
    AsyncOptions async;
    async.save.compress = GetParam();
    auto ticket = engine->SaveAsync(state, path_, async);
    ASSERT_THAT(ticket.status(), IsOk());
    ticket->Cancel();
    const auto done = ticket->Wait();
    if (done.has_value()) return;  // it was faster
    EXPECT_THAT(done.status(), StatusIs(StatusCode::kCancelled));
    EXPECT_EQ(Content(path_), before);
  }
}

TEST(CompressedAuto, ChoosesByRatesAndSaysWhich) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "model.pt";
  State state;
  state["w"] = NormalTensor(DType::kBFloat16, {1000, 1000}, 4);
  state["noise"] = RandomTensor(DType::kUInt8, {1000000}, 5);
  auto engine = Engine::Create();
  ASSERT_THAT(engine.status(), IsOk());
  SaveOptions save;
  save.compress = CompressMode::kAuto;
  const auto report = engine->Save(state, path, save);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->compression.why, HasSubstr("disk "));
  ASSERT_EQ(report->compression.storages.size(), 2u);
  for (const CompressionChoice& choice : report->compression.storages) {
    if (choice.tensor != "noise") continue;
    EXPECT_EQ(choice.compression, Compression::kNone);
  }
  const auto loaded = engine->Load(path);
  ASSERT_THAT(loaded.status(), IsOk());
  EXPECT_EQ(FileOf(*loaded), FileOf(state));
  // A format without compression is written as it is.
  EXPECT_THAT(engine->Save(state, scratch / "m.safetensors", save).status(),
              IsOk());
}

TEST(CompressedRandom, StatesOfManyShapesComeBack) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  EngineOptions options;
  options.threads = 3;
  options.window_bytes = size_t{64} << 10;
  options.pool_bytes = size_t{256} << 10;
  auto engine = Engine::Create(options);
  ASSERT_THAT(engine.status(), IsOk());
  std::mt19937_64 random(11);
  const DType dtypes[] = {DType::kBFloat16,  DType::kFloat16,   DType::kFloat32,
                          DType::kFloat64,   DType::kInt64,     DType::kInt32,
                          DType::kInt16,     DType::kUInt8,     DType::kBool,
                          DType::kComplex64, DType::kFloat8E5M2};
  for (int round = 0; round < 40; ++round) {
    State state;
    const size_t tensors = 1 + random() % 12;
    for (size_t i = 0; i < tensors; ++i) {
      const DType dtype = dtypes[random() % std::size(dtypes)];
      const auto elems =
          static_cast<int64_t>(random() % (random() % 4 == 0 ? 200000 : 9000));
      const std::string name = "t" + std::to_string(i);
      state[name] = random() % 2 == 0 ? NormalTensor(dtype, {elems}, random())
                                      : RandomTensor(dtype, {elems}, random());
      if (dtype == DType::kBool || random() % 4 == 0) {
        const auto bytes = BytesOf(*state[name].As<TensorView>()->storage);
        std::ranges::fill(bytes, std::byte{1});
      }
    }
    SaveOptions save;
    save.compress =
        random() % 2 == 0 ? CompressMode::kPlane : CompressMode::kDeflate;
    ASSERT_THAT(engine->Save(state, path, save).status(), IsOk());
    const auto loaded = engine->Load(path);
    ASSERT_THAT(loaded.status(), IsOk()) << round;
    ASSERT_EQ(FileOf(*loaded), FileOf(state)) << round;
    const auto verified = VerifyFile(path);
    ASSERT_THAT(verified.status(), IsOk());
    EXPECT_TRUE(verified->ok());
  }
}

}  // namespace
}  // namespace caisson
