// SPDX-License-Identifier: Apache-2.0
//
// Engine::Load, LoadInto and Read into memory of devices: the bytes, the order
// of work, and what is left after failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/dcp_files.h"
#include "tests/engine/device_case.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

// A state that was loaded, with its tensors in host memory.
State Downloaded(FakeDevices& fake, const State& state, Device device) {
  State copy = state;
  const Text cpu = "cpu";  // one string, as in a file of host memory
  std::map<const Storage*, StorageHandle> copies;
  const auto tensors = copy.Tensors();
  EXPECT_THAT(tensors.status(), IsOk());
  for (const NamedTensor& tensor : *tensors) {
    StorageHandle& storage = const_cast<TensorView*>(tensor.view)->storage;
    StorageHandle& here = copies[storage.get()];
    if (here == nullptr) {
      const Region region = storage->region;
      if (!device.is_cpu()) {
        EXPECT_EQ(region.device, device);
        EXPECT_EQ(storage->location, Name(device));
      }
      const auto bytes = fake.Alias(region.data, region.bytes);
      auto owner = std::make_shared<ByteVector>(bytes.begin(), bytes.end());
      here = std::make_shared<Storage>(*storage);
      here->location = cpu;
      here->region = {owner->data(), owner->size(), Device::Cpu()};
      here->owner = owner;
      copies[here.get()] = here;  // a node may come again
    }
    storage = here;
  }
  return copy;
}

State RandomState(std::mt19937& random, int tensors = 12,
                  int64_t max_elems = 30000) {
  FakeDevices none;
  return RandomTwins(random, none,
                     {.tensors = tensors, .max_elems = max_elems, .host = 4})
      .host;
}

TEST(DeviceLoad, BringsTheBytesOfAHostLoad) {
  std::mt19937 random(1);
  for (const bool direct : {true, false}) {
    for (const size_t window : {64 * kKiB, 1024 * kKiB, 16 * 1024 * kKiB}) {
      for (const size_t windows : {1, 4}) {
        FakeDevices fake({.devices = 2, .seed = random()});
        const State state = RandomState(random);
        const ScratchDirectory scratch;  // on a disk
        const std::string path = scratch / "archive.pt";
        Put(path, FileOf(state));
        {
          EngineOptions options = Sizes(window, windows, 1 + random() % 4);
          options.direct = direct;
          Engine engine = MakeEngine(fake, options);
          for (int round = 0; round < 3; ++round) {
            LoadOptions load;
            load.device = Device::Cuda(round % 2);
            LoadReport report;
            CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                         engine.Load(path, load, {}, &report));
            EXPECT_EQ(GatheredThere(fake, there), Gathered(state));
            EXPECT_EQ(report.device.bytes, report.tensor_bytes);
            EXPECT_EQ(report.device.host_bytes, 0u)
                << report.device.host_reason;
            const State here = Downloaded(fake, there, load.device);
            EXPECT_TRUE(FileOf(here) == FileOf(state));
          }
        }
        ExpectClean(fake);
      }
    }
  }
}

