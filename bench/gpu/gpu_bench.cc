// SPDX-License-Identifier: Apache-2.0
//
// gpu_bench [--device=N] [--rounds=N] [--scale=MIB] [--out=FILE]: the CUDA
// table beside the limits of the same device, by CUDA events, on random data.
//
// Each row is a verb and its peer, alternated, and the ratio of their medians;
// rates count half of the bytes that are read and written, so that a copy of n
// bytes counts n; what only reads counts what it reads. The CRCs are compared
// with the host's. Exit status 1 if a result is wrong.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/gpu/gpu_clock.h"
#include "bench/gpu/gpu_main.h"
#include "bench/gpu/plane_contest.h"
#include "bench/gpu/read_peer.h"
#include "caisson/crc32.h"
#include "core/device/buffer.h"
#include "core/device/device.h"
#include "kernels/kernel_table.h"
#include "tests/support/random_bytes.h"

namespace caisson::bench {
namespace {

struct Options {
  int device = 0;
  int rounds = 15;
  size_t bytes = size_t{2048} << 20;  // of the largest buffers
  std::string out;
};

struct Verb {
  const char* name;
  Step step;
};

constexpr Step Swap(DType dtype) {
  return {.op = Op::kByteSwap, .from = dtype, .to = dtype};
}
constexpr Step Convert(DType from, DType to, CrcOf crc_of) {
  return {.op = Op::kConvert, .from = from, .to = to, .crc_of = crc_of};
}

constexpr Verb kVerbs[] = {
    {"copy", {}},
    {"byte_swap2", Swap(DType::kInt16)},
    {"byte_swap4", Swap(DType::kInt32)},
    {"byte_swap8", Swap(DType::kInt64)},
    {"fp32_to_bf16",
     Convert(DType::kFloat32, DType::kBFloat16, CrcOf::kStored)},
    {"bf16_to_fp32",
     Convert(DType::kBFloat16, DType::kFloat32, CrcOf::kSource)},
    {"fp32_to_fp16", Convert(DType::kFloat32, DType::kFloat16, CrcOf::kStored)},
    {"fp16_to_fp32", Convert(DType::kFloat16, DType::kFloat32, CrcOf::kSource)},
    {"fp32_to_fp8e4m3fn",
     Convert(DType::kFloat32, DType::kFloat8E4M3Fn, CrcOf::kStored)},
    {"fp8e4m3fn_to_fp32",
     Convert(DType::kFloat8E4M3Fn, DType::kFloat32, CrcOf::kSource)},
    {"fp64_to_fp32", Convert(DType::kFloat64, DType::kFloat32, CrcOf::kStored)},
};

class GpuBench {
 public:
  GpuBench(const Options& options, DeviceRuntime& runtime,
           const KernelTable& kernels, GpuClock clock)
      : options_(options),
        device_(Device::Cuda(options.device)),
        runtime_(runtime),
        kernels_(kernels),
        clock_(std::move(clock)) {}

  Status Run() {
    CAISSON_RETURN_IF_ERROR(Prepare());
    CAISSON_RETURN_IF_ERROR(RunCrc());
    for (const Verb& verb : kVerbs) {
      for (const bool sum : {false, true}) {
        CAISSON_RETURN_IF_ERROR(RunVerb(verb, sum, options_.bytes));
      }
    }
    for (const size_t bytes : {size_t{1} << 20, size_t{64} << 20}) {
      CAISSON_RETURN_IF_ERROR(RunVerb(kVerbs[0], true, bytes));
    }
    CAISSON_RETURN_IF_ERROR(RunSmallBatch());
    CAISSON_RETURN_IF_ERROR(RunTranspose());
    CAISSON_RETURN_IF_ERROR(RunPlanes());
    return RunLink();
  }

  bool right() const { return right_; }
  nlohmann::json& rows() { return rows_; }

 private:
  // Random bytes on the device, and as many of the same on the host.
  Status Prepare() {
    constexpr size_t kBlock = size_t{64} << 20;
    CAISSON_ASSIGN_OR_RETURN(host_, Buffer::Allocate(options_.bytes));
    FillRandom(host_.bytes().first(kBlock), 1);
    for (size_t at = kBlock; at < host_.size(); at += kBlock) {
      std::copy_n(host_.data(), kBlock, host_.data() + at);
      FillRandom(host_.bytes().subspan(at, 4096), at);
    }
    CAISSON_ASSIGN_OR_RETURN(
        src_, DeviceBuffer::Allocate(runtime_, device_, options_.bytes));
    CAISSON_ASSIGN_OR_RETURN(
        dst_, DeviceBuffer::Allocate(runtime_, device_, options_.bytes));
    CAISSON_ASSIGN_OR_RETURN(
        sums_, DeviceBuffer::Allocate(runtime_, device_, kMostJobs * 4));
    CAISSON_ASSIGN_OR_RETURN(
        workspace_,
        DeviceBuffer::Allocate(runtime_, device_, size_t{64} << 20));
    CAISSON_RETURN_IF_ERROR(runtime_.Pin(device_, host_.bytes()));
    CAISSON_RETURN_IF_ERROR(runtime_.Copy(src_.data(), host_.data(),
                                          options_.bytes, clock_.stream()));
    return runtime_.Synchronize(clock_.stream());
  }

