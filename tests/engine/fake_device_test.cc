// SPDX-License-Identifier: Apache-2.0
//
// The fake devices keep to the rules that tests rely on.
#include "tests/support/fake_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "caisson/crc32.h"
#include "core/device/buffer.h"
#include "core/device/device_handles.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kPage = 64 << 10;
const Device kDevice = Device::Cuda(0);

// Pinned host memory.
class Pinned {
 public:
  Pinned(DeviceRuntime& runtime, size_t bytes)
      : runtime_(runtime), buffer_(*Buffer::Allocate(bytes)) {
    EXPECT_THAT(runtime_.Pin(kDevice, buffer_.bytes()), IsOk());
  }
  ~Pinned() { EXPECT_THAT(runtime_.Unpin(kDevice, buffer_.data()), IsOk()); }
  std::byte* data() const { return buffer_.data(); }

 private:
  DeviceRuntime& runtime_;
  Buffer buffer_;
};

TEST(FakeDeviceDeathTest, HostCodeCannotTouchDeviceMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  FakeDevices fake;
  const auto memory = fake.Upload(kDevice, RandomBytes(100, 1));
  EXPECT_DEATH(*memory = std::byte{1}, "");
}

TEST(FakeDevice, CopiesAndKernelsRunInStreamOrder) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    FakeDevices fake({.seed = seed});
    DeviceRuntime& runtime = **fake.Runtime();
    const auto bytes = RandomBytes(5000, seed);
    const auto memory = fake.Upload(kDevice, bytes);
    {
      const Pinned host(runtime, 2 * kPage);
      CAISSON_ASSERT_OK_AND_ASSIGN(
          const auto scratch, DeviceBuffer::Allocate(runtime, kDevice, kPage));
      CAISSON_ASSERT_OK_AND_ASSIGN(const auto copies,
                                   OwnedStream::Create(runtime, kDevice));
      CAISSON_ASSERT_OK_AND_ASSIGN(const auto kernels,
                                   OwnedStream::Create(runtime, kDevice));
      CAISSON_ASSERT_OK_AND_ASSIGN(const auto event,
                                   OwnedEvent::Create(runtime, kDevice));
      // Swapped by a kernel, after what a copy brought.
      CAISSON_EXPECT_OK(
          runtime.Copy(host.data(), memory.get(), 5000, copies.get()));
      CAISSON_EXPECT_OK(runtime.Record(event.get(), copies.get()));
      CAISSON_EXPECT_OK(runtime.WaitFor(kernels.get(), event.get()));
      auto* const crc = reinterpret_cast<uint32_t*>(host.data() + kPage);
      Job job;
      job.src = host.data();
      job.dst = host.data() + 8192;
      job.elems = 1250;
      job.crc = crc;
      Step step;
      step.op = Op::kByteSwap;
      step.from = step.to = DType::kFloat32;
      CAISSON_ASSERT_OK_AND_ASSIGN(const KernelTable* const table,
                                   fake.Kernels(kDevice));
      CAISSON_EXPECT_OK(table->transform(step, {&job, 1},
                                         {scratch.data(), scratch.size()},
                                         kernels.get().stream));
      CAISSON_EXPECT_OK(runtime.Synchronize(kernels.get()));
      EXPECT_EQ(std::memcmp(host.data(), bytes.data(), 5000), 0);
      EXPECT_EQ(host.data()[8192], bytes[3]);
      EXPECT_EQ(*crc, Crc32(0, {host.data() + 8192, 5000}));
      EXPECT_THAT(runtime.Happened(event.get()), IsOkAndHolds(true));
      EXPECT_EQ(fake.counts(), (FakeCounts{1, 1, 2, 1, 0}));
    }
    EXPECT_EQ(fake.counts(), FakeCounts());
    EXPECT_THAT(fake.violations(), IsEmpty());
  }
}

