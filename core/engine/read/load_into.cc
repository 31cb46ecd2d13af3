// SPDX-License-Identifier: Apache-2.0
//
// Reader::LoadInto: a file into the tensors of a state that exists.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/device/device_loader.h"
#include "core/engine/read/read_task.h"
#include "core/engine/read/reader_impl.h"

namespace caisson {
namespace {

struct Pair {
  const TensorInfo* info;    // in the file
  const TensorView* target;  // in the caller's state
};

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) {
    if (!text.empty()) text += ", ";
    text += std::to_string(size);
  }
  return "[" + text + "]";
}

bool IsQuantised(DType dtype) {
  return Name(dtype).starts_with('q');  // qint8, quint4x2, ...
}

Status CheckPair(const Pair& pair, ReadExecutor& reads) {
  const TensorSpec& file = pair.info->view.spec;
  const TensorSpec& state = pair.target->spec;
  const auto what = [&] { return "tensor '" + file.name + "': "; };
  if (file.dtype != state.dtype) {
    return Status::InvalidArgument(
        what() + "the file has " + std::string(Name(file.dtype)) +
        ", the state " + std::string(Name(state.dtype)));
  }
  if (file.shape != state.shape) {
    return Status::InvalidArgument(what() + "the file has the shape " +
                                   ShapeText(file.shape) + ", the state " +
                                   ShapeText(state.shape));
  }
  if (pair.info->view.conj != pair.target->conj ||
      pair.info->view.neg != pair.target->neg) {
    return Status::InvalidArgument(
        what() + "only one of file and state is conjugated or negated");
  }
  if (IsQuantised(file.dtype)) {
    return Status::Unsupported(what() +
                               "quantised: its scale would stay; load it");
  }
  const TensorView& target = *pair.target;
  if (!target.Validate().ok()) {
    TensorView named = target;  // the error shall name it
    named.spec.name = file.name;
    return named.Validate();
  }
  if (!target.storage->resident()) {
    return Status::InvalidArgument(what() + "the target has no memory");
  }
  const Device device = target.storage->region.device;
  if (device.is_cpu()) return Status::Ok();
  const auto loader = reads.LoaderOf(device);
  if (loader.has_value()) return Status::Ok();
  return loader.error().WithContext("tensor '" + file.name + "'");
}

// Stores dense elements where a strided view wants them, whose first is at
// `base`.
void Scatter(std::span<const std::byte> src, const TensorView& view,
             std::byte* base) {
  const size_t width = ByteWidth(view.spec.dtype);
  const auto& shape = view.spec.shape;
  std::vector<int64_t> index(shape.size(), 0);
  for (size_t at = 0; at < src.size(); at += width) {
    int64_t offset = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      offset += index[d] * view.strides[d];
    }
    std::memcpy(base + static_cast<size_t>(offset) * width, &src[at], width);
    for (size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) {
      index[d] = 0;
    }
  }
}

// The same of a view in memory of any device; of one that is not the host, what
// it spans is brought here and back.
Status Scatter(std::span<const std::byte> src, const TensorView& view,
               ReadExecutor& reads) {
  const size_t width = ByteWidth(view.spec.dtype);
  const Region& region = view.storage->region;
  std::byte* const first = region.data + view.offset * width;
  if (region.device.is_cpu()) {
    Scatter(src, view, first);
    return Status::Ok();
  }
  uint64_t elems = 1;  // from the first to the last
  for (size_t d = 0; d < view.spec.shape.size(); ++d) {
    elems += static_cast<uint64_t>((view.spec.shape[d] - 1) * view.strides[d]);
  }
  CAISSON_ASSIGN_OR_RETURN(DeviceLoader* const loader,
                           reads.LoaderOf(region.device));
  CAISSON_ASSIGN_OR_RETURN(const Buffer span, Buffer::Allocate(elems * width));
  CAISSON_RETURN_IF_ERROR(loader->Fetch(first, span.bytes()));
  Scatter(src, view, span.data());
  return loader->Put(first, span.bytes());
}

// The read of a tensor that the state has.
ReadTask TaskOf(const Pair& pair, const StorageLayout& storage, std::byte* dst,
                CrcCheck check) {
  const TensorView& view = pair.info->view;
  ReadTask task;
  task.kind =
      IsWhole(view, storage) ? ReadTask::Kind::kWhole : ReadTask::Kind::kView;
  task.check = check;
  task.storage = &storage;
  task.dst = {dst, static_cast<size_t>(view.spec.bytes())};
  task.view = &view;
  return task;
}

// Whether another look at its record, which the read left unchecked, can find
// more. One that was read whole has checked all that has a CRC.
bool MayBeChecked(const ReadTask& task) {
  return task.kind == ReadTask::Kind::kView ||
         std::ranges::any_of(task.storage->pieces, [](const Piece& piece) {
           return piece.crc32.has_value();
         });
}

// Whether both bring the same bytes to the same place, as of tied weights.
bool SameRead(const ReadTask& a, const ReadTask& b) {
  return a.dst.data() == b.dst.data() && a.dst.size() == b.dst.size() &&
         a.storage == b.storage && a.view->offset == b.view->offset &&
         a.view->strides == b.view->strides;
}

