# SPDX-License-Identifier: Apache-2.0
#
# Every dependency and its least version. Debian 12 and Ubuntu 24.04 ship all.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# Highway 1.0.3: the SIMD kernels.
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy>=1.0.3)

# libdeflate 1.14: DEFLATE of records held whole in memory.
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate>=1.14)

# ISA-L 2.30: optional, DEFLATE at the speed of memory. x86-64 and arm64 only;
# without it libdeflate does all of it.
pkg_check_modules(isal QUIET IMPORTED_TARGET libisal>=2.30)
set(CAISSON_HAVE_ISAL OFF)
if(isal_FOUND)
  set(CAISSON_HAVE_ISAL ON)
endif()
message(STATUS "Caisson: ISA-L ${CAISSON_HAVE_ISAL}")

# nlohmann-json 3.11: the headers and indices of safetensors.
find_package(nlohmann_json 3.11 REQUIRED)

# protobuf 3.21: Caffe2's messages, and their text form. The compiler is the
# host's, also where the library is another machine's.
pkg_check_modules(protobuf REQUIRED IMPORTED_TARGET protobuf>=3.21)
find_program(CAISSON_PROTOC protoc REQUIRED)

# liburing 2.3: optional, a second queue of transfers. Linux only.
set(CAISSON_HAVE_URING OFF)
if(NOT CAISSON_URING STREQUAL OFF)
  pkg_check_modules(liburing QUIET IMPORTED_TARGET liburing>=2.3)
  if(liburing_FOUND)
    set(CAISSON_HAVE_URING ON)
  elseif(CAISSON_URING STREQUAL ON)
    message(FATAL_ERROR "CAISSON_URING=ON, but liburing 2.3 was not found")
  endif()
endif()
message(STATUS "Caisson: io_uring ${CAISSON_HAVE_URING}")

if(CAISSON_CLI)
  find_package(fmt 9 REQUIRED)
  find_package(CLI11 2.1 REQUIRED)
endif()

if(CAISSON_TESTS)
  find_package(GTest 1.12 REQUIRED)
  find_package(ZLIB REQUIRED)  # a peer for crc32
endif()

# Benchmarks: Google Benchmark 1.7 and, as peers, zlib and ISA-L. Without the
# latter its benchmarks are not there.
set(CAISSON_HAVE_BENCH OFF)
if(NOT CAISSON_BENCH STREQUAL OFF)
  find_package(benchmark 1.7 QUIET)
  find_package(ZLIB QUIET)
  if(benchmark_FOUND AND ZLIB_FOUND)
    set(CAISSON_HAVE_BENCH ON)
    message(STATUS "Caisson: benchmarks ON")
  elseif(CAISSON_BENCH STREQUAL ON)
    message(FATAL_ERROR
      "CAISSON_BENCH=ON, but Google Benchmark 1.7 or zlib was not found")
  else()
    message(STATUS "Caisson: benchmarks OFF, as Google Benchmark 1.7 or zlib "
      "was not found")
  endif()
endif()

# CUDA 12: optional, compiled wherever nvcc is found. For sm_90, unless
# CMAKE_CUDA_ARCHITECTURES says otherwise: 80, 86, 89 and 90 work, and with CUDA
# 12.8 also 100 and 120; "80;86;89;90;100;120" makes one binary for them all.
set(CAISSON_HAVE_CUDA OFF)
if(NOT CAISSON_CUDA STREQUAL OFF)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 90)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 12 REQUIRED)
    # CMake 3.25 knows no flag for C++20 of nvcc 13.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    endif()
    set(CAISSON_HAVE_CUDA ON)
  elseif(CAISSON_CUDA STREQUAL ON)
    message(FATAL_ERROR "CAISSON_CUDA=ON, but no nvcc was found")
  endif()
endif()
message(STATUS "Caisson: CUDA ${CAISSON_HAVE_CUDA}")
