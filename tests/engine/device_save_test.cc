// SPDX-License-Identifier: Apache-2.0
//
// Engine::Save and SaveAsync of tensors on devices: the files, the order of
// work, and what is left after failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/device_case.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Overwrites every storage of `twins` on its device, in its default stream.
void Overwrite(FakeDevices& fake, const Twins& twins) {
  for (const StorageHandle& storage : twins.storages) {
    const Region region = storage->region;
    if (region.bytes == 0) continue;
    fake.Enqueue({region.device, {}}, [&fake, storage, region] {
      std::ranges::fill(fake.Alias(region.data, region.bytes), std::byte{0xEE});
    });
  }
}

TEST(DeviceSave, WritesTheFileOfTheSameTensorsInHostMemory) {
  std::mt19937 random(1);
  for (const IoKind io : {IoKind::kThreads, IoKind::kUring}) {
    EngineOptions probe;
    probe.io = io;
    if (!MakeQueue(probe).has_value()) continue;
    for (const size_t window : {64 * kKiB, 1024 * kKiB, 16 * 1024 * kKiB}) {
      for (const size_t windows : {1, 4}) {
        for (const int devices : {1, 2, 3}) {
          FakeDevices fake({.devices = devices, .seed = random()});
          const Twins twins =
              RandomTwins(random, fake, {.devices = devices, .host = 1});
          const std::string expected = FileOf(twins.host);
          const ScratchDirectory scratch(MemoryRoot());
          const std::string path = scratch / "archive.pt";
          {
            EngineOptions options = Sizes(window, windows, 1 + random() % 4);
            options.io = io;
            Engine engine = MakeEngine(fake, options);
            // The first finds no memory pinned, the others some or all.
            for (int round = 0; round < 3; ++round) {
              CAISSON_ASSERT_OK_AND_ASSIGN(
                  const SaveReport report,
                  engine.Save(twins.there, path, QuickSave()));
              ASSERT_TRUE(Content(path) == expected)
                  << window << " x " << windows << ", " << devices
                  << " devices, round " << round;
              EXPECT_GT(report.device.bytes, 0u);
              EXPECT_EQ(report.device.crc_host_bytes == 0,
                        report.device.crc_host_reason.empty());
            }
          }
          ExpectClean(fake);
        }
      }
    }
  }
}

TEST(DeviceSave, WritesTheSafetensorsFileOfHostMemory) {
  std::mt19937 random(8);
  for (const uint64_t shard_bytes : {uint64_t{0}, uint64_t{20'000}}) {
    FakeDevices fake({.devices = 2, .seed = random()});
    {
      const Twins twins = RandomTwins(random, fake, {.devices = 2, .host = 1});
      const ScratchDirectory here(MemoryRoot());
      const ScratchDirectory there(MemoryRoot());
      SaveOptions options = QuickSave();
      options.format.drop = true;  // the step
      options.format.shard_bytes = shard_bytes;
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
      CAISSON_ASSERT_OK(
          engine.Save(twins.host, here / "m.safetensors", options).status());
      CAISSON_ASSERT_OK_AND_ASSIGN(
          const SaveReport report,
          engine.Save(twins.there, there / "m.safetensors", options));
      EXPECT_GT(report.device.bytes, 0u);
      ASSERT_EQ(here.Names(), there.Names());
      EXPECT_EQ(here.Names().size() > 1, shard_bytes > 0);
      for (const std::string& name : here.Names()) {
        EXPECT_TRUE(Content(here / name) == Content(there / name)) << name;
      }
    }
    ExpectClean(fake);
  }
}

TEST(DeviceSave, WritesCaffe2sRecordsWithTheirDevice) {
  std::mt19937 random(12);
  FakeDevices fake({.devices = 2, .seed = random()});
  {
    const Twins twins = RandomTwins(random, fake, {.devices = 2, .host = 1});
    const ScratchDirectory scratch(MemoryRoot());
    SaveOptions options = QuickSave();
    options.format.drop = true;  // the step, and complex numbers
    options.format.chunk_elems = 5000;
    Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
    const std::string path = scratch / "m.minidb";
    CAISSON_ASSERT_OK(engine.Save(twins.there, path, options).status());
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, engine.Load(path));
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto here, twins.host.Tensors());
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto there, twins.there.Tensors());
    size_t found = 0;
    for (size_t i = 0; i < here.size(); ++i) {
      const Node* node = loaded.root.Find(Join(here[i].path));
      EXPECT_EQ(node == nullptr, here[i].view->spec.dtype == DType::kComplex64);
      if (node == nullptr) continue;
      ++found;
      const TensorView& view = *node->As<TensorView>();
      EXPECT_EQ(PlainGather(view), PlainGather(*here[i].view));
      EXPECT_EQ(view.storage->location.str(),
                Name(there[i].view->storage->region.device));
    }
    EXPECT_GT(found, 0u);
  }
  ExpectClean(fake);
}

