// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/compression_choice.h"

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/engine/stopwatch.h"
#include "core/formats/encoded_bound.h"

namespace caisson {
namespace {

// Smaller storages stay as they are: the index of a codec would take what it
// saves.
constexpr uint64_t kLeastBytes = 4096;

// What does not get smaller than this share of itself is left alone.
constexpr double kWorthIt = 0.97;

// Runs of a sample: at the beginning, in the middle and at the end, each as
// large as this at the most.
constexpr uint64_t kRuns = 3;
constexpr uint64_t kRunBytes = uint64_t{64} << 10;

// "12.3"
std::string Decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", value);
  return text;
}

}  // namespace

Compression CompressionOf(Encoding encoding) {
  switch (encoding) {
    case Encoding::kDeflate:
      return Compression::kDeflate;
    case Encoding::kPlane:
      return Compression::kPlane;
    default:
      return Compression::kNone;
  }
}

std::string_view Name(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kDeflate:
      return "deflate";
    case Compression::kPlane:
      return "plane";
  }
  return "unknown";
}

CompressionChooser::CompressionChooser(const CompressionWish& wish,
                                       const State& state,
                                       const KernelTable& kernels)
    : wish_(wish), kernels_(kernels) {
  const auto tensors = state.Tensors();
  if (!tensors) return;  // what is wrong the writer says
  for (const NamedTensor& tensor : *tensors) {
    names_.try_emplace(tensor.view->storage.get(), Join(tensor.path));
  }
}

Encoding CompressionChooser::Choose(const Storage& storage, DType dtype) {
  if (!failure_.ok()) return Encoding::kRaw;
  CompressionChoice choice;
  const auto name = names_.find(&storage);
  if (name != names_.end()) choice.tensor = name->second;
  choice.bytes = storage.region.bytes;
  const Result<Encoding> found = Find(storage, dtype, &choice.ratio);
  if (!found) {
    failure_ = found.error();
    return Encoding::kRaw;
  }
  choice.compression = CompressionOf(*found);
  report_.storages.push_back(std::move(choice));
  return *found;
}

Result<Encoding> CompressionChooser::Find(const Storage& storage, DType dtype,
                                          double* ratio) {
  // What has no memory is refused elsewhere.
  if (storage.region.bytes < kLeastBytes || !storage.resident()) {
    return Encoding::kRaw;
  }
  const bool here = storage.region.device.is_cpu();
  switch (wish_.compress) {
    case CompressMode::kNone:
      return Encoding::kRaw;
    case CompressMode::kPlane: {
      *ratio = 0;
      const PlaneType type = PlaneTypeOf(dtype);
      const uint64_t elems = storage.region.bytes / TraitsOf(type).width;
      return elems < kPlaneLeastElems ? Encoding::kRaw : Encoding::kPlane;
    }
    case CompressMode::kDeflate: {
      if (!here) {
        *ratio = 0;
        return Encoding::kDeflate;
      }
      CAISSON_ASSIGN_OR_RETURN(const Sample sample,
                               Try(Encoding::kDeflate, storage, dtype));
      *ratio = sample.ratio;
      return sample.ratio <= kWorthIt ? Encoding::kDeflate : Encoding::kRaw;
    }
    case CompressMode::kAuto:
      break;
  }
  if (here) return Fastest(storage, dtype, ratio);
  // The link carries less of what a device encodes, and floats always get
  // smaller: their exponents have few likely values.
  ++device_storages_;
  *ratio = 0;
  return IsFloat(PlaneTypeOf(dtype)) &&
                 storage.region.bytes / ByteWidth(dtype) >= kPlaneLeastElems
             ? Encoding::kPlane
             : Encoding::kRaw;
}

// The codec runs beside the disk: what takes longer of the two counts.
Result<Encoding> CompressionChooser::Fastest(const Storage& storage,
                                             DType dtype, double* ratio) {
  CAISSON_RETURN_IF_ERROR(NeedDiskRate());
  Encoding best = Encoding::kRaw;
  double best_time = kWorthIt / disk_rate_;
  for (const Encoding encoding : {Encoding::kPlane, Encoding::kDeflate}) {
    CAISSON_ASSIGN_OR_RETURN(const Sample sample,
                             Try(encoding, storage, dtype));
    double& rate = encoding == Encoding::kPlane ? plane_rate_ : deflate_rate_;
    rate = std::max(rate, sample.rate);
    const double all = rate * static_cast<double>(wish_.threads);
    const double time = std::max(sample.ratio / disk_rate_, 1 / all);
    if (sample.ratio > kWorthIt || time >= best_time) continue;
    best = encoding;
    best_time = time;
    *ratio = sample.ratio;
  }
  return best;
}

Result<CompressionChooser::Sample> CompressionChooser::Try(
    Encoding encoding, const Storage& storage, DType dtype) {
  const uint64_t bytes = storage.region.bytes;
  const size_t unit = std::max<size_t>(ByteWidth(dtype), 1);
  const uint64_t run = std::min(kRunBytes, bytes) / unit * unit;
  const uint64_t runs = bytes >= kRuns * run ? kRuns : 1;
  Sample sample;
  uint64_t stored = 0;
  EncodeRoom room;
  double seconds = 0;
  for (uint64_t i = 0; i < runs; ++i) {
    TensorPiece piece;
    piece.offset = runs == 1 ? 0 : (bytes - run) / (runs - 1) * i / unit * unit;
    piece.bytes = run;
    piece.dtype = dtype;
    piece.encoding = encoding;
    const PieceEncoder encoder(piece, kernels_);
    EncodedChunk chunk;
    const Stopwatch watch;
    CAISSON_RETURN_IF_ERROR(encoder.Encode(
        0, {storage.region.data + piece.offset, encoder.ChunkBytes(0)}, room,
        &chunk));
    // The first one pays for the memory.
    const double took = watch.seconds();
    seconds = i == 0 ? took : std::min(seconds, took);
    stored += chunk.bytes.size();
  }
  sample.ratio = static_cast<double>(stored) / static_cast<double>(run * runs);
  sample.rate = static_cast<double>(run) / std::max(seconds, 1e-9);
  return sample;
}

Status CompressionChooser::NeedDiskRate() {
  if (disk_rate_ > 0) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(disk_rate_, wish_.disk_rate());
  return Status::Ok();
}

Result<CompressionReport> CompressionChooser::Take() {
  CAISSON_RETURN_IF_ERROR(failure_);
  if (disk_rate_ > 0) {
    report_.why = "disk " + Decimal(disk_rate_ / 1e9) + " GB/s; " +
                  std::to_string(wish_.threads) + " threads, each plane " +
                  Decimal(plane_rate_ / 1e9) + " and deflate " +
                  Decimal(deflate_rate_ / 1e9) + " GB/s";
  }
  if (device_storages_ > 0) {
    if (!report_.why.empty()) report_.why += "; ";
    report_.why += std::to_string(device_storages_) +
                   " storages of devices are not sampled: floats are encoded";
  }
  return std::move(report_);
}

}  // namespace caisson
