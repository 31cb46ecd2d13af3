// SPDX-License-Identifier: Apache-2.0
//
// For arithmetic that the host and a CUDA device share: such functions are
// compiled for both, and tested on the host lane by lane.
#pragma once

#if defined(__CUDACC__)
#define CAISSON_HOST_DEVICE __host__ __device__
// Before a loop whose counter must be a constant, so that what it indexes can
// stay in registers.
#define CAISSON_UNROLL _Pragma("unroll")
#else
#define CAISSON_HOST_DEVICE
#define CAISSON_UNROLL
#endif
