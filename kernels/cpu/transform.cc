// SPDX-License-Identifier: Apache-2.0
//
// Each job is done in blocks so small that whatever is done to one, its CRC
// included, finds it in L1: memory is read once and written once, whatever the
// step. Where the result shall not stay in the caches a block is made in
// scratch and streamed from there.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "caisson/crc32.h"
#include "kernels/cpu/byte_swap.h"
#include "kernels/cpu/conversion.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/stream_copy.h"

namespace caisson::cpu {
namespace {

// Of source or destination, whichever is larger. Both and the scratch between
// them fit into an L1 of 32 KiB; elements of every width fill it.
constexpr size_t kBlockBytes = 8 * 1024;

// From which size on a job streams by itself: half of a usual L2.
// kernels_bench, copy_crc32: from there on it is never slower.
constexpr size_t kStreamFromBytes = 512 * 1024;

// What a step does to every job.
struct Pass {
  size_t src_width;  // bytes of an element
  size_t dst_width;
  size_t swap;  // bytes of the unit to reverse; 1: none
  std::optional<Conversion> conversion;
  bool crc_of_dst;  // else of what was read; the same if nothing changes
  Stores stores;
};

Result<Pass> PassOf(const Step& step) {
  for (const DType dtype : {step.from, step.to}) {
    if (ByteWidth(dtype) == 0) {
      return Status::InvalidArgument(std::string(Name(dtype)) +
                                     " elements do not fill whole bytes");
    }
  }
  Pass pass = {.src_width = ByteWidth(step.from),
               .dst_width = ByteWidth(step.to),
               .swap = 1,
               .conversion = std::nullopt,
               .crc_of_dst = false,
               .stores = step.stores};
  if (step.from != step.to) {
    if (step.op != Op::kConvert) {
      return Status::InvalidArgument("only Op::kConvert takes " +
                                     std::string(Name(step.from)) + " to " +
                                     std::string(Name(step.to)));
    }
    Result<Conversion> conversion = Conversion::Make(step.from, step.to);
    if (!conversion.has_value()) return conversion.error();
    pass.conversion = *conversion;
  }
  if (step.op == Op::kByteSwap) pass.swap = SwapWidth(step.from);
  pass.crc_of_dst =
      (pass.swap > 1 || pass.conversion) && step.crc_of == CrcOf::kStored;
  return pass;
}

// One job, block by block.
class BlockLoop {
 public:
  // Through `gather`, or from the job's source if there is none.
  BlockLoop(const Pass& pass, const Job& job, std::optional<Gather> gather)
      : pass_(pass),
        job_(job),
        gather_(gather),
        streams_(Streams()),
        result_is_used_(job.dst != nullptr ||
                        (job.crc != nullptr && pass.crc_of_dst)) {}

  void Run() {
    const size_t widest = std::max(pass_.src_width, pass_.dst_width);
    const size_t block = kBlockBytes / widest;
    for (size_t done = 0; done < job_.elems;) {
      size_t elems = std::min(job_.elems - done, block);
      // So that all other blocks begin with a line of the destination.
      if (streams_ && done == 0) elems = std::min(elems, ElemsToLine());
      Move(done, elems);
      done += elems;
    }
  }

  uint32_t crc() const { return crc_; }
  uint64_t bad() const { return bad_.value_or(job_.elems); }

 private:
  bool Streams() const {
    if (job_.dst == nullptr || job_.dst == job_.src) return false;
    if (Misalignment() % pass_.dst_width != 0) return false;
    if (pass_.stores != Stores::kAuto) {
      return pass_.stores == Stores::kStreaming;
    }
    return job_.elems >= kStreamFromBytes / pass_.dst_width;
  }

  size_t Misalignment() const {
    return reinterpret_cast<uintptr_t>(job_.dst) % kLineBytes;
  }

  // Elements up to the first whole line; all if there are none before it.
  size_t ElemsToLine() const {
    return Misalignment() == 0
               ? job_.elems
               : (kLineBytes - Misalignment()) / pass_.dst_width;
  }

  void AddCrc(const std::byte* data, size_t bytes) {
    crc_ = Crc32(crc_, {data, bytes});
  }

