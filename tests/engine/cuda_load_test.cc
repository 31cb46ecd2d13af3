// SPDX-License-Identifier: Apache-2.0
//
// Loads into a CUDA device: the bytes of a host load. All are skipped without
// one, with the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "tests/engine/compressed_case.h"
#include "tests/engine/cuda_case.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::HasSubstr;

constexpr size_t kMiB = size_t{1} << 20;

class CudaLoad : public CudaCase {
 protected:
  // The bytes of every tensor, brought to the host.
  std::vector<ByteVector> Gathered(const State& state) {
    std::vector<ByteVector> all;
    const auto tensors = state.Tensors();
    EXPECT_THAT(tensors.status(), IsOk());
    for (const NamedTensor& tensor : *tensors) {
      const Region& region = tensor.view->storage->region;
      ByteVector bytes(region.bytes);
      if (region.bytes > 0) {
        CAISSON_EXPECT_OK(runtime_->Copy(bytes.data(), region.data,
                                         region.bytes, stream_.get()));
        CAISSON_EXPECT_OK(runtime_->Synchronize(stream_.get()));
      }
      all.push_back(PlainGather(bytes, *tensor.view));
    }
    return all;
  }

  static State SomeState() {
    State state;
    state["large"] = RandomTensor(DType::kFloat32, {10'000'001}, 1);
    state["half"] = RandomTensor(DType::kBFloat16, {3'000'003}, 2);
    state["edge"] = RandomTensor(DType::kUInt8, {64 << 10}, 3);
    state["one"] = RandomTensor(DType::kUInt8, {1}, 4);
    state["none"] = RandomTensor(DType::kFloat64, {0}, 5);
    for (int i = 0; i < 3000; ++i) {
      state["many"][std::to_string(i)] =
          RandomTensor(DType::kFloat32, {i % 90}, 6 + static_cast<uint64_t>(i));
    }
    return state;
  }
};

TEST_F(CudaLoad, BringsTheBytesOfAHostLoad) {
  const State state = SomeState();
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  Put(path, FileOf(state));
  for (const bool direct : {true, false}) {
    for (const size_t window : {kMiB / 16, kMiB, 16 * kMiB}) {
      EngineOptions sizes;
      sizes.direct = direct;
      sizes.window_bytes = window;
      sizes.pool_bytes = 4 * window;
      CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(sizes));
      for (const DType to :
           {DType::kUInt8, DType::kBFloat16, DType::kFloat64}) {
        LoadOptions options;
        if (to != DType::kUInt8)
          options.casts = {{"large", to}, {"many.*", to}};
        CAISSON_ASSERT_OK_AND_ASSIGN(const State here,
                                     engine.Load(path, options));
        options.device = kDevice;
        LoadReport report;
        CAISSON_ASSERT_OK_AND_ASSIGN(const State there,
                                     engine.Load(path, options, {}, &report));
        EXPECT_EQ(report.device.host_bytes, 0u) << report.device.host_reason;
        const auto found = Gathered(there);
        const auto tensors = here.Tensors();
        CAISSON_ASSERT_OK(tensors.status());
        ASSERT_EQ(found.size(), tensors->size());
        for (size_t i = 0; i < found.size(); ++i) {
          ASSERT_TRUE(found[i] == PlainGather(*(*tensors)[i].view))
              << Join((*tensors)[i].path) << " as " << Name(to);
        }
      }
    }
  }
}

TEST_F(CudaLoad, DecodesOnTheDevice) {
  const State state = MixedState();
  WriteOptions plane;
  plane.compress = CompressMode::kPlane;
  const std::string sound = FileOf(state, plane);
  std::string damaged = sound;
  for (const auto& item : RecordsOf(sound).items) {
    if (item.name == "archive/plane/1") damaged[item.offset + 70'001] ^= 1;
  }
  ASSERT_NE(damaged, sound);
  const ScratchDirectory scratch;
  Put(scratch / "sound.pt", sound);
  Put(scratch / "damaged.pt", damaged);
  for (const size_t window : {kMiB, 16 * kMiB}) {
    EngineOptions sizes;
    sizes.window_bytes = window;
    sizes.pool_bytes = 4 * window;
    CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(sizes));
    LoadOptions options;
    options.device = kDevice;
    LoadReport report;
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const State there,
        engine.Load(scratch / "sound.pt", options, {}, &report));
    EXPECT_EQ(report.device.host_bytes, 0u) << report.device.host_reason;
    EXPECT_GT(report.device.decoded_bytes, 2'000'000u);
    const auto found = Gathered(there);
    CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, state.Tensors());
    ASSERT_EQ(found.size(), tensors.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(found[i] == PlainGather(*tensors[i].view))
          << Join(tensors[i].path);
    }
    EXPECT_THAT(engine.Load(scratch / "damaged.pt", options).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("plane/1")));
  }
}

TEST_F(CudaLoad, SavesAndLoadsInPlace) {
  const ScratchDirectory scratch;
  Put(scratch / "host.pt", FileOf(SomeState()));
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  LoadOptions options;
  options.device = kDevice;
  CAISSON_ASSERT_OK_AND_ASSIGN(State there,
                               engine.Load(scratch / "host.pt", options));
  const auto before = Gathered(there);
  CAISSON_ASSERT_OK(engine.Save(there, scratch / "there.pt").status());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto tensors, there.Tensors());
  for (const NamedTensor& tensor : tensors) {
    const Region& region = tensor.view->storage->region;
    const ByteVector zeros(region.bytes);
    if (region.bytes == 0) continue;
    CAISSON_ASSERT_OK(
        runtime_->Copy(region.data, zeros.data(), region.bytes, stream_.get()));
  }
  LoadIntoOptions into;
  into.streams = {stream_.get()};
  CAISSON_ASSERT_OK(engine.LoadInto(scratch / "there.pt", there, into));
  EXPECT_TRUE(Gathered(there) == before);
}

TEST_F(CudaLoad, FindsDamage) {
  State state;
  state["a"] = RandomTensor(DType::kFloat32, {1'000'000}, 1);
  std::string file = FileOf(state);
  for (const auto& item : RecordsOf(file).items) {
    if (item.name == "archive/data/0") file[item.offset + 2'000'001] ^= 1;
  }
  const ScratchDirectory scratch;
  Put(scratch / "archive.pt", file);
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  LoadOptions options;
  options.device = kDevice;
  EXPECT_THAT(engine.Load(scratch / "archive.pt", options).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("data/0")));
}

}  // namespace
}  // namespace caisson
