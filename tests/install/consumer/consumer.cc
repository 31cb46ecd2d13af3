// SPDX-License-Identifier: Apache-2.0
//
// Writes a state and reads it again, with the installed package.
#include <caisson/reader.h>
#include <caisson/writer.h>

#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<float> weights(6, 0.5f);
  caisson::State state;
  state["model"]["w"] =
      caisson::DenseTensor(caisson::DType::kFloat32, {2, 3}, weights.data());
  state["step"] = 100;
  const auto written = caisson::Writer().Write(state, argv[1]);
  if (!written) return 1;

  const auto reader = caisson::Reader::Open(argv[1]);
  if (!reader) return 1;
  const auto loaded = reader->Load();
  if (!loaded) return 1;
  const auto* w = loaded->root.Find("model")->Find("w");
  const auto* view = w->As<caisson::TensorView>();
  const auto* floats = reinterpret_cast<float*>(view->storage->region.data);
  std::printf("%g\n", floats[5]);
  return floats[5] == 0.5f ? 0 : 1;
}
