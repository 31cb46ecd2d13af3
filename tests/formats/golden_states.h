// SPDX-License-Identifier: Apache-2.0
//
// G1 to G6 of formats.md, Appendix A: the objects, built in C++ from nothing,
// and what stock torch makes of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/state.h"

namespace caisson {

// Object Gn. Its tensors own their memory.
State GoldenState(int n);

struct GoldenRecord {
  std::string_view name;
  uint64_t header, data, bytes;
  uint32_t crc32;
};

struct GoldenSum {
  uint64_t bytes;
  std::string_view sha256;
};

struct Golden {
  int n;
  GoldenSum torch_1_13;  // bytes 0: not savable there
  GoldenSum torch_2_6;
  GoldenSum without_alignment;  // torch 2.7 without ".storage_alignment"
  GoldenSum torch_2_13;
  std::vector<GoldenRecord> records;  // of the 2.6 file
};

const std::vector<Golden>& Goldens();

// The file of Gn by stock torch 2.13.0.
std::string GoldenFile(int n);

}  // namespace caisson
