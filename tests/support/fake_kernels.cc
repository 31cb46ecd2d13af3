// SPDX-License-Identifier: Apache-2.0
//
// The kernels of FakeDevices: those of the host, enqueued.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "core/base/status_macros.h"
#include "tests/support/fake_device.h"
#include "tests/support/host_kernels_only.h"

namespace caisson {
namespace {

// Those that live: a kernel table has no other way to its devices.
std::mutex g_lock;
std::set<FakeDevices*>& Living() {
  static auto* const living = new std::set<FakeDevices*>();
  return *living;
}

// As CUDA's, a little more for each job.
size_t BytesFor(size_t jobs) { return 256 + 160 * jobs; }

size_t WorkspaceBytes(const Step&, std::span<const Job> jobs) {
  return BytesFor(jobs.size());
}

// As CUDA's, some for the streams of each chunk.
size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob> jobs) {
  return BytesFor(jobs.size()) + jobs.size() * (size_t{128} << 10);
}

size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob> jobs) {
  return BytesFor(jobs.size());
}

// A job and the view that it points to.
struct OwnedJob {
  explicit OwnedJob(const Job& from) : job(from) {
    if (from.view == nullptr) return;
    shape.assign(from.view->shape.begin(), from.view->shape.end());
    strides.assign(from.view->strides.begin(), from.view->strides.end());
  }

  Job job;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

// The bytes that a job reads: from the first to the last, and where the first
// is relative to src.
std::pair<int64_t, size_t> SourceRange(const Step& step, const OwnedJob& job) {
  const size_t width = ByteWidth(step.from);
  if (job.job.view == nullptr) return {0, job.job.elems * width};
  int64_t least = 0;
  int64_t most = 0;
  for (size_t d = 0; d < job.shape.size(); ++d) {
    if (job.shape[d] == 0) return {0, 0};
    const int64_t reach = (job.shape[d] - 1) * job.strides[d];
    (reach < 0 ? least : most) += reach;
  }
  const auto bytes = static_cast<int64_t>(width);
  return {least * bytes, static_cast<size_t>((most - least + 1) * bytes)};
}

const KernelTable& Host() { return **KernelsFor(Device::Cpu()); }

}  // namespace

// Finds memory as a kernel of one device sees it.
class FakeDevices::Sight {
 public:
  Sight(const FakeMemory& memory, Device device)
      : memory_(memory), device_(device) {}

  // Points where the host may touch the same bytes; null stays null.
  template <typename T>
  void See(T** data, size_t bytes) {
    if (*data == nullptr || bytes == 0) return;
    *data = reinterpret_cast<T*>(memory_.Touchable(
        device_, reinterpret_cast<const std::byte*>(*data), bytes));
    missing_ = missing_ || *data == nullptr;
  }

  bool missing() const { return missing_; }

 private:
  const FakeMemory& memory_;
  const Device device_;
  bool missing_ = false;
};

void FakeDevices::Live(bool lives) {
  const std::lock_guard hold(g_lock);
  lives ? void(Living().insert(this)) : void(Living().erase(this));
}

Result<const KernelTable*> FakeDevices::Kernels(Device device) {
  static constexpr KernelTable kTable = {.name = "fake",
                                         .transform = Transform,
                                         .workspace_bytes = WorkspaceBytes,
                                         .inflate = NoInflate,
                                         .deflate = NoDeflate,
                                         .deflate_bound = NoDeflateBound,
                                         .plane_encode = PlaneEncode,
                                         .plane_encode_bytes = PlaneEncodeBytes,
                                         .plane_decode = PlaneDecode,
                                         .plane_decode_bytes = PlaneDecodeBytes,
                                         .encode_varints = NoEncodeVarints,
                                         .decode_varints = NoDecodeVarints};
  if (device.is_cpu()) return KernelsFor(device);
  if (!HasDevice(device)) {
    return Status::Unavailable("no device " + Name(device));
  }
  return &kTable;
}

Status FakeDevices::Launch(const char* name, Workspace workspace, size_t least,
                           Stream stream, Kernel kernel) {
  // As with CUDA, the workspace says which device it is.
  FakeDevices* fake = nullptr;
  {
    const std::lock_guard hold(g_lock);
    for (FakeDevices* living : Living()) {
      if (living->memory_.IsDevice(workspace.data)) fake = living;
    }
  }
  if (fake == nullptr) {
    return Status::InvalidArgument("the workspace is not memory of a device");
  }
  for (int i = 0; i < fake->options_.devices; ++i) {
    const Device device = Device::Cuda(i);
    if (fake->memory_.Touchable(device, workspace.data, workspace.bytes) !=
        nullptr) {
      return fake->LaunchOn(device, name, workspace, least, stream,
                            std::move(kernel));
    }
  }
  return fake->Violation("a workspace that is not there");
}

