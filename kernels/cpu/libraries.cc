// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/libraries.h"

#include <libdeflate.h>

#include "hwy/highway.h"

namespace caisson::cpu {

std::vector<std::pair<std::string, std::string>> LibraryVersions() {
  return {
      {"highway", std::to_string(HWY_MAJOR) + "." + std::to_string(HWY_MINOR) +
                      "." + std::to_string(HWY_PATCH)},
      {"libdeflate", LIBDEFLATE_VERSION_STRING}};
}

}  // namespace caisson::cpu
