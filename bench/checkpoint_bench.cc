// SPDX-License-Identifier: Apache-2.0
//
// checkpoint_bench: Caisson's side of bench/compare_torch.py. Reads commands
// from stdin, one a line, and answers each with one line of JSON on stdout.
//
//   make BYTES      makes it of random bits, as bench/checkpoint_peers.py does
//   hold PATH       loads the state that is saved from now on
//   save PATH       saves it, fsynced
//   load PATH       loads into new memory, which is given back afterwards
//   load_into PATH  loads into the state that is held, in place
//   drop            gives back the state that is held
//
// An answer has "seconds", and of the process "resident" before and "peak"
// during the command, in bytes; or "error".
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "caisson/engine.h"

namespace caisson::bench {
namespace {

// A line of /proc/self/status, in bytes.
uint64_t ProcessBytes(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name + ":")) continue;
    return std::stoull(line.substr(name.size() + 1)) * 1024;  // "  123 kB"
  }
  return 0;
}

// From now on the peak is that of what follows.
void ResetPeak() { std::ofstream("/proc/self/clear_refs") << 5; }

class Server {
 public:
  explicit Server(Engine engine) : engine_(std::move(engine)) {}

  // Does one command and answers.
  void Do(const std::string& command, const std::string& path) {
    std::optional<State> loaded;  // goes after the clock has stopped
    const std::map<std::string, std::function<Status()>> commands = {
        {"make", [&] { return Make(path); }},
        {"hold", [&] { return Hold(path); }},
        {"save", [&] { return engine_.Save(held_, path).status(); }},
        {"load", [&] { return Load(path, &loaded); }},
        {"load_into", [&] { return engine_.LoadInto(path, held_); }},
        {"drop", [&] { return Drop(); }},
    };
    const auto found = commands.find(command);
    if (found == commands.end()) return Fail("no command: " + command);
    ResetPeak();
    const uint64_t resident = ProcessBytes("VmRSS");
    const auto start = std::chrono::steady_clock::now();
    const Status status = found->second();
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    if (!status.ok()) return Fail(status.ToString());
    std::printf("{\"seconds\": %.9f, \"resident\": %llu, \"peak\": %llu}\n",
                elapsed.count(), static_cast<unsigned long long>(resident),
                static_cast<unsigned long long>(ProcessBytes("VmHWM")));
  }

 private:
  // Without the engine, which has touched none of its memory afterwards.
  Status Make(const std::string& bytes) {
    constexpr size_t kElems = size_t{4} << 20;
    struct Kind {
      const char* name;
      DType dtype;
    };
    constexpr Kind kKinds[] = {{"weight", DType::kBFloat16},
                               {"exp_avg", DType::kFloat32},
                               {"exp_avg_sq", DType::kFloat32}};
    std::mt19937_64 random(1);
    size_t left = std::stoull(bytes);
    for (size_t i = 0; left >= sizeof(uint64_t); ++i) {
      const Kind& kind = kKinds[i % 3];
      const size_t width = ByteWidth(kind.dtype);
      const size_t words = std::min(left, kElems * width) / sizeof(uint64_t);
      auto memory = std::make_shared<std::vector<uint64_t>>(words);
      std::ranges::generate(*memory, std::ref(random));
      auto* const data = reinterpret_cast<std::byte*>(memory->data());
      const auto elems = static_cast<int64_t>(words * sizeof(uint64_t) / width);
      held_["layers." + std::to_string(i / 3) + "." + kind.name] =
          DenseTensor(kind.dtype, {elems}, data, std::move(memory));
      left -= words * sizeof(uint64_t);
    }
    return Status::Ok();
  }

  Status Hold(const std::string& path) {
    std::optional<State> loaded;
    const Status status = Load(path, &loaded);
    if (status.ok()) held_ = std::move(*loaded);
    return status;
  }

  Status Load(const std::string& path, std::optional<State>* loaded) {
    Result<State> state = engine_.Load(path);
    if (!state) return state.error();
    *loaded = std::move(*state);
    return Status::Ok();
  }

  Status Drop() {
    held_ = State();
    return Status::Ok();
  }

  static void Fail(const std::string& problem) {
    std::string text;
    for (const char c : problem) {
      const bool special = c == '"' || c == '\\';
      if (special) text += '\\';
      text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    std::printf("{\"error\": \"%s\"}\n", text.c_str());
  }

  Engine engine_;
  State held_;
};

int Main() {
  Result<Engine> engine = Engine::Create();
  if (!engine) {
    std::fprintf(stderr, "checkpoint_bench: %s\n",
                 engine.error().ToString().c_str());
    return 1;
  }
  Server server(std::move(*engine));
  for (std::string line; std::getline(std::cin, line);) {
    const size_t space = line.find(' ');
    server.Do(line.substr(0, space),
              space == std::string::npos ? "" : line.substr(space + 1));
    (void)std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace caisson::bench

int main() { return caisson::bench::Main(); }