  // The elements [first, first + elems).
  void Move(size_t first, size_t elems) {
    const size_t src_bytes = elems * pass_.src_width;
    const size_t dst_bytes = elems * pass_.dst_width;
    const bool wants_crc = job_.crc != nullptr;
    std::byte* const dst =
        job_.dst == nullptr ? nullptr : job_.dst + first * pass_.dst_width;
    std::byte* const made = dst == nullptr || streams_ ? made_ : dst;

    const std::byte* src = job_.src + first * pass_.src_width;
    if (gather_) {
      // Into its place where elements keep their width.
      std::byte* const gathered = pass_.conversion ? gathered_ : made;
      gather_->Next(gathered, elems);
      src = gathered;
    }
    if (wants_crc && !pass_.crc_of_dst) AddCrc(src, src_bytes);
    const std::byte* const result = Change(src, made, first, elems);
    if (wants_crc && pass_.crc_of_dst) AddCrc(result, dst_bytes);
    if (dst == nullptr || result == dst) return;
    if (streams_ && Aligned(dst)) {
      StreamCopy(result, dst, dst_bytes);
    } else {
      std::memcpy(dst, result, dst_bytes);
    }
  }

  // Where the elements at `src` are after the step: in `made`, or where they
  // were if it changes nothing.
  const std::byte* Change(const std::byte* src, std::byte* made, size_t first,
                          size_t elems) {
    if (pass_.conversion) {
      if (job_.bad != nullptr && !bad_) {
        const size_t bad = pass_.conversion->FirstBad(src, elems);
        if (bad < elems) bad_ = first + bad;
      }
      if (result_is_used_) pass_.conversion->Run(src, made, elems);
      return made;
    }
    if (pass_.swap > 1 && result_is_used_) {
      SwapBytes(src, made, elems * pass_.src_width, pass_.swap);
      return made;
    }
    return src;
  }

  static bool Aligned(const std::byte* dst) {
    return reinterpret_cast<uintptr_t>(dst) % kLineBytes == 0;
  }

  const Pass& pass_;
  const Job& job_;
  std::optional<Gather> gather_;
  const bool streams_;
  const bool result_is_used_;  // else only the CRC of the source is wanted
  uint32_t crc_ = 0;
  std::optional<uint64_t> bad_;
  alignas(kLineBytes) std::byte gathered_[kBlockBytes];
  alignas(kLineBytes) std::byte made_[kBlockBytes];
};

Status Run(const Pass& pass, const Job& job) {
  size_t bytes;
  const size_t widest = std::max(pass.src_width, pass.dst_width);
  if (__builtin_mul_overflow(job.elems, widest, &bytes)) {
    return Status::InvalidArgument(std::to_string(job.elems) +
                                   " elements are more than memory");
  }
  if (pass.dst_width > pass.src_width && job.src == job.dst && job.elems > 0) {
    return Status::InvalidArgument("elements widened in place");
  }
  std::optional<Gather> gather;
  if (job.view != nullptr) {
    Result<Gather> made =
        Gather::Make(job.src, *job.view, job.elems, pass.src_width);
    if (!made.has_value()) return made.error();
    if (!made->contiguous()) {
      if (job.src == job.dst) {
        return Status::InvalidArgument("strided view gathered in place");
      }
      gather = *made;
    }
  }
  if (job.dst == nullptr && job.crc == nullptr && job.bad == nullptr) {
    return Status::Ok();  // nothing to do
  }
  BlockLoop loop(pass, job, gather);
  loop.Run();
  if (job.crc != nullptr) *job.crc = loop.crc();
  if (job.bad != nullptr) *job.bad = loop.bad();
  return Status::Ok();
}

}  // namespace

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Result<Pass> pass = PassOf(step);
  if (!pass.has_value()) return pass.error();
  Status status;
  for (size_t i = 0; i < jobs.size() && status.ok(); ++i) {
    status = Run(*pass, jobs[i]);
    if (!status.ok()) status = status.WithContext("job " + std::to_string(i));
  }
  StreamFence();
  return status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

}  // namespace caisson::cpu
