// SPDX-License-Identifier: Apache-2.0
//
// The kernels of a transform: warps take tiles, lanes take columns.
#pragma once

#include <cstdint>

#include "kernels/cuda/any_words.h"
#include "kernels/cuda/crc32_column.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/tile.h"

namespace caisson::cuda {

inline constexpr int kThreads = 256;
inline constexpr int kWarps = kThreads / kLanes;

// Blocks that a multiprocessor holds. Sums keep some 90 registers.
inline constexpr int kSumBlocks = 2;

// So few jobs travel with the launch itself.
inline constexpr int kInlineJobs = 24;

struct LaunchArguments {
  LaunchStep step;
  uint32_t jobs = 0;
  uint32_t tiles = 0;
  const LaunchJob* far_jobs = nullptr;  // null: near_jobs
  const LaunchDim* dims = nullptr;
  LaunchSums* sums = nullptr;  // of each job
  LaunchJob near_jobs[kInlineJobs];

  __device__ const LaunchJob& job(uint32_t i) const {
    return far_jobs != nullptr ? far_jobs[i] : near_jobs[i];
  }

  // The job that the tile is of.
  __device__ uint32_t JobOf(uint32_t tile) const {
    uint32_t low = 0;
    uint32_t high = jobs;
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      if (job(middle).first_tile <= tile) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

// What a job comes to, where the caller wants it.
__device__ inline void Publish(const LaunchJob& job, uint32_t remainder,
                               uint64_t bad) {
  if (job.crc != nullptr) *job.crc = job.seed ^ remainder;
  if (job.bad != nullptr) *job.bad = bad == 0 ? job.elems : ~bad;
}

// The same of a tile, by its whole warp.
__device__ inline void AddTile(const LaunchArguments& args, uint32_t index,
                               const LaunchJob& job, int lane,
                               uint32_t remainder, uint64_t bad) {
  remainder = __reduce_xor_sync(0xFFFFFFFF, remainder);
  if (job.bad != nullptr) {
    for (int step = 16; step > 0; step /= 2) {
      const uint64_t other = __shfl_xor_sync(0xFFFFFFFF, bad, step);
      if (other > bad) bad = other;
    }
  }
  if (lane != 0) return;
  if (job.tiles == 1) return Publish(job, remainder, bad);
  LaunchSums& sums = args.sums[index];
  if (job.crc != nullptr) atomicXor(&sums.remainder, remainder);
  if (job.bad != nullptr && bad != 0) atomicMax(&sums.bad, bad);
}

// One slab by AnyWords. `stage` is the lane's own column of shared memory.
__device__ inline void MoveAny(AnyWords& words, const LaunchJob& job,
                               uint64_t slab, int lane, uint32_t* stage) {
  const int rows = RowsOf(job, slab);
  for (int row = 0; row < rows; ++row) {
    stage[row * kLanes] = words.Load(WordOf(slab, row, lane));
  }
  for (int row = rows; row < kSlabRows; ++row) stage[row * kLanes] = 0;
  __syncwarp();  // in place, others may still load what this lane stores
  for (int row = 0; row < rows; ++row) {
    words.Store(WordOf(slab, row, lane), stage[row * kLanes]);
  }
  __syncwarp();
}

// The whole slab by Words, in the order of the column's rows.
template <class Words, class Use>
__device__ inline void MoveFast(const Words& words, uint64_t slab, int lane,
                                const Use& use) {
  constexpr int kCount = Words::kInFlight;
#pragma unroll
  for (int first = 0; first < kSlabRows; first += kCount) {
    typename Words::Raw raw[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      raw[i] = words.Load(WordOf(slab, first + i, lane));
    }
    __syncwarp();  // in place, a neighbour's word may be this lane's to store
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      words.Store(WordOf(slab, first + i, lane), raw[i]);
      use(first + i, Words::CrcWord(raw[i]));
    }
  }
}

// Where no Words are fast.
struct NoWords {
  using Raw = uint32_t;
  static constexpr int kInFlight = 32;
  __device__ explicit NoWords(const LaunchJob&) {}
  __device__ static Raw Load(uint64_t) { return 0; }
  __device__ static uint32_t CrcWord(Raw raw) { return raw; }
  __device__ static void Store(uint64_t, Raw) {}
};

template <class Words>
inline constexpr bool kIsFast = true;
template <>
inline constexpr bool kIsFast<NoWords> = false;

// A tile's remainder, and on the way all that is stored.
template <class Words>
__device__ inline uint32_t SumTile(const LaunchArguments& args,
                                   const LaunchJob& job, uint32_t tile,
                                   int lane, const uint32_t* by_row,
                                   uint32_t* stage, uint64_t* bad) {
  const Tile range = TileOf(job, tile);
  if (range.first_slab >= range.end_slab) return 0;  // a job of nothing
  const Words words(job);
  AnyWords any(args.step, job, args.dims);
  Crc32Column column;
  uint64_t slab = range.first_slab;
  for (; slab + 1 < range.end_slab; ++slab) {
    if (kIsFast<Words> && IsWhole(job, slab)) {
      MoveFast(words, slab, lane,
               [&](int row, uint32_t word) { column.Add(row, word); });
      continue;
    }
    MoveAny(any, job, slab, lane, stage);
#pragma unroll
    for (int i = 0; i < kSlabRows; ++i) column.Add(i, stage[i * kLanes]);
  }
  if (kIsFast<Words> && IsWhole(job, slab)) {
    MoveFast(words, slab, lane,
             [&](int row, uint32_t word) { stage[row * kLanes] = word; });
  } else {
    MoveAny(any, job, slab, lane, stage);
  }
  *bad = any.bad();
  return WeighColumn(column.Finish(stage, kLanes, by_row), lane, range.after);
}

template <class Words>
__global__ void __launch_bounds__(kThreads, kSumBlocks)
    SumTiles(const __grid_constant__ LaunchArguments args) {
  __shared__ uint32_t by_row[4 * 256];
  __shared__ uint32_t stages[kWarps][kSlabRows * kLanes];
  for (int i = threadIdx.x; i < 4 * 256; i += kThreads) {
    by_row[i] = kDeviceCrc32Powers.by_row[i];
  }
  __syncthreads();
  const int lane = threadIdx.x % kLanes;
  const int warp = threadIdx.x / kLanes;
  for (uint32_t tile = blockIdx.x * kWarps + warp; tile < args.tiles;
       tile += gridDim.x * kWarps) {
    const uint32_t index = args.JobOf(tile);
    const LaunchJob& job = args.job(index);
    uint64_t bad = 0;
    const uint32_t remainder =
        SumTile<Words>(args, job, tile - job.first_tile, lane, by_row,
                       &stages[warp][lane], &bad);
    AddTile(args, index, job, lane, remainder, bad);
  }
}

// Without a CRC.
__global__ void __launch_bounds__(kThreads)
    MoveTiles(const __grid_constant__ LaunchArguments args) {
  __shared__ uint32_t stages[kWarps][kSlabRows * kLanes];
  const int lane = threadIdx.x % kLanes;
  const int warp = threadIdx.x / kLanes;
  for (uint32_t tile = blockIdx.x * kWarps + warp; tile < args.tiles;
       tile += gridDim.x * kWarps) {
    const uint32_t index = args.JobOf(tile);
    const LaunchJob& job = args.job(index);
    const Tile range = TileOf(job, tile - job.first_tile);
    AnyWords any(args.step, job, args.dims);
    for (uint64_t slab = range.first_slab; slab < range.end_slab; ++slab) {
      MoveAny(any, job, slab, lane, &stages[warp][lane]);
    }
    AddTile(args, index, job, lane, 0, any.bad());
  }
}

// A warp to a tile of packs, all of them in flight.
template <class Packs>
__global__ void __launch_bounds__(kThreads)
    MovePacks(const __grid_constant__ LaunchArguments args) {
  using In = typename Packs::In;
  using Out = typename Packs::Out;
  constexpr int kCount = kPackTileBytes / kLanes / sizeof(Out);
  const int lane = threadIdx.x % kLanes;
  const uint32_t tile = blockIdx.x * kWarps + threadIdx.x / kLanes;
  if (tile >= args.tiles) return;
  const LaunchJob& job = args.job(args.JobOf(tile));
  const uint64_t packs = job.bytes / sizeof(Out);
  const uint64_t first =
      uint64_t{tile - job.first_tile} * (kCount * kLanes) + lane;
  const In* const src = reinterpret_cast<const In*>(job.src) + first;
  Out* const dst = reinterpret_cast<Out*>(job.dst) + first;
  if (first - lane + kCount * kLanes <= packs) {
    In in[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) in[i] = src[i * kLanes];
#pragma unroll
    for (int i = 0; i < kCount; ++i) dst[i * kLanes] = Packs::Made(in[i]);
  } else {
    for (int i = 0; first + i * kLanes < packs; ++i) {
      dst[i * kLanes] = Packs::Made(src[i * kLanes]);
    }
  }
  if (tile - job.first_tile + 1 < job.tiles) return;
  // What is left is less than a pack.
  AnyWords any(args.step, job, args.dims);
  const uint64_t word = packs * sizeof(Out) / 4 + lane;
  const bool mine = word * 4 < job.bytes;
  const uint32_t value = mine ? any.Load(word) : 0;
  __syncwarp();  // as in MoveAny()
  if (mine) any.Store(word, value);
}

// What jobs of several tiles have added up.
__global__ void __launch_bounds__(kThreads)
    PublishSums(const __grid_constant__ LaunchArguments args) {
  for (uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < args.jobs;
       i += gridDim.x * kThreads) {
    const LaunchJob& job = args.job(i);
    if (job.tiles == 1) continue;
    Publish(job, args.sums[i].remainder, args.sums[i].bad);
  }
}

}  // namespace caisson::cuda
