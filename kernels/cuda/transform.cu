// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/device/cuda_native.h"
#include "kernels/cuda/current_device.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/transform.h"
#include "kernels/cuda/transform_kernels.cuh"

namespace caisson::cuda {
namespace {

// Asked once: the answer is the same for every device of a machine, or as good.
int Multiprocessors() {
  static const int count = [] {
    int device = 0;
    int found = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount,
                               device) != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
    }
    return std::max(found, 1);
  }();
  return count;
}

// A workspace, taken piece by piece.
class Arena {
 public:
  explicit Arena(const Workspace& workspace)
      : next_(workspace.data), left_(workspace.bytes) {}

  // Null if there is no room.
  template <typename T>
  T* Take(size_t count) {
    const size_t bytes = (count * sizeof(T) + 15) / 16 * 16;
    if (bytes > left_) return nullptr;
    std::byte* const taken = next_;
    next_ += bytes;
    left_ -= bytes;
    return reinterpret_cast<T*>(taken);
  }

 private:
  std::byte* next_;
  size_t left_;
};

class Launcher {
 public:
  Launcher(const LaunchPlan& plan, const Workspace& workspace,
           cudaStream_t stream)
      : plan_(plan), arena_(workspace), stream_(stream) {}

  Status Run() {
    if (Status status = Upload(); !status.ok()) return status;
    for (size_t i = 0; i < plan_.launches.size(); ++i) {
      if (Status status = RunLaunch(plan_.launches[i], far_jobs_[i]);
          !status.ok()) {
        return status;
      }
    }
    return Status::Ok();
  }

 private:
  static Status NoRoom() {
    return Status::InvalidArgument("the workspace is too small");
  }

  // Takes what does not travel with the launches to the device, in one copy.
  Status Upload() {
    size_t far = 0;
    for (const Launch& launch : plan_.launches) {
      if (IsFar(launch)) far += launch.jobs.size();
    }
    const size_t dims_at = far * sizeof(LaunchJob);
    const size_t bytes = dims_at + plan_.dims.size() * sizeof(LaunchDim);
    far_jobs_.resize(plan_.launches.size(), nullptr);
    if (bytes == 0) return Status::Ok();
    auto* const device = arena_.Take<std::byte>(bytes);
    if (device == nullptr) return NoRoom();
    std::vector<std::byte> image(bytes);
    size_t at = 0;
    for (size_t i = 0; i < plan_.launches.size(); ++i) {
      const Launch& launch = plan_.launches[i];
      if (!IsFar(launch)) continue;
      far_jobs_[i] = reinterpret_cast<const LaunchJob*>(device + at);
      const size_t part = launch.jobs.size() * sizeof(LaunchJob);
      std::memcpy(&image[at], launch.jobs.data(), part);
      at += part;
    }
    if (!plan_.dims.empty()) {
      dims_ = reinterpret_cast<const LaunchDim*>(device + dims_at);
      std::memcpy(&image[dims_at], plan_.dims.data(), bytes - dims_at);
    }
    // Pageable memory is read before the call returns.
    return FromCuda(cudaMemcpyAsync(device, image.data(), bytes,
                                    cudaMemcpyHostToDevice, stream_),
                    "send jobs to the device");
  }

  static bool IsFar(const Launch& launch) {
    return launch.jobs.size() > kInlineJobs;
  }

  Status RunLaunch(const Launch& launch, const LaunchJob* far_jobs) {
    LaunchArguments args;
    args.step = launch.step;
    args.jobs = static_cast<uint32_t>(launch.jobs.size());
    args.tiles = launch.tiles;
    args.far_jobs = far_jobs;
    args.dims = dims_;
    if (far_jobs == nullptr) {
      std::copy(launch.jobs.begin(), launch.jobs.end(), args.near_jobs);
    }
    const bool adds_up = std::any_of(
        launch.jobs.begin(), launch.jobs.end(), [](const LaunchJob& job) {
          return job.tiles > 1 && (job.crc != nullptr || job.bad != nullptr);
        });
    if (adds_up) {
      args.sums = arena_.Take<LaunchSums>(launch.jobs.size());
      if (args.sums == nullptr) return NoRoom();
      if (Status status = FromCuda(
              cudaMemsetAsync(args.sums, 0,
                              launch.jobs.size() * sizeof(LaunchSums), stream_),
              "clear the sums of a batch");
          !status.ok()) {
        return status;
      }
    }
    Start(launch, args);
    if (Status status = FromCuda(cudaGetLastError(), "start a kernel");
        !status.ok() || !adds_up) {
      return status;
    }
    PublishSums<<<Blocks((args.jobs + kLanes - 1) / kLanes, kSumBlocks),
                  kThreads, 0, stream_>>>(args);
    return FromCuda(cudaGetLastError(), "start a kernel");
  }

  void Start(const Launch& launch, const LaunchArguments& args) {
    switch (launch.way) {
      case Way::kFastSums:
        WithWords(plan_.fast, launch.step.of_source, [&](auto tag) {
          using Words = typename decltype(tag)::type;
          SumTiles<Words>
              <<<Blocks(args.tiles, kSumBlocks), kThreads, 0, stream_>>>(args);
        });
        return;
      case Way::kAnySums:
        SumTiles<NoWords>
            <<<Blocks(args.tiles, kSumBlocks), kThreads, 0, stream_>>>(args);
        return;
      case Way::kPacks:
        WithPacks(plan_.fast, [&](auto tag) {
          using Packs = typename decltype(tag)::type;
          MovePacks<Packs>
              <<<(args.tiles + kWarps - 1) / kWarps, kThreads, 0, stream_>>>(
                  args);
        });
        return;
      case Way::kAny:
        MoveTiles<<<Blocks(args.tiles, kMoveBlocks), kThreads, 0, stream_>>>(
            args);
        return;
    }
  }

  // Enough for a warp to each of `tiles`, at most what the device holds.
  static unsigned Blocks(uint32_t tiles, int each) {
    const auto most = static_cast<uint32_t>(each * Multiprocessors());
    return std::clamp<uint32_t>((tiles + kWarps - 1) / kWarps, 1, most);
  }

  static constexpr int kMoveBlocks = 8;

  const LaunchPlan& plan_;
  Arena arena_;
  const cudaStream_t stream_;
  std::vector<const LaunchJob*> far_jobs_;  // of each launch; null: near
  const LaunchDim* dims_ = nullptr;
};

}  // namespace

Status Transform(const Step& step, std::span<const Job> jobs,
                 Workspace workspace, Stream stream) {
  const auto warps =
      static_cast<uint32_t>(Multiprocessors() * kSumBlocks * kWarps);
  const Result<LaunchPlan> plan = PlanLaunches(step, jobs, warps);
  if (!plan.has_value()) return plan.error();
  if (plan->launches.empty()) return plan->status;
  const Result<int> device = DeviceOf(workspace);
  if (!device.has_value()) return device.error();
  CurrentDevice current;
  if (Status status = current.Set(*device); !status.ok()) return status;
  Launcher launcher(*plan, workspace, Native(stream));
  if (Status status = launcher.Run(); !status.ok()) return status;
  return plan->status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job> jobs) {
  return PlanBytes(jobs);
}

}  // namespace caisson::cuda
