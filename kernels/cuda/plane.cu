// SPDX-License-Identifier: Apache-2.0
//
// A block takes chunk after chunk. The CRCs of elements are those of Transform:
// of the source before encoding, of the destination after decoding.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/device/cuda_native.h"
#include "kernels/cuda/current_device.h"
#include "kernels/cuda/plane.h"
#include "kernels/cuda/plane_decode.h"
#include "kernels/cuda/plane_encode.h"
#include "kernels/cuda/transform.h"
#include "kernels/plane/checked_jobs.h"
#include "kernels/plane/type_switch.h"

namespace caisson::cuda {
namespace {

// More blocks would not be on any device at once.
constexpr size_t kMostBlocks = 1056;

struct DeviceWarp {
  template <typename T>
  struct Var {
    T value;
    CAISSON_HOST_DEVICE T& operator[](uint32_t) { return value; }
    CAISSON_HOST_DEVICE const T& operator[](uint32_t) const { return value; }
  };

  template <typename Fn>
  CAISSON_HOST_DEVICE void ForLanes(const Fn& fn) const {
    fn(lane);
#if defined(__CUDA_ARCH__)
    __syncwarp();
#endif
  }
  CAISSON_HOST_DEVICE uint32_t Ballot(const Var<bool>& var) const {
#if defined(__CUDA_ARCH__)
    return __ballot_sync(0xFFFFFFFF, var.value);
#else
    return var.value;
#endif
  }

  uint32_t lane;
};

struct DeviceBlock {
  using Warp = DeviceWarp;

  template <typename Fn>
  CAISSON_HOST_DEVICE void ForThreads(const Fn& fn) const {
    fn(thread);
  }
  template <typename Fn>
  CAISSON_HOST_DEVICE void ForWarps(const Fn& fn) const {
    fn(thread / 32, DeviceWarp{thread % 32});
  }
  CAISSON_HOST_DEVICE void Sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
  CAISSON_HOST_DEVICE void Add(uint32_t* to, uint32_t value) const {
#if defined(__CUDA_ARCH__)
    atomicAdd(to, value);
#else
    *to += value;
#endif
  }
  CAISSON_HOST_DEVICE void Or(uint32_t* to, uint32_t value) const {
#if defined(__CUDA_ARCH__)
    atomicOr(to, value);
#else
    *to |= value;
#endif
  }
  template <typename Fn>
  CAISSON_HOST_DEVICE static void WithType(PlaneType type, const Fn& fn) {
    plane::WithPlaneType(type, fn);
  }

