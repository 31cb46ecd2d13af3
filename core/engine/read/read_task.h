// SPDX-License-Identifier: Apache-2.0
//
// What a load or a verification wants of a file, as a list, so that the same
// list can be worked off one by one or with many reads in flight.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "caisson/adapter.h"
#include "caisson/dtype.h"
#include "caisson/memory.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/base/byte_source.h"
#include "core/engine/read/piece_io.h"
#include "core/engine/read/storage_io.h"
#include "core/formats/layout.h"

namespace caisson {

class DeviceLoader;

// One storage, or a view of one.
struct ReadTask {
  enum class Kind : uint8_t {
    kWhole,  // all bytes of the storage into dst
    kCast,   // all elements, which are `from`, as `to` into dst
    kView,   // the elements of `view`, dense and row-major, into dst
    kCheck,  // nothing is kept
  };
  Kind kind = Kind::kWhole;
  CrcCheck check = CrcCheck::kOn;
  const StorageLayout* storage = nullptr;
  std::span<std::byte> dst;
  Device device;  // of dst
  DType from = DType::kUInt8;
  DType to = DType::kUInt8;
  const TensorView* view = nullptr;

  // What came of it.
  Status status;
  StorageRead read;
};

enum class OnError : uint8_t {
  kStop,  // tasks that are not done yet may stay undone
  kGoOn,
};

// One that keeps account of what a call reads through it.
class AdapterPerCall : public ReadAdapter {
 public:
  // The same for one more call. This must outlive it.
  virtual std::shared_ptr<const ReadAdapter> ForCall() const = 0;
};

// Reads for one call.
class ReadExecutor {
 public:
  // Says that several calls of Run() will follow, whose storages have `bytes`
  // in all, as far as is known, so that progress is told as of one.
  virtual void Expect(uint64_t bytes) { static_cast<void>(bytes); }

  // Does the tasks and sets what came of each. Blocks. Returns the error of
  // the first task, in their order, that has one.
  virtual Status Run(const ByteSource& source, std::span<ReadTask> tasks,
                     OnError on_error) = 0;

  // What brings bytes to memory of `device`.
  //
  // Errors: kUnavailable where this reads into host memory only, or for a
  // device that is not there.
  virtual Result<DeviceLoader*> LoaderOf(Device device);

  // `source` as this call reads it, which must outlive this.
  const ByteSource& OfCall(const ByteSource& source);

 protected:
  ~ReadExecutor() = default;

 private:
  // Those that keep account, by what they were made from.
  std::map<const ReadAdapter*, ByteSource> of_call_;
};

// One by one, on the calling thread.
class OneByOne final : public ReadExecutor {
 public:
  Status Run(const ByteSource& source, std::span<ReadTask> tasks,
             OnError on_error) override;
};

// Whether `view` is every byte of `storage`, in order.
bool IsWhole(const TensorView& view, const StorageLayout& storage);

// Does one task and sets what came of it.
void RunReadTask(const ByteSource& source, ReadTask& task);

}  // namespace caisson
