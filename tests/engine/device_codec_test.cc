// SPDX-License-Identifier: Apache-2.0
//
// Compressed saves from devices and loads into them: the files of the host, by
// chunks that the devices encode and decode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/engine/device/device_encoder.h"
#include "tests/engine/compressed_case.h"
#include "tests/engine/device_case.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

SaveOptions PlaneSave() {
  SaveOptions options = QuickSave();
  options.compress = CompressMode::kPlane;
  return options;
}

std::string PlaneFileOf(const State& state) {
  WriteOptions options;
  options.compress = CompressMode::kPlane;
  return FileOf(state, options);
}

// A state with a storage for each tensor, `host` of 4 of which stay there.
Twins TwinsOf(const State& state, FakeDevices& fake, int devices, uint32_t host,
              std::mt19937& random) {
  Twins twins;
  twins.host = state;
  const auto tensors = state.Tensors();
  EXPECT_THAT(tensors.status(), IsOk());
  for (const NamedTensor& tensor : *tensors) {
    TensorView there = *tensor.view;
    if (random() % 4 >= host) {
      const Device device =
          Device::Cuda(static_cast<int>(random() % uint32_t(devices)));
      there.storage = Uploaded(fake, device, *tensor.view->storage);
      twins.storages.push_back(there.storage);
    }
    twins.there[Join(tensor.path)] = there;
    twins.host[Join(tensor.path)] = *tensor.view;
  }
  return twins;
}

// Not worth a codec: core/engine/codec/compression_choice.cc.
bool IsSmall(const Storage& storage) { return storage.region.bytes < 4096; }

// Several chunks of every kind, each tensor with a storage of its own.
State ManyKinds(uint64_t seed) {
  State state;
  State mixed = MixedState(seed);
  for (const char* name : {"bf16", "fp32", "fp64", "noise", "zeros", "counts",
                           "small", "empty", "fp8"}) {
    state[name] = *mixed[name].As<TensorView>();
  }
  return state;
}

// So many small tensors that there are several batches of them.
State ManySmall(bool zeros) {
  State state;
  for (int i = 0; i < 700; ++i) {
    const std::string name = "w" + std::to_string(i);
    const TensorView view = NormalTensor(DType::kBFloat16, {4096 + i % 50},
                                         static_cast<uint64_t>(i));
    if (zeros) std::ranges::fill(BytesOf(*view.storage), std::byte{0});
    state[name] = view;
  }
  return state;
}

TEST(DeviceCodec, WritesThePackedFileOfHostMemory) {
  std::mt19937 random(4);
  for (const size_t window : {64 * kKiB, 16 * 1024 * kKiB}) {
    for (const size_t windows : {1, 3}) {
      for (const bool asynchronous : {false, true}) {
        FakeDevices fake({.devices = 2, .seed = random()});
        {
          const Twins twins = TwinsOf(ManyKinds(random()), fake, 2, 1, random);
          const std::string expected = PlaneFileOf(twins.host);
          const ScratchDirectory scratch(MemoryRoot());
          const std::string path = scratch / "archive.pt";
          Engine engine = MakeEngine(fake, Sizes(window, windows));
          uint64_t there = 0;
          for (const StorageHandle& storage : twins.storages) {
            if (!IsSmall(*storage)) there += storage->region.bytes;
          }
          for (int round = 0; round < 2; ++round) {
            AsyncOptions how;
            how.save = PlaneSave();
            how.snapshot_on_device = round == 1;
            SaveReport report;
            if (asynchronous) {
              CAISSON_ASSERT_OK_AND_ASSIGN(
                  const Ticket ticket,
                  engine.SaveAsync(twins.there, path, how));
              CAISSON_ASSERT_OK_AND_ASSIGN(report, ticket.Wait());
            } else {
              CAISSON_ASSERT_OK_AND_ASSIGN(
                  report, engine.Save(twins.there, path, how.save));
            }
            ASSERT_TRUE(Content(path) == expected)
                << window << " x " << windows;
            // What crossed is less than what was encoded.
            EXPECT_EQ(report.device.encoded_bytes, there);
            EXPECT_LT(report.device.bytes, there);
          }
        }
        ExpectClean(fake);
      }
    }
  }
}

