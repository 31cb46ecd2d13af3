// SPDX-License-Identifier: Apache-2.0
//
// A loop like that of a training: it saves now and then while it goes on, and,
// killed at any time and started again, resumes where it was.
//   trainer DIRECTORY STEPS
#include <caisson/engine.h>
#include <caisson/rotation.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

constexpr int64_t kSaveEvery = 10;

// Resumes, trains up to step `last` and saves on the way.
caisson::Status Train(const char* directory, int64_t last) {
  std::vector<float> weights(1 << 20, 1.0F);
  int64_t step = 0;
  caisson::State state;
  state["model"]["weights"] =
      caisson::DenseTensor(caisson::DType::kFloat32, {1 << 20}, weights.data());
  state["step"] = caisson::DenseTensor(caisson::DType::kInt64, {}, &step);

  auto engine = caisson::Engine::Create();
  if (!engine) return engine.error();
  auto rotation = caisson::Rotation::Create(directory);
  if (!rotation) return rotation.error();
  if (const auto latest = rotation->Latest()) {
    const auto loaded = engine->LoadInto(latest->path, state);
    if (!loaded.ok()) return loaded;
  } else if (latest.error().code() != caisson::StatusCode::kNotFound) {
    return latest.error();
  }
  std::printf("from step %lld\n", static_cast<long long>(step));

  std::optional<caisson::Ticket> save;  // that may still be running
  int64_t saved = 0;                    // its step
  const auto finish = [&]() -> caisson::Status {
    if (!save) return {};
    const auto report = save->Wait();
    save.reset();
    return report ? rotation->Commit(saved) : report.error();
  };
  while (step < last) {
    if (save) {  // the update must not change what is still to be copied
      const auto staged = save->Staged();
      if (!staged.ok()) return staged;
    }
    for (float& weight : weights) weight += 0.5F;  // the training
    if (++step % kSaveEvery != 0) continue;
    if (const auto status = finish(); !status.ok()) return status;
    auto ticket = engine->SaveAsync(state, rotation->PathFor(step));
    if (!ticket) return ticket.error();
    save.emplace(std::move(*ticket));
    saved = step;
  }
  if (const auto status = finish(); !status.ok()) return status;
  std::printf("at step %lld, weight %g\n", static_cast<long long>(step),
              static_cast<double>(weights.back()));
  return {};
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto status = Train(argv[1], std::strtoll(argv[2], nullptr, 10));
  if (status.ok()) return 0;
  std::fprintf(stderr, "trainer: %s\n", status.ToString().c_str());
  return 1;
}
