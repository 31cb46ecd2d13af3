// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_encoder.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// One is encoded while another is brought to the host.
constexpr size_t kBatches = 2;

// Kernels store and read where chunks begin in words of 16 bytes.
constexpr size_t kChunkAlignment = 256;

constexpr size_t Aligned(size_t bytes) {
  return (bytes + kChunkAlignment - 1) / kChunkAlignment * kChunkAlignment;
}

// What the place of a job takes in a batch.
size_t PlaceBytes(const PlaneEncodeJob& job) {
  return Aligned(PlaneBound(job.type, job.elems));
}

// What no chunk exceeds.
constexpr size_t kMostChunkBytes = Aligned(
    PlaneBound(PlaneType::kFloat64, PlaneChunkElems(PlaneType::kFloat64)));

// Where a batch of `bytes` ends too, so that small saves take little scratch:
// twice as many chunks as it has of the smallest size that is whole.
size_t MostChunks(uint64_t bytes) {
  constexpr uint64_t kWholeBytes = PlaneChunkElems(PlaneType::kBytes);
  return std::clamp<uint64_t>(2 * bytes / kWholeBytes, 16,
                              DeviceEncoder::kBatchChunks);
}

// Jobs that take as much scratch as any `count`: it grows with the bytes of a
// chunk and with its elements.
std::vector<PlaneEncodeJob> LargestJobs(size_t count) {
  std::vector<PlaneEncodeJob> jobs;
  for (size_t i = 0; i < count; ++i) {
    PlaneEncodeJob job;
    job.type = i % 2 == 0 ? PlaneType::kFloat64 : PlaneType::kBytes;
    job.elems = PlaneChunkElems(job.type);
    jobs.push_back(job);
  }
  return jobs;
}

}  // namespace

Result<std::unique_ptr<DeviceEncoder>> DeviceEncoder::Create(
    DeviceRuntime& runtime, const KernelTable& kernels, Device device,
    DeviceOrder& order, uint64_t bytes) {
  std::unique_ptr<DeviceEncoder> encoder(new DeviceEncoder(runtime, kernels));
  CAISSON_RETURN_IF_ERROR(encoder->Open(device, order, bytes));
  return encoder;
}

Status DeviceEncoder::Open(Device device, DeviceOrder& order, uint64_t bytes) {
  CAISSON_ASSIGN_OR_RETURN(
      stream_, OwnedStream::Create(runtime_, device, StreamPriority::kLowest));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime_, stream_.get()));
  most_chunks_ = MostChunks(bytes);
  const size_t scratch = kernels_.plane_encode_bytes(LargestJobs(most_chunks_));
  CAISSON_ASSIGN_OR_RETURN(scratch_,
                           DeviceBuffer::Allocate(runtime_, device, scratch));
  const size_t batch_bytes = std::max<size_t>(
      kMostChunkBytes, Aligned(std::min<uint64_t>(bytes, kBatchBytes)));
  for (size_t i = 0; i < kBatches; ++i) {
    auto batch = std::make_unique<Batch>();
    CAISSON_ASSIGN_OR_RETURN(
        batch->encoded, DeviceBuffer::Allocate(runtime_, device, batch_bytes));
    CAISSON_ASSIGN_OR_RETURN(
        batch->facts, PinnedPages::Allocate(runtime_, device,
                                            most_chunks_ * sizeof(PlaneChunk)));
    CAISSON_ASSIGN_OR_RETURN(batch->done, OwnedEvent::Create(runtime_, device));
    free_.push_back(batch.get());
    batches_.push_back(std::move(batch));
  }
  return Status::Ok();
}

DeviceEncoder::~DeviceEncoder() {
  if (stream_) static_cast<void>(runtime_.Synchronize(stream_.get()));
}

void DeviceEncoder::Announce(const TensorPiece& piece, const std::byte* src) {
  Piece added;
  added.src = src;
  added.type = PlaneTypeOf(piece.dtype);
  added.elems = piece.bytes / TraitsOf(added.type).width;
  assert(piece.encoding == Encoding::kPlane && added.elems > 0);
  pieces_.push_back(added);
}

DeviceEncoder::Batch* DeviceEncoder::FreeBatch() {
  const std::lock_guard hold(lock_);
  if (free_.empty()) return nullptr;
  Batch* const batch = free_.back();
  free_.pop_back();
  return batch;
}

void DeviceEncoder::Return(Batch* batch) {
  const std::lock_guard hold(lock_);
  free_.push_back(batch);
  returned_.notify_all();
}

// Begins as many batches as there is room for.
Status DeviceEncoder::Start() {
  while (!pieces_.empty()) {
    Batch* const batch = FreeBatch();
    if (batch == nullptr) return Status::Ok();
    begun_.push_back({batch, std::shared_ptr<const void>(
                                 batch, [this](Batch* its) { Return(its); })});
    CAISSON_RETURN_IF_ERROR(Launch(*batch));
  }
  return Status::Ok();
}

// Fills the batch with the next chunks.
Status DeviceEncoder::Launch(Batch& batch) {
  batch.jobs.clear();
  batch.taken = 0;
  auto* const facts = reinterpret_cast<PlaneChunk*>(batch.facts.data());
  size_t used = 0;
  while (!pieces_.empty() && batch.jobs.size() < most_chunks_) {
    Piece& piece = pieces_.front();
    PlaneEncodeJob job;
    job.src = piece.src;
    job.type = piece.type;
    job.elems = static_cast<uint32_t>(
        std::min<uint64_t>(PlaneChunkElems(piece.type), piece.elems));
    if (used + PlaceBytes(job) > batch.encoded.size()) break;
    job.dst = batch.encoded.data() + used;
    job.chunk = &facts[batch.jobs.size()];
    used += PlaceBytes(job);
    batch.jobs.push_back(job);
    piece.src += size_t{job.elems} * TraitsOf(job.type).width;
    piece.elems -= job.elems;
    if (piece.elems == 0) pieces_.pop_front();
  }
  CAISSON_RETURN_IF_ERROR(kernels_.plane_encode(
      batch.jobs, {scratch_.data(), scratch_.size()}, stream_.get().stream));
  return runtime_.Record(batch.done.get(), stream_.get());
}

Result<DeviceEncoder::Chunk> DeviceEncoder::Next() {
  CAISSON_RETURN_IF_ERROR(Start());
  while (begun_.empty()) {
    {
      std::unique_lock hold(lock_);
      returned_.wait(hold, [this] { return !free_.empty(); });
    }
    CAISSON_RETURN_IF_ERROR(Start());
  }
  Batch& batch = *begun_.front().batch;
  if (batch.taken == 0) {
    CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(batch.done.get()));
  }
  const PlaneEncodeJob& job = batch.jobs[batch.taken++];
  Chunk chunk;
  chunk.bytes = job.dst;
  chunk.plane = *job.chunk;
  chunk.decoded_bytes = size_t{job.elems} * TraitsOf(job.type).width;
  chunk.lease = begun_.front().lease;
  chunk.last = batch.taken == batch.jobs.size();
  if (chunk.last) begun_.pop_front();
  return chunk;
}

}  // namespace caisson