TEST(DeviceSave, ManySmallTensorsAreFewLaunches) {
  FakeDevices fake;
  std::mt19937 random(2);
  const Twins twins =
      RandomTwins(random, fake,
                  {.tensors = 2000, .max_elems = 100, .devices = 1, .host = 0});
  const ScratchDirectory scratch(MemoryRoot());
  Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 4));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const SaveReport report,
      engine.Save(twins.there, scratch / "archive.pt", QuickSave()));
  EXPECT_TRUE(Content(scratch / "archive.pt") == FileOf(twins.host));
  EXPECT_EQ(report.device.crc_host_bytes, 0u);
  const auto log = fake.log();
  EXPECT_EQ(std::ranges::count(log, "copy"), 0);
  EXPECT_LT(std::ranges::count(log, "transform"), 10);
}

// Whatever the streams had to do when the save was called is in the file, also
// what another device had.
TEST(DeviceSave, ComesAfterTheWorkOfTheGivenStreams) {
  enum class Way { kSave, kAsync, kSnapshot };
  for (const Way way : {Way::kSave, Way::kAsync, Way::kSnapshot}) {
    for (const bool given : {false, true}) {
      FakeDevices fake({.devices = 2});
      std::mt19937 random(3);
      const Twins twins = RandomTwins(random, fake, {.devices = 2, .host = 0});
      const std::string expected = FileOf(twins.host);
      const ScratchDirectory scratch(MemoryRoot());
      const std::string path = scratch / "archive.pt";
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 4));
      AsyncOptions options;
      options.save.sync = false;
      // Without streams, the default stream of each device.
      DeviceStream stream = {Device::Cuda(0), {}};
      if (given) {
        stream = fake.MakeStream(Device::Cuda(1));
        options.save.streams = {stream};
      }
      // The bytes come late.
      for (const StorageHandle& storage : twins.storages) {
        const Region region = storage->region;
        if (region.bytes == 0) continue;
        const auto memory = fake.Alias(region.data, region.bytes);
        const std::vector<std::byte> bytes(memory.begin(), memory.end());
        std::ranges::fill(memory, std::byte{0});
        fake.Enqueue(
            given ? stream : DeviceStream{region.device, {}}, [memory, bytes] {
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
              std::ranges::copy(bytes, memory.begin());
            });
      }
      options.snapshot_on_device = way == Way::kSnapshot;
      if (way != Way::kSave) {
        CAISSON_ASSERT_OK_AND_ASSIGN(
            const Ticket ticket, engine.SaveAsync(twins.there, path, options));
        CAISSON_ASSERT_OK(ticket.Wait());
      } else {
        CAISSON_ASSERT_OK(engine.Save(twins.there, path, options.save));
      }
      EXPECT_TRUE(Content(path) == expected)
          << "way " << static_cast<int>(way) << (given ? ", given" : "");
      EXPECT_THAT(fake.violations(), IsEmpty());
    }
  }
}

