// SPDX-License-Identifier: Apache-2.0
//
// Reader::Load: the whole state into memory of its own.
#include <algorithm>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/endian.h"
#include "core/base/glob.h"
#include "core/base/state_clone.h"
#include "core/base/status_macros.h"
#include "core/engine/device/device_loader.h"
#include "core/engine/device/device_storages.h"
#include "core/engine/read/cast_plan.h"
#include "core/engine/read/read_task.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/read/resident.h"
#include "core/io/file_mapping.h"

namespace caisson {
namespace {

// Whether the bytes of the storage can be used where they lie in a file that is
// mapped: as they are, each element at a multiple of its size.
bool CanLieInFile(const StorageLayout& storage, uint64_t start) {
  if (storage.pieces.size() != 1) return false;
  const Piece& piece = storage.pieces.front();
  const bool swapped =
      piece.order != kNativeOrder && SwapWidth(storage.dtype) > 1;
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  return piece.encoding == Encoding::kRaw && !swapped && storage.bytes > 0 &&
         (start + piece.offset) % width == 0;
}

// The storages of the tensors that `globs` cover.
//
// Errors: kNotFound for a glob that covers none.
Result<std::unordered_set<const Storage*>> Covered(
    const Layout& layout, const std::vector<std::string>& globs) {
  std::unordered_set<const Storage*> covered;
  for (const std::string& glob : globs) {
    bool any = false;
    for (const TensorLayout& tensor : layout.tensors) {
      if (!GlobMatches(glob, tensor.view.spec.name)) continue;
      any = true;
      covered.insert(layout.storages[tensor.storage].handle.get());
    }
    if (!any) return Status::NotFound("no tensor '" + glob + "'");
  }
  return covered;
}

// All of the file that `source` reads.
Result<std::shared_ptr<const FileMapping>> MapOf(const ByteSource& source) {
  const int fd = source.adapter().descriptor();
  if (fd < 0) {
    return Status::Unsupported(source.name() + ": map: the adapter is no file");
  }
  return FileMapping::Map(fd, source.adapter().size(), source.name());
}

// What `storage` is once it is converted.
void Describe(const StorageCast& cast, Storage& storage) {
  storage.region.bytes = cast.bytes;
  storage.dtype.reset();
  if (!TorchStorageClass(cast.to).empty()) storage.dtype = cast.to;
}

}  // namespace

Result<State> Reader::Load(const LoadOptions& options) const {
  OneByOne reads;
  return impl_->Load(options, reads);
}

Result<State> Reader::Impl::Load(const LoadOptions& options,
                                 ReadExecutor& reads) const {
  if (!options.keep_unknown) CAISSON_RETURN_IF_ERROR(CheckGlobals());
  const Result<CastPlan> planned = PlanCasts(layout, options.casts);
  if (!planned) return planned.error().WithContext(source.name());
  const CastPlan& casts = *planned;

  std::unordered_map<const Storage*, StorageHandle> copies;
  std::unordered_map<const Storage*, DType> converted;  // copies, to what
  State state;
  state.profile = layout.state.profile;
  state.metadata = layout.state.metadata;
  state.root = CloneTree(
      layout.state.root,
      [&](const StorageHandle& described) {
        auto copy = std::make_shared<Storage>(*described);
        copies.emplace(described.get(), copy);
        const auto cast = casts.find(described.get());
        if (cast != casts.end()) {
          Describe(cast->second, *copy);
          converted.emplace(copy.get(), cast->second.to);
        }
        return copy;
      },
      [&](TensorView& view) {
        const auto cast = converted.find(view.storage.get());
        if (cast != converted.end()) view.spec.dtype = cast->second;
      });

  const CrcCheck check = options.verify ? CrcCheck::kOn : CrcCheck::kOff;
  const auto covered = Covered(layout, options.names);
  if (!covered) return covered.error().WithContext(source.name());
  std::vector<std::shared_ptr<const FileMapping>> mappings;  // of the sources
  if (options.map) {
    CAISSON_ASSIGN_OR_RETURN(auto mapping, MapOf(source));
    mappings.push_back(std::move(mapping));
    for (const ByteSource& shard : shards) {
      // What was put together from several files is read.
      mapping = nullptr;
      if (!checkpoint || shard.adapter().descriptor() >= 0) {
        CAISSON_ASSIGN_OR_RETURN(mapping, MapOf(shard));
      }
      mappings.push_back(std::move(mapping));
    }
  }
  DeviceLoader* loader = nullptr;
  if (!options.device.is_cpu()) {
    if (options.map) {
      return Status::InvalidArgument(source.name() +
                                     ": a mapping is in host memory, not on " +
                                     Name(options.device));
    }
    CAISSON_ASSIGN_OR_RETURN(loader, reads.LoaderOf(options.device));
  }
  std::vector<ReadTask> tasks;
  std::vector<Storage*> filled;  // by each of tasks
  for (const StorageLayout& storage : layout.storages) {
    const auto found = copies.find(storage.handle.get());
    if (found == copies.end()) continue;  // the pickle drops it again
    if (!options.names.empty() && !covered->contains(storage.handle.get())) {
      continue;
    }
    Storage& copy = *found->second;
    const auto cast = casts.find(storage.handle.get());
    // Shards begin where their files do.
    const uint64_t start = shards.empty() ? source.start() : 0;
    if (options.map && cast == casts.end() && CanLieInFile(storage, start) &&
        mappings[storage.pieces.front().source] != nullptr) {
      const Piece& piece = storage.pieces.front();
      copy.owner = mappings[piece.source];
      copy.region.data =
          mappings[piece.source]->bytes().data() + start + piece.offset;
      continue;
    }
    if (loader == nullptr) CAISSON_RETURN_IF_ERROR(MakeResident(copy));
    ReadTask task;
    task.check = check;
    task.storage = &storage;
    if (cast != casts.end()) {
      task.kind = ReadTask::Kind::kCast;
      task.from = cast->second.from;
      task.to = cast->second.to;
    }
    tasks.push_back(task);
    filled.push_back(&copy);
  }
  if (loader != nullptr) {
    const Status placed = PlaceOn(loader->runtime(), options.device, filled);
    if (!placed.ok()) return placed.WithContext(source.name());
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Region& region = filled[i]->region;
    tasks[i].dst = {region.data, region.bytes};
    tasks[i].device = region.device;
  }
  CAISSON_RETURN_IF_ERROR(Run(tasks, reads, OnError::kStop));
  return state;
}

}  // namespace caisson