// Swaps and casts, which kernels do as they read the pinned window.
TEST(DeviceLoad, SwapsAndConvertsOnTheDevice) {
  std::mt19937 random(2);
  State state;
  for (int i = 0; i < 8; ++i) {
    const int64_t elems = i % 2 == 0 ? 100'001 + i : 7 * i;
    state["w"][std::to_string(i)] =
        RandomTensor(DType::kFloat32, {elems}, random());
  }
  Records records = RecordsOf(FileOf(state));
  records["byteorder"].content = "big";
  for (auto& item : records.items) {
    if (item.name.starts_with("archive/data/")) {
      item.content = Swapped(item.content, 4);
    }
  }
  const ScratchDirectory scratch;
  Put(scratch / "big.pt", Rebuilt(records).Build());
  Put(scratch / "little.pt", FileOf(state));
  for (const DType to : {DType::kFloat32, DType::kBFloat16, DType::kFloat64}) {
    for (const char* name : {"little.pt", "big.pt"}) {
      for (const bool room : {true, false}) {
        FakeDevices fake;
        {
          Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
          LoadOptions options;
          if (to != DType::kFloat32) options.casts = {{"w.*", to}};
          CAISSON_ASSERT_OK_AND_ASSIGN(const State here,
                                       engine.Load(scratch / name, options));
          options.device = Device::Cuda(0);
          // Without memory for scratch, the host does it.
          if (!room) {
            fake.SetFault(FakeFault{.only = "allocate",
                                    .status = Status::OutOfMemory("full")});
          }
          LoadReport report;
          CAISSON_ASSERT_OK_AND_ASSIGN(
              const State there,
              engine.Load(scratch / name, options, {}, &report));
          EXPECT_EQ(GatheredThere(fake, there), Gathered(here));
          const bool by_host = report.device.host_bytes > 0;
          const bool in_windows =
              to == DType::kFloat32 || std::string_view(name) == "little.pt";
          EXPECT_EQ(by_host, !room && in_windows);
          EXPECT_EQ(by_host, !report.device.host_reason.empty());
        }
        ExpectClean(fake);
      }
    }
  }
}

TEST(DeviceLoad, FillsTheTensorsOfAState) {
  std::mt19937 random(3);
  for (int round = 0; round < 12; ++round) {
    const int devices = 1 + round % 3;
    FakeDevices fake({.devices = devices, .seed = random()});
    {
      const Twins twins =
          RandomTwins(random, fake, {.devices = devices, .host = 1});
      const ScratchDirectory scratch;
      const std::string path = scratch / "archive.pt";
      Put(path, FileOf(twins.host));
      const auto expected = Gathered(twins.host);
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 1 + random() % 4));
      State there = twins.there;
      CAISSON_ASSERT_OK(engine.LoadInto(path, there));
      EXPECT_EQ(GatheredThere(fake, there), expected);
    }
    ExpectClean(fake);
  }
}

// Whatever the streams had to do when the load was called is overwritten.
TEST(DeviceLoad, ComesAfterTheWorkOfTheGivenStreams) {
  for (const bool given : {false, true}) {
    std::mt19937 random(5);
    FakeDevices fake({.devices = 2});
    {
      const Twins twins = RandomTwins(random, fake, {.devices = 2, .host = 0});
      const ScratchDirectory scratch;
      const std::string path = scratch / "archive.pt";
      Put(path, FileOf(twins.host));
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 4));
      LoadIntoOptions options;
      // Without streams, the default stream of each device.
      DeviceStream stream = {Device::Cuda(0), {}};
      if (given) {
        stream = fake.MakeStream(Device::Cuda(1));
        options.streams = {stream};
      }
      for (const StorageHandle& storage : twins.storages) {
        const Region region = storage->region;
        if (region.bytes == 0 || (!given && region.device != stream.device)) {
          continue;
        }
        fake.Enqueue(stream, [&fake, region] {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          std::ranges::fill(fake.Alias(region.data, region.bytes),
                            std::byte{0xEE});
        });
      }
      State there = twins.there;
      CAISSON_ASSERT_OK(engine.LoadInto(path, there, options));
      fake.AwaitAll();
      EXPECT_EQ(GatheredThere(fake, there), Gathered(twins.host));
    }
    ExpectClean(fake);
  }
}

