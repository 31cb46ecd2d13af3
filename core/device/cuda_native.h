// SPDX-License-Identifier: Apache-2.0
//
// Between our values and CUDA's: errors to Status, handles to native handles.
// Only kernels/cuda and core/device/*_cuda.cc include it, and it includes
// nothing but CUDA and include/, so that it serves both layers.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <string_view>
#include <utility>

#include "caisson/memory.h"
#include "caisson/status.h"

namespace caisson::cuda {

inline cudaStream_t Native(Stream stream) {
  return static_cast<cudaStream_t>(stream.native);
}

// What the caller of a failed CUDA call can do about it.
inline StatusCode CodeFor(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return StatusCode::kOk;
    case cudaErrorMemoryAllocation:
      return StatusCode::kOutOfMemory;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorDeviceNotLicensed:
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return StatusCode::kUnavailable;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorNotSupported:
      return StatusCode::kUnsupported;
    default:
      return StatusCode::kDevice;
  }
}

// OK for cudaSuccess, else "<doing>: <name of the error>: <its text>". Clears
// the calling thread's last CUDA error, so that a later check does not report
// this failure again; an error that broke the context stays.
inline Status FromCuda(cudaError_t error, std::string_view doing) {
  if (error == cudaSuccess) return Status::Ok();
  static_cast<void>(cudaGetLastError());
  std::string message(doing);
  message.append(": ").append(cudaGetErrorName(error));
  message.append(": ").append(cudaGetErrorString(error));
  return Status(CodeFor(error), std::move(message));
}

}  // namespace caisson::cuda
