// SPDX-License-Identifier: Apache-2.0
//
// device_bench [--dir=DIR] [--size=MIB] [--rounds=N] [--compress=plane]
// [--out=FILE]: whole saves and loads of a state in memory of cuda:0, beside
// the slower of the link and the directory's own raw rate, measured in turns
// with them. The ratio is the median over the rounds.
//
// The state is that of a transformer: large matrices, small vectors, bfloat16
// and float32, of random bytes; to be compressed, bfloat16 weights of
// N(0, 0.02), and rates are of the bytes before that. What was saved is loaded
// into other memory and compared with what was saved, and so is a load into
// host memory, which shows what of a load is the disk's. Exit status 1 if they
// differ.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bench/gpu/gpu_clock.h"
#include "bench/gpu/gpu_main.h"
#include "bench/plane_sets.h"
#include "caisson/bench.h"
#include "caisson/engine.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "tests/support/random_bytes.h"

namespace caisson::bench {
namespace {

struct Options {
  std::string directory = ".";
  uint64_t bytes = uint64_t{4} << 30;
  int rounds = 7;
  bool compress = false;
  std::string out;
};

const Device kDevice = Device::Cuda(0);

// The median of rates, in GB/s.
double Median(std::vector<double> rates) {
  std::ranges::sort(rates);
  return rates[rates.size() / 2];
}

class DeviceBench {
 public:
  DeviceBench(const Options& options, DeviceRuntime& runtime, Engine engine)
      : options_(options), runtime_(runtime), engine_(std::move(engine)) {}

  Status Run() {
    CAISSON_ASSIGN_OR_RETURN(
        from_, DeviceBuffer::Allocate(runtime_, kDevice, options_.bytes));
    CAISSON_ASSIGN_OR_RETURN(
        into_, DeviceBuffer::Allocate(runtime_, kDevice, options_.bytes));
    CAISSON_ASSIGN_OR_RETURN(host_, Buffer::Allocate(options_.bytes));
    CAISSON_RETURN_IF_ERROR(TouchPages(host_.bytes()));
    CAISSON_RETURN_IF_ERROR(FillSource());
    saved_ = StateIn(from_.region());
    loaded_ = StateIn(into_.region());
    host_state_ = StateIn({host_.data(), host_.size(), Device::Cpu()});
    CAISSON_RETURN_IF_ERROR(MeasureLink());
    const std::string path = options_.directory + "/device_bench.pt";
    std::vector<double> saves;
    std::vector<double> loads;
    std::vector<double> staged;
    std::vector<double> of_write;  // the rate by the ceiling of the same round
    std::vector<double> of_read;
    std::vector<double> hosts;  // loads of the same file into host memory
    std::vector<double> of_host;
    double write = 0;
    double read = 0;
    SaveOptions save_options;
    if (options_.compress) save_options.compress = CompressMode::kPlane;
    SaveReport save;
    LoadReport load;
    for (int round = -1; round < options_.rounds; ++round) {
      CAISSON_RETURN_IF_ERROR(MeasureDisk(&write, &read));
      CAISSON_ASSIGN_OR_RETURN(save, engine_.Save(saved_, path, save_options));
      LoadReport host;
      // In turns, as the second may find more in caches that we do not see.
      for (const bool first : {true, false}) {
        const bool on_device = first == (round % 2 == 0);
        CAISSON_RETURN_IF_ERROR(
            engine_.LoadInto(path, on_device ? loaded_ : host_state_, {}, {},
                             on_device ? &load : &host));
      }
      AsyncOptions async;
      async.save = save_options;
      async.snapshot_on_device = true;
      CAISSON_ASSIGN_OR_RETURN(const Ticket ticket,
                               engine_.SaveAsync(saved_, path, async));
      CAISSON_ASSIGN_OR_RETURN(const SaveReport later, ticket.Wait());
      if (round < 0) continue;  // warms up, and pins
      saves.push_back(Rate(save.tensor_bytes, save.seconds));
      loads.push_back(Rate(load.tensor_bytes, load.seconds));
      staged.push_back(Rate(later.tensor_bytes, later.staged_seconds));
      writes_.push_back(write);
      reads_.push_back(read);
      of_write.push_back(saves.back() / std::min(d2h_, write));
      hosts.push_back(Rate(host.tensor_bytes, host.seconds));
      of_host.push_back(loads.back() / hosts.back());
      of_read.push_back(loads.back() / std::min(h2d_, read));
    }
    std::remove(path.c_str());
    const std::string suffix = options_.compress ? "_plane" : "";
    Row("save" + suffix, saves, "min(d2h, raw_write)",
        std::min(d2h_, Median(writes_)), Median(of_write),
        options_.compress ? 1.3 : 0.9);
    Row("load" + suffix, loads, "min(h2d, raw_read)",
        std::min(h2d_, Median(reads_)), Median(of_read), 0.9);
    Row("load, beside one to the host", loads, "load into host memory",
        Median(hosts), Median(of_host), 0);
    Row("save_async_staged_snapshot", staged, "d2h", d2h_,
        Median(staged) / d2h_, 0);
    std::printf(
        "  d2h %.1f, h2d %.1f, raw_write %.2f, raw_read %.2f GB/s; %s\n", d2h_,
        h2d_, Median(writes_), Median(reads_), load.io.c_str());
    std::printf("  CRC on the device: save %.4f, load %.4f of the bytes %s%s\n",
                Share(save.device.crc_device_bytes, save.device.bytes),
                1 - Share(load.device.host_bytes, load.device.bytes),
                save.device.crc_host_reason.c_str(),
                load.device.host_reason.c_str());
    std::printf("  codec on the device: save %.4f, load %.4f of the bytes\n",
                Share(save.device.encoded_bytes, save.tensor_bytes),
                Share(load.device.decoded_bytes, load.tensor_bytes));
    return Compare();
  }