// Of one storage, whole, in parts and strided.
TEST(DeviceLoad, FillsViewsOfStorages) {
  FakeDevices fake;
  {
    const TensorView file = RandomTensor(DType::kFloat32, {300, 200}, 1);
    State state;
    state["whole"] = file;
    state["rows"] = ViewOf(file, {10, 200}, {200, 1}, 4000);
    state["dense"] = RandomTensor(DType::kInt16, {50, 70}, 2);
    const ScratchDirectory scratch;
    const std::string path = scratch / "archive.pt";
    Put(path, FileOf(state));
    State target;
    const auto zeros = [&](DType dtype, std::vector<int64_t> shape) {
      TensorView view = RandomTensor(dtype, std::move(shape), 9);
      view.storage = Uploaded(fake, Device::Cuda(0), *view.storage);
      return view;
    };
    target["whole"] = zeros(DType::kFloat32, {300, 200});
    target["rows"] = zeros(DType::kFloat32, {10, 200});
    const TensorView wide = zeros(DType::kInt16, {100, 150});
    target["dense"] = ViewOf(wide, {50, 70}, {300, 2}, 1);
    const auto around = fake.Alias(wide.storage->region.data, 30000);
    const ByteVector before(around.begin(), around.end());
    Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
    CAISSON_ASSERT_OK(engine.LoadInto(path, target));
    EXPECT_EQ(GatheredThere(fake, target), Gathered(state));
    // Nothing between the elements was touched.
    for (size_t elem = 0; elem < 15000; elem += 2) {
      EXPECT_EQ(around[2 * elem], before[2 * elem]) << elem;
    }
  }
  ExpectClean(fake);
}

TEST(DeviceLoad, ReadsRequestsAndBlocks) {
  FakeDevices fake;
  {
    State state;
    state["a"] = RandomTensor(DType::kFloat32, {400, 300}, 1);
    state["b"] = RandomTensor(DType::kUInt8, {100}, 2);
    const ScratchDirectory scratch;
    const std::string path = scratch / "archive.pt";
    Put(path, FileOf(state));
    Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, engine.Open(path));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* const a, reader.Find("a"));
    CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* const b, reader.Find("b"));
    Block block(a, {{3, 50}, {7, 290}});
    ByteVector whole(100);
    const auto there = fake.Upload(Device::Cuda(0), block.bytes);
    const auto there_b = fake.Upload(Device::Cuda(0), whole);
    const ReadRequest requests[] = {
        {a, block.ranges, {there.get(), block.bytes.size(), Device::Cuda(0)}},
        {b, {}, {there_b.get(), 100, Device::Cuda(0)}}};
    CAISSON_ASSERT_OK_AND_ASSIGN(const ReadReport report,
                                 engine.Read(reader, requests));
    EXPECT_THAT(report.checked, testing::ElementsAre(false, true));
    const ReadRequest here = block.Request();
    CAISSON_ASSERT_OK(engine.Read(reader, {&here, 1}).status());
    EXPECT_TRUE(std::ranges::equal(fake.Alias(there.get(), block.bytes.size()),
                                   block.bytes));
    // A Reader alone has no devices.
    EXPECT_THAT(reader.Read(requests).status(),
                StatusIs(StatusCode::kUnavailable,
                         AllOf(HasSubstr("cuda:0"), HasSubstr("Engine"))));
  }
  ExpectClean(fake);
}

