// SPDX-License-Identifier: Apache-2.0
//
// The seam of device_runtime.h over the CUDA runtime, call for call.
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <string>

#include "core/base/status_macros.h"
#include "core/device/cuda_native.h"
#include "core/device/device.h"
#include "core/device/device_runtime.h"

namespace caisson {
namespace {

using cuda::FromCuda;
using cuda::Native;

cudaEvent_t Native(const DeviceEvent& event) {
  return static_cast<cudaEvent_t>(event.native);
}

// "record an event on cuda:1", made only when it is needed.
Status Checked(cudaError_t error, const char* doing, Device device) {
  if (error == cudaSuccess) return Status::Ok();
  return FromCuda(error, std::string(doing) + " on " + Name(device));
}

std::string Bytes(size_t bytes) { return std::to_string(bytes) + " bytes"; }

using PrimaryContextState = CUresult (*)(CUdevice, unsigned int*, int*);

// The driver's function, as the runtime has none for it; null if it hides.
PrimaryContextState FindPrimaryContextState() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  constexpr char kName[] = "cuDevicePrimaryCtxGetState";
#if CUDART_VERSION >= 12050
  const cudaError_t error = cudaGetDriverEntryPointByVersion(
      kName, &function, 12000, cudaEnableDefault, &found);
#else
  const cudaError_t error =
      cudaGetDriverEntryPoint(kName, &function, cudaEnableDefault, &found);
#endif
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  return reinterpret_cast<PrimaryContextState>(function);
}

bool HasContext(int ordinal) {
  static const PrimaryContextState state = FindPrimaryContextState();
  unsigned int flags = 0;
  int active = 0;
  return state == nullptr ||
         (state(ordinal, &flags, &active) == CUDA_SUCCESS && active != 0);
}

// Makes a device the thread's current one, until its end.
//
// A thread that has chosen none is on device 0. To go back there would make a
// context on it, of hundreds of megabytes, for a process that uses another;
// so a device without a context is not gone back to.
class OnDevice {
 public:
  explicit OnDevice(Device device) {
    if (device.space != Device::Space::kCuda) {
      status_ = Status::InvalidArgument(Name(device) + ": not a CUDA device");
      return;
    }
    status_ = Checked(cudaGetDevice(&previous_), "ask where to work", device);
    if (!status_.ok() || previous_ == device.ordinal) return;
    status_ = Checked(cudaSetDevice(device.ordinal), "work", device);
    changed_ = status_.ok();
  }
  ~OnDevice() {
    if (changed_ && HasContext(previous_)) {
      static_cast<void>(cudaSetDevice(previous_));
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  const Status& status() const { return status_; }

 private:
  int previous_ = 0;
  bool changed_ = false;
  Status status_;
};

class Runtime : public DeviceRuntime {
 public:
  Result<std::byte*> Allocate(Device device, size_t bytes) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    void* data = nullptr;
    const cudaError_t error = cudaMalloc(&data, bytes);
    if (error != cudaSuccess) {
      return Checked(error, ("allocate " + Bytes(bytes)).c_str(), device);
    }
    return static_cast<std::byte*>(data);
  }

  Status Free(Device device, std::byte* data) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaFree(data), "free memory", device);
  }