  bool right() const { return right_; }
  const nlohmann::json& rows() const { return rows_; }

 private:
  static double Rate(uint64_t bytes, double seconds) {
    return static_cast<double>(bytes) / seconds / 1e9;
  }
  static double Share(uint64_t part, uint64_t all) {
    return static_cast<double>(part) / static_cast<double>(all);
  }

  Status FillSource() {
    constexpr uint64_t kBlock = uint64_t{64} << 20;
    CAISSON_ASSIGN_OR_RETURN(Buffer block, Buffer::Allocate(kBlock));
    if (options_.compress) {
      std::copy_n(PlaneSource(FindPlaneSet("bf16"), kBlock), kBlock,
                  block.data());
    } else {
      FillRandom(block.bytes(), 1);
    }
    CAISSON_ASSIGN_OR_RETURN(OwnedStream stream,
                             OwnedStream::Create(runtime_, kDevice));
    for (uint64_t at = 0; at < options_.bytes; at += kBlock) {
      if (!options_.compress) FillRandom(block.bytes().first(4096), at);
      CAISSON_RETURN_IF_ERROR(
          runtime_.Copy(from_.data() + at, block.data(),
                        std::min(kBlock, options_.bytes - at), stream.get()));
      CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(stream.get()));
    }
    return Status::Ok();
  }

  // Layers of matrices and vectors, as many as there is memory for.
  State StateIn(const Region& memory) const {
    State state;
    uint64_t at = 0;
    const auto add = [&](const std::string& name, DType dtype, int64_t elems) {
      const uint64_t bytes = static_cast<uint64_t>(elems) * ByteWidth(dtype);
      if (at + bytes > memory.bytes) return false;
      TensorView view;
      view.spec = {"", dtype, {elems}};
      view.strides = {1};
      view.storage = std::make_shared<Storage>();
      view.storage->region = {memory.data + at, bytes, memory.device};
      view.storage->dtype = dtype;
      state["model"][name] = view;
      at += (bytes + 511) / 512 * 512;
      return true;
    };
    const DType moment = options_.compress ? DType::kBFloat16 : DType::kFloat32;
    bool more = true;
    for (int i = 0; more; ++i) {
      const std::string layer = "layer" + std::to_string(i);
      more = add(layer + ".norm", DType::kFloat32, 4096) &&
             add(layer + ".bias", DType::kBFloat16, 12288) &&
             add(layer + ".weight", DType::kBFloat16, 4096 * 4096) &&
             add(layer + ".exp_avg", moment, 4096 * 4096);
    }
    return state;
  }

  // The directory's own rates at this moment: disks of virtual machines have
  // good and bad minutes.
  Status MeasureDisk(double* write, double* read) {
    MeasureOptions measure;
    measure.directory = options_.directory;
    measure.bytes = std::min(options_.bytes, uint64_t{1} << 30);
    measure.rounds = kFewestRounds;
    CAISSON_ASSIGN_OR_RETURN(const MachineReport machine,
                             MeasureMachine(measure));
    for (const CeilingRate& ceiling : machine.ceilings) {
      if (ceiling.name == "raw_write") *write = ceiling.rate.gbps;
      if (ceiling.name == "raw_read") *read = ceiling.rate.gbps;
    }
    return Status::Ok();
  }