TEST(DeviceLoad, ReadsSafetensorsWholeAndSharded) {
  std::mt19937 random(9);
  for (const uint64_t shard_bytes : {uint64_t{0}, uint64_t{20'000}}) {
    FakeDevices fake;
    {
      const State state = RandomState(random);
      const ScratchDirectory scratch;
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
      SaveOptions save = QuickSave();
      save.format.drop = true;  // the step
      save.format.shard_bytes = shard_bytes;
      CAISSON_ASSERT_OK(
          engine.Save(state, scratch / "m.safetensors", save).status());
      const std::string path =
          scratch /
          (shard_bytes == 0 ? "m.safetensors" : "m.safetensors.index.json");
      CAISSON_ASSERT_OK_AND_ASSIGN(const State here, engine.Load(path));
      LoadOptions options;
      options.device = Device::Cuda(0);
      LoadReport report;
      CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                   engine.Load(path, options, {}, &report));
      EXPECT_EQ(GatheredThere(fake, there), Gathered(here));
      EXPECT_EQ(report.device.bytes, report.tensor_bytes);
    }
    ExpectClean(fake);
  }
}

// Tensors of several files, and those that are put together from blocks.
TEST(DeviceLoad, ReadsDistributedCheckpoints) {
  for (const CompressMode compress :
       {CompressMode::kNone, CompressMode::kDeflate, CompressMode::kPlane}) {
    FakeDevices fake;
    {
      const ScratchDirectory scratch;
      DcpFiles files(scratch.path());
      files.Add("r", DType::kFloat32, {301, 133}, {76, 133}, 4, 1);
      files.Add("c", DType::kBFloat16, {300, 500}, {300, 67}, 4, 2);
      files.Add("g", DType::kInt64, {50, 60}, {13, 17}, 3, 3);
      files.Write(compress);
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
      CAISSON_ASSERT_OK_AND_ASSIGN(const State here,
                                   engine.Load(files.folder()));
      LoadOptions options;
      options.device = Device::Cuda(0);
      LoadReport report;
      CAISSON_ASSERT_OK_AND_ASSIGN(
          const State there, engine.Load(files.folder(), options, {}, &report));
      EXPECT_EQ(GatheredThere(fake, there), Gathered(here));
      EXPECT_EQ(report.device.bytes, report.tensor_bytes);
      // A block of a tensor that lies in several files.
      CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                   Engine::Open(files.folder()));
      for (const char* name : {"r", "c"}) {
        CAISSON_ASSERT_OK_AND_ASSIGN(const TensorInfo* info, reader.Find(name));
        const TensorView& whole = files.expected().at(name);
        const std::vector<Range> block = {{20, 290}, {5, 100}};
        const auto expected =
            PlainGather(BytesOf(*whole.storage), whole, block);
        const auto memory = fake.Upload(Device::Cuda(0), ByteVector(expected));
        std::ranges::fill(fake.Alias(memory.get(), expected.size()),
                          std::byte{0});
        ReadRequest request;
        request.tensor = info;
        request.block = block;
        request.dst = {memory.get(), expected.size(), Device::Cuda(0)};
        CAISSON_ASSERT_OK(engine.Read(reader, std::span(&request, 1)).status());
        const auto found = fake.Alias(memory.get(), expected.size());
        EXPECT_TRUE(std::ranges::equal(found, expected)) << name;
      }
    }
    ExpectClean(fake);
  }
}

// Floats go to the device as they are, varints by way of the host.
TEST(DeviceLoad, ReadsTheChunksOfCaffe2) {
  std::mt19937 random(10);
  FakeDevices fake;
  {
    const State state = RandomState(random);
    const ScratchDirectory scratch;
    Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 3));
    SaveOptions save = QuickSave();
    save.format.drop = true;  // the step, and complex numbers
    save.format.chunk_elems = 5000;
    const std::string path = scratch / "m.minidb";
    CAISSON_ASSERT_OK(engine.Save(state, path, save).status());
    CAISSON_ASSERT_OK_AND_ASSIGN(const State here, engine.Load(path));
    LoadOptions options;
    options.device = Device::Cuda(0);
    CAISSON_ASSERT_OK_AND_ASSIGN(const State there, engine.Load(path, options));
    EXPECT_EQ(GatheredThere(fake, there), Gathered(here));
  }
  ExpectClean(fake);
}

