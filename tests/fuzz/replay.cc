// SPDX-License-Identifier: Apache-2.0
//
// Runs a fuzzer's entry point, without libFuzzer, on each file named and on
// each file in a directory named: whole, and cut at 64 places.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kCuts = 64;

void Replay(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  for (size_t cut = 0; cut <= kCuts; ++cut) {
    // A buffer of its own size, so that the sanitizers see one byte too many.
    const auto end = static_cast<std::ptrdiff_t>(file.size() * cut / kCuts);
    const std::vector<uint8_t> bytes(file.begin(), file.begin() + end);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      Replay(argv[i]);
      ++files;
      continue;
    }
    for (const auto& entry : fs::directory_iterator(argv[i])) {
      Replay(entry.path());
      ++files;
    }
  }
  std::printf("%zu files\n", files);
  return files > 0 ? 0 : 1;
}
