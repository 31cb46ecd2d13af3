// SPDX-License-Identifier: Apache-2.0
//
// The archives of formats.md, Appendix A: six small objects as torch 2.6.0 and
// 1.13.1 save them, byte for byte.
#pragma once

#include <string>
#include <vector>

namespace caisson {

struct GoldenArchive {
  std::string name;  // "g1_torch_2_6"
  std::string bytes;
};

// g1 to g6 of 2.6, and g1 to g4 of 1.13.
std::vector<GoldenArchive> GoldenArchives();

}  // namespace caisson