  Status MeasureLink() {
    CAISSON_ASSIGN_OR_RETURN(GpuClock clock,
                             GpuClock::Create(runtime_, kDevice));
    constexpr size_t kBytes = size_t{1} << 30;
    CAISSON_ASSIGN_OR_RETURN(Buffer host, Buffer::Allocate(kBytes));
    CAISSON_RETURN_IF_ERROR(runtime_.Pin(kDevice, host.bytes()));
    CAISSON_ASSIGN_OR_RETURN(
        const std::vector<Times> times,
        clock.Run({[&] {
                     return runtime_.Copy(host.data(), from_.data(), kBytes,
                                          clock.stream());
                   },
                   [&] {
                     return runtime_.Copy(into_.data(), host.data(), kBytes,
                                          clock.stream());
                   }},
                  5));
    d2h_ = Rate(kBytes, times[0].median);
    h2d_ = Rate(kBytes, times[1].median);
    return runtime_.Unpin(kDevice, host.data());
  }

  void Row(const std::string& name, const std::vector<double>& rates,
           const char* ceiling, double limit, double ratio, double target) {
    const double rate = Median(rates);
    const char* const verdict = target == 0       ? "-"
                                : ratio >= target ? "PASS"
                                                  : "MISS";
    std::printf("%-28s %8.2f GB/s  %-20s %8.2f GB/s  %5.3f  %s\n", name.c_str(),
                rate, ceiling, limit, ratio, verdict);
    rows_.push_back({{"stage", name},
                     {"directory", options_.directory},
                     {"bytes", options_.bytes},
                     {"gbps", rate},
                     {"all", rates},
                     {"ceiling", ceiling},
                     {"ceiling_gbps", limit},
                     {"ratio", ratio},
                     {"target", target},
                     {"verdict", verdict}});
  }

  // What was saved, and both that were loaded.
  Status Compare() {
    CAISSON_ASSIGN_OR_RETURN(const auto tensors, saved_.Tensors());
    CAISSON_ASSIGN_OR_RETURN(OwnedStream stream,
                             OwnedStream::Create(runtime_, kDevice));
    for (const NamedTensor& tensor : tensors) {
      const Region& region = tensor.view->storage->region;
      const auto at = static_cast<size_t>(region.data - from_.data());
      CAISSON_ASSIGN_OR_RETURN(Buffer saved, Buffer::Allocate(region.bytes));
      CAISSON_ASSIGN_OR_RETURN(Buffer loaded, Buffer::Allocate(region.bytes));
      CAISSON_RETURN_IF_ERROR(
          runtime_.Copy(saved.data(), region.data, region.bytes, stream.get()));
      CAISSON_RETURN_IF_ERROR(runtime_.Copy(loaded.data(), into_.data() + at,
                                            region.bytes, stream.get()));
      CAISSON_RETURN_IF_ERROR(runtime_.Synchronize(stream.get()));
      if (std::ranges::equal(saved.bytes(), loaded.bytes()) &&
          std::ranges::equal(saved.bytes(),
                             host_.bytes().subspan(at, region.bytes))) {
        continue;
      }
      std::printf("WRONG bytes of %s\n", Join(tensor.path).c_str());
      right_ = false;
    }
    return Status::Ok();
  }

  const Options options_;
  DeviceRuntime& runtime_;
  Engine engine_;
  State saved_;
  State loaded_;
  State host_state_;
  DeviceBuffer from_;
  DeviceBuffer into_;
  Buffer host_;
  double d2h_ = 0;  // GB/s
  double h2d_ = 0;
  std::vector<double> writes_;
  std::vector<double> reads_;
  bool right_ = true;
  nlohmann::json rows_ = nlohmann::json::array();
};

Result<bool> Run(const Options& options) {
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime, CudaRuntime());
  CAISSON_ASSIGN_OR_RETURN(Engine engine, Engine::Create());
  DeviceBench bench(options, *runtime, std::move(engine));
  CAISSON_RETURN_IF_ERROR(bench.Run());
  if (!options.out.empty()) {
    std::ofstream(options.out) << bench.rows().dump(1) << '\n';
  }
  return bench.right();
}

Options Parse(int argc, char** argv) {
  Options options;
  ParseOptions(
      argc, argv, [&](std::string_view name, const std::string& value) {
        if (name == "dir") options.directory = value;
        if (name == "rounds") options.rounds = std::atoi(value.c_str());
        if (name == "size") {
          options.bytes = static_cast<uint64_t>(std::atoll(value.c_str()))
                          << 20;
        }
        if (name == "compress") options.compress = value == "plane";
        if (name == "out") options.out = value;
      });
  return options;
}

}  // namespace
}  // namespace caisson::bench

int main(int argc, char** argv) {
  using namespace caisson::bench;
  return ExitStatus("device_bench", Run(Parse(argc, argv)));
}
