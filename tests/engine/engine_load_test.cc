// SPDX-License-Identifier: Apache-2.0
//
// Engine::Load, LoadInto and Verify: what Reader's give, in every mode.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "core/engine/read/read_plan.h"
#include "core/io/direct_file.h"
#include "tests/engine/state_files.h"
#include "tests/support/golden_archives.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr size_t kKiB = 1024;

// Storages larger than windows and blocks, many small ones between them.
State LargeState() {
  State state;
  uint64_t seed = 1;
  for (int i = 0; i < 3; ++i) {
    state["large"][std::to_string(i)] =
        RandomTensor(DType::kFloat32, {1'200'000 + i}, seed++);
    for (int j = 0; j < 300; ++j) {
      state["small"][std::to_string(i * 300 + j)] =
          RandomTensor(DType::kBFloat16, {j % 70}, seed++);
    }
  }
  const TensorView shared = RandomTensor(DType::kFloat64, {300, 40}, seed);
  state["a"] = shared;
  state["b"] = ViewOf(shared, {40, 300}, {1, 40});
  return state;
}

void DropCache(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  fsync(fd);
  EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
}

double CachedShare(const std::string& path) {
  const auto file = DirectFile::Open(path);
  EXPECT_THAT(file.status(), IsOk());
  return file ? (*file)->CachedShare() : -1;
}

struct Mode {
  bool cold;
  bool direct;
  size_t window;
  size_t windows;
  size_t threads;
};

constexpr Mode kModes[] = {
    {true, true, 4 * kKiB, 1, 1},    {true, true, 64 * kKiB, 3, 2},
    {true, true, 8192 * kKiB, 4, 2}, {true, false, 64 * kKiB, 3, 2},
    {false, true, 64 * kKiB, 3, 8},  {false, false, 1024 * kKiB, 2, 1},
};

Engine MakeEngine(const Mode& mode) {
  EngineOptions options;
  options.window_bytes = mode.window;
  options.pool_bytes = mode.window * mode.windows;
  options.threads = mode.threads;
  options.direct = mode.direct;
  auto engine = Engine::Create(options);
  EXPECT_THAT(engine.status(), IsOk());
  return std::move(*engine);
}

// A file of `state` that is on the disk.
std::string Saved(const State& state, const ScratchDirectory& scratch) {
  const std::string path = scratch / "archive.pt";
  EXPECT_THAT(Writer().Write(state, path).status(), IsOk());
  return path;
}

TEST(EngineLoad, GivesWhatTheReaderGives) {
  const State state = LargeState();
  const std::string expected = FileOf(state);
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    if (mode.cold) DropCache(path);
    uint64_t done = 0;
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const State loaded,
        engine.Load(path, {}, [&](const Progress& now) { done = now.bytes; }));
    ASSERT_TRUE(FileOf(loaded) == expected);
    EXPECT_GT(done, 14'000'000u);
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report,
                                 engine.Verify(path));
    EXPECT_TRUE(report.ok());
    EXPECT_GT(report.checked, 900u);
  }
}

TEST(EngineLoad, ReadsThroughAnyAdapter) {
  const State state = LargeState();
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  Engine engine = MakeEngine(kModes[1]);
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, engine.Load(reader));
  EXPECT_TRUE(FileOf(loaded) == FileOf(state));
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report,
                               engine.Verify(reader));
  EXPECT_TRUE(report.ok());
}

TEST(EngineLoad, FillsTensorsInPlace) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    CAISSON_ASSERT_OK_AND_ASSIGN(State target, engine.Load(path));
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, target.Tensors());
    for (const NamedTensor& tensor : tensors) {
      const std::span<std::byte> bytes = BytesOf(*tensor.view->storage);
      if (!bytes.empty()) std::memset(bytes.data(), 0x5a, bytes.size());
    }
    if (mode.cold) DropCache(path);
    CAISSON_ASSERT_OK(engine.LoadInto(path, target));
    ASSERT_TRUE(FileOf(target) == FileOf(state));
  }
}

TEST(EngineLoad, CastsOnTheWay) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  LoadOptions options;
  options.casts = {{"large.*", DType::kBFloat16}, {"small.*", DType::kFloat32}};
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(path));
  CAISSON_ASSERT_OK_AND_ASSIGN(const State expected, reader.Load(options));
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    if (mode.cold) DropCache(path);
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                                 engine.Load(path, options));
    ASSERT_TRUE(FileOf(loaded) == FileOf(expected));
  }
}