  Result<DeviceMemory> MemoryOf(Device device) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    size_t free = 0, total = 0;
    CAISSON_RETURN_IF_ERROR(
        Checked(cudaMemGetInfo(&free, &total), "ask for free memory", device));
    return DeviceMemory{free, total};
  }

  Status Pin(Device device, std::span<std::byte> memory) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    const cudaError_t error = cudaHostRegister(memory.data(), memory.size(),
                                               cudaHostRegisterPortable);
    if (error == cudaSuccess) return Status::Ok();
    return Checked(error, ("pin " + Bytes(memory.size())).c_str(), device);
  }

  Status Unpin(Device device, std::byte* data) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaHostUnregister(data), "unpin memory", device);
  }

  Result<DeviceStream> CreateStream(Device device,
                                    StreamPriority priority) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    int least = 0, greatest = 0;
    if (priority == StreamPriority::kLowest) {
      CAISSON_RETURN_IF_ERROR(
          Checked(cudaDeviceGetStreamPriorityRange(&least, &greatest),
                  "ask for priorities", device));
    }
    cudaStream_t stream = nullptr;
    CAISSON_RETURN_IF_ERROR(Checked(
        cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, least),
        "create a stream", device));
    return DeviceStream{device, {stream}};
  }

  Status DestroyStream(const DeviceStream& stream) override {
    const OnDevice on(stream.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaStreamDestroy(Native(stream.stream)), "destroy a stream",
                   stream.device);
  }

  Result<DeviceEvent> CreateEvent(Device device, EventUse use) override {
    const OnDevice on(device);
    CAISSON_RETURN_IF_ERROR(on.status());
    const unsigned int flags =
        cudaEventBlockingSync |
        (use == EventUse::kTiming ? 0u : cudaEventDisableTiming);
    cudaEvent_t event = nullptr;
    CAISSON_RETURN_IF_ERROR(Checked(cudaEventCreateWithFlags(&event, flags),
                                    "create an event", device));
    return DeviceEvent{device, event};
  }

  Status DestroyEvent(const DeviceEvent& event) override {
    const OnDevice on(event.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaEventDestroy(Native(event)), "destroy an event",
                   event.device);
  }

  Status Record(const DeviceEvent& event, const DeviceStream& stream) override {
    const OnDevice on(stream.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaEventRecord(Native(event), Native(stream.stream)),
                   "record an event", stream.device);
  }

  Status WaitFor(const DeviceStream& stream,
                 const DeviceEvent& event) override {
    const OnDevice on(stream.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaStreamWaitEvent(Native(stream.stream), Native(event), 0),
                   "let a stream wait", stream.device);
  }

  Status Synchronize(const DeviceEvent& event) override {
    const OnDevice on(event.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaEventSynchronize(Native(event)), "wait for an event",
                   event.device);
  }

  Status Synchronize(const DeviceStream& stream) override {
    const OnDevice on(stream.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    return Checked(cudaStreamSynchronize(Native(stream.stream)),
                   "wait for a stream", stream.device);
  }

  Result<bool> Happened(const DeviceEvent& event) override {
    const OnDevice on(event.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    const cudaError_t error = cudaEventQuery(Native(event));
    if (error == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());  // an answer, not a failure
      return false;
    }
    CAISSON_RETURN_IF_ERROR(Checked(error, "ask for an event", event.device));
    return true;
  }

  Result<double> MillisecondsBetween(const DeviceEvent& from,
                                     const DeviceEvent& to) override {
    const OnDevice on(from.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    float milliseconds = 0;
    CAISSON_RETURN_IF_ERROR(
        Checked(cudaEventElapsedTime(&milliseconds, Native(from), Native(to)),
                "take the time between events", from.device));
    return double{milliseconds};
  }

  Status Copy(std::byte* dst, const std::byte* src, size_t bytes,
              const DeviceStream& stream) override {
    if (bytes == 0) return Status::Ok();
    const OnDevice on(stream.device);
    CAISSON_RETURN_IF_ERROR(on.status());
    const cudaError_t error = cudaMemcpyAsync(
        dst, src, bytes, cudaMemcpyDefault, Native(stream.stream));
    if (error == cudaSuccess) return Status::Ok();
    return Checked(error, ("copy " + Bytes(bytes)).c_str(), stream.device);
  }
};

}  // namespace

Result<DeviceRuntime*> CudaRuntime() {
  CAISSON_RETURN_IF_ERROR(CudaDevices().status());
  static Runtime runtime;
  return &runtime;
}

}  // namespace caisson
