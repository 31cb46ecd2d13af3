// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "kernels/cpu/targets.h"
#include "kernels/kernel_table.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::HasSubstr;

TEST(KernelsFor, TheHostAreAlwaysThereAndComplete) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const KernelTable* const table,
                               KernelsFor(Device::Cpu()));
  EXPECT_EQ(std::string_view(table->name), "cpu");
  EXPECT_NE(table->transform, nullptr);
  EXPECT_NE(table->workspace_bytes, nullptr);
  EXPECT_NE(table->inflate, nullptr);
  EXPECT_NE(table->plane_encode, nullptr);
  EXPECT_NE(table->plane_encode_bytes, nullptr);
  EXPECT_NE(table->plane_decode, nullptr);
  EXPECT_NE(table->plane_decode_bytes, nullptr);
}

TEST(KernelsFor, CudaAreThereOrSayWhyNot) {
  const Result<const KernelTable*> table = KernelsFor(Device::Cuda(0));
  if (table.has_value()) {
    EXPECT_EQ(std::string_view((*table)->name), "cuda");
  } else {
    EXPECT_THAT(table, StatusIs(StatusCode::kUnavailable, HasSubstr("CUDA")));
  }
}

TEST(SimdTargets, NameTheOneInUseFirst) {
  const auto targets = cpu::SimdTargets();
  ASSERT_FALSE(targets.empty());
  for (const cpu::SimdTarget& target : targets) {
    EXPECT_NE(target.name, "unknown");
    EXPECT_GE(target.bit, targets.front().bit);  // a lower bit is better
  }
}

}  // namespace
}  // namespace caisson