TEST(DeviceSave, TheFileHoldsWhatTensorsHeldBeforeStaged) {
  for (int seed = 1; seed <= 40; ++seed) {
    for (const bool snapshot : {false, true}) {
      const auto number = static_cast<uint32_t>(seed);
      std::mt19937 random(number);
      FakeDevices fake({.devices = 2, .seed = number});
      const Twins twins =
          RandomTwins(random, fake, {.devices = 2, .host = number % 2});
      const std::string expected = FileOf(twins.host);
      const ScratchDirectory scratch(MemoryRoot());
      const std::string path = scratch / "archive.pt";
      {
        Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 1 + number % 5));
        AsyncOptions options;
        options.save.sync = false;
        options.snapshot_on_device = snapshot;
        CAISSON_ASSERT_OK_AND_ASSIGN(
            const Ticket ticket, engine.SaveAsync(twins.there, path, options));
        CAISSON_ASSERT_OK(ticket.Staged());
        Overwrite(fake, twins);
        CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report, ticket.Wait());
        EXPECT_THAT(report.device.no_snapshot, IsEmpty());
        EXPECT_EQ(report.device.snapshot_bytes,
                  snapshot ? report.device.bytes : 0u);
        ASSERT_TRUE(Content(path) == expected) << "seed " << seed;
      }
      fake.AwaitAll();
      ExpectClean(fake);
    }
  }
}

// A snapshot is staged while the file has not one byte yet.
TEST(DeviceSave, ASnapshotIsStagedBeforeTheFileIsWritten) {
  FakeDevices fake;
  std::mt19937 random(4);
  const Twins twins = RandomTwins(random, fake, {.devices = 1, .host = 1});
  const ScratchDirectory scratch(MemoryRoot());
  Engine engine = MakeEngine(fake, Sizes(4 * kKiB, 1));
  std::atomic<bool> go{false};
  AsyncOptions options;
  options.save.sync = false;
  options.snapshot_on_device = true;
  options.save.progress = [&](const Progress&) { go.wait(false); };
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket ticket,
      engine.SaveAsync(twins.there, scratch / "archive.pt", options));
  CAISSON_EXPECT_OK(ticket.Staged());
  EXPECT_FALSE(ticket.done());
  go = true;
  go.notify_all();
  CAISSON_EXPECT_OK(ticket.Wait());
}

TEST(DeviceSave, WithoutMemoryForASnapshotItGoesOnAndSaysSo) {
  FakeDevices fake({.memory_bytes = 2 << 20});
  std::mt19937 random(5);
  Twins twins;
  const TensorView here = RandomTensor(DType::kUInt8, {1500000}, 1);
  TensorView there = here;
  there.storage = Uploaded(fake, Device::Cuda(0), *here.storage);
  twins.host["w"] = here;
  twins.there["w"] = there;
  const ScratchDirectory scratch(MemoryRoot());
  const std::string path = scratch / "archive.pt";
  Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 4));
  AsyncOptions options;
  options.snapshot_on_device = true;
  CAISSON_ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                               engine.SaveAsync(twins.there, path, options));
  CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report, ticket.Wait());
  EXPECT_THAT(report.device.no_snapshot,
              AllOf(HasSubstr("cuda:0"), HasSubstr("1500160 bytes")));
  EXPECT_EQ(report.device.snapshot_bytes, 0u);
  EXPECT_TRUE(Content(path) == FileOf(twins.host));
}

