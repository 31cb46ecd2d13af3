// SPDX-License-Identifier: Apache-2.0
//
// The same tensors in host memory and on fake devices, for tests of saves
// and loads.
#pragma once

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "core/engine/engine_impl.h"
#include "core/formats/format.h"
#include "tests/engine/part_script.h"
#include "tests/engine/state_files.h"
#include "tests/support/fake_device.h"

namespace caisson {

inline constexpr size_t kKiB = 1024;

inline EngineOptions Sizes(size_t window, size_t windows, size_t threads = 2) {
  EngineOptions options;
  options.window_bytes = window;
  options.pool_bytes = window * windows;
  options.threads = threads;
  return options;
}

inline Engine MakeEngine(FakeDevices& fake, const EngineOptions& options) {
  auto engine = Engine::Impl::Make(options, FileSystem::Posix(), fake);
  EXPECT_THAT(engine.status(), IsOk());
  return std::move(*engine);
}

// A storage with the bytes of `storage` on `device`.
inline StorageHandle Uploaded(FakeDevices& fake, Device device,
                              const Storage& storage) {
  auto there = std::make_shared<Storage>(storage);
  auto memory = fake.Upload(device, BytesOf(storage));
  EXPECT_NE(memory, nullptr) << "the fake device is full";
  there->region = {memory.get(), storage.region.bytes, device};
  there->owner = memory;
  return there;
}

// Gives the parts of a script with its storages on devices.
class PartsOnDevices : public PartStream {
 public:
  // REQUIRES: `fake` outlives it and what it gives. `host` of 4 storages stay.
  PartsOnDevices(const Script& script, FakeDevices& fake, int devices,
                 uint32_t host, uint32_t seed)
      : inner_(script),
        fake_(fake),
        devices_(devices),
        host_(host),
        random_(seed) {}

  Result<std::optional<Part>> Next(const Facts& facts) override {
    auto part = inner_.Next(facts);
    if (!part || !*part) return part;
    if (auto* piece = std::get_if<TensorPiece>(&**part)) {
      if (random_() % 4 < host_) return part;
      const Device device =
          Device::Cuda(static_cast<int>(random_() % uint32_t(devices_)));
      piece->storage = Uploaded(fake_, device, *piece->storage);
      kept_.push_back(piece->storage);
    }
    return part;
  }

 private:
  Script::Stream inner_;
  FakeDevices& fake_;
  const int devices_;
  const uint32_t host_;
  std::mt19937 random_;
  std::vector<StorageHandle> kept_;
};

// A state in host memory, and one with the same tensors on devices.
struct Twins {
  State host;
  State there;
  std::vector<StorageHandle> storages;  // of `there`, on devices
};

struct TwinsShape {
  int tensors = 12;
  int64_t max_elems = 30000;
  int devices = 1;
  uint32_t host = 1;  // of 4 tensors stay in host memory
};

inline Twins RandomTwins(std::mt19937& random, FakeDevices& fake,
                         const TwinsShape& shape) {
  constexpr DType kDTypes[] = {DType::kUInt8, DType::kBFloat16, DType::kFloat32,
                               DType::kInt64, DType::kComplex64};
  Twins twins;
  twins.host["step"] = twins.there["step"] = 7;
  for (int i = 0; i < shape.tensors; ++i) {
    const DType dtype = kDTypes[random() % std::size(kDTypes)];
    // Many small ones, some of no elements.
    const int64_t limit = random() % 2 == 0 ? 60 : shape.max_elems;
    const int64_t elems = static_cast<int64_t>(random() % uint32_t(limit));
    const TensorView here = RandomTensor(dtype, {elems}, random());
    TensorView there = here;
    if (random() % 4 >= shape.host) {
      const Device device =
          Device::Cuda(static_cast<int>(random() % uint32_t(shape.devices)));
      there.storage = Uploaded(fake, device, *here.storage);
      twins.storages.push_back(there.storage);
    }
    const std::string name = "w" + std::to_string(i);
    twins.host["model"][name] = here;
    twins.there["model"][name] = there;
    if (random() % 3 == 0) {  // tied
      twins.host["tied"][name] = here;
      twins.there["tied"][name] = there;
    }
  }
  return twins;
}

// The bytes of all tensors of `state`, in their order.
inline std::vector<ByteVector> Gathered(const State& state) {
  std::vector<ByteVector> all;
  const auto tensors = state.Tensors();
  EXPECT_THAT(tensors.status(), IsOk());
  for (const NamedTensor& tensor : *tensors) {
    all.push_back(PlainGather(*tensor.view));
  }
  return all;
}

// The bytes of every tensor of a state on devices and in host memory.
inline std::vector<ByteVector> GatheredThere(FakeDevices& fake,
                                             const State& state) {
  std::vector<ByteVector> all;
  const auto tensors = state.Tensors();
  EXPECT_THAT(tensors.status(), IsOk());
  for (const NamedTensor& tensor : *tensors) {
    const Region& region = tensor.view->storage->region;
    const auto bytes = region.device.is_cpu()
                           ? std::span(region.data, region.bytes)
                           : fake.Alias(region.data, region.bytes);
    all.push_back(PlainGather(bytes, *tensor.view));
  }
  return all;
}

inline SaveOptions QuickSave() {
  SaveOptions options;
  options.sync = false;
  return options;
}

// Nothing is in flight, and no rule was broken.
inline void ExpectClean(FakeDevices& fake) {
  EXPECT_EQ(fake.counts(), FakeCounts());
  EXPECT_THAT(fake.violations(), testing::IsEmpty());
}

}  // namespace caisson
