// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mirrored_cuda.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/base/status_macros.h"
#include "core/device/device_runtime.h"
#include "kernels/checked_step.h"

namespace caisson {
namespace {

constexpr size_t kPlace = 256;  // bytes; the phase that is kept
constexpr size_t kMargin = 256;
constexpr std::byte kCanary{0xC5};
constexpr size_t kArenaBytes = size_t{64} << 20;
constexpr size_t kWorkspaceBytes = size_t{1} << 20;

const Device kDevice = Device::Cuda(0);

// A run of host memory, and where it is on the device.
struct Range {
  std::byte* host = nullptr;
  size_t bytes = 0;
  bool written = false;
  std::byte* device = nullptr;

  std::byte* end() const { return host + bytes; }
};

class Mirror {
 public:
  Mirror(DeviceRuntime& runtime, DeviceStream stream, std::byte* arena)
      : runtime_(runtime), stream_(stream), arena_(arena) {}

  ~Mirror() {
    for (std::byte* memory : own_) {
      static_cast<void>(runtime_.Free(kDevice, memory));
    }
  }

  void Note(const std::byte* host, size_t bytes, bool written) {
    if (host == nullptr || bytes == 0) return;
    ranges_.push_back({const_cast<std::byte*>(host), bytes, written, nullptr});
  }

  // Takes everything that was noted to the device.
  Status Up() {
    std::ranges::sort(ranges_, {}, &Range::host);
    std::vector<Range> joined;
    for (const Range& range : ranges_) {
      if (!joined.empty() && range.host < joined.back().end()) {
        Range& last = joined.back();
        last.bytes =
            static_cast<size_t>(std::max(last.end(), range.end()) - last.host);
        last.written = last.written || range.written;
      } else {
        joined.push_back(range);
      }
    }
    ranges_ = std::move(joined);
    for (Range& range : ranges_) CAISSON_RETURN_IF_ERROR(Place(range));
    return Status::Ok();
  }

  // Where it is there; null for null.
  std::byte* At(const std::byte* host) const {
    for (const Range& range : ranges_) {
      if (host >= range.host && host < range.end()) {
        return range.device + (host - range.host);
      }
    }
    return nullptr;
  }

  // Brings back what was written, and nothing else was.
  Status Down() {
    CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(stream_));
    for (const Range& range : ranges_) {
      if (!range.written) continue;
      CAISSON_RETURN_IF_ERROR(
          runtime_.Copy(range.host, range.device, range.bytes, stream_));
      if (Exact()) continue;
      CAISSON_RETURN_IF_ERROR(CheckMargin(range.device - kMargin));
      CAISSON_RETURN_IF_ERROR(CheckMargin(range.device + range.bytes));
    }
    return runtime_.Synchronize(stream_);
  }

 private:
  static bool Exact() {
    static const bool exact =
        std::getenv("CAISSON_EXACT_ALLOCATIONS") != nullptr;
    return exact;
  }

  Status Place(Range& range) {
    const size_t phase = reinterpret_cast<uintptr_t>(range.host) % kPlace;
    if (Exact()) {
      CAISSON_ASSIGN_OR_RETURN(std::byte* const memory,
                               runtime_.Allocate(kDevice, phase + range.bytes));
      own_.push_back(memory);
      range.device = memory + phase;
    } else {
      const size_t end = used_ + kMargin + kPlace + range.bytes + kMargin;
      if (end > kArenaBytes) return Status::OutOfMemory("the mirror is full");
      const size_t first = (used_ + kMargin + kPlace - 1) / kPlace * kPlace;
      range.device = arena_ + first + phase;
      used_ =
          (first + phase + range.bytes + kMargin + kPlace) / kPlace * kPlace;
      if (range.written) {
        const std::vector<std::byte> canary(kMargin, kCanary);
        CAISSON_RETURN_IF_ERROR(runtime_.Copy(range.device - kMargin,
                                              canary.data(), kMargin, stream_));
        CAISSON_RETURN_IF_ERROR(runtime_.Copy(range.device + range.bytes,
                                              canary.data(), kMargin, stream_));
      }
    }
    return runtime_.Copy(range.device, range.host, range.bytes, stream_);
  }