Status FakeDevices::LaunchOn(Device device, const char* name,
                             Workspace workspace, size_t least, Stream stream,
                             Kernel kernel) {
  Status later;
  CAISSON_RETURN_IF_ERROR(Begin(device, name, &later));
  if (!streams_.Has(device, stream.native)) {
    return Violation("starts a kernel in a stream that is not there");
  }
  if (workspace.bytes < least) {
    return Violation("a workspace that is too small");
  }
  streams_.Do(
      device, stream.native,
      [this, device, workspace, later, kernel = std::move(kernel)]() -> Status {
        CAISSON_RETURN_IF_ERROR(later);
        return Run(device, workspace, kernel);
      });
  return Status::Ok();
}

Status FakeDevices::Run(Device device, Workspace workspace,
                        const Kernel& kernel) {
  // Who shares a workspace between streams finds it changed.
  std::byte* const scratch =
      memory_.Touchable(device, workspace.data, sizeof(uint64_t));
  if (scratch == nullptr) return Violation("a workspace that is not there");
  static std::atomic<uint64_t> g_turn{0};
  const uint64_t turn = ++g_turn;
  std::memcpy(scratch, &turn, sizeof(turn));
  Sight sight(memory_, device);
  CAISSON_RETURN_IF_ERROR(kernel(sight));
  if (sight.missing()) {
    return Violation("a kernel reaches for memory that " + Name(device) +
                     " does not see");
  }
  uint64_t found = 0;
  std::memcpy(&found, scratch, sizeof(found));
  if (found != turn) return Violation("a workspace of two kernels at once");
  return Status::Ok();
}

Status FakeDevices::Transform(const Step& step, std::span<const Job> jobs,
                              Workspace workspace, Stream stream) {
  const std::vector<OwnedJob> owned(jobs.begin(), jobs.end());
  return Launch("transform", workspace, WorkspaceBytes(step, jobs), stream,
                [step, owned](Sight& sight) {
                  std::vector<Job> seen;
                  std::vector<Strides> views(owned.size());
                  for (size_t i = 0; i < owned.size(); ++i) {
                    Job job = owned[i].job;
                    if (job.view != nullptr) {
                      views[i] = {owned[i].shape, owned[i].strides};
                      job.view = &views[i];
                    }
                    const auto [first, reach] = SourceRange(step, owned[i]);
                    job.src += first;
                    sight.See(&job.src, reach);
                    job.src -= first;
                    sight.See(&job.dst, job.elems * ByteWidth(step.to));
                    sight.See(&job.crc, sizeof(*job.crc));
                    sight.See(&job.bad, sizeof(*job.bad));
                    seen.push_back(job);
                  }
                  return sight.missing() ? Status::Ok()
                                         : Host().transform(step, seen, {}, {});
                });
}

Status FakeDevices::PlaneEncode(std::span<const PlaneEncodeJob> jobs,
                                Workspace workspace, Stream stream) {
  const std::vector<PlaneEncodeJob> owned(jobs.begin(), jobs.end());
  return Launch(
      "plane encode", workspace, PlaneEncodeBytes(jobs), stream,
      [owned](Sight& sight) {
        std::vector<PlaneEncodeJob> seen = owned;
        for (PlaneEncodeJob& job : seen) {
          sight.See(&job.src, size_t{job.elems} * TraitsOf(job.type).width);
          sight.See(&job.dst, PlaneBound(job.type, job.elems));
          sight.See(&job.chunk, sizeof(*job.chunk));
        }
        if (sight.missing()) return Status::Ok();
        std::vector<std::byte> scratch(Host().plane_encode_bytes(seen));
        return Host().plane_encode(seen, {scratch.data(), scratch.size()}, {});
      });
}

Status FakeDevices::PlaneDecode(std::span<const PlaneDecodeJob> jobs,
                                Workspace workspace, Stream stream) {
  const std::vector<PlaneDecodeJob> owned(jobs.begin(), jobs.end());
  return Launch(
      "plane decode", workspace, PlaneDecodeBytes(jobs), stream,
      [owned](Sight& sight) {
        std::vector<PlaneDecodeJob> seen = owned;
        for (PlaneDecodeJob& job : seen) {
          sight.See(&job.fault, sizeof(*job.fault));
          if (!IsSound(job.chunk)) continue;
          sight.See(&job.src, PlaneStoredBytes(job.chunk));
          sight.See(&job.dst,
                    size_t{job.chunk.elems} * TraitsOf(job.chunk.type).width);
        }
        if (sight.missing()) return Status::Ok();
        std::vector<std::byte> scratch(Host().plane_decode_bytes(seen));
        return Host().plane_decode(seen, {scratch.data(), scratch.size()}, {});
      });
}

}  // namespace caisson