TEST(EngineLoad, NamesTheRecordOfAFlippedBit) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(path));
  std::string damaged = Content(path);
  for (const char* name : {"large.1", "small.500"}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* info, reader.Find(name));
    damaged[info->offset + info->stored_bytes / 2] ^= 1;
  }
  Put(path, damaged);
  CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport expected, VerifyFile(path));
  ASSERT_THAT(expected.damage, SizeIs(2));
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    if (mode.cold) DropCache(path);
    EXPECT_THAT(engine.Load(path).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("expected crc32")));
    LoadOptions trusting;
    trusting.verify = false;
    CAISSON_EXPECT_OK(engine.Load(path, trusting).status());
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport report,
                                 engine.Verify(path));
    ASSERT_THAT(report.damage, SizeIs(2));
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(report.damage[i].record, expected.damage[i].record);
      EXPECT_EQ(report.damage[i].problem, expected.damage[i].problem);
      EXPECT_EQ(report.damage[i].offset, expected.damage[i].offset);
      EXPECT_EQ(report.damage[i].tensors, expected.damage[i].tensors);
    }
  }
}

TEST(EngineLoad, ReadsEveryGoldenFile) {
  Engine engine = MakeEngine(kModes[0]);
  for (const auto& [name, bytes] : GoldenArchives()) {
    const ScratchDirectory scratch;
    Put(scratch / "golden.pt", bytes);
    DropCache(scratch / "golden.pt");
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                 Reader::Open(scratch / "golden.pt"));
    CAISSON_ASSERT_OK_AND_ASSIGN(const State expected, reader.Load());
    DropCache(scratch / "golden.pt");
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                                 engine.Load(scratch / "golden.pt"));
    EXPECT_EQ(FileOf(loaded), FileOf(expected)) << name;
  }
}

// Tensors and blocks of them, in one call.
TEST(EngineLoad, ReadsWhatIsAskedFor) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    if (mode.cold) DropCache(path);
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Engine::Open(path));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* large,
                                 reader.Find("large.2"));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* turned, reader.Find("b"));
    ByteVector whole(static_cast<size_t>(large->view.spec.bytes()));
    ByteVector block(5 * 300 * 8);
    const ReadRequest requests[] = {
        {large, {}, {whole.data(), whole.size(), Device::Cpu()}},
        {turned,
         {{10, 15}, {0, 300}},
         {block.data(), block.size(), Device::Cpu()}}};
    CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report,
                                 engine.Read(reader, requests));
    EXPECT_THAT(report.checked, ElementsAre(true, false));
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, state.Tensors());
    for (const NamedTensor& tensor : tensors) {
      const std::string name = Join(tensor.path);
      if (name == "large.2") {
        EXPECT_TRUE(whole == PlainGather(*tensor.view));
      }
      if (name == "b") {
        EXPECT_TRUE(block == PlainGather(BytesOf(*tensor.view->storage),
                                         *tensor.view, requests[1].block));
      }
    }
  }
}

// Opened at once, and private: what is written to a tensor stays here.
TEST(EngineLoad, MapsTensorsWhereTheyLie) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  const std::string content = Content(path);
  Engine engine = MakeEngine(kModes[1]);
  LoadOptions options;
  options.map = true;
  State loaded;
  { CAISSON_ASSERT_OK_AND_ASSIGN(loaded, engine.Load(path, options)); }
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, loaded.Tensors());
  const Storage& large = *tensors.front().view->storage;
  EXPECT_NE(reinterpret_cast<uintptr_t>(large.region.data) % 4096, 0u)
      << "it does not lie where the file has it";
  ASSERT_TRUE(FileOf(loaded) == content);
  std::memset(large.region.data, 1, large.region.bytes);
  EXPECT_TRUE(Content(path) == content);
  // A save replaces the file; the mapping keeps the old one.
  loaded.profile.prefix = "archive";
  CAISSON_ASSERT_OK(engine.Save(loaded, path).status());
  EXPECT_FALSE(Content(path) == content);
  EXPECT_TRUE(Content(path) == FileOf(loaded));

  options.casts = {{"large.*", DType::kFloat16}};
  CAISSON_ASSERT_OK_AND_ASSIGN(const State cast, engine.Load(path, options));
  options.map = false;
  CAISSON_ASSERT_OK_AND_ASSIGN(const State read, engine.Load(path, options));
  EXPECT_TRUE(FileOf(cast) == FileOf(read));
}

