// SPDX-License-Identifier: Apache-2.0
//
// The steps of KernelTable::transform over one contiguous job. The bytes in
// the name are those of the wider side. The roof is memcpy of as many bytes as
// the step moves: half of what it reads and writes.
#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/verbs.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

struct Verb {
  const char* name;
  Step step;
};

constexpr Step Copy() { return {}; }

constexpr Step ByteSwap(DType dtype) {
  return {.op = Op::kByteSwap, .from = dtype, .to = dtype};
}

// On the way into a file, which holds the narrower elements.
constexpr Step Narrow(DType from, DType to) {
  return {.op = Op::kConvert, .from = from, .to = to};
}

// On the way out of a file.
constexpr Step Widen(DType from, DType to) {
  return {.op = Op::kConvert, .from = from, .to = to, .crc_of = CrcOf::kSource};
}

constexpr Verb kVerbs[] = {
    {"copy", Copy()},
    {"byte_swap2", ByteSwap(DType::kInt16)},
    {"byte_swap4", ByteSwap(DType::kInt32)},
    {"byte_swap8", ByteSwap(DType::kInt64)},
    {"fp32_to_bf16", Narrow(DType::kFloat32, DType::kBFloat16)},
    {"bf16_to_fp32", Widen(DType::kBFloat16, DType::kFloat32)},
    {"fp32_to_fp16", Narrow(DType::kFloat32, DType::kFloat16)},
    {"fp16_to_fp32", Widen(DType::kFloat16, DType::kFloat32)},
    {"fp32_to_fp8e4m3fn", Narrow(DType::kFloat32, DType::kFloat8E4M3Fn)},
    {"fp8e4m3fn_to_fp32", Widen(DType::kFloat8E4M3Fn, DType::kFloat32)},
    {"fp64_to_fp32", Narrow(DType::kFloat64, DType::kFloat32)},
    {"int64_to_int32", Narrow(DType::kInt64, DType::kInt32)},
};

// How many bytes of what a step works on.
struct Extent {
  DType content;
  size_t elems;
  size_t src_bytes;
  size_t dst_bytes;

  size_t moved() const { return (src_bytes + dst_bytes) / 2; }
};

Extent ExtentOf(const Step& step, size_t bytes) {
  const size_t from = ByteWidth(step.from);
  const size_t to = ByteWidth(step.to);
  const size_t elems = bytes / std::max(from, to);
  return {.content = step.op == Op::kConvert ? step.from : DType::kUInt8,
          .elems = elems,
          .src_bytes = elems * from,
          .dst_bytes = elems * to};
}

uint32_t PeerCrc32(const std::byte* data, size_t bytes) {
  return libdeflate_crc32(0, data, bytes);
}

Body Transformed(const Step& step, const Extent& extent, bool with_crc) {
  return [=](benchmark::State& state) {
    const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
    if (!kernels.has_value()) return Fail(state, kernels.error());
    uint32_t crc = 0;
    const Job job = {.src = Source(extent.content, extent.src_bytes),
                     .dst = Destination(extent.dst_bytes),
                     .elems = extent.elems,
                     .crc = with_crc ? &crc : nullptr};
    const bool done = Measure(state, extent.moved(), [&] {
      return (*kernels)->transform(step, {&job, 1}, {}, {});
    });
    if (!done || !with_crc) return;
    const uint32_t expected = step.crc_of == CrcOf::kSource
                                  ? PeerCrc32(job.src, extent.src_bytes)
                                  : PeerCrc32(job.dst, extent.dst_bytes);
    if (crc != expected) {
      Fail(state, Status::Corrupt("not the CRC that libdeflate finds"));
    }
  };
}

Body Memcpy(DType content, size_t bytes) {
  return [=](benchmark::State& state) {
    const std::byte* const src = Source(content, bytes);
    std::byte* const dst = Destination(bytes);
    Measure(state, bytes, [&] {
      std::memcpy(dst, src, bytes);
      return Status::Ok();
    });
  };
}

Body MemcpyThenCrc32(size_t bytes) {
  return [=](benchmark::State& state) {
    const std::byte* const src = Source(DType::kUInt8, bytes);
    std::byte* const dst = Destination(bytes);
    Measure(state, bytes, [&] {
      std::memcpy(dst, src, bytes);
      benchmark::DoNotOptimize(PeerCrc32(dst, bytes));
      return Status::Ok();
    });
  };
}

void RegisterVerb(const Verb& verb, size_t bytes) {
  const Extent extent = ExtentOf(verb.step, bytes);
  std::vector<Peer> peers = {
      {"memcpy", Memcpy(extent.content, extent.moved())}};
  RegisterContest(verb.name, bytes, Transformed(verb.step, extent, false),
                  peers);
  if (verb.step.op == Op::kCopy) {
    peers.push_back({"memcpy-libdeflate", MemcpyThenCrc32(bytes)});
  }
  RegisterContest(std::string(verb.name) + "_crc32", bytes,
                  Transformed(verb.step, extent, true), peers);
}

}  // namespace

void RegisterTransform() {
  for (const Verb& verb : kVerbs) {
    for (const size_t bytes : kSizes) RegisterVerb(verb, bytes);
  }
}

}  // namespace caisson::bench
