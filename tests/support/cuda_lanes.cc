// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda_lanes.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/cuda/any_words.h"
#include "kernels/cuda/crc32_column.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/tile.h"
#include "tests/support/host_kernels_only.h"
#include "tests/support/plane_lanes.h"

namespace caisson {
namespace {

using namespace cuda;

// Few, so that small jobs have several tiles.
constexpr uint32_t kWarpsPlanned = 3;

struct Sums {
  uint32_t remainder = 0;
  uint64_t bad = 0;
};

using Stage = uint32_t[kSlabRows];

class Warp {
 public:
  Warp(const Launch& launch, const LaunchJob& job, const LaunchDim* dims)
      : job_(job), lanes_(kLanes, AnyWords(launch.step, job, dims)) {}

  // `move_whole` does a whole slab of one lane in two steps, or is null.
  template <class Words>
  Sums Run(const Tile& tile, bool sums) {
    Sums result;
    std::vector<Crc32Column> columns(kLanes);
    for (uint64_t slab = tile.first_slab; slab < tile.end_slab; ++slab) {
      Move<Words>(slab);
      for (int lane = 0; sums && lane < kLanes; ++lane) {
        if (slab + 1 < tile.end_slab) {
          for (int row = 0; row < kSlabRows; ++row) {
            columns[lane].Add(row, stages_[lane][row]);
          }
          continue;
        }
        const uint32_t sum =
            columns[lane].Finish(stages_[lane], 1, kHostCrc32Powers.by_row);
        result.remainder ^= WeighColumn(sum, lane, tile.after);
      }
    }
    for (const AnyWords& lane : lanes_) {
      result.bad = std::max(result.bad, lane.bad());
    }
    return result;
  }

 private:
  template <class Words>
  void Move(uint64_t slab) {
    if constexpr (!std::is_void_v<Words>) {
      if (IsWhole(job_, slab)) return MoveFast<Words>(slab);
    }
    const int rows = RowsOf(job_, slab);
    for (int lane = 0; lane < kLanes; ++lane) {
      std::fill_n(stages_[lane], kSlabRows, 0);
      for (int row = 0; row < rows; ++row) {
        stages_[lane][row] = lanes_[lane].Load(WordOf(slab, row, lane));
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int row = 0; row < rows; ++row) {
        lanes_[lane].Store(WordOf(slab, row, lane), stages_[lane][row]);
      }
    }
  }

  template <class Words>
  void MoveFast(uint64_t slab) {
    const Words words(job_);
    std::vector<typename Words::Raw> raw(kLanes * kSlabRows);
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int row = 0; row < kSlabRows; ++row) {
        raw[lane * kSlabRows + row] = words.Load(WordOf(slab, row, lane));
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int row = 0; row < kSlabRows; ++row) {
        const auto& own = raw[lane * kSlabRows + row];
        words.Store(WordOf(slab, row, lane), own);
        stages_[lane][row] = Words::CrcWord(own);
      }
    }
  }

  const LaunchJob& job_;
  std::vector<AnyWords> lanes_;
  Stage stages_[kLanes] = {};
};

template <class Packs>
void RunPacks(const Launch& launch, const LaunchJob& job,
              const LaunchDim* dims) {
  using In = typename Packs::In;
  using Out = typename Packs::Out;
  const auto* const src = reinterpret_cast<const In*>(job.src);
  auto* const dst = reinterpret_cast<Out*>(job.dst);
  const uint64_t packs = job.bytes / sizeof(Out);
  for (uint64_t i = 0; i < packs; ++i) dst[i] = Packs::Made(src[i]);
  AnyWords any(launch.step, job, dims);
  const uint64_t first = packs * sizeof(Out) / 4;
  const uint64_t end = (job.bytes + 3) / 4;
  std::vector<uint32_t> words;
  for (uint64_t word = first; word < end; ++word) {
    words.push_back(any.Load(word));
  }
  for (uint64_t word = first; word < end; ++word) {
    any.Store(word, words[word - first]);
  }
}

Sums RunTile(const LaunchPlan& plan, const Launch& launch, const LaunchJob& job,
             uint32_t tile) {
  Warp warp(launch, job, plan.dims.data());
  const Tile range = TileOf(job, tile);
  if (launch.way != Way::kFastSums) {
    return warp.Run<void>(range, launch.sums());
  }
  Sums sums;
  WithWords(plan.fast, launch.step.of_source, [&](auto tag) {
    sums = warp.Run<typename decltype(tag)::type>(range, true);
  });
  return sums;
}

void RunJob(const LaunchPlan& plan, const Launch& launch,
            const LaunchJob& job) {
  if (launch.way == Way::kPacks) {
    WithPacks(plan.fast, [&](auto tag) {
      RunPacks<typename decltype(tag)::type>(launch, job, plan.dims.data());
    });
    return;
  }
  Sums sums;
  // Backwards: tiles come in any order.
  for (uint32_t tile = job.tiles; tile-- > 0;) {
    const Sums more = RunTile(plan, launch, job, tile);
    sums.remainder ^= more.remainder;
    sums.bad = std::max(sums.bad, more.bad);
  }
  if (job.crc != nullptr) *job.crc = job.seed ^ sums.remainder;
  if (job.bad != nullptr) *job.bad = sums.bad == 0 ? job.elems : ~sums.bad;
}

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Result<LaunchPlan> plan = PlanLaunches(step, jobs, kWarpsPlanned);
  if (!plan.has_value()) return plan.error();
  for (const Launch& launch : plan->launches) {
    for (const LaunchJob& job : launch.jobs) RunJob(*plan, launch, job);
  }
  return plan->status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace, Stream) {
  return EncodePlanesByLanes(jobs);
}

size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob>) { return 0; }

Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace, Stream) {
  return DecodePlanesByLanes(jobs);
}

size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob>) { return 0; }

}  // namespace

const KernelTable& CudaLanes() {
  static constexpr KernelTable kTable = {.name = "cuda_lanes",
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
  return kTable;
}

}  // namespace caisson