TEST(EngineLoad, ReadsOnlyTheNamesThatAreAskedFor) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  Engine engine = MakeEngine(kModes[1]);
  LoadOptions options;
  options.names = {"large.1", "b", "small.5*"};
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, engine.Load(path, options));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto expected, state.Tensors());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto found, loaded.Tensors());
  ASSERT_EQ(found.size(), expected.size());
  int read = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string name = Join(found[i].path);
    const bool asked = name == "large.1" || name == "a" || name == "b" ||
                       name.starts_with("small.5");
    if (expected[i].view->spec.bytes() == 0) continue;
    EXPECT_EQ(found[i].view->storage->resident(), asked) << name;
    if (!asked) continue;
    ++read;
    EXPECT_TRUE(PlainGather(*found[i].view) == PlainGather(*expected[i].view))
        << name;
  }
  EXPECT_GT(read, 100);
  options.names = {"large.*", "nothing*"};
  EXPECT_THAT(engine.Load(path, options).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("'nothing*'")));
}

TEST(EngineLoad, MapsNothingButFiles) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               OpenBytes(FileOf(LargeState())));
  LoadOptions options;
  options.map = true;
  EXPECT_THAT(reader.Load(options).status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("is no file")));
}

// A save and a load of a cold file leave nothing behind; a file that was in
// the page cache stays there.
TEST(EngineLoad, LeavesThePageCacheAsItWas) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  for (const bool direct : {true, false}) {
    Engine engine = MakeEngine({true, direct, 1024 * kKiB, 8, 2});
    CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                 engine.Save(state, path));
    if (direct && report.io.ends_with("buffered")) {
      GTEST_SKIP() << "no direct I/O in " << scratch.path();
    }
    EXPECT_EQ(CachedShare(path), 0) << report.io;
    CAISSON_ASSERT_OK(engine.Load(path).status());
    EXPECT_EQ(CachedShare(path), 0) << report.io;
    CAISSON_ASSERT_OK(engine.Verify(path).status());
    EXPECT_EQ(CachedShare(path), 0) << report.io;
    static_cast<void>(Content(path));  // somebody reads it
    EXPECT_EQ(CachedShare(path), 1);
    CAISSON_ASSERT_OK(engine.Load(path).status());
    EXPECT_EQ(CachedShare(path), 1);
  }
}

// No time can be right or wrong here, but none can be more than there was.
void ExpectPlausible(const LoadReport& report, const Mode& mode) {
  EXPECT_GT(report.seconds, 0);
  EXPECT_EQ(report.threads, mode.threads);
  const LoadTimes& stages = report.stages;
  const double threads = static_cast<double>(mode.threads);
  const double windows = static_cast<double>(mode.windows);
  const bool direct = report.io.ends_with(", direct");
  EXPECT_GT(stages.copy, 0);
  EXPECT_LE(stages.copy, threads * report.seconds);
  EXPECT_GT(stages.transfer, 0);
  EXPECT_LE(stages.transfer, (direct ? windows : threads) * report.seconds);
  EXPECT_GE(stages.wait_disk, 0);
  EXPECT_GE(stages.wait_memory, 0);
  EXPECT_LE(stages.wait_disk + stages.wait_memory, report.seconds);
}

std::string IoOf(const std::string& path, const Mode& mode) {
  if (!mode.cold) return "page cache";
  const auto file = DirectFile::Open(path);
  EXPECT_THAT(file.status(), IsOk());
  alignas(4096) std::byte block[4096];
  const bool works = mode.direct && (*file)->direct() != nullptr &&
                     (*file)->direct()->ReadUpTo(0, block).has_value();
  return works ? "threads, direct" : "buffered";
}

