// SPDX-License-Identifier: Apache-2.0
//
// Saves, verifies and loads a training state of GPT-2's size, and prints the
// rates beside the machine's own:
//   gpt2_checkpoint [DIRECTORY] [LAYERS]
// GPT-2 small has 12 layers; its bfloat16 weights and fp32 Adam moments take
// about 1.2 GB, with an untied head 1.6 GB.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "caisson/state.h"
#include "caisson/writer.h"
#include "examples/machine_limits.h"

namespace {

using caisson::DType;

constexpr int64_t kWidth = 768;
constexpr int64_t kVocabulary = 50257;
constexpr int64_t kContext = 1024;

// A tensor of random bits that owns its memory.
caisson::TensorView RandomTensor(DType dtype, std::vector<int64_t> shape) {
  static std::mt19937_64 random(2);
  caisson::TensorSpec spec{"", dtype, shape};
  auto words = std::make_shared<std::vector<uint64_t>>(spec.bytes() / 8 + 1);
  for (uint64_t& word : *words) word = random();
  return caisson::DenseTensor(dtype, std::move(shape), words->data(), words);
}

class Gpt2State {
 public:
  explicit Gpt2State(int64_t layers) {
    state_["step"] = 1000;
    state_["config"]["n_layer"] = layers;
    state_["config"]["n_embd"] = kWidth;
    Add("transformer.wte.weight", {kVocabulary, kWidth});
    Add("transformer.wpe.weight", {kContext, kWidth});
    for (int64_t layer = 0; layer < layers; ++layer) {
      const std::string block = "transformer.h." + std::to_string(layer) + ".";
      Add(block + "ln_1.weight", {kWidth});
      Add(block + "attn.c_attn.weight", {kWidth, 3 * kWidth});
      Add(block + "attn.c_proj.weight", {kWidth, kWidth});
      Add(block + "ln_2.weight", {kWidth});
      Add(block + "mlp.c_fc.weight", {kWidth, 4 * kWidth});
      Add(block + "mlp.c_proj.weight", {4 * kWidth, kWidth});
    }
    Add("transformer.ln_f.weight", {kWidth});
    Add("lm_head.weight", {kVocabulary, kWidth});
  }

  const caisson::State& state() const { return state_; }
  double bytes() const { return bytes_; }

 private:
  // A weight and its two Adam moments.
  void Add(const std::string& name, const std::vector<int64_t>& shape) {
    const auto weight = RandomTensor(DType::kBFloat16, shape);
    const auto mean = RandomTensor(DType::kFloat32, shape);
    const auto variance = RandomTensor(DType::kFloat32, shape);
    for (const auto* tensor : {&weight, &mean, &variance}) {
      bytes_ += static_cast<double>(tensor->spec.bytes());
    }
    state_["model"][name] = weight;
    state_["optimizer"][name]["exp_avg"] = mean;
    state_["optimizer"][name]["exp_avg_sq"] = variance;
  }

  caisson::State state_;
  double bytes_ = 0;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

void DropFromCache(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY);
  if (file < 0) return;
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

void PrintRow(const char* stage, double rate, const char* ceiling,
              double limit) {
  char own[32] = "";
  if (rate > 0) std::snprintf(own, sizeof(own), "%.2f GB/s", rate / 1e9);
  std::printf("  %-34s %11s   %-30s %6.2f GB/s\n", stage, own, ceiling,
              limit / 1e9);
}

int Fail(const char* what, const caisson::Status& status) {
  std::fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : ".";
  const int64_t layers = argc > 2 ? std::atoll(argv[2]) : 12;
  const std::string path = directory + "/gpt2.pt";
  const Gpt2State gpt2(layers);
  const auto bytes = static_cast<size_t>(gpt2.bytes());
  std::printf("a state of %.2f GB: bf16 weights, fp32 Adam moments\n\n",
              gpt2.bytes() / 1e9);
  const double copy = CopyRate(size_t{1} << 28);
  const double touch = FirstTouchRate(bytes);
  const DiskRates disk = MeasureDisk(directory, bytes);

  caisson::Writer writer;
  const auto written = writer.Write(gpt2.state(), path);
  if (!written) return Fail("save", written.error());

  const auto reader = caisson::Reader::Open(path);
  if (!reader) return Fail("open", reader.error());
  DropFromCache(path);
  auto start = std::chrono::steady_clock::now();
  const auto cold = reader->Load();
  const double cold_seconds = SecondsSince(start);
  if (!cold) return Fail("load", cold.error());

  start = std::chrono::steady_clock::now();
  caisson::State target = *cold;
  const caisson::Status warm = reader->LoadInto(target);
  const double warm_seconds = SecondsSince(start);
  if (!warm.ok()) return Fail("load into", warm);

  start = std::chrono::steady_clock::now();
  const auto report = reader->Verify();
  const double verify_seconds = SecondsSince(start);
  if (!report) return Fail("verify", report.error());
  if (!report->ok()) return Fail("verify", caisson::Status::Corrupt(path));

  std::printf("  %-34s %11s   %-30s %11s\n", "one thread, CRC-32 on", "",
              "this machine", "");
  PrintRow("save, fsynced", gpt2.bytes() / written->seconds,
           "buffered write, fsynced", disk.write);
  PrintRow("load, cold, into new memory", gpt2.bytes() / cold_seconds,
           "buffered read, cold", disk.read);
  PrintRow("", 0, "first touch of new memory", touch);
  PrintRow("load into place, from page cache", gpt2.bytes() / warm_seconds,
           "memcpy", copy);
  PrintRow("verify, from page cache", gpt2.bytes() / verify_seconds, "memcpy",
           copy);
  unlink(path.c_str());
  return 0;
}
