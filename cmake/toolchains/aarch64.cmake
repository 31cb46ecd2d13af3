# SPDX-License-Identifier: Apache-2.0
#
# 64-bit Arm: the CPUs beside NVIDIA's Grace GPUs. NEON.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