TEST(EngineLoad, ReportsWhatItReadAndHow) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  std::set<std::string> records;
  uint64_t bytes = 0;
  uint64_t viewed = 0;
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader index, Reader::Open(path));
    for (const TensorInfo& tensor : index.tensors()) {
      if (records.insert(tensor.record).second) bytes += tensor.stored_bytes;
      if (!tensor.view.contiguous()) viewed += tensor.view.spec.bytes();
    }
  }
  ASSERT_GT(viewed, 0u);
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    LoadReport report;
    const auto prepare = [&] {
      report = {};
      mode.cold ? DropCache(path) : static_cast<void>(Content(path));
    };
    prepare();
    const std::string io = IoOf(path, mode);
    CAISSON_ASSERT_OK_AND_ASSIGN(State target,
                                 engine.Load(path, {}, {}, &report));
    EXPECT_EQ(report.file_bytes, bytes);
    EXPECT_EQ(report.tensor_bytes, bytes);
    EXPECT_EQ(report.io, io);
    ExpectPlausible(report, mode);

    prepare();
    CAISSON_ASSERT_OK(engine.LoadInto(path, target, {}, {}, &report));
    EXPECT_EQ(report.file_bytes, bytes + viewed);
    EXPECT_EQ(report.tensor_bytes, bytes + viewed);
    EXPECT_EQ(report.io, io);
    ExpectPlausible(report, mode);

    prepare();
    CAISSON_ASSERT_OK_AND_ASSIGN(const VerifyReport verified,
                                 engine.Verify(path, {}, &report));
    EXPECT_TRUE(verified.ok());
    EXPECT_EQ(report.tensor_bytes, 0u);
    EXPECT_GT(report.file_bytes, bytes);  // data.pkl and its like
    EXPECT_EQ(report.io, io);
    ExpectPlausible(report, mode);

    prepare();
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Engine::Open(path));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* large,
                                 reader.Find("large.2"));
    ByteVector whole(static_cast<size_t>(large->view.spec.bytes()));
    const ReadRequest request = {
        large, {}, {whole.data(), whole.size(), Device::Cpu()}};
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const ReadReport read,
        engine.Read(reader, std::span(&request, 1), {}, &report));
    EXPECT_EQ(report.file_bytes, read.bytes_read);
    EXPECT_EQ(report.tensor_bytes, whole.size());
    EXPECT_EQ(report.io, io);
    ExpectPlausible(report, mode);
  }
  Engine engine = MakeEngine(kModes[1]);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(Content(path)));
  LoadReport report;
  CAISSON_ASSERT_OK(engine.Load(reader, {}, {}, &report).status());
  EXPECT_EQ(report.io, "adapter");
  EXPECT_EQ(report.tensor_bytes, bytes);
}

// It began again for every target whose elements do not follow each other.
TEST(EngineLoad, ProgressOfALoadIntoPlaceOnlyGrows) {
  const State state = LargeState();
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  State target = LargeState();
  for (const char* name : {"0", "1", "2"}) {
    const int64_t rows = 1'200'000 + (name[0] - '0');
    const TensorView memory = RandomTensor(DType::kFloat32, {rows, 2}, 9);
    target["large"][name] = ViewOf(memory, {rows}, {2});
  }
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    if (mode.cold) DropCache(path);
    std::vector<Progress> told;
    CAISSON_ASSERT_OK(engine.LoadInto(
        path, target, {}, [&](const Progress& now) { told.push_back(now); }));
    ASSERT_FALSE(told.empty());
    for (size_t i = 1; i < told.size(); ++i) {
      ASSERT_GE(told[i].bytes, told[i - 1].bytes);
      ASSERT_EQ(told[i].total, told[i - 1].total);
    }
    EXPECT_EQ(told.back().bytes, told.back().total);
    EXPECT_GT(told.front().total, 14'000'000u);
  }
}

// Bytes whose payload nobody gets.
class CancelledAdapter final : public ReadAdapter {
 public:
  CancelledAdapter(std::string bytes, uint64_t first, uint64_t end)
      : bytes_(std::move(bytes)), first_(first), end_(end) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (offset < end_ && offset + dst.size() > first_) {
      return Status::Cancelled("the download was cancelled");
    }
    const size_t count = std::min<size_t>(dst.size(), bytes_.size() - offset);
    std::memcpy(dst.data(), bytes_.data() + offset, count);
    return count;
  }

 private:
  const std::string name_ = "<download>";
  const std::string bytes_;
  const uint64_t first_;
  const uint64_t end_;
};

// It passed for the consequence of another error, of which there was none.
TEST(EngineLoad, TellsThatTheSourceWasCancelled) {
  State state;
  state["w"] = RandomTensor(DType::kFloat32, {300'000}, 1);
  const std::string bytes = FileOf(state);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader whole, OpenBytes(bytes));
  const TensorInfo& info = whole.tensors()[0];
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Reader reader, Reader::Open(std::make_shared<CancelledAdapter>(
                               bytes, info.offset + 4096, info.offset + 8192)));
  Engine engine = MakeEngine(kModes[1]);
  const auto cancelled =
      StatusIs(StatusCode::kCancelled, HasSubstr("the download"));
  EXPECT_THAT(engine.Load(reader).status(), cancelled);
  EXPECT_THAT(engine.LoadInto(reader, state), cancelled);
  EXPECT_THAT(engine.Verify(reader).status(), cancelled);
}