  Status Transform(const Step& step, std::span<const Job> jobs) {
    return kernels_.transform(step, jobs,
                              {workspace_.data(), workspace_.size()},
                              clock_.stream().stream);
  }

  Job JobOf(const Step& step, size_t bytes, bool stores, bool sum) const {
    const size_t widest = std::max(ByteWidth(step.from), ByteWidth(step.to));
    Job job;
    job.src = src_.data();
    job.dst = stores ? dst_.data() : nullptr;
    job.elems = bytes / widest;
    job.crc = sum ? reinterpret_cast<uint32_t*>(sums_.data()) : nullptr;
    return job;
  }

  Work CopyOf(size_t bytes) {
    return [this, bytes] {
      return runtime_.Copy(dst_.data(), src_.data(), bytes, clock_.stream());
    };
  }

  Status RunCrc() {
    for (const size_t bytes :
         {size_t{1} << 20, size_t{64} << 20, options_.bytes}) {
      const Job job = JobOf({}, bytes, false, true);
      CAISSON_RETURN_IF_ERROR(Contest(
          "crc32", bytes, bytes, bytes, "read",
          bytes < options_.bytes ? 0 : 0.9,
          [this, job] {
            return Transform({}, {&job, 1});
          },
          [this, bytes] {
            return ReadAll(src_.data(), bytes,
                           reinterpret_cast<uint32_t*>(sums_.data() + 256),
                           clock_.stream().stream);
          }));
      CAISSON_RETURN_IF_ERROR(
          CheckCrc("crc32", Crc32(0, host_.bytes().first(bytes))));
    }
    return Status::Ok();
  }

  Status RunVerb(const Verb& verb, bool sum, size_t bytes) {
    const Job job = JobOf(verb.step, bytes, true, sum);
    const size_t moved = (job.elems * ByteWidth(verb.step.from) +
                          job.elems * ByteWidth(verb.step.to)) /
                         2;
    const std::string name = std::string(verb.name) + (sum ? "_crc32" : "");
    // The table of targets names 16 bits; what also takes a CRC has the target
    // of a copy that does.
    const bool named = verb.step.op != Op::kConvert ||
                       ByteWidth(verb.step.from) + ByteWidth(verb.step.to) == 6;
    const double target = bytes < options_.bytes || !named   ? 0
                          : sum || verb.step.op == Op::kCopy ? 0.9
                                                             : 0.93;
    CAISSON_RETURN_IF_ERROR(Contest(
        name, bytes, moved, moved, "copy", target,
        [this, &verb, job] {
          return Transform(verb.step, {&job, 1});
        },
        CopyOf(moved)));
    if (!sum) return Status::Ok();
    return CheckVerb(name, verb.step, job);
  }

  // The host does the same.
  Status CheckVerb(const std::string& name, const Step& step, Job job) {
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* host,
                             KernelsFor(Device::Cpu()));
    uint32_t expected = 0;
    // The peer has stored over the result since.
    CAISSON_RETURN_IF_ERROR(Transform(step, {&job, 1}));
    const size_t bytes = job.elems * ByteWidth(step.to);
    CAISSON_ASSIGN_OR_RETURN(Buffer found, Buffer::Allocate(bytes));
    CAISSON_ASSIGN_OR_RETURN(Buffer wanted, Buffer::Allocate(bytes));
    CAISSON_RETURN_IF_ERROR(
        runtime_.Copy(found.data(), dst_.data(), bytes, clock_.stream()));
    job.src = host_.data();
    job.dst = wanted.data();
    job.crc = &expected;
    CAISSON_RETURN_IF_ERROR(host->transform(step, {&job, 1}, {}, {}));
    CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(clock_.stream()));
    if (!std::ranges::equal(found.bytes(), wanted.bytes())) {
      right_ = false;
      std::printf("%s: WRONG bytes\n", name.c_str());
    }
    return CheckCrc(name, expected);
  }

