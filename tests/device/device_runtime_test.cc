// SPDX-License-Identifier: Apache-2.0
//
// The runtime of CUDA behind its seam. Without a device all but the first test
// are skipped, with the reason.
#include "core/device/device_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/device/buffer.h"
#include "core/device/device.h"
#include "core/device/device_handles.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::HasSubstr;

constexpr size_t kMiB = size_t{1} << 20;

TEST(DeviceRuntime, WithoutADeviceItIsUnavailableForTheSameReason) {
  const auto devices = CudaDevices();
  if (devices.has_value()) GTEST_SKIP() << "this machine has a device";
  EXPECT_THAT(CudaRuntime(), StatusIs(StatusCode::kUnavailable,
                                      std::string(devices.error().message())));
}

class CudaRuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto runtime = CudaRuntime();
    if (!runtime.has_value()) GTEST_SKIP() << runtime.error().ToString();
    runtime_ = *runtime;
  }

  DeviceRuntime& runtime() { return *runtime_; }
  const Device device_ = Device::Cuda(0);

 private:
  DeviceRuntime* runtime_ = nullptr;
};

TEST_F(CudaRuntimeTest, EveryDeviceHasProcessorsAndIdentities) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto devices, CudaDevices());
  for (const DeviceProperties& device : devices) {
    EXPECT_GT(device.processors, 0);
    EXPECT_EQ(device.uuid.size(), 32u);
    EXPECT_THAT(device.pci_bus_id, HasSubstr(":"));
  }
}

TEST_F(CudaRuntimeTest, CopiesThereAndBackGiveTheSameBytes) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedStream stream,
                               OwnedStream::Create(runtime(), device_));
  for (const size_t bytes : {size_t{1}, size_t{4097}, 8 * kMiB}) {
    const std::vector<std::byte> there = RandomBytes(bytes, bytes);
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const DeviceBuffer first,
        DeviceBuffer::Allocate(runtime(), device_, bytes));
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const DeviceBuffer second,
        DeviceBuffer::Allocate(runtime(), device_, bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % 256, 0u);
    CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer back, Buffer::Allocate(bytes));
    CAISSON_ASSERT_OK(runtime().Pin(device_, back.bytes()));
    CAISSON_EXPECT_OK(
        runtime().Copy(first.data(), there.data(), bytes, stream.get()));
    CAISSON_EXPECT_OK(
        runtime().Copy(second.data(), first.data(), bytes, stream.get()));
    CAISSON_EXPECT_OK(
        runtime().Copy(back.data(), second.data(), bytes, stream.get()));
    CAISSON_EXPECT_OK(runtime().Synchronize(stream.get()));
    EXPECT_EQ(std::memcmp(back.data(), there.data(), bytes), 0);
    CAISSON_EXPECT_OK(runtime().Unpin(device_, back.data()));
  }
}

TEST_F(CudaRuntimeTest, AnEventOrdersTwoStreams) {
  constexpr size_t kBytes = 64 * kMiB;
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedStream up,
                               OwnedStream::Create(runtime(), device_));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const OwnedStream down,
      OwnedStream::Create(runtime(), device_, StreamPriority::kLowest));
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedEvent is_up,
                               OwnedEvent::Create(runtime(), device_));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const DeviceBuffer memory,
      DeviceBuffer::Allocate(runtime(), device_, kBytes));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer host, Buffer::Allocate(2 * kBytes));
  CAISSON_ASSERT_OK(runtime().Pin(device_, host.bytes()));
  const std::span<std::byte> src = host.bytes().first(kBytes);
  const std::span<std::byte> dst = host.bytes().subspan(kBytes);
  for (int round = 0; round < 20; ++round) {
    std::memset(src.data(), round + 1, kBytes);
    std::memset(dst.data(), 0, kBytes);
    CAISSON_EXPECT_OK(
        runtime().Copy(memory.data(), src.data(), kBytes, up.get()));
    CAISSON_EXPECT_OK(runtime().Record(is_up.get(), up.get()));
    CAISSON_EXPECT_OK(runtime().WaitFor(down.get(), is_up.get()));
    CAISSON_EXPECT_OK(
        runtime().Copy(dst.data(), memory.data(), kBytes, down.get()));
    CAISSON_EXPECT_OK(runtime().Synchronize(down.get()));
    EXPECT_THAT(runtime().Happened(is_up.get()), IsOkAndHolds(true));
    ASSERT_EQ(std::memcmp(src.data(), dst.data(), kBytes), 0) << round;
  }
  CAISSON_EXPECT_OK(runtime().Unpin(device_, host.data()));
}

