// SPDX-License-Identifier: Apache-2.0
//
// A test that wants a CUDA device, and is skipped without one, with the reason.
#pragma once

#include <gtest/gtest.h>

#include "caisson/memory.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "tests/support/status_matchers.h"

namespace caisson {

class CudaCase : public testing::Test {
 protected:
  static inline const Device kDevice = Device::Cuda(0);

  void SetUp() override {
    const auto runtime = CudaRuntime();
    if (!runtime.has_value()) GTEST_SKIP() << runtime.error().ToString();
    runtime_ = *runtime;
    auto stream = OwnedStream::Create(*runtime_, kDevice);
    if (!stream.has_value()) GTEST_SKIP() << stream.error().ToString();
    stream_ = std::move(*stream);
  }

  DeviceRuntime* runtime_ = nullptr;
  OwnedStream stream_;
};

}  // namespace caisson
