// SPDX-License-Identifier: Apache-2.0
#include "caisson/memory.h"

namespace caisson {

std::string Name(Device device) {
  if (device.is_cpu()) return "cpu";
  return "cuda:" + std::to_string(device.ordinal);
}

}  // namespace caisson
