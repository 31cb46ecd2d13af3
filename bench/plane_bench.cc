// SPDX-License-Identifier: Apache-2.0
//
// The plane codec beside memcpy: a chunk or two in L2, 64 MiB and 1 GiB; and
// 1 MiB of each set beside general compressors, to compare sizes.
// plane_encode_T_in_turn: 64 MiB, each chunk to the same room, as saves have
// it. The rate
// counts bytes before encoding; the counter `stored` is the part of them that
// is left, an index entry for each chunk included.
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/plane_peers.h"
#include "bench/plane_sets.h"
#include "bench/verbs.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

constexpr size_t kPlaneSizes[] = {size_t{256} << 10, size_t{64} << 20,
                                  size_t{1} << 30};
constexpr size_t kEntryBytes = 32;  // of the index, docs/codec.md 1.2

const KernelTable& Cpu() { return **KernelsFor(Device::Cpu()); }

// A run of a set in chunks, and room for what they become.
class Chunks {
 public:
  // `in_turn`: all become the same room's, so that the last one is left.
  Chunks(const PlaneSet& set, size_t bytes, bool in_turn = false)
      : bytes_(bytes) {
    const std::byte* const src = PlaneSource(set, bytes);
    const size_t width = TraitsOf(set.type).width;
    const size_t full = PlaneChunkElems(set.type) * width;
    chunks_.resize((bytes + full - 1) / full);
    coded_.resize((in_turn ? 1 : chunks_.size()) * full);
    faults_.resize(chunks_.size());
    for (size_t i = 0; i < chunks_.size(); ++i) {
      PlaneEncodeJob job;
      job.src = src + i * full;
      job.type = set.type;
      job.elems =
          static_cast<uint32_t>(std::min(full, bytes - i * full) / width);
      job.dst = coded_.data() + (in_turn ? 0 : i * full);
      job.chunk = &chunks_[i];
      jobs_.push_back(job);
    }
    scratch_.resize(Cpu().plane_encode_bytes(jobs_));
  }

  Status Encode() {
    return Cpu().plane_encode(jobs_, {scratch_.data(), scratch_.size()}, {});
  }

  // After Encode().
  void PrepareDecode() {
    decode_.clear();
    std::byte* dst = Destination(bytes_);
    for (size_t i = 0; i < jobs_.size(); ++i) {
      PlaneDecodeJob job;
      job.src = jobs_[i].dst;
      job.chunk = chunks_[i];
      job.dst = dst;
      job.fault = &faults_[i];
      dst += size_t{job.chunk.elems} * TraitsOf(job.chunk.type).width;
      decode_.push_back(job);
    }
    scratch_.resize(Cpu().plane_decode_bytes(decode_));
  }

  Status Decode() {
    return Cpu().plane_decode(decode_, {scratch_.data(), scratch_.size()}, {});
  }

  bool IsDecoded() const {
    for (const PlaneFault fault : faults_) {
      if (fault != PlaneFault::kNone) return false;
    }
    return std::memcmp(decode_[0].dst, jobs_[0].src, bytes_) == 0;
  }

  double Stored() const {
    double stored = 0;
    for (const PlaneChunk& chunk : chunks_) {
      stored += static_cast<double>(PlaneStoredBytes(chunk) + kEntryBytes);
    }
    return stored / static_cast<double>(bytes_);
  }

 private:
  const size_t bytes_;
  std::vector<PlaneChunk> chunks_;
  std::vector<PlaneFault> faults_;
  std::vector<std::byte> coded_;
  std::vector<std::byte> scratch_;
  std::vector<PlaneEncodeJob> jobs_;
  std::vector<PlaneDecodeJob> decode_;
};

void Check(benchmark::State& state, Chunks& chunks) {
  chunks.PrepareDecode();
  if (!chunks.Decode().ok() || !chunks.IsDecoded()) {
    Fail(state, Status::Corrupt("not what was encoded"));
  }
  state.counters["stored"] = chunks.Stored();
}

Body Encode(const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    Chunks chunks(set, bytes);
    if (Measure(state, bytes, [&] { return chunks.Encode(); })) {
      Check(state, chunks);
    }
  };
}

Body EncodeInTurn(const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    Chunks chunks(set, bytes, /*in_turn=*/true);
    Measure(state, bytes, [&] { return chunks.Encode(); });
    state.counters["stored"] = chunks.Stored();
  };
}

Body Decode(const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    Chunks chunks(set, bytes);
    if (const Status status = chunks.Encode(); !status.ok()) {
      return Fail(state, status);
    }
    chunks.PrepareDecode();
    if (Measure(state, bytes, [&] { return chunks.Decode(); })) {
      Check(state, chunks);
    }
  };
}

Body Memcpy(const PlaneSet& set, size_t bytes) {
  return [=](benchmark::State& state) {
    const std::byte* const src = PlaneSource(set, bytes);
    std::byte* const dst = Destination(bytes);
    Measure(state, bytes, [&] {
      std::memcpy(dst, src, bytes);
      return Status::Ok();
    });
  };
}

// 1 MiB, on the best target alone.
void RegisterBeside(const std::string& verb, const Body& ours,
                    const std::vector<Peer>& peers) {
  Register(verb, "caisson", size_t{1} << 20, ours);
  for (const Peer& peer : peers) {
    Register(verb, peer.who, size_t{1} << 20, peer.body);
  }
}

}  // namespace

void RegisterPlanes() {
  for (const char* name : {"bf16", "fp32"}) {
    const PlaneSet& set = FindPlaneSet(name);
    for (const size_t bytes : kPlaneSizes) {
      const std::vector<Peer> peers = {{"memcpy", Memcpy(set, bytes)}};
      RegisterContest("plane_encode_" + set.name, bytes, Encode(set, bytes),
                      peers);
      RegisterContest("plane_decode_" + set.name, bytes, Decode(set, bytes),
                      peers);
    }
    constexpr size_t kTurnBytes = size_t{64} << 20;
    Register("plane_encode_" + set.name + "_in_turn", "caisson", kTurnBytes,
             EncodeInTurn(set, kTurnBytes));
  }
  for (const PlaneSet& set : PlaneSets()) {
    constexpr size_t kBytes = size_t{1} << 20;
    RegisterBeside("plane_encode_" + set.name, Encode(set, kBytes),
                   EncodePeers(set, kBytes));
    RegisterBeside("plane_decode_" + set.name, Decode(set, kBytes),
                   DecodePeers(set, kBytes));
  }
}

}  // namespace caisson::bench