TEST_F(CudaRuntimeTest, EventsTellTheTimeBetweenThem) {
  constexpr size_t kBytes = 64 * kMiB;
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedStream stream,
                               OwnedStream::Create(runtime(), device_));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const OwnedEvent from,
      OwnedEvent::Create(runtime(), device_, EventUse::kTiming));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const OwnedEvent to,
      OwnedEvent::Create(runtime(), device_, EventUse::kTiming));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const DeviceBuffer memory,
      DeviceBuffer::Allocate(runtime(), device_, 2 * kBytes));
  CAISSON_EXPECT_OK(runtime().Record(from.get(), stream.get()));
  CAISSON_EXPECT_OK(runtime().Copy(memory.data() + kBytes, memory.data(),
                                   kBytes, stream.get()));
  CAISSON_EXPECT_OK(runtime().Record(to.get(), stream.get()));
  CAISSON_EXPECT_OK(runtime().Synchronize(to.get()));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const double milliseconds,
      runtime().MillisecondsBetween(from.get(), to.get()));
  EXPECT_GT(milliseconds, 0);
  EXPECT_LT(milliseconds, 1000);
}

TEST_F(CudaRuntimeTest, AnEventThatWasNeverRecordedHasHappened) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedEvent event,
                               OwnedEvent::Create(runtime(), device_));
  EXPECT_THAT(runtime().Happened(event.get()), IsOkAndHolds(true));
  CAISSON_EXPECT_OK(runtime().Synchronize(event.get()));
}

TEST_F(CudaRuntimeTest, TheDefaultStreamIsTheOneWithoutAHandle) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedEvent event,
                               OwnedEvent::Create(runtime(), device_));
  const DeviceStream stream = {device_, {}};
  CAISSON_EXPECT_OK(runtime().Record(event.get(), stream));
  CAISSON_EXPECT_OK(runtime().Synchronize(event.get()));
  CAISSON_EXPECT_OK(runtime().Synchronize(stream));
}

TEST_F(CudaRuntimeTest, PinnedMemoryCannotBePinnedTwice) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer host, Buffer::Allocate(kMiB));
  CAISSON_ASSERT_OK(runtime().Pin(device_, host.bytes()));
  EXPECT_THAT(runtime().Pin(device_, host.bytes()),
              StatusIs(StatusCode::kDevice, HasSubstr("pin 1048576 bytes")));
  CAISSON_EXPECT_OK(runtime().Unpin(device_, host.data()));
  CAISSON_EXPECT_OK(runtime().Pin(device_, host.bytes()));
  CAISSON_EXPECT_OK(runtime().Unpin(device_, host.data()));
}

TEST_F(CudaRuntimeTest, OutOfMemoryIsAnAnswerAfterWhichItWorksOn) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const DeviceMemory memory,
                               runtime().MemoryOf(device_));
  EXPECT_GT(memory.free_bytes, 0u);
  EXPECT_LE(memory.free_bytes, memory.total_bytes);
  EXPECT_THAT(runtime().Allocate(device_, 2 * memory.total_bytes),
              StatusIs(StatusCode::kOutOfMemory, HasSubstr("bytes on cuda:0")));
  CAISSON_ASSERT_OK_AND_ASSIGN(
      DeviceBuffer buffer, DeviceBuffer::Allocate(runtime(), device_, kMiB));
  CAISSON_ASSERT_OK_AND_ASSIGN(const OwnedStream stream,
                               OwnedStream::Create(runtime(), device_));
  std::byte byte{};
  CAISSON_EXPECT_OK(runtime().Copy(&byte, buffer.data(), 1, stream.get()));
  CAISSON_EXPECT_OK(runtime().Synchronize(stream.get()));
  CAISSON_EXPECT_OK(buffer.Release());
}

TEST_F(CudaRuntimeTest, ADeviceThatIsNotThereIsUnavailable) {
  EXPECT_THAT(runtime().Allocate(Device::Cuda(99), kMiB),
              StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:99")));
  EXPECT_THAT(runtime().CreateStream(Device::Cuda(-1), StreamPriority::kNormal),
              StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:-1")));
  EXPECT_THAT(runtime().MemoryOf(Device::Cpu()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cpu")));
  // It works on.
  CAISSON_EXPECT_OK(DeviceBuffer::Allocate(runtime(), device_, kMiB).status());
}

TEST_F(CudaRuntimeTest, HandlesMoveAndReleaseOnce) {
  CAISSON_ASSERT_OK_AND_ASSIGN(
      DeviceBuffer first, DeviceBuffer::Allocate(runtime(), device_, kMiB));
  std::byte* const data = first.data();
  DeviceBuffer second = std::move(first);
  EXPECT_EQ(second.data(), data);
  CAISSON_EXPECT_OK(second.Release());
  EXPECT_TRUE(second.empty());
  CAISSON_EXPECT_OK(second.Release());
}

}  // namespace
}  // namespace caisson
