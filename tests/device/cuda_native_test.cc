// SPDX-License-Identifier: Apache-2.0
//
// Needs a build with CUDA; only one test needs a device.
#include "core/device/cuda_native.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace caisson::cuda {
namespace {

using testing::StartsWith;

TEST(CudaNative, SuccessIsOk) {
  CAISSON_EXPECT_OK(FromCuda(cudaSuccess, "launch"));
}

TEST(CudaNative, AnErrorCarriesWhatWasBeingDoneAndItsName) {
  EXPECT_THAT(FromCuda(cudaErrorIllegalAddress, "byte_swap"),
              StatusIs(StatusCode::kDevice,
                       StartsWith("byte_swap: cudaErrorIllegalAddress: ")));
}

TEST(CudaNative, TheCodeNamesTheCallersNextMove) {
  EXPECT_EQ(CodeFor(cudaErrorMemoryAllocation), StatusCode::kOutOfMemory);
  EXPECT_EQ(CodeFor(cudaErrorNoDevice), StatusCode::kUnavailable);
  EXPECT_EQ(CodeFor(cudaErrorInsufficientDriver), StatusCode::kUnavailable);
  EXPECT_EQ(CodeFor(cudaErrorNoKernelImageForDevice), StatusCode::kUnsupported);
  EXPECT_EQ(CodeFor(cudaErrorLaunchFailure), StatusCode::kDevice);
}

TEST(CudaNative, AReportedErrorIsNotReportedAgain) {
  int count = 0;
  const Status found = FromCuda(cudaGetDeviceCount(&count), "count devices");
  // Without a device the runtime reports that again on every call.
  if (!found.ok()) GTEST_SKIP() << found.ToString();
  ASSERT_THAT(FromCuda(cudaSetDevice(-1), "choose a device"),
              testing::Not(IsOk()));
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

TEST(CudaNative, TheNativeStreamIsTheOneInside) {
  int anything = 0;
  EXPECT_EQ(Native(Stream{&anything}),
            reinterpret_cast<cudaStream_t>(&anything));
  EXPECT_EQ(Native(Stream{}), nullptr);
}

}  // namespace
}  // namespace caisson::cuda
