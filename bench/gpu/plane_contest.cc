// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu/plane_contest.h"

#include <algorithm>
#include <cstring>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"

namespace caisson::bench {

Status PlaneContest::Prepare(const PlaneSet& set, size_t bytes) {
  const Device device = clock_.stream().device;
  const uint32_t elems = PlaneChunkElems(set.type);
  const size_t chunk = size_t{elems} * TraitsOf(set.type).width;
  const size_t count = (bytes + chunk - 1) / chunk;
  set_ = PlaneSource(set, count * chunk);
  for (DeviceBuffer* const buffer : {&src_, &coded_, &back_}) {
    CAISSON_ASSIGN_OR_RETURN(
        *buffer, DeviceBuffer::Allocate(runtime_, device, count * chunk));
  }
  CAISSON_ASSIGN_OR_RETURN(
      facts_,
      PinnedPages::Allocate(runtime_, device,
                            count * (sizeof(PlaneChunk) + sizeof(PlaneFault))));
  auto* const chunks = reinterpret_cast<PlaneChunk*>(facts_.data());
  auto* const faults = reinterpret_cast<PlaneFault*>(chunks + count);
  for (size_t i = 0; i < count; ++i) {
    PlaneEncodeJob encode;
    encode.src = src_.data() + i * chunk;
    encode.type = set.type;
    encode.elems = elems;
    encode.dst = coded_.data() + i * chunk;
    encode.chunk = chunks + i;
    encode_.push_back(encode);
    PlaneDecodeJob decode;
    decode.src = encode.dst;
    decode.dst = back_.data() + i * chunk;
    decode.fault = faults + i;
    decode_.push_back(decode);
  }
  CAISSON_ASSIGN_OR_RETURN(
      scratch_, DeviceBuffer::Allocate(runtime_, device,
                                       kernels_.plane_encode_bytes(encode_)));
  CAISSON_RETURN_IF_ERROR(
      runtime_.Copy(src_.data(), set_, src_.size(), clock_.stream()));
  CAISSON_RETURN_IF_ERROR(Encode());
  CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(clock_.stream()));
  for (size_t i = 0; i < count; ++i) decode_[i].chunk = chunks[i];
  const size_t decode_bytes = kernels_.plane_decode_bytes(decode_);
  if (decode_bytes <= scratch_.size()) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(
      scratch_, DeviceBuffer::Allocate(runtime_, device, decode_bytes));
  return Status::Ok();
}

Status PlaneContest::Encode() {
  return kernels_.plane_encode(encode_, {scratch_.data(), scratch_.size()},
                               clock_.stream().stream);
}

Status PlaneContest::Decode() {
  return kernels_.plane_decode(decode_, {scratch_.data(), scratch_.size()},
                               clock_.stream().stream);
}

Result<bool> PlaneContest::IsRight() {
  CAISSON_ASSIGN_OR_RETURN(Buffer coded, Buffer::Allocate(coded_.size()));
  CAISSON_ASSIGN_OR_RETURN(Buffer back, Buffer::Allocate(back_.size()));
  CAISSON_RETURN_IF_ERROR(runtime_.Copy(coded.data(), coded_.data(),
                                        coded.size(), clock_.stream()));
  CAISSON_RETURN_IF_ERROR(
      runtime_.Copy(back.data(), back_.data(), back.size(), clock_.stream()));
  CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(clock_.stream()));
  if (std::memcmp(back.data(), set_, back.size()) != 0) return false;
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const host,
                           KernelsFor(Device::Cpu()));
  std::vector<std::byte> scratch(host->plane_encode_bytes(encode_));
  std::vector<std::byte> room;
  for (size_t i = 0; i < encode_.size(); ++i) {
    if (*decode_[i].fault != PlaneFault::kNone) return false;
    PlaneChunk chunk;
    PlaneEncodeJob job = encode_[i];
    job.src = set_ + (encode_[i].src - src_.data());
    room.resize(PlaneBound(job.type, job.elems));
    job.dst = room.data();
    job.chunk = &chunk;
    CAISSON_RETURN_IF_ERROR(host->plane_encode(
        std::span(&job, 1), {scratch.data(), scratch.size()}, {}));
    const std::byte* const made =
        coded.data() + (encode_[i].dst - coded_.data());
    if (!(chunk == *encode_[i].chunk) ||
        std::memcmp(made, room.data(), PlaneStoredBytes(chunk)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace caisson::bench
