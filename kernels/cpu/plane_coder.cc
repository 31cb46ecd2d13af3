// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/plane_coder.h"

namespace caisson::cpu {

size_t PlaneEncodeScratch(PlaneType, uint8_t) { return 0; }
size_t PlaneDecodeScratch(PlaneType, uint8_t) { return 0; }

PlaneResult EncodePlanes(const PlaneSource& source,
                         const plane::EncodePlan& plan) {
  return EncodePlanesPlainly(source, plan);
}

PlaneVerdict DecodePlanes(const PlaneTarget& target) {
  return DecodePlanesPlainly(target);
}

}  // namespace caisson::cpu