// Without an event between them, the streams are in no order.
TEST(FakeDevice, StreamsPassEachOther) {
  int first = 0;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    FakeDevices fake({.seed = seed});
    const DeviceStream a = fake.MakeStream(kDevice);
    const DeviceStream b = fake.MakeStream(kDevice);
    std::atomic<int> turn{0};
    int a_was = 0;
    fake.Enqueue(a, [&] { a_was = turn++; });
    fake.Enqueue(b, [&] { ++turn; });
    fake.AwaitAll();
    first += a_was == 0;
  }
  EXPECT_GT(first, 0);
  EXPECT_LT(first, 50);
}

TEST(FakeDevice, NoticesBrokenRules) {
  FakeDevices fake({.devices = 2});
  DeviceRuntime& runtime = **fake.Runtime();
  const auto memory = fake.Upload(kDevice, RandomBytes(100, 1));
  const auto scratch = fake.Upload(kDevice, RandomBytes(4096, 1));
  std::byte host[100];
  Job job;
  job.src = memory.get();
  job.dst = host;  // not pinned
  job.elems = 100;
  CAISSON_EXPECT_OK((*fake.Kernels(kDevice))
                        ->transform({}, {&job, 1}, {scratch.get(), 4096}, {}));
  EXPECT_THAT(runtime.Synchronize(DeviceStream{kDevice, {}}),
              StatusIs(StatusCode::kDevice));
  EXPECT_THAT(fake.violations(), ElementsAre(HasSubstr("does not see")));
  // The other one works on.
  CAISSON_EXPECT_OK(runtime.Synchronize(DeviceStream{Device::Cuda(1), {}}));
  EXPECT_THAT(runtime.Unpin(Device::Cuda(1), host),
              StatusIs(StatusCode::kDevice));
  EXPECT_EQ(fake.violations().size(), 2u);
}

TEST(FakeDevice, CopiesOfMemoryThatIsNotPinnedAreDoneWhenTheyReturn) {
  FakeDevices fake({.max_delay = std::chrono::microseconds(1000)});
  DeviceRuntime& runtime = **fake.Runtime();
  const auto bytes = RandomBytes(100, 1);
  const auto memory = fake.Upload(kDevice, bytes);
  std::vector<std::byte> host(100);
  CAISSON_EXPECT_OK(
      runtime.Copy(host.data(), memory.get(), 100, DeviceStream{kDevice, {}}));
  EXPECT_EQ(host, bytes);
}

TEST(FakeDevice, FailsWhenTold) {
  FakeDevices fake({.memory_bytes = 4 * kPage,
                    .fault = FakeFault{.at = 1,
                                       .only = "allocate",
                                       .status = Status::OutOfMemory("full")}});
  DeviceRuntime& runtime = **fake.Runtime();
  CAISSON_ASSERT_OK_AND_ASSIGN(std::byte* const first,
                               runtime.Allocate(kDevice, kPage));
  EXPECT_THAT(runtime.Allocate(kDevice, kPage),
              StatusIs(StatusCode::kOutOfMemory));
  EXPECT_TRUE(fake.fired());
  CAISSON_EXPECT_OK(runtime.Free(kDevice, first));
  EXPECT_THAT(runtime.Allocate(kDevice, 5 * kPage),
              StatusIs(StatusCode::kOutOfMemory));
  EXPECT_EQ(fake.counts(), FakeCounts());
  // What breaks a device breaks every later call.
  fake.SetFault(FakeFault{
      .only = "copy", .status = Status::DeviceError("lost"), .later = true});
  const auto memory = fake.Upload(kDevice, RandomBytes(100, 1));
  std::byte host[100];
  EXPECT_THAT(runtime.Copy(host, memory.get(), 100, DeviceStream{kDevice, {}}),
              StatusIs(StatusCode::kDevice, "lost"));
  EXPECT_THAT(runtime.CreateEvent(kDevice, EventUse::kOrder),
              StatusIs(StatusCode::kDevice, "lost"));
  EXPECT_THAT(fake.violations(), IsEmpty());
}

TEST(FakeDevice, WithoutADeviceThereIsNoRuntime) {
  FakeDevices fake({.devices = 0});
  EXPECT_THAT(fake.Runtime(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(fake.Kernels(kDevice), StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace caisson