TEST(DeviceCodec, ManySmallTensorsAreFewLaunches) {
  std::mt19937 random(5);
  for (const bool zeros : {false, true}) {
    for (const size_t window : {64 * kKiB, 16 * 1024 * kKiB}) {
      FakeDevices fake({.memory_bytes = size_t{192} << 20});
      {
        const Twins twins = TwinsOf(ManySmall(zeros), fake, 1, 0, random);
        const ScratchDirectory scratch(MemoryRoot());
        const std::string path = scratch / "archive.pt";
        Engine engine = MakeEngine(fake, Sizes(window, 1));
        CAISSON_ASSERT_OK_AND_ASSIGN(
            const SaveReport report,
            engine.Save(twins.there, path, PlaneSave()));
        EXPECT_TRUE(Content(path) == PlaneFileOf(twins.host));
        EXPECT_GT(report.device.encoded_bytes, 0u);
        const auto saved = fake.log();
        EXPECT_LE(std::ranges::count(saved, "plane encode"), 10);
        LoadOptions load;
        load.device = Device::Cuda(0);
        CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                     engine.Load(path, load));
        EXPECT_EQ(GatheredThere(fake, there), Gathered(twins.host));
        const auto loaded = fake.log();
        const auto decodes = std::ranges::count(loaded, "plane decode");
        EXPECT_GE(decodes, 1);
        EXPECT_LE(decodes, window == 64 * kKiB ? 300 : 6);
      }
      ExpectClean(fake);
    }
  }
}

// A save of one device, `host` of 4 tensors of which stay in host memory.
struct DeviceSaved {
  FakeDevices& fake;
  const Twins& twins;
  Engine& engine;
  const std::string& path;
  const SaveReport& report;
};

// Saves, and then calls `look`. `fault`: of the save and of what follows.
void WithSaved(CompressMode compress, uint32_t host,
               const std::optional<FakeFault>& fault,
               const std::function<void(const DeviceSaved&)>& look) {
  std::mt19937 random(6);
  FakeDevices fake;
  {
    const Twins twins = TwinsOf(ManyKinds(3), fake, 1, host, random);
    const ScratchDirectory scratch(MemoryRoot());
    const std::string path = scratch / "archive.pt";
    Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 3));
    if (fault) fake.SetFault(fault);
    SaveOptions options = QuickSave();
    options.compress = compress;
    CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                 engine.Save(twins.there, path, options));
    look({fake, twins, engine, path, report});
  }
  ExpectClean(fake);
}

// Loads what was saved onto the device, and compares it.
LoadReport ExpectLoads(const DeviceSaved& saved) {
  LoadOptions options;
  options.device = Device::Cuda(0);
  LoadReport report;
  const auto there = saved.engine.Load(saved.path, options, {}, &report);
  EXPECT_THAT(there.status(), IsOk());
  if (there) {
    EXPECT_EQ(GatheredThere(saved.fake, *there), Gathered(saved.twins.host));
  }
  return report;
}

TEST(DeviceCodec, TheHostDeflates) {
  WithSaved(CompressMode::kDeflate, 1, {}, [](const DeviceSaved& saved) {
    EXPECT_EQ(saved.report.device.encoded_bytes, 0u);
    EXPECT_THAT(saved.report.device.crc_host_reason,
                HasSubstr("no device deflates"));
    const LoadReport loaded = ExpectLoads(saved);
    EXPECT_GT(loaded.device.host_bytes, 0u);
    EXPECT_THAT(loaded.device.host_reason, HasSubstr("plane codec alone"));
  });
}

TEST(DeviceCodec, AutoEncodesTheFloatsOfDevices) {
  WithSaved(CompressMode::kAuto, 0, {}, [](const DeviceSaved& saved) {
    EXPECT_THAT(saved.report.compression.why, HasSubstr("floats are encoded"));
    std::vector<std::string> encoded;
    for (const CompressionChoice& choice : saved.report.compression.storages) {
      EXPECT_NE(choice.compression, Compression::kDeflate) << choice.tensor;
      if (choice.compression == Compression::kPlane) {
        encoded.push_back(choice.tensor);
      }
    }
    EXPECT_THAT(encoded, UnorderedElementsAre("bf16", "fp32", "fp64", "fp8"));
    ExpectLoads(saved);
  });
}

// Memory that cannot be pinned for what the kernels tell.
TEST(DeviceCodec, WithoutPinnedMemoryTheHostDoesIt) {
  const FakeFault fault = {.at = 0,
                           .only = "pin",
                           .status = Status::Unsupported("not pinned"),
                           .and_after = true};
  WithSaved(CompressMode::kPlane, 1, fault, [](const DeviceSaved& saved) {
    EXPECT_TRUE(Content(saved.path) == PlaneFileOf(saved.twins.host));
    EXPECT_EQ(saved.report.device.encoded_bytes, 0u);
    EXPECT_EQ(ExpectLoads(saved).device.decoded_bytes, 0u);
  });
}