// Both tensors of the file would be read into the same memory at once, and the
// CRC of one be taken of bytes of the other.
TEST(EngineLoad, FillsTiedTensorsFromUntiedOnes) {
  State untied;
  untied["a"] = RandomTensor(DType::kFloat32, {2'000'000}, 1);
  const TensorView last = RandomTensor(DType::kFloat32, {2'000'000}, 2);
  untied["b"] = last;
  const ScratchDirectory scratch;
  const std::string path = Saved(untied, scratch);
  const TensorView tied = RandomTensor(DType::kFloat32, {2'000'000}, 3);
  State target;
  target["a"] = tied;
  target["b"] = tied;
  State expected;
  expected["a"] = last;
  expected["b"] = last;
  Engine engine = MakeEngine({false, true, 64 * kKiB, 3, 8});
  for (int round = 0; round < 5; ++round) {
    CAISSON_ASSERT_OK(engine.LoadInto(path, target));
    ASSERT_TRUE(FileOf(target) == FileOf(expected)) << round;
  }
}

// An error ends a load long before the end of the file.
TEST(EngineLoad, DoesNotReadOnAfterAnError) {
  State state;
  state["w"] = RandomTensor(DType::kFloat32, {20'000'000}, 1);
  const std::string bytes = FileOf(state);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader whole, OpenBytes(bytes));
  const uint64_t offset = whole.tensors()[0].offset;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                               Reader::Open(std::make_shared<CancelledAdapter>(
                                   bytes, offset + 4096, offset + 8192)));
  Engine engine = MakeEngine(kModes[5]);  // one thread
  uint64_t done = 0;
  uint64_t total = 0;
  EXPECT_THAT(engine
                  .Load(reader, {},
                        [&](const Progress& now) {
                          done = now.bytes;
                          total = now.total;
                        })
                  .status(),
              StatusIs(StatusCode::kCancelled));
  EXPECT_LT(done, total / 2);
}

TEST(EngineLoad, EndsWhenItsCallbackStopsIt) {
  State state;
  state["w"] = RandomTensor(DType::kFloat32, {20'000'000}, 1);
  const ScratchDirectory scratch;
  const std::string path = Saved(state, scratch);
  for (const Mode& mode : kModes) {
    Engine engine = MakeEngine(mode);
    int calls = 0;
    const auto stop = [&](const Progress& now) {
      ++calls;
      *now.stop = true;
    };
    EXPECT_THAT(engine.Load(path, {}, stop).status(),
                StatusIs(StatusCode::kCancelled, HasSubstr("cancelled")));
    EXPECT_THAT(engine.LoadInto(path, state, {}, stop),
                StatusIs(StatusCode::kCancelled));
    EXPECT_THAT(engine.Verify(path, stop).status(),
                StatusIs(StatusCode::kCancelled));
    EXPECT_GE(calls, 3);
    // The engine goes on as if nothing had been.
    CAISSON_ASSERT_OK(engine.LoadInto(path, state));
  }
}

// A plan grows with the file, not with what its directory says of it.
TEST(ReadPlan, OfManyRecordsOverTheSameBytesIsSmall) {
  StorageLayout storage;
  storage.bytes = uint64_t{1} << 32;
  Piece& piece = storage.pieces.emplace_back();
  piece.stored_bytes = piece.elems = storage.bytes;
  std::vector<ReadTask> tasks(1000);
  for (ReadTask& task : tasks) {
    task.kind = ReadTask::Kind::kCheck;
    task.storage = &storage;
  }
  std::vector<size_t> rest;
  ReadPlan plan(tasks, 1024 * kKiB, ReadPlan::Encoded::kAll, &rest);
  EXPECT_THAT(plan.windows(), SizeIs(4 * 4096));
  EXPECT_THAT(rest, SizeIs(996));
}

// No part would stand for it, so that nobody would notice that it is missing.
TEST(ReadPlan, LeavesChunksWithoutAByteToWhoDecodesThem) {
  StorageLayout storage;
  storage.bytes = 1000;
  Piece& piece = storage.pieces.emplace_back();
  piece.encoding = Encoding::kDeflate;
  piece.elems = storage.bytes;
  std::vector<ReadTask> tasks(1);
  tasks[0].kind = ReadTask::Kind::kCheck;
  tasks[0].storage = &storage;
  for (const uint64_t stored : {uint64_t{0}, uint64_t{7}}) {
    piece.stored_bytes = stored;
    std::vector<size_t> rest;
    ReadPlan plan(tasks, 1024 * kKiB, ReadPlan::Encoded::kAll, &rest);
    EXPECT_THAT(plan.windows(), SizeIs(stored == 0 ? 0 : 1));
    EXPECT_THAT(rest, SizeIs(stored == 0 ? 1 : 0));
  }
}

}  // namespace
}  // namespace caisson
