// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/plan.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "caisson/crc32.h"
#include "kernels/checked_step.h"
#include "kernels/cuda/tile.h"

namespace caisson::cuda {
namespace {

// More would share no more of a tile's end, and fewer pages at a time.
constexpr uint64_t kMostTileSlabs = 64;

// Fewer are not worth a warp's end of a CRC.
constexpr uint64_t kLeastTileSlabs = 4;

uint8_t Log2(size_t width) {
  return static_cast<uint8_t>(std::countr_zero(width));
}

FastKind KindOf(Number from, Number to) {
  constexpr struct {
    Number from;
    Number to;
    FastKind kind;
  } kKinds[] = {
      {Number::kFloat32, Number::kBFloat16, FastKind::kToBFloat16},
      {Number::kFloat32, Number::kFloat16, FastKind::kToFloat16},
      {Number::kFloat32, Number::kFloat8E5M2, FastKind::kToFloat8E5M2},
      {Number::kFloat32, Number::kFloat8E4M3, FastKind::kToFloat8E4M3},
      {Number::kFloat64, Number::kFloat32, FastKind::kFloat64ToFloat32},
      {Number::kBFloat16, Number::kFloat32, FastKind::kFromBFloat16},
      {Number::kFloat16, Number::kFloat32, FastKind::kFromFloat16},
      {Number::kFloat8E5M2, Number::kFloat32, FastKind::kFromFloat8E5M2},
      {Number::kFloat8E4M3, Number::kFloat32, FastKind::kFromFloat8E4M3},
      {Number::kFloat32, Number::kFloat64, FastKind::kFloat32ToFloat64},
  };
  for (const auto& entry : kKinds) {
    if (entry.from == from && entry.to == to) return entry.kind;
  }
  return FastKind::kNone;
}

FastKind KindOf(const CheckedStep& step) {
  if (step.conversion)
    return KindOf(step.conversion->from, step.conversion->to);
  switch (step.swap) {
    case 2:
      return FastKind::kSwap2;
    case 4:
      return FastKind::kSwap4;
    case 8:
      return FastKind::kSwap8;
    default:
      return FastKind::kCopy;
  }
}

LaunchStep LaunchStepOf(const CheckedStep& step) {
  LaunchStep launch;
  launch.from_log2 = Log2(step.src_width);
  launch.to_log2 = Log2(step.dst_width);
  launch.swap = static_cast<uint8_t>(step.swap);
  if (!step.conversion) return launch;
  launch.converts = true;
  launch.from = step.conversion->from;
  launch.to = step.conversion->to;
  if (step.conversion->range) {
    launch.check = true;
    launch.least = step.conversion->range->least;
    launch.most = step.conversion->range->most;
  }
  return launch;
}

bool IsMultiple(const void* address, uintptr_t offset, uintptr_t of) {
  return (reinterpret_cast<uintptr_t>(address) - offset) % of == 0;
}

class Planner {
 public:
  Planner(const CheckedStep& step, size_t jobs, uint32_t warps)
      : step_(step),
        jobs_(jobs),
        warps_(warps),
        of_source_(!step.crc_of_dst &&
                   (step.conversion.has_value() || step.swap > 1)) {
    plan_.fast = KindOf(step);
    const LaunchStep launch = LaunchStepOf(step);
    for (const Way way :
         {Way::kFastSums, Way::kAnySums, Way::kPacks, Way::kAny}) {
      Launch& made = plan_.launches.emplace_back();
      made.way = way;
      made.step = launch;
      made.step.of_source = made.sums() && of_source_;
    }
  }

  // `job` counts the planner's own elements.
  void Add(const Job& job, const CheckedJob& checked) {
    if (checked.empty) return;
    LaunchJob launch;
    launch.src = job.src;
    launch.dst = job.dst;
    launch.elems = job.elems;
    launch.crc = job.crc;
    launch.bad = job.bad;
    const bool fast = !checked.view && job.bad == nullptr;
    if (checked.view) AddDims(*checked.view, launch);
    if (NarrowsInPlace(job)) {
      AddInPlace(launch);
    } else if (job.crc == nullptr) {
      if (!fast || !AddPacks(launch)) Append(Way::kAny, launch);
    } else if (!fast || !AddFast(launch)) {
      Append(Way::kAnySums, launch);
    }
  }

