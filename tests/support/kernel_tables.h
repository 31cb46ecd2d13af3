// SPDX-License-Identifier: Apache-2.0
//
// Every kernel table this machine can run, as parameters of a test: the
// host's once for each SIMD target of the CPU, CUDA's done by the host lane
// after lane, and CUDA's itself. All of them work on host memory.
//
//   using ByteSwapTest = KernelTest;
//   TEST_P(ByteSwapTest, ...) { ... kernels().transform(...) ... }
//   INSTANTIATE_TEST_SUITE_P(AllTables, ByteSwapTest,
//                            testing::ValuesIn(RunnableTables()), TableName);
//
// The SIMD target is a setting of the whole process, so such tests do not run
// beside each other in one process.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "hwy/targets.h"
#include "kernels/cpu/targets.h"
#include "kernels/kernel_table.h"
#include "tests/support/cuda_lanes.h"
#include "tests/support/mirrored_cuda.h"

namespace caisson {

struct TableCase {
  std::string name;  // "cpu_avx2", "cuda_lanes", "cuda"
  Result<const KernelTable*> (*kernels)();
  int64_t simd_target = 0;  // 0: not the host's
};

inline void PrintTo(const TableCase& table, std::ostream* os) {
  *os << table.name;
}

// One case for each SIMD target of this CPU.
inline std::vector<TableCase> RunnableSimdTargets() {
  std::vector<TableCase> cases;
  for (const cpu::SimdTarget& target : cpu::SimdTargets()) {
    cases.push_back({"cpu_" + target.name,
                     [] { return KernelsFor(Device::Cpu()); }, target.bit});
  }
  return cases;
}

// The same and CUDA's, which a KernelTest skips where it is unavailable. Its
// arithmetic wants a little-endian host, as CUDA does.
inline std::vector<TableCase> RunnableTables() {
  std::vector<TableCase> cases = RunnableSimdTargets();
  if (std::endian::native == std::endian::little) {
    cases.push_back({"cuda_lanes", []() -> Result<const KernelTable*> {
                       return &CudaLanes();
                     }});
  }
  cases.push_back({"cuda", MirroredCuda});
  return cases;
}

inline std::string TableName(const testing::TestParamInfo<TableCase>& info) {
  return info.param.name;
}

// Runs its tests with the table, and on the SIMD target, of the parameter.
class KernelTest : public testing::TestWithParam<TableCase> {
 protected:
  void SetUp() override {
    const Result<const KernelTable*> kernels = GetParam().kernels();
    if (!kernels.has_value()) {
      ASSERT_EQ(kernels.error().code(), StatusCode::kUnavailable);
      GTEST_SKIP() << kernels.error().message();
    }
    kernels_ = *kernels;
    if (GetParam().simd_target != 0) {
      hwy::SetSupportedTargetsForTest(GetParam().simd_target);
    }
  }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  const KernelTable& kernels() const { return *kernels_; }

 private:
  const KernelTable* kernels_ = nullptr;
};

}  // namespace caisson
