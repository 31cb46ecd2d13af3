// SPDX-License-Identifier: Apache-2.0
//
// From a PlaneType that is a value to one that is a constant.
#pragma once

#include <utility>

#include "caisson/plane_chunk.h"
#include "kernels/host_device.h"

namespace caisson::plane {

template <PlaneType kValue>
struct TypeTag {
  static constexpr PlaneType kType = kValue;
};

// fn(TypeTag<type>()). REQUIRES: a type of the enumeration.
template <typename Fn>
CAISSON_HOST_DEVICE decltype(auto) WithPlaneType(PlaneType type, Fn&& fn) {
  switch (type) {
    case PlaneType::kBytes:
      break;
    case PlaneType::kFloat8E4M3:
      return fn(TypeTag<PlaneType::kFloat8E4M3>());
    case PlaneType::kFloat8E5M2:
      return fn(TypeTag<PlaneType::kFloat8E5M2>());
    case PlaneType::kBFloat16:
      return fn(TypeTag<PlaneType::kBFloat16>());
    case PlaneType::kFloat16:
      return fn(TypeTag<PlaneType::kFloat16>());
    case PlaneType::kInt16:
      return fn(TypeTag<PlaneType::kInt16>());
    case PlaneType::kFloat32:
      return fn(TypeTag<PlaneType::kFloat32>());
    case PlaneType::kInt32:
      return fn(TypeTag<PlaneType::kInt32>());
    case PlaneType::kFloat64:
      return fn(TypeTag<PlaneType::kFloat64>());
    case PlaneType::kInt64:
      return fn(TypeTag<PlaneType::kInt64>());
  }
  return fn(TypeTag<PlaneType::kBytes>());
}

}  // namespace caisson::plane