  Status CheckCrc(const std::string& name, uint32_t expected) {
    uint32_t found = 0;
    CAISSON_RETURN_IF_ERROR(runtime_.Copy(reinterpret_cast<std::byte*>(&found),
                                          sums_.data(), sizeof(found),
                                          clock_.stream()));
    CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(clock_.stream()));
    if (found == expected) return Status::Ok();
    right_ = false;
    std::printf("%s: WRONG CRC %08x, expected %08x\n", name.c_str(), found,
                expected);
    return Status::Ok();
  }

  // As many tiny tensors as large optimizers have.
  Status RunSmallBatch() {
    for (const size_t each : {size_t{16}, size_t{4096}}) {
      std::vector<Job> jobs(kMostJobs);
      for (size_t i = 0; i < kMostJobs; ++i) {
        jobs[i].src = src_.data() + i * each;
        jobs[i].dst = dst_.data() + i * each;
        jobs[i].elems = each;
        jobs[i].crc = reinterpret_cast<uint32_t*>(sums_.data()) + i;
      }
      const size_t bytes = each * kMostJobs;
      CAISSON_RETURN_IF_ERROR(Contest(
          "small_batch_copy_crc32", each, bytes, bytes, "copy", 0,
          [this, jobs] { return Transform({}, jobs); }, CopyOf(bytes)));
      CAISSON_RETURN_IF_ERROR(CheckCrc("small_batch_copy_crc32",
                                       Crc32(0, host_.bytes().first(each))));
    }
    return Status::Ok();
  }

  Status RunTranspose() {
    const int64_t side = 16384;
    const size_t bytes = static_cast<size_t>(side * side) * 4;
    if (bytes > options_.bytes) return Status::Ok();
    const int64_t shape[] = {side, side};
    const int64_t strides[] = {1, side};
    const Strides view = {shape, strides};
    const Step step = {.from = DType::kFloat32, .to = DType::kFloat32};
    Job job = JobOf(step, bytes, true, true);
    job.view = &view;
    return Contest(
        "gather_transpose4_crc32", bytes, bytes, bytes, "copy", 0,
        [this, step, job] {
          return Transform(step, {&job, 1});
        },
        CopyOf(bytes));
  }

  // Batches as saves encode them, and larger ones.
  Status RunPlanes() {
    for (const char* const name : {"bf16", "fp32"}) {
      const bool has_target = std::string_view(name) == "bf16";
      for (const size_t bytes : {size_t{64} << 20, size_t{512} << 20}) {
        PlaneContest planes(runtime_, kernels_, clock_);
        CAISSON_RETURN_IF_ERROR(planes.Prepare(FindPlaneSet(name), bytes));
        const std::string verb = std::string("_") + name;
        CAISSON_RETURN_IF_ERROR(Contest(
            "plane_encode" + verb, bytes, planes.bytes(), bytes, "copy",
            has_target ? kEncodeTarget : 0, [&] { return planes.Encode(); },
            CopyOf(bytes)));
        CAISSON_RETURN_IF_ERROR(Contest(
            "plane_decode" + verb, bytes, planes.bytes(), bytes, "copy",
            has_target ? kDecodeTarget : 0, [&] { return planes.Decode(); },
            CopyOf(bytes)));
        CAISSON_ASSIGN_OR_RETURN(const bool right, planes.IsRight());
        if (right) continue;
        right_ = false;
        std::printf("planes of %s: WRONG\n", name);
      }
    }
    return Status::Ok();
  }

  // Windows of 8 MiB, as saves and loads have them, in pinned memory.
  Status RunLink() {
    constexpr size_t kWindow = size_t{8} << 20;
    const size_t bytes = std::min(options_.bytes, size_t{1} << 30);
    const auto copies = [&](bool down) -> Work {
      return [this, bytes, down] {
        for (size_t at = 0; at < bytes; at += kWindow) {
          std::byte* const host = host_.data() + at;
          std::byte* const device = dst_.data() + at;
          CAISSON_RETURN_IF_ERROR(runtime_.Copy(down ? host : device,
                                                down ? device : host, kWindow,
                                                clock_.stream()));
        }
        return Status::Ok();
      };
    };
    const auto whole = [&](bool down) -> Work {
      return [this, bytes, down] {
        return runtime_.Copy(down ? host_.data() : dst_.data(),
                             down ? dst_.data() : host_.data(), bytes,
                             clock_.stream());
      };
    };
    CAISSON_RETURN_IF_ERROR(Contest("d2h_windows", bytes, bytes, bytes, "d2h",
                                    0.95, copies(true), whole(true)));
    CAISSON_RETURN_IF_ERROR(Contest("h2d_windows", bytes, bytes, bytes, "h2d",
                                    0.95, copies(false), whole(false)));
    // A kernel that stores into pinned memory itself.
    for (const bool sum : {false, true}) {
      Job job = JobOf({}, bytes, true, sum);
      job.dst = host_.data();
      CAISSON_RETURN_IF_ERROR(Contest(
          sum ? "copy_crc32_to_pinned" : "copy_to_pinned", bytes, bytes, bytes,
          "d2h", 0,
          [this, job] {
            return Transform({}, {&job, 1});
          },
          whole(true)));
    }
    Job swap = JobOf(Swap(DType::kInt32), bytes, true, true);
    swap.dst = host_.data();
    CAISSON_RETURN_IF_ERROR(Contest(
        "byte_swap4_crc32_to_pinned", bytes, bytes, bytes, "d2h", 0,
        [this, swap] {
          return Transform(Swap(DType::kInt32), {&swap, 1});
        },
        whole(true)));
    // One that reads it.
    for (const Step& step : {Step{}, Swap(DType::kInt32)}) {
      Job job = JobOf(step, bytes, true, true);
      job.src = host_.data();
      CAISSON_RETURN_IF_ERROR(Contest(
          step.op == Op::kCopy ? "copy_crc32_from_pinned"
                               : "byte_swap4_crc32_from_pinned",
          bytes, bytes, bytes, "h2d", 0,
          [this, step, job] {
            return Transform(step, {&job, 1});
          },
          whole(false)));
    }
    return Status::Ok();
  }

  // Runs ours beside a peer and keeps a row. A target of 0 is none, one above
  // 1 is in GB/s, another the ratio.
  Status Contest(const std::string& verb, size_t size, size_t bytes,
                 size_t peer_bytes, const char* peer, double target,
                 const Work& ours, const Work& theirs) {
    CAISSON_ASSIGN_OR_RETURN(const std::vector<Times> times,
                             clock_.Run({ours, theirs}, options_.rounds));
    const double rate = static_cast<double>(bytes) / times[0].median / 1e9;
    const double limit =
        static_cast<double>(peer_bytes) / times[1].median / 1e9;
    const double ratio = rate / limit;
    const char* const verdict = target == 0 ? "-"
                                : (target > 1 ? rate : ratio) >= target
                                    ? "PASS"
                                    : "MISS";
    std::printf("%-32s %12zu  %8.1f GB/s  %-5s %8.1f GB/s  %5.3f  %s\n",
                verb.c_str(), size, rate, peer, limit, ratio, verdict);
    std::fflush(stdout);
    rows_.push_back({{"verb", verb},
                     {"bytes", size},
                     {"gbps", rate},
                     {"seconds",
                      {{"median", times[0].median},
                       {"least", times[0].least},
                       {"most", times[0].most}}},
                     {"peer", peer},
                     {"peer_gbps", limit},
                     {"ratio", ratio},
                     {"target", target},
                     {"verdict", verdict}});
    return Status::Ok();
  }

  static constexpr size_t kMostJobs = 100'000;
  static constexpr double kEncodeTarget = 600;  // GB/s, of bfloat16
  static constexpr double kDecodeTarget = 1000;

  const Options options_;
  const Device device_;
  DeviceRuntime& runtime_;
  const KernelTable& kernels_;
  GpuClock clock_;
  Buffer host_;
  DeviceBuffer src_;
  DeviceBuffer dst_;
  DeviceBuffer sums_;
  DeviceBuffer workspace_;
  nlohmann::json rows_ = nlohmann::json::array();
  bool right_ = true;
};

