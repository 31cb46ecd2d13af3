// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/read_task.h"

#include <string>

namespace caisson {
namespace {

Result<StorageRead> CheckStorage(const ByteSource& source,
                                 const StorageLayout& storage) {
  StorageRead read;
  for (size_t i = 0; i < storage.pieces.size(); ++i) {
    const Piece& piece = storage.pieces[i];
    const auto checked =
        CheckPiece(source, piece, storage.dtype, PieceName(storage, i));
    if (!checked) return checked.error();
    read.checked = read.checked && *checked;
    read.file_bytes += piece.stored_bytes;
  }
  return read;
}

Result<StorageRead> Do(const ByteSource& source, const ReadTask& task) {
  switch (task.kind) {
    case ReadTask::Kind::kCast:
      return ReadStorageAs(source, *task.storage, task.from, task.to, task.dst,
                           task.check);
    case ReadTask::Kind::kView:
      return ReadView(source, *task.storage, *task.view, task.dst, task.check);
    case ReadTask::Kind::kCheck:
      return CheckStorage(source, *task.storage);
    default:
      return ReadStorage(source, *task.storage, 0, task.dst, task.check);
  }
}

}  // namespace

const ByteSource& ReadExecutor::OfCall(const ByteSource& source) {
  const auto known = of_call_.find(&source.adapter());
  if (known != of_call_.end()) return known->second;
  const auto* adapter = dynamic_cast<const AdapterPerCall*>(&source.adapter());
  if (adapter == nullptr) return source;
  return of_call_
      .emplace(adapter, ByteSource(adapter->ForCall(), source.start()))
      .first->second;
}

Result<DeviceLoader*> ReadExecutor::LoaderOf(Device device) {
  return Status::Unavailable("reading into " + Name(device) +
                             ": a Reader alone reads into host memory; give it "
                             "to an Engine");
}

bool IsWhole(const TensorView& view, const StorageLayout& storage) {
  return view.offset == 0 && view.contiguous() &&
         static_cast<uint64_t>(view.spec.bytes()) == storage.bytes;
}

void RunReadTask(const ByteSource& source, ReadTask& task) {
  Result<StorageRead> read = Do(source, task);
  task.status = read.status();
  if (read) task.read = *read;
}

Status OneByOne::Run(const ByteSource& source, std::span<ReadTask> tasks,
                     OnError on_error) {
  Status first;
  for (ReadTask& task : tasks) {
    RunReadTask(source, task);  // of host memory: see LoaderOf()
    if (first.ok()) first = task.status;
    if (!first.ok() && on_error == OnError::kStop) break;
  }
  return first;
}

}  // namespace caisson