TEST(DeviceSave, KeepsItsLimitAndRefusesOneThatIsNone) {
  FakeDevices fake;
  std::mt19937 random(6);
  const Twins twins =
      RandomTwins(random, fake,
                  {.tensors = 40, .max_elems = 60000, .devices = 1, .host = 0});
  const ScratchDirectory scratch(MemoryRoot());
  Engine engine = MakeEngine(fake, Sizes(1024 * kKiB, 2));
  SaveOptions options = QuickSave();
  options.device_bytes_per_second = 20e6;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const SaveReport report,
      engine.Save(twins.there, scratch / "archive.pt", options));
  EXPECT_TRUE(Content(scratch / "archive.pt") == FileOf(twins.host));
  // The last slice is on its way by then.
  EXPECT_GE(report.seconds,
            (static_cast<double>(report.device.bytes) - (1 << 20)) / 20e6);
  for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    options.device_bytes_per_second = bad;
    EXPECT_THAT(engine.Save(twins.there, scratch / "b.pt", options).status(),
                StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(DeviceSave, NamesTheTensorOfADeviceThatIsNotThere) {
  FakeDevices none({.devices = 0});
  State state;
  state["model"]["here"] = RandomTensor(DType::kFloat32, {8}, 1);
  TensorView absent = RandomTensor(DType::kFloat32, {8}, 1);
  absent.storage->region.device = Device::Cuda(1);
  state["model"]["there"] = absent;
  const ScratchDirectory scratch(MemoryRoot());
  Engine engine = MakeEngine(none, Sizes(64 * kKiB, 2));
  const auto says =
      StatusIs(StatusCode::kUnavailable,
               AllOf(HasSubstr("a.pt: tensor 'model.there'"),
                     HasSubstr("cuda:1"), HasSubstr("no fake device")));
  EXPECT_THAT(engine.Save(state, scratch / "a.pt").status(), says);
  EXPECT_THAT(engine.SaveAsync(state, scratch / "a.pt").status(), says);
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

// Whichever operation fails: the new file, or the old one and a typed error;
// nothing else is left, on the disk or on a device.
TEST(DeviceSaveFaults, EveryOperationMayFail) {
  for (const bool async : {false, true}) {
    for (const Status& failure :
         {Status::DeviceError("lost"), Status::OutOfMemory("full")}) {
      for (int at = 0;; ++at) {
        FakeDevices fake({.devices = 2,
                          .seed = static_cast<uint64_t>(at),
                          .max_delay = std::chrono::microseconds(10)});
        std::mt19937 random(7);
        const Twins twins =
            RandomTwins(random, fake, {.tensors = 5, .devices = 2, .host = 1});
        const ScratchDirectory scratch(MemoryRoot());
        const std::string path = scratch / "archive.pt";
        Put(path, "the old checkpoint");
        Status status;
        {
          Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
          fake.SetFault(FakeFault{.at = at, .status = failure});
          if (async) {
            AsyncOptions options;
            options.save.sync = false;
            options.snapshot_on_device = at % 2 == 0;
            const auto ticket = engine.SaveAsync(twins.there, path, options);
            status = ticket ? ticket->Wait().status() : ticket.error();
          } else {
            status = engine.Save(twins.there, path, QuickSave()).status();
          }
        }
        ExpectClean(fake);
        EXPECT_THAT(scratch.Names(), ElementsAre("archive.pt"));
        const std::string content = Content(path);
        if (status.ok()) {
          EXPECT_TRUE(content == FileOf(twins.host));
        } else {
          EXPECT_EQ(status.code(), failure.code()) << status.ToString();
          EXPECT_EQ(content, "the old checkpoint");
        }
        if (testing::Test::HasFailure()) FAIL() << "operation " << at;
        if (!fake.fired()) {
          EXPECT_GT(at, 20);
          break;
        }
      }
    }
  }
}

TEST(DeviceSaveFaults, CancelAtAnyMomentLeavesNothing) {
  int cancelled = 0;
  for (int seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    FakeDevices fake({.devices = 2, .seed = random()});
    const Twins twins = RandomTwins(random, fake, {.devices = 2, .host = 1});
    const ScratchDirectory scratch(MemoryRoot());
    const std::string path = scratch / "archive.pt";
    Put(path, "the old checkpoint");
    {
      Engine engine = MakeEngine(fake, Sizes(16 * kKiB, 2));
      AsyncOptions options;
      options.save.sync = false;
      options.snapshot_on_device = random() % 2 == 0;
      CAISSON_ASSERT_OK_AND_ASSIGN(
          Ticket ticket, engine.SaveAsync(twins.there, path, options));
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      ticket.Cancel();
      const Status status = ticket.Wait().status();
      if (!status.ok()) {
        EXPECT_THAT(status, StatusIs(StatusCode::kCancelled));
        EXPECT_EQ(Content(path), "the old checkpoint");
        ++cancelled;
      }
      EXPECT_EQ(fake.counts().work, 0u);
    }
    EXPECT_THAT(scratch.Names(), ElementsAre("archive.pt"));
    ExpectClean(fake);
  }
  EXPECT_GT(cancelled, 0);
}

}  // namespace
}  // namespace caisson