TEST(DeviceLoad, FindsDamageAndNamesIt) {
  FakeDevices fake;
  {
    State state;
    state["a"] = RandomTensor(DType::kFloat32, {100'000}, 1);
    state["b"] = RandomTensor(DType::kFloat32, {10}, 2);
    for (const char* record : {"archive/data/0", "archive/data/1"}) {
      std::string file = FileOf(state);
      for (const auto& item : RecordsOf(file).items) {
        if (item.name == record) file[item.offset + 17] ^= 4;
      }
      const ScratchDirectory scratch;
      const std::string path = scratch / "archive.pt";
      Put(path, file);
      Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
      LoadOptions options;
      options.device = Device::Cuda(0);
      EXPECT_THAT(engine.Load(path, options).status(),
                  StatusIs(StatusCode::kCorrupt,
                           AllOf(HasSubstr(std::string(record).substr(8)),
                                 HasSubstr("crc32"))));
      options.verify = false;
      CAISSON_EXPECT_OK(engine.Load(path, options).status());
    }
  }
  ExpectClean(fake);
}

TEST(DeviceLoad, SaysWhatCannotBe) {
  FakeDevices fake({.memory_bytes = size_t{2} << 20});
  {
    State state;
    state["a"] = RandomTensor(DType::kFloat32, {900'000}, 1);
    const ScratchDirectory scratch;
    const std::string path = scratch / "archive.pt";
    Put(path, FileOf(state));
    Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
    LoadOptions options;
    options.device = Device::Cuda(0);
    EXPECT_THAT(engine.Load(path, options).status(),
                StatusIs(StatusCode::kOutOfMemory, HasSubstr(path)));
    options.map = true;
    EXPECT_THAT(engine.Load(path, options).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("mapping")));
    options.map = false;
    options.device = Device::Cuda(5);
    EXPECT_THAT(engine.Load(path, options).status(),
                StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:5")));
  }
  ExpectClean(fake);
}

TEST(DeviceLoadFaults, EveryOperationMayFail) {
  for (const Status& failure :
       {Status::DeviceError("lost"), Status::OutOfMemory("full")}) {
    for (int at = 0;; ++at) {
      FakeDevices fake({.devices = 2,
                        .seed = static_cast<uint64_t>(at),
                        .max_delay = std::chrono::microseconds(10)});
      {
        std::mt19937 random(7);
        const Twins twins =
            RandomTwins(random, fake, {.tensors = 6, .devices = 2, .host = 1});
        const ScratchDirectory scratch(MemoryRoot());
        const std::string path = scratch / "archive.pt";
        Put(path, FileOf(twins.host));
        Engine engine = MakeEngine(fake, Sizes(64 * kKiB, 2));
        fake.SetFault(FakeFault{
            .at = at,
            .status = failure,
            .later = at % 2 == 0 && failure.code() == StatusCode::kDevice});
        State there = twins.there;
        const Status status = engine.LoadInto(path, there);
        if (status.ok()) {
          EXPECT_EQ(GatheredThere(fake, there), Gathered(twins.host));
        } else {
          EXPECT_EQ(status.code(), failure.code()) << status.ToString();
        }
      }
      ExpectClean(fake);
      if (testing::Test::HasFailure()) FAIL() << "operation " << at;
      if (!fake.fired()) {
        EXPECT_GT(at, 20);
        break;
      }
    }
  }
}

// Whatever order copies and kernels come to their ends in.
TEST(DeviceLoad, IsRightInEveryOrder) {
  const char* const wanted = std::getenv("CAISSON_DEVICE_SEEDS");
  const int seeds = wanted != nullptr ? std::atoi(wanted) : 50;
  const ScratchDirectory scratch(MemoryRoot());
  const std::string path = scratch / "archive.pt";
  for (int seed = 0; seed < seeds; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    const int devices = 1 + seed % 3;
    FakeDevices fake({.devices = devices,
                      .memory_bytes = size_t{16} << 20,
                      .seed = static_cast<uint64_t>(seed),
                      .max_delay = std::chrono::microseconds(50)});
    {
      const Twins twins = RandomTwins(
          random, fake,
          {.tensors = 8, .max_elems = 12000, .devices = devices, .host = 1});
      Put(path, FileOf(twins.host));
      EngineOptions options = Sizes((4 + 60 * (random() % 2)) * kKiB,
                                    1 + random() % 4, 1 + random() % 3);
      options.io = random() % 2 == 0 ? IoKind::kThreads : IoKind::kAuto;
      Engine engine = MakeEngine(fake, options);
      State there = twins.there;
      CAISSON_ASSERT_OK(engine.LoadInto(path, there));
      EXPECT_EQ(GatheredThere(fake, there), Gathered(twins.host))
          << "seed " << seed;
    }
    ExpectClean(fake);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace caisson
