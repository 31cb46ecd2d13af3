// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/cpu_kernels.h"

namespace caisson::cpu {

const KernelTable* Kernels() {
  static constexpr KernelTable kTable = {
      .name = "cpu",
      .transform = Transform,
      .workspace_bytes = WorkspaceBytes,
      .inflate = Inflate,
      .deflate = Deflate,
      .deflate_bound = DeflateBound,
      .plane_encode = PlaneEncode,
      .plane_encode_bytes = PlaneEncodeBytes,
      .plane_decode = PlaneDecode,
      .plane_decode_bytes = PlaneDecodeBytes,
      .encode_varints = EncodeVarints,
      .decode_varints = DecodeVarints,
  };
  return &kTable;
}

}  // namespace caisson::cpu
