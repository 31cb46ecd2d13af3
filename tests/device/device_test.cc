// SPDX-License-Identifier: Apache-2.0
#include "core/device/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(Device, WithoutOneTheAnswerIsUnavailableWithAReason) {
  const auto devices = CudaDevices();
  if (devices.has_value()) {
    GTEST_SKIP() << "this machine has one: " << CudaSummary();
  }
  ASSERT_THAT(devices, StatusIs(StatusCode::kUnavailable));
  const std::string reason(devices.error().message());
  EXPECT_GT(reason.size(), 10u);
  EXPECT_THAT(CudaSummary(), EndsWith(reason));
  EXPECT_THAT(CudaSummary(), Not(HasSubstr("\n")));
}

TEST(Device, EachHasANameMemoryAndACapability) {
  const auto devices = CudaDevices();
  if (!devices.has_value()) GTEST_SKIP() << devices.error().ToString();
  ASSERT_FALSE(devices->empty());
  for (const DeviceProperties& device : *devices) {
    EXPECT_FALSE(device.name.empty());
    EXPECT_GT(device.memory_bytes, uint64_t{1} << 28);
    EXPECT_GE(device.major, 3);
    EXPECT_GE(device.minor, 0);
  }
  EXPECT_THAT(CudaSummary(),
              HasSubstr(", " + std::to_string(devices->size()) + " device"));
}

TEST(Device, ThreadsMayAskAtOnceAndGetTheSameAnswer) {
  const std::string expected = CudaSummary();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { EXPECT_EQ(CudaSummary(), expected); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace caisson
