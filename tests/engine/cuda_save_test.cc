// SPDX-License-Identifier: Apache-2.0
//
// Saves from a CUDA device: the file of the same tensors in host memory. All
// are skipped without one, with the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "core/device/device_handles.h"
#include "tests/engine/compressed_case.h"
#include "tests/engine/cuda_case.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::IsEmpty;

constexpr size_t kMiB = size_t{1} << 20;

class CudaSave : public CudaCase {
 protected:
  // Adds a tensor to both states; its bytes come in the order of stream_.
  void Add(const std::string& name, DType dtype, int64_t elems, uint64_t seed) {
    const TensorView here = NormalTensor(dtype, {elems}, seed);
    const Region& from = here.storage->region;
    TensorView there = here;
    there.storage = std::make_shared<Storage>(*here.storage);
    if (from.bytes > 0) {
      auto memory = DeviceBuffer::Allocate(*runtime_, kDevice, from.bytes);
      ASSERT_THAT(memory.status(), IsOk());
      auto owner = std::make_shared<DeviceBuffer>(std::move(*memory));
      CAISSON_ASSERT_OK(
          runtime_->Copy(owner->data(), from.data, from.bytes, stream_.get()));
      there.storage->region = owner->region();
      there.storage->owner = owner;
    }
    host_["model"][name] = here;
    there_["model"][name] = there;
    storages_.push_back(there.storage);
  }

  // Many tensors in one block of memory of the device.
  void AddMany(int count) {
    const std::vector<std::byte> bytes = RandomBytes(kMiB, 1);
    auto memory = DeviceBuffer::Allocate(*runtime_, kDevice, kMiB);
    ASSERT_THAT(memory.status(), IsOk());
    auto owner = std::make_shared<DeviceBuffer>(std::move(*memory));
    CAISSON_ASSERT_OK(
        runtime_->Copy(owner->data(), bytes.data(), kMiB, stream_.get()));
    CAISSON_ASSERT_OK(runtime_->Synchronize(stream_.get()));
    for (int i = 0; i < count; ++i) {
      const size_t at = static_cast<size_t>(i) * 97 % (kMiB - 512);
      const size_t size = static_cast<size_t>(i) % 300 / 4 * 4;
      auto copy = std::make_shared<ByteVector>(
          bytes.begin() + static_cast<ptrdiff_t>(at),
          bytes.begin() + static_cast<ptrdiff_t>(at + size));
      const TensorView here =
          DenseTensor(DType::kFloat32, {static_cast<int64_t>(size / 4)},
                      copy->data(), copy);
      TensorView there = here;
      there.storage = std::make_shared<Storage>(*here.storage);
      if (size > 0) {
        there.storage->region = {owner->data() + at, size, kDevice};
        there.storage->owner = owner;
      }
      host_["many"][std::to_string(i)] = here;
      there_["many"][std::to_string(i)] = there;
    }
  }

  void AddSome() {
    Add("large", DType::kFloat32, 10'000'001, 1);
    Add("half", DType::kBFloat16, 3'000'003, 2);
    Add("edge", DType::kUInt8, 64 << 10, 3);
    Add("below", DType::kUInt8, (64 << 10) - 1, 4);
    Add("one", DType::kUInt8, 1, 5);
    Add("none", DType::kFloat64, 0, 6);
    host_["step"] = there_["step"] = RandomTensor(DType::kFloat32, {1}, 7);
  }

  SaveOptions Options() const {
    SaveOptions options;
    options.sync = false;
    options.streams = {stream_.get()};
    return options;
  }

  State host_;
  State there_;
  std::vector<StorageHandle> storages_;
};

TEST_F(CudaSave, WritesTheFileOfTheSameTensorsInHostMemory) {
  AddSome();
  const std::string expected = FileOf(host_);
  for (const size_t window : {kMiB / 16, kMiB, 16 * kMiB}) {
    for (const size_t windows : {1, 3, 16}) {
      EngineOptions options;
      options.window_bytes = window;
      options.pool_bytes = window * windows;
      CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(options));
      const ScratchDirectory scratch(MemoryRoot());
      const std::string path = scratch / "archive.pt";
      uint64_t by_device = 0;
      for (int round = 0; round < 4; ++round) {
        CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                     engine.Save(there_, path, Options()));
        ASSERT_TRUE(Content(path) == expected)
            << window << " x " << windows << ", round " << round;
        EXPECT_THAT(report.device.pin_problem, IsEmpty());
        by_device += report.device.crc_device_bytes;
      }
      EXPECT_GT(by_device, 0u);
    }
  }
}

TEST_F(CudaSave, EncodesOnTheDevice) {
  AddSome();
  Add("weights", DType::kBFloat16, 5'000'000, 8);
  WriteOptions plane;
  plane.compress = CompressMode::kPlane;
  const std::string expected = FileOf(host_, plane);
  for (const size_t window : {kMiB / 16, 16 * kMiB}) {
    EngineOptions sizes;
    sizes.window_bytes = window;
    sizes.pool_bytes = 3 * window;
    CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(sizes));
    const ScratchDirectory scratch(MemoryRoot());
    const std::string path = scratch / "archive.pt";
    for (int round = 0; round < 3; ++round) {
      SaveOptions options = Options();
      options.compress = CompressMode::kPlane;
      CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                   engine.Save(there_, path, options));
      ASSERT_TRUE(Content(path) == expected) << window << ", round " << round;
      EXPECT_GT(report.device.encoded_bytes, 40'000'000u);
    }
  }
}

TEST_F(CudaSave, SavesManySmallTensors) {
  AddMany(10000);
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  const ScratchDirectory scratch(MemoryRoot());
  const std::string path = scratch / "archive.pt";
  CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                               engine.Save(there_, path, Options()));
  EXPECT_EQ(report.device.crc_host_bytes, 0u) << report.device.crc_host_reason;
  EXPECT_TRUE(Content(path) == FileOf(host_));
}

TEST_F(CudaSave, TheFileHoldsWhatTensorsHeldBeforeStaged) {
  AddSome();
  const std::string expected = FileOf(host_);
  EngineOptions sizes;
  sizes.window_bytes = kMiB;
  sizes.pool_bytes = 8 * kMiB;
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(sizes));
  const ScratchDirectory scratch(MemoryRoot());
  const std::string path = scratch / "archive.pt";
  std::vector<std::vector<std::byte>> bytes;
  for (const StorageHandle& storage : storages_) {
    bytes.push_back(RandomBytes(storage->region.bytes, 99));
  }
  for (const bool snapshot : {false, true}) {
    AsyncOptions options;
    options.save = Options();
    options.snapshot_on_device = snapshot;
    CAISSON_ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                                 engine.SaveAsync(there_, path, options));
    CAISSON_ASSERT_OK(ticket.Staged());
    for (size_t i = 0; i < storages_.size(); ++i) {
      const Region& region = storages_[i]->region;
      CAISSON_ASSERT_OK(runtime_->Copy(region.data, bytes[i].data(),
                                       region.bytes, stream_.get()));
    }
    CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report, ticket.Wait());
    EXPECT_THAT(report.device.no_snapshot, IsEmpty());
    ASSERT_TRUE(Content(path) == expected) << snapshot;
    // As they were, for the next round.
    CAISSON_ASSERT_OK(runtime_->Synchronize(stream_.get()));
    host_ = State();
    there_ = State();
    storages_.clear();
    AddSome();
  }
}

}  // namespace
}  // namespace caisson
