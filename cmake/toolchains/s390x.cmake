# SPDX-License-Identifier: Apache-2.0
#
# IBM Z: the big-endian machine, which has no SIMD target of Highway 1.0.
set(CMAKE_SYSTEM_PROCESSOR s390x)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