  LaunchPlan Finish() {
    for (Launch& launch : plan_.launches) Cut(launch);
    std::erase_if(plan_.launches,
                  [](const Launch& launch) { return launch.jobs.empty(); });
    return std::move(plan_);
  }

  LaunchPlan& plan() { return plan_; }

 private:
  bool NarrowsInPlace(const Job& job) const {
    return job.src == job.dst && step_.dst_width < step_.src_width;
  }

  Launch& LaunchOf(Way way) { return plan_.launches[static_cast<size_t>(way)]; }

  void AddDims(const StridedView& view, LaunchJob& job) {
    job.first_dim = static_cast<uint32_t>(plan_.dims.size());
    for (const StridedView::Dim& dim : view.dims()) {
      plan_.dims.push_back({static_cast<uint64_t>(dim.elems), dim.stride});
    }
    job.dims = static_cast<uint32_t>(plan_.dims.size()) - job.first_dim;
  }

  void Append(Way way, LaunchJob job) {
    Launch& launch = LaunchOf(way);
    job.bytes = job.elems << launch.step.stream_log2();
    if (job.crc != nullptr) job.seed = CrcOfZeros(job.bytes);
    if (launch.jobs.empty()) launch.jobs.reserve(jobs_);
    launch.jobs.push_back(job);
  }

  // Jobs of many small tensors are mostly as long as the one before.
  uint32_t CrcOfZeros(uint64_t bytes) {
    if (bytes != zeros_) {
      zeros_ = bytes;
      crc_of_zeros_ = ~Crc32Combine(0xFFFFFFFF, 0, bytes);
    }
    return crc_of_zeros_;
  }

  // One warp does such a job from its start, as others would overtake it. A CRC
  // of the source is taken before.
  void AddInPlace(LaunchJob job) {
    if (job.crc != nullptr && of_source_) {
      LaunchJob sum = job;
      sum.dst = nullptr;
      sum.bad = nullptr;
      Append(Way::kAnySums, sum);
      job.crc = nullptr;
    }
    const Way way = job.crc != nullptr ? Way::kAnySums : Way::kAny;
    Append(way, job);
    LaunchOf(way).jobs.back().tile_slabs = std::numeric_limits<uint32_t>::max();
  }

  bool AddFast(LaunchJob job) {
    bool added = false;
    WithWords(plan_.fast, of_source_, [&](auto tag) {
      using Words = typename decltype(tag)::type;
      const bool same_width = Words::kSrcHalves == Words::kDstHalves;
      // The grid is that of the stream's own memory.
      const void* const own = of_source_ || job.dst == nullptr
                                  ? static_cast<const void*>(job.src)
                                  : job.dst;
      if (same_width || of_source_ || job.dst != nullptr) {
        job.shift =
            static_cast<uint32_t>(reinterpret_cast<uintptr_t>(own) % kRowBytes);
      }
      // The ends are AnyWords, which cut no element of fewer bytes than a word.
      const uint32_t width = of_source_ ? step_.src_width : step_.dst_width;
      added = job.shift % Words::kUnit == 0 &&
              job.shift % std::min<uint32_t>(width, 4) == 0 &&
              IsMultiple(job.src, job.shift * Words::kSrcHalves / 2,
                         Words::kSrcAccess) &&
              (job.dst == nullptr ||
               IsMultiple(job.dst, job.shift * Words::kDstHalves / 2,
                          Words::kDstAccess));
      if (added) Append(Way::kFastSums, job);
    });
    return added;
  }