// The host does what a device has no memory for, and the report says so.
TEST(DeviceCodec, WithoutMemoryTheHostDoesIt) {
  std::mt19937 random(7);
  const ScratchDirectory scratch(MemoryRoot());
  const std::string path = scratch / "archive.pt";
  State state;
  state["w"] = NormalTensor(DType::kBFloat16, {900'000}, 1);
  {
    FakeDevices fake({.memory_bytes = 3'000'000});
    {
      const Twins twins = TwinsOf(state, fake, 1, 0, random);
      Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 3));
      CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                   engine.Save(twins.there, path, PlaneSave()));
      EXPECT_TRUE(Content(path) == PlaneFileOf(state));
      EXPECT_EQ(report.device.encoded_bytes, 0u);
      EXPECT_THAT(
          report.device.crc_host_reason,
          AllOf(HasSubstr("the host encodes"), HasSubstr("bytes on cuda:0")));
    }
    ExpectClean(fake);
  }
  FakeDevices fake({.memory_bytes = 2'500'000});
  {
    Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 3));
    LoadOptions load;
    load.device = Device::Cuda(0);
    LoadReport report;
    CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                 engine.Load(path, load, {}, &report));
    EXPECT_EQ(GatheredThere(fake, there), Gathered(state));
    EXPECT_EQ(report.device.decoded_bytes, 0u);
    EXPECT_THAT(report.device.host_reason, HasSubstr("bytes on cuda:0"));
  }
  ExpectClean(fake);
}

TEST(DeviceCodec, LoadsWhatTheHostLoads) {
  std::mt19937 random(8);
  for (const bool direct : {true, false}) {
    for (const size_t window : {64 * kKiB, 1024 * kKiB}) {
      FakeDevices fake({.devices = 2, .seed = random()});
      {
        const State state = MixedState(random());
        const ScratchDirectory scratch;  // on a disk
        const std::string path = scratch / "archive.pt";
        Put(path, PlaneFileOf(state));
        EngineOptions options = Sizes(window, 1 + random() % 4);
        options.direct = direct;
        Engine engine = MakeEngine(fake, options);
        LoadOptions load;
        load.device = Device::Cuda(1);
        LoadReport report;
        CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                     engine.Load(path, load, {}, &report));
        EXPECT_EQ(GatheredThere(fake, there), Gathered(state));
        // Windows of 64 KiB have no room for a chunk.
        if (window > 64 * kKiB) {
          // All but what is small.
          EXPECT_LT(report.tensor_bytes - report.device.decoded_bytes, 4096u);
          EXPECT_EQ(report.device.host_bytes, 0u) << report.device.host_reason;
        }
        // What is converted comes by way of the host.
        load.casts = {{"*", DType::kBFloat16}};
        CAISSON_ASSERT_OK_AND_ASSIGN(const State cast, engine.Load(path, load));
        LoadOptions here = load;
        here.device = Device::Cpu();
        CAISSON_ASSERT_OK_AND_ASSIGN(const State expected,
                                     engine.Load(path, here));
        EXPECT_EQ(GatheredThere(fake, cast), Gathered(expected));
      }
      ExpectClean(fake);
    }
  }
}