// Reads that may run at once, because no two of them write to one place.
class DisjointReads {
 public:
  // The read that `task` overlaps, by its number, or none and it is added.
  std::optional<size_t> Add(const ReadTask& task) {
    std::byte* const end = task.dst.data() + task.dst.size();
    const auto next = by_end_.upper_bound(task.dst.data());
    if (next != by_end_.end() && next->second.first < end) {
      return next->second.second;
    }
    by_end_.emplace_hint(next, end, std::pair(task.dst.data(), by_end_.size()));
    return std::nullopt;
  }

 private:
  // Where each begins, and its number.
  std::map<std::byte*, std::pair<std::byte*, size_t>> by_end_;
};

}  // namespace

Status Reader::LoadInto(State& state, const LoadIntoOptions& options) const {
  OneByOne reads;
  return impl_->LoadInto(state, options, reads);
}

Status Reader::Impl::LoadInto(State& state, const LoadIntoOptions& options,
                              ReadExecutor& reads) const {
  const std::string& file = source.name();
  CAISSON_ASSIGN_OR_RETURN(const auto targets, state.Tensors());
  std::vector<Pair> pairs;
  pairs.reserve(targets.size());
  std::vector<bool> used(infos.size());
  for (const NamedTensor& target : targets) {
    const std::string name = Join(target.path);
    const TensorInfo* found = nullptr;
    for (const auto& [_, position] : AllNamed(name)) {
      const TensorInfo& info = infos[position];
      if (info.path != target.path) continue;
      if (found != nullptr) {  // keys True and "True", say
        return Status::InvalidArgument(file + ": several tensors '" + name +
                                       "', whose keys look the same");
      }
      found = &info;
      used[position] = true;
    }
    if (found == nullptr) {
      return Status::NotFound(file + ": no tensor '" + name + "'");
    }
    pairs.push_back({found, target.view});
    CAISSON_RETURN_IF_ERROR(CheckPair(pairs.back(), reads).WithContext(file));
  }
  if (!options.allow_unused) {
    for (size_t i = 0; i < infos.size(); ++i) {
      if (used[i]) continue;
      return Status::InvalidArgument(file + ": the state has no tensor '" +
                                     infos[i].view.spec.name +
                                     "', but the file has");
    }
  }
  const CrcCheck check = options.verify ? CrcCheck::kOn : CrcCheck::kOff;
  std::vector<ReadTask> tasks;
  DisjointReads disjoint;
  std::vector<ReadTask> later;  // into memory that one of `tasks` fills too
  std::vector<Pair> strided;    // targets, which are filled one by one
  for (const Pair& pair : pairs) {
    const TensorView& target = *pair.target;
    if (target.spec.bytes() == 0) continue;
    if (!target.contiguous()) {
      strided.push_back(pair);
      continue;
    }
    std::byte* const data = target.storage->region.data +
                            target.offset * ByteWidth(target.spec.dtype);
    ReadTask task = TaskOf(pair, StorageOf(*pair.info), data, check);
    task.device = target.storage->region.device;
    const std::optional<size_t> other = disjoint.Add(task);
    if (!other) {
      tasks.push_back(task);
    } else if (!SameRead(task, tasks[*other])) {
      later.push_back(task);
    }
  }
  uint64_t expected = 0;
  for (const ReadTask& task : tasks) expected += task.storage->bytes;
  for (const ReadTask& task : later) expected += task.storage->bytes;
  for (const Pair& pair : strided) expected += StorageOf(*pair.info).bytes;
  reads.Expect(expected);
  CAISSON_RETURN_IF_ERROR(Run(tasks, reads, OnError::kStop));
  for (ReadTask& task : later) {
    CAISSON_RETURN_IF_ERROR(Run(std::span(&task, 1), reads, OnError::kStop));
    tasks.push_back(task);
  }
  for (const Pair& pair : strided) {
    CAISSON_ASSIGN_OR_RETURN(
        const Buffer dense,
        Buffer::Allocate(static_cast<size_t>(pair.target->spec.bytes())));
    ReadTask task = TaskOf(pair, StorageOf(*pair.info), dense.data(), check);
    CAISSON_RETURN_IF_ERROR(Run(std::span(&task, 1), reads, OnError::kStop));
    CAISSON_RETURN_IF_ERROR(Scatter(dense.bytes(), *pair.target, reads));
    tasks.push_back(task);
  }
  if (!options.verify) return Status::Ok();

  // Records of which only parts were read.
  std::set<const StorageLayout*> unchecked;
  for (const ReadTask& task : tasks) {
    if (!task.read.checked && MayBeChecked(task)) {
      unchecked.insert(task.storage);
    }
  }
  std::vector<ReadTask> checks;
  for (const StorageLayout* storage : unchecked) {
    ReadTask task;
    task.kind = ReadTask::Kind::kCheck;
    task.storage = storage;
    checks.push_back(task);
  }
  return Run(checks, reads, OnError::kStop);
}

}  // namespace caisson