  bool AddPacks(const LaunchJob& job) {
    bool added = false;
    WithPacks(plan_.fast, [&](auto tag) {
      using Packs = typename decltype(tag)::type;
      added = job.dst != nullptr &&
              IsMultiple(job.src, 0, sizeof(typename Packs::In)) &&
              IsMultiple(job.dst, 0, sizeof(typename Packs::Out));
      if (added) Append(Way::kPacks, job);
    });
    return added;
  }

  // Gives every job its tiles: all of a size that lets every warp have the same
  // number of them.
  void Cut(Launch& launch) const {
    if (launch.way == Way::kPacks) return CutPacks(launch);
    uint64_t slabs = 0;
    for (const LaunchJob& job : launch.jobs) slabs += SlabsOf(job);
    const uint64_t rounds = slabs / (warps_ * kMostTileSlabs) + 1;
    const uint64_t even = (slabs + warps_ * rounds - 1) / (warps_ * rounds);
    const auto tile_slabs = static_cast<uint32_t>(
        std::clamp(even, kLeastTileSlabs, kMostTileSlabs));
    for (LaunchJob& job : launch.jobs) {
      // What was set is one tile for the whole job.
      if (job.tile_slabs == 1) job.tile_slabs = tile_slabs;
      SetTiles((SlabsOf(job) + job.tile_slabs - 1) / job.tile_slabs, job,
               launch);
    }
  }

  static void CutPacks(Launch& launch) {
    for (LaunchJob& job : launch.jobs) {
      SetTiles((job.bytes + kPackTileBytes - 1) / kPackTileBytes, job, launch);
    }
  }

  static void SetTiles(uint64_t tiles, LaunchJob& job, Launch& launch) {
    job.first_tile = launch.tiles;
    job.tiles = static_cast<uint32_t>(std::max<uint64_t>(tiles, 1));
    launch.tiles += job.tiles;
  }

  static uint64_t SlabsOf(const LaunchJob& job) {
    return (job.grid_bytes() + kSlabBytes - 1) / kSlabBytes;
  }

  const CheckedStep& step_;
  const size_t jobs_;
  const uint64_t warps_;
  const bool of_source_;
  uint64_t zeros_ = 0;  // bytes of the last CrcOfZeros()
  uint32_t crc_of_zeros_ = 0;
  LaunchPlan plan_;
};

// A copy has no elements, only bytes, unless a view says where they are; a
// swap has none but its units.
CheckedStep InUnits(CheckedStep step, std::span<const Job> jobs) {
  const bool views = std::ranges::any_of(
      jobs, [](const Job& job) { return job.view != nullptr; });
  const bool counted = std::ranges::any_of(
      jobs, [](const Job& job) { return job.bad != nullptr; });
  if (step.conversion || views || counted) return step;
  step.src_width = step.dst_width = step.swap;
  return step;
}

}  // namespace

Result<LaunchPlan> PlanLaunches(const Step& step, std::span<const Job> jobs,
                                uint32_t warps) {
  const Result<CheckedStep> checked = CheckStep(step);
  if (!checked.has_value()) return checked.error();
  const CheckedStep in_units = InUnits(*checked, jobs);
  Planner planner(in_units, jobs.size(), warps);
  const size_t units = checked->src_width / in_units.src_width;
  for (size_t i = 0; i < jobs.size(); ++i) {
    // As it was asked for, before elements become units.
    const Result<CheckedJob> asked = CheckJob(*checked, jobs[i]);
    if (!asked.has_value()) {
      planner.plan().status =
          asked.error().WithContext("job " + std::to_string(i));
      break;
    }
    Job job = jobs[i];
    job.elems *= units;
    planner.Add(job, *asked);
  }
  return planner.Finish();
}

size_t PlanBytes(std::span<const Job> jobs) {
  size_t dims = 0;
  for (const Job& job : jobs) {
    if (job.view != nullptr) dims += job.view->shape.size() + 1;
  }
  // Narrowing in place takes two launches of a job.
  return 2 * jobs.size() * (sizeof(LaunchJob) + sizeof(LaunchSums)) +
         dims * sizeof(LaunchDim) + 256;
}

}  // namespace caisson::cuda