  Status CheckMargin(const std::byte* device) {
    std::vector<std::byte> margin(kMargin);
    CAISSON_RETURN_IF_ERROR(
        runtime_.Copy(margin.data(), device, kMargin, stream_));
    CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(stream_));
    if (std::ranges::count(margin, kCanary) == std::ssize(margin)) {
      return Status::Ok();
    }
    return Status::Corrupt("a kernel stored bytes beside its destination");
  }

  DeviceRuntime& runtime_;
  const DeviceStream stream_;
  std::byte* const arena_;
  size_t used_ = 0;
  std::vector<std::byte*> own_;
  std::vector<Range> ranges_;
};

// What all calls share; never freed, as the driver may be gone by then.
struct Cuda {
  DeviceRuntime* runtime = nullptr;
  const KernelTable* kernels = nullptr;
  DeviceStream stream = {};
  std::byte* arena = nullptr;
  std::byte* workspace = nullptr;
};

Result<Cuda> MakeCuda() {
  Cuda cuda;
  CAISSON_ASSIGN_OR_RETURN(cuda.kernels, KernelsFor(kDevice));
  CAISSON_ASSIGN_OR_RETURN(cuda.runtime, CudaRuntime());
  CAISSON_ASSIGN_OR_RETURN(cuda.stream, cuda.runtime->CreateStream(
                                            kDevice, StreamPriority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(cuda.arena,
                           cuda.runtime->Allocate(kDevice, kArenaBytes));
  CAISSON_ASSIGN_OR_RETURN(cuda.workspace,
                           cuda.runtime->Allocate(kDevice, kWorkspaceBytes));
  return cuda;
}

const Result<Cuda>& SharedCuda() {
  static const auto* const cuda = new Result<Cuda>(MakeCuda());
  return *cuda;
}

// The source of a job: the elements that are first and last in memory.
void NoteSource(const CheckedStep& step, const CheckedJob& checked,
                const Job& job, Mirror& mirror) {
  const std::byte* first = job.src;
  size_t bytes = job.elems * step.src_width;
  if (checked.view) {
    int64_t before = 0;
    int64_t after = 0;
    for (const StridedView::Dim& dim : checked.view->dims()) {
      const int64_t reach = (dim.elems - 1) * dim.stride;
      (reach < 0 ? before : after) += reach;
    }
    first += before;
    bytes = static_cast<size_t>(after - before) + step.src_width;
  }
  mirror.Note(first, bytes, false);
}

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Cuda& cuda = *SharedCuda();
  Mirror mirror(*cuda.runtime, cuda.stream, cuda.arena);
  std::vector<Job> mirrored(jobs.begin(), jobs.end());
  const Result<CheckedStep> checked = CheckStep(step);
  size_t good = 0;
  while (checked.has_value() && good < jobs.size()) {
    const Job& job = jobs[good];
    const Result<CheckedJob> fine = CheckJob(*checked, job);
    if (!fine.has_value()) break;
    ++good;
    NoteSource(*checked, *fine, job, mirror);
    mirror.Note(job.dst, job.elems * checked->dst_width, true);
    mirror.Note(reinterpret_cast<std::byte*>(job.crc), sizeof(*job.crc), true);
    mirror.Note(reinterpret_cast<std::byte*>(job.bad), sizeof(*job.bad), true);
  }
  CAISSON_RETURN_IF_ERROR(mirror.Up());
  for (size_t i = 0; i < good; ++i) {
    Job& job = mirrored[i];
    job.src = mirror.At(job.src);
    job.dst = mirror.At(job.dst);
    job.crc = reinterpret_cast<uint32_t*>(
        mirror.At(reinterpret_cast<std::byte*>(job.crc)));
    job.bad = reinterpret_cast<uint64_t*>(
        mirror.At(reinterpret_cast<std::byte*>(job.bad)));
  }
  const size_t bytes = cuda.kernels->workspace_bytes(step, mirrored);
  if (bytes > kWorkspaceBytes) {
    return Status::OutOfMemory("the mirror's workspace is too small");
  }
  const Status status = cuda.kernels->transform(
      step, mirrored, {cuda.workspace, bytes}, cuda.stream.stream);
  CAISSON_RETURN_IF_ERROR(mirror.Down());
  return status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

Status Inflate(std::span<const InflateJob> jobs, Stream stream) {
  return SharedCuda()->kernels->inflate(jobs, stream);
}

Status Deflate(int level, std::span<const DeflateJob> jobs, Stream stream) {
  return SharedCuda()->kernels->deflate(level, jobs, stream);
}

size_t DeflateBound(size_t bytes) {
  return SharedCuda()->kernels->deflate_bound(bytes);
}

// Calls work(workspace) with one of `bytes` bytes, and brings back what was
// written.
template <typename Work>
Status WithWorkspace(Mirror& mirror, size_t bytes, const Work& work) {
  if (bytes > kWorkspaceBytes) {
    return Status::OutOfMemory("the mirror's workspace is too small");
  }
  const Status status = work(Workspace{SharedCuda()->workspace, bytes});
  CAISSON_RETURN_IF_ERROR(mirror.Down());
  return status;
}

template <typename T>
T* Mirrored(const Mirror& mirror, T* host) {
  return reinterpret_cast<T*>(mirror.At(reinterpret_cast<std::byte*>(host)));
}

Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace, Stream) {
  const KernelTable& kernels = *SharedCuda()->kernels;
  Mirror mirror(*SharedCuda()->runtime, SharedCuda()->stream,
                SharedCuda()->arena);
  for (const PlaneEncodeJob& job : jobs) {
    mirror.Note(job.src, size_t{job.elems} * TraitsOf(job.type).width, false);
    mirror.Note(job.dst, PlaneBound(job.type, job.elems), true);
    mirror.Note(reinterpret_cast<std::byte*>(job.chunk), sizeof(*job.chunk),
                true);
  }
  CAISSON_RETURN_IF_ERROR(mirror.Up());
  std::vector<PlaneEncodeJob> mirrored(jobs.begin(), jobs.end());
  for (PlaneEncodeJob& job : mirrored) {
    job.src = mirror.At(job.src);
    job.dst = mirror.At(job.dst);
    job.chunk = Mirrored(mirror, job.chunk);
  }
  return WithWorkspace(mirror, kernels.plane_encode_bytes(mirrored),
                       [&](Workspace workspace) {
                         return kernels.plane_encode(
                             mirrored, workspace, SharedCuda()->stream.stream);
                       });
}

size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob>) { return 0; }

Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace, Stream) {
  const KernelTable& kernels = *SharedCuda()->kernels;
  Mirror mirror(*SharedCuda()->runtime, SharedCuda()->stream,
                SharedCuda()->arena);
  for (const PlaneDecodeJob& job : jobs) {
    if (IsSound(job.chunk)) {
      mirror.Note(job.src, PlaneStoredBytes(job.chunk), false);
      mirror.Note(job.dst,
                  size_t{job.chunk.elems} * TraitsOf(job.chunk.type).width,
                  true);
    }
    mirror.Note(reinterpret_cast<std::byte*>(job.fault), sizeof(*job.fault),
                true);
  }
  CAISSON_RETURN_IF_ERROR(mirror.Up());
  std::vector<PlaneDecodeJob> mirrored(jobs.begin(), jobs.end());
  for (PlaneDecodeJob& job : mirrored) {
    job.src = mirror.At(job.src);
    job.dst = mirror.At(job.dst);
    job.fault = Mirrored(mirror, job.fault);
  }
  return WithWorkspace(mirror, kernels.plane_decode_bytes(mirrored),
                       [&](Workspace workspace) {
                         return kernels.plane_decode(
                             mirrored, workspace, SharedCuda()->stream.stream);
                       });
}

size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob>) { return 0; }

Status EncodeVarints(DType dtype, std::span<const VarintEncodeJob> jobs,
                     Stream stream) {
  return SharedCuda()->kernels->encode_varints(dtype, jobs, stream);
}

Status DecodeVarints(DType dtype, std::span<const VarintDecodeJob> jobs,
                     Stream stream) {
  return SharedCuda()->kernels->decode_varints(dtype, jobs, stream);
}

}  // namespace

Result<const KernelTable*> MirroredCuda() {
  static constexpr KernelTable kTable = {.name = "cuda",
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
                                         .decode_varints = DecodeVarints};
  if (!SharedCuda().has_value()) return SharedCuda().error();
  return &kTable;
}

}  // namespace caisson