// Wherever a bit is flipped, the device finds what the host finds.
TEST(DeviceCodec, FindsDamageAndNamesIt) {
  std::mt19937 random(9);
  State state;
  state["a"] = NormalTensor(DType::kBFloat16, {100'000}, 1);
  state["b"] = NormalTensor(DType::kFloat32, {70'000}, 2);
  const std::string sound = PlaneFileOf(state);
  size_t damaged = 0;
  FakeDevices fake;
  for (int i = 0; i < 150; ++i) {
    const Records records = RecordsOf(sound);
    const auto& item = records.items[random() % records.items.size()];
    if (!item.name.ends_with("/0") && !item.name.ends_with("/1")) continue;
    std::string file = sound;
    file[item.offset + random() % item.content.size()] ^=
        static_cast<char>(1 << random() % 8);
    const ScratchDirectory scratch;
    const std::string path = scratch / "archive.pt";
    Put(path, file);
    Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 2));
    LoadOptions options;
    const Status here = engine.Load(path, options).status();
    options.device = Device::Cuda(0);
    const Status there = engine.Load(path, options).status();
    EXPECT_EQ(there.ToString(), here.ToString());
    EXPECT_THAT(there, StatusIs(StatusCode::kCorrupt, HasSubstr("plane/")));
    ++damaged;
  }
  EXPECT_GT(damaged, 20u);
  ExpectClean(fake);
}

TEST(DeviceCodecFaults, EveryOperationMayFail) {
  for (const bool saves : {true, false}) {
    for (const Status& failure :
         {Status::DeviceError("lost"), Status::OutOfMemory("full")}) {
      for (int at = 0;; ++at) {
        FakeDevices fake({.devices = 2,
                          .seed = static_cast<uint64_t>(at),
                          .max_delay = std::chrono::microseconds(10)});
        std::mt19937 random(7);
        State state;
        state["a"] = NormalTensor(DType::kBFloat16, {200'000}, 1);
        state["b"] = NormalTensor(DType::kFloat32, {7000}, 2);
        state["c"] = NormalTensor(DType::kFloat32, {70}, 3);
        const Twins twins = TwinsOf(state, fake, 2, 0, random);
        const ScratchDirectory scratch(MemoryRoot());
        const std::string path = scratch / "archive.pt";
        const std::string before =
            saves ? "the old checkpoint" : PlaneFileOf(twins.host);
        Put(path, before);
        Status status;
        {
          Engine engine = MakeEngine(fake, Sizes(512 * kKiB, 2));
          fake.SetFault(FakeFault{
              .at = at,
              .status = failure,
              .later = at % 2 == 0 && failure.code() == StatusCode::kDevice});
          if (saves) {
            status = engine.Save(twins.there, path, PlaneSave()).status();
          } else {
            State there = twins.there;
            status = engine.LoadInto(path, there);
            if (status.ok()) {
              EXPECT_EQ(GatheredThere(fake, there), Gathered(twins.host));
            }
          }
        }
        ExpectClean(fake);
        EXPECT_THAT(scratch.Names(), ElementsAre("archive.pt"));
        EXPECT_TRUE(Content(path) ==
                    (saves && status.ok() ? PlaneFileOf(twins.host) : before));
        if (!status.ok()) {
          EXPECT_EQ(status.code(), failure.code()) << status.ToString();
        }
        if (testing::Test::HasFailure()) {
          FAIL() << "operation " << at << (saves ? " of a save" : " of a load");
        }
        if (!fake.fired()) {
          EXPECT_GT(at, 20);
          break;
        }
      }
    }
  }
}

// Batches of one chunk each, whose leases end late.
TEST(DeviceEncoder, GivesChunksInOrderAndWaitsForLeases) {
  std::mt19937 random(10);
  FakeDevices fake;
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(DeviceRuntime* const runtime, fake.Runtime());
    CAISSON_ASSERT_OK_AND_ASSIGN(const KernelTable* const kernels,
                                 fake.Kernels(Device::Cuda(0)));
    CAISSON_ASSERT_OK_AND_ASSIGN(const KernelTable* const host,
                                 KernelsFor(Device::Cpu()));
    DeviceOrder order;
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const auto encoder,
        DeviceEncoder::Create(*runtime, *kernels, Device::Cuda(0), order, 1));
    std::vector<TensorPiece> pieces;
    const TensorView view = NormalTensor(DType::kFloat64, {300'000}, 1);
    const StorageHandle there = Uploaded(fake, Device::Cuda(0), *view.storage);
    for (const size_t elems : {size_t{300'000}, size_t{1}, size_t{65'537}}) {
      TensorPiece piece;
      piece.storage = view.storage;
      piece.bytes = elems * 8;
      piece.dtype = DType::kFloat64;
      piece.encoding = Encoding::kPlane;
      encoder->Announce(piece, there->region.data);
      pieces.push_back(piece);
    }
    std::vector<std::thread> holders;
    for (const TensorPiece& piece : pieces) {
      size_t at = 0;
      while (at < piece.bytes) {
        ASSERT_FALSE(encoder->empty());
        CAISSON_ASSERT_OK_AND_ASSIGN(DeviceEncoder::Chunk chunk,
                                     encoder->Next());
        PlaneChunk expected;
        PlaneEncodeJob job;
        job.src = BytesOf(*view.storage).data() + at;
        job.type = PlaneType::kFloat64;
        job.elems = static_cast<uint32_t>(chunk.decoded_bytes / 8);
        std::vector<std::byte> room(PlaneBound(job.type, job.elems));
        job.dst = room.data();
        job.chunk = &expected;
        std::vector<std::byte> scratch(
            host->plane_encode_bytes(std::span(&job, 1)));
        CAISSON_ASSERT_OK(host->plane_encode(
            std::span(&job, 1), {scratch.data(), scratch.size()}, {}));
        ASSERT_TRUE(chunk.plane == expected);
        const auto stored = fake.Alias(chunk.bytes, PlaneStoredBytes(expected));
        ASSERT_TRUE(std::equal(stored.begin(), stored.end(), room.begin()));
        at += chunk.decoded_bytes;
        holders.emplace_back([lease = std::move(chunk.lease)]() mutable {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          lease.reset();
        });
      }
      EXPECT_EQ(at, piece.bytes);
    }
    EXPECT_TRUE(encoder->empty());
    for (std::thread& holder : holders) holder.join();
  }
  ExpectClean(fake);
}

}  // namespace
}  // namespace caisson