Result<bool> Run(const Options& options) {
  CAISSON_ASSIGN_OR_RETURN(const auto devices, CudaDevices());
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime, CudaRuntime());
  const Device device = Device::Cuda(options.device);
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           KernelsFor(device));
  CAISSON_ASSIGN_OR_RETURN(GpuClock clock, GpuClock::Create(*runtime, device));
  GpuBench bench(options, *runtime, *kernels, std::move(clock));
  CAISSON_RETURN_IF_ERROR(bench.Run());
  if (!options.out.empty()) {
    const nlohmann::json document = {
        {"machine",
         {{"device", devices[static_cast<size_t>(options.device)].name},
          {"cuda", CudaSummary()}}},
        {"rounds", options.rounds},
        {"rows", bench.rows()}};
    std::ofstream(options.out) << document.dump(1) << '\n';
  }
  return bench.right();
}

Options Parse(int argc, char** argv) {
  Options options;
  ParseOptions(
      argc, argv, [&](std::string_view name, const std::string& value) {
        if (name == "device") options.device = std::atoi(value.c_str());
        if (name == "rounds") options.rounds = std::atoi(value.c_str());
        if (name == "scale") {
          options.bytes = static_cast<size_t>(std::atoi(value.c_str())) << 20;
        }
        if (name == "out") options.out = value;
      });
  return options;
}

}  // namespace
}  // namespace caisson::bench

int main(int argc, char** argv) {
  using namespace caisson::bench;
  return ExitStatus("gpu_bench", Run(Parse(argc, argv)));
}