  uint32_t thread;
};

__global__ void __launch_bounds__(kPlaneThreads)
    EncodePlanesKernel(const PlaneEncodeTask* tasks, uint32_t count,
                       uint8_t* scratch, uint32_t scratch_bytes) {
  __shared__ PlaneEncodeShared shared;
  const DeviceBlock block{threadIdx.x};
  uint8_t* const own = scratch + size_t{blockIdx.x} * scratch_bytes;
  for (uint32_t i = blockIdx.x; i < count; i += gridDim.x) {
    EncodeTask(block, tasks[i], own, shared);
    block.Sync();
  }
}

__global__ void __launch_bounds__(kPlaneThreads)
    DecodePlanesKernel(const PlaneDecodeTask* tasks, uint32_t count) {
  __shared__ PlaneDecodeShared shared;
  const DeviceBlock block{threadIdx.x};
  for (uint32_t i = blockIdx.x; i < count; i += gridDim.x) {
    DecodeTask(block, tasks[i], shared);
  }
}

__global__ void CheckCrcKernel(const PlaneDecodeTask* tasks,
                               const uint32_t* crcs, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const PlaneDecodeTask& task = tasks[i];
  if (*task.fault == PlaneFault::kNone && task.sound &&
      crcs[i] != task.chunk.crc32) {
    *task.fault = PlaneFault::kCrc;
  }
}

constexpr size_t Aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

uint32_t BlocksFor(size_t tasks) {
  return static_cast<uint32_t>(std::min(tasks, kMostBlocks));
}

uint32_t EncodeScratch(std::span<const PlaneEncodeJob> jobs) {
  uint32_t bytes = 0;
  for (const PlaneEncodeJob& job : jobs) {
    bytes = std::max(bytes, ChunkScratch(PlaneShift(job.type)));
  }
  return bytes;
}

// CRCs are of bytes.
Step SumStep() {
  Step step;
  step.crc_of = CrcOf::kSource;
  return step;
}

std::vector<Job> SumJobs(std::span<const PlaneEncodeJob> jobs) {
  std::vector<Job> sums;
  sums.reserve(jobs.size());
  for (const PlaneEncodeJob& job : jobs) {
    Job sum;
    sum.src = job.src;
    sum.elems = size_t{job.elems} * TraitsOf(job.type).width;
    sum.crc = &job.chunk->crc32;
    sums.push_back(sum);
  }
  return sums;
}

// `crcs` gets one for each job.
std::vector<Job> SumJobs(std::span<const PlaneDecodeJob> jobs, uint32_t* crcs) {
  std::vector<Job> sums;
  sums.reserve(jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (!IsSound(jobs[i].chunk)) continue;
    Job sum;
    sum.src = jobs[i].dst;
    sum.elems =
        size_t{jobs[i].chunk.elems} * TraitsOf(jobs[i].chunk.type).width;
    sum.crc = crcs + i;
    sums.push_back(sum);
  }
  return sums;
}

template <typename Task>
Status Send(const std::vector<Task>& tasks, std::byte* to, Stream stream) {
  // Pageable memory is read before the call returns.
  return FromCuda(cudaMemcpyAsync(to, tasks.data(), tasks.size() * sizeof(Task),
                                  cudaMemcpyHostToDevice, Native(stream)),
                  "send chunks to the device");
}

}  // namespace

size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob> jobs) {
  return Aligned(jobs.size() * sizeof(PlaneEncodeTask)) +
         BlocksFor(jobs.size()) * size_t{EncodeScratch(jobs)} +
         WorkspaceBytes(SumStep(), SumJobs(jobs));
}

Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace workspace,
                   Stream stream) {
  if (Status status = plane::CheckJobs(jobs); !status.ok()) return status;
  if (jobs.empty()) return Status::Ok();
  if (workspace.bytes < PlaneEncodeBytes(jobs)) {
    return plane::SmallWorkspace(workspace.bytes, PlaneEncodeBytes(jobs));
  }
  const Result<int> device = DeviceOf(workspace);
  if (!device.has_value()) return device.error();
  CurrentDevice current;
  if (Status status = current.Set(*device); !status.ok()) return status;

  std::vector<PlaneEncodeTask> tasks;
  tasks.reserve(jobs.size());
  for (const PlaneEncodeJob& job : jobs) {
    tasks.push_back({reinterpret_cast<const uint8_t*>(job.src),
                     reinterpret_cast<uint8_t*>(job.dst), job.chunk, job.type,
                     PlaneShift(job.type), job.elems});
  }
  if (Status status = Send(tasks, workspace.data, stream); !status.ok()) {
    return status;
  }
  const size_t tasks_bytes = Aligned(tasks.size() * sizeof(PlaneEncodeTask));
  const uint32_t blocks = BlocksFor(jobs.size());
  const uint32_t scratch_bytes = EncodeScratch(jobs);
  std::byte* const scratch = workspace.data + tasks_bytes;
  EncodePlanesKernel<<<blocks, kPlaneThreads, 0, Native(stream)>>>(
      reinterpret_cast<const PlaneEncodeTask*>(workspace.data),
      static_cast<uint32_t>(tasks.size()), reinterpret_cast<uint8_t*>(scratch),
      scratch_bytes);
  if (Status status = FromCuda(cudaGetLastError(), "encode planes");
      !status.ok()) {
    return status;
  }
  const size_t used = tasks_bytes + blocks * size_t{scratch_bytes};
  return Transform(SumStep(), SumJobs(jobs),
                   {workspace.data + used, workspace.bytes - used}, stream);
}

size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob> jobs) {
  return Aligned(jobs.size() * sizeof(PlaneDecodeTask)) +
         Aligned(jobs.size() * sizeof(uint32_t)) +
         WorkspaceBytes(SumStep(), SumJobs(jobs, nullptr));
}

Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace workspace,
                   Stream stream) {
  if (jobs.empty()) return Status::Ok();
  if (workspace.bytes < PlaneDecodeBytes(jobs)) {
    return plane::SmallWorkspace(workspace.bytes, PlaneDecodeBytes(jobs));
  }
  const Result<int> device = DeviceOf(workspace);
  if (!device.has_value()) return device.error();
  CurrentDevice current;
  if (Status status = current.Set(*device); !status.ok()) return status;

  std::vector<PlaneDecodeTask> tasks;
  tasks.reserve(jobs.size());
  for (const PlaneDecodeJob& job : jobs) {
    tasks.push_back({reinterpret_cast<const uint8_t*>(job.src),
                     reinterpret_cast<uint8_t*>(job.dst), job.fault, job.chunk,
                     IsSound(job.chunk)});
  }
  if (Status status = Send(tasks, workspace.data, stream); !status.ok()) {
    return status;
  }
  const auto* const on_device =
      reinterpret_cast<const PlaneDecodeTask*>(workspace.data);
  const auto count = static_cast<uint32_t>(tasks.size());
  const size_t tasks_bytes = Aligned(tasks.size() * sizeof(PlaneDecodeTask));
  auto* const crcs = reinterpret_cast<uint32_t*>(workspace.data + tasks_bytes);
  DecodePlanesKernel<<<BlocksFor(count), kPlaneThreads, 0, Native(stream)>>>(
      on_device, count);
  if (Status status = FromCuda(cudaGetLastError(), "decode planes");
      !status.ok()) {
    return status;
  }
  const size_t used = tasks_bytes + Aligned(tasks.size() * sizeof(uint32_t));
  const std::vector<Job> sums = SumJobs(jobs, crcs);
  if (Status status =
          Transform(SumStep(), sums,
                    {workspace.data + used, workspace.bytes - used}, stream);
      !status.ok()) {
    return status;
  }
  CheckCrcKernel<<<(count + kPlaneThreads - 1) / kPlaneThreads, kPlaneThreads,
                   0, Native(stream)>>>(on_device, crcs, count);
  return FromCuda(cudaGetLastError(), "check the CRCs of planes");
}

}  // namespace caisson::cuda
