// SPDX-License-Identifier: Apache-2.0
//
// Reader::Verify and VerifyFile: every record of a file against its CRC.
#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/read/read_task.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/signature.h"
#include "core/formats/torch/torch_archive.h"

namespace caisson {
namespace {

// `message` without what Damage says in fields of its own.
std::string ProblemOf(std::string_view message, const std::string& context) {
  if (message.starts_with(context)) message.remove_prefix(context.size());
  return std::string(message);
}

// Records to be checked, and what is found.
class Verifier {
 public:
  // `files`: the names of the sources that pieces lie in.
  explicit Verifier(std::vector<std::string> files)
      : files_(std::move(files)) {}

  // `tensors`: the names of those that view it.
  void Add(std::string record, DType dtype, std::span<const Piece> pieces,
           std::vector<std::string> tensors) {
    StorageLayout layout;
    layout.record = std::move(record);
    layout.dtype = dtype;
    layout.pieces.assign(pieces.begin(), pieces.end());
    const size_t width = std::max<size_t>(ByteWidth(dtype), 1);
    for (const Piece& piece : pieces) layout.bytes += piece.elems * width;
    records_.push_back(std::move(layout));
    tensors_.push_back(std::move(tensors));
  }

  // Reads all that was added, by `run`.
  Result<VerifyReport> Run(
      const std::function<Status(std::span<ReadTask>)>& run) {
    std::vector<ReadTask> tasks(records_.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
      tasks[i].kind = ReadTask::Kind::kCheck;
      tasks[i].storage = &records_[i];
    }
    const Status ran = run(tasks);
    // Damage is what is looked for; anything else says that not all was read.
    if (ran.code() != StatusCode::kCorrupt) CAISSON_RETURN_IF_ERROR(ran);
    VerifyReport report;
    for (size_t i = 0; i < tasks.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(Note(tasks[i], tensors_[i], report));
    }
    return report;
  }

 private:
  Status Note(const ReadTask& task, const std::vector<std::string>& tensors,
              VerifyReport& report) const {
    const std::string& record = task.storage->record;
    if (task.status.code() == StatusCode::kCorrupt) {
      const Piece& piece = task.storage->pieces.front();
      const std::string& file = files_[piece.source];
      const std::string context = file + ": record '" + record + "' at " +
                                  std::to_string(piece.offset) + ": ";
      report.damage.push_back({file, record, tensors, piece.offset,
                               ProblemOf(task.status.message(), context)});
      return Status::Ok();
    }
    CAISSON_RETURN_IF_ERROR(task.status);
    if (task.read.checked) {
      ++report.checked;
    } else {
      report.unchecked.push_back(record);
    }
    return Status::Ok();
  }

  const std::vector<std::string> files_;
  std::vector<StorageLayout> records_;
  std::vector<std::vector<std::string>> tensors_;  // parallel to records_
};

// What is reported of a file whose index cannot be believed.
VerifyReport DamagedIndex(const std::string& file, const Status& status) {
  VerifyReport report;
  report.damage.push_back(
      {file, "", {}, 0, ProblemOf(status.message(), file + ": ")});
  return report;
}

// Whether its index is one with what it lists, so that there are no records
// that could be checked when that is damaged.
bool IsOneIndex(const ByteSource& source) {
  const auto signature = SignatureOf(source);
  return signature && (*signature == Signature::kSafetensors ||
                       *signature == Signature::kLegacyTorch ||
                       Caffe2FormOf(source, *signature));
}

std::shared_ptr<const ReadAdapter> Borrowed(const ByteSource& source) {
  return {std::shared_ptr<const ReadAdapter>(), &source.adapter()};
}

// Checks the records of an archive whose state cannot be read for the reason
// `unread`.
Result<VerifyReport> VerifyRecords(const ByteSource& source,
                                   const Status& unread, ReadExecutor& reads) {
  const std::string context = source.name() + ": ";
  const std::string problem = ProblemOf(unread.message(), context);
  const auto archive = torch::TorchArchive::Open(source);
  if (!archive) {
    if (archive.error().code() != StatusCode::kCorrupt) return archive.error();
    return DamagedIndex(source.name(), archive.error());
  }
  Verifier verifier({source.name()});
  for (const zip::Entry& entry : archive->entries()) {
    const Piece piece = torch::PieceOf(entry);
    verifier.Add(std::string(archive->RecordName(entry)), DType::kUInt8,
                 std::span(&piece, 1), {});
  }
  CAISSON_ASSIGN_OR_RETURN(VerifyReport report,
                           verifier.Run([&](std::span<ReadTask> tasks) {
                             return reads.Run(source, tasks, OnError::kGoOn);
                           }));
  report.unread = problem;
  // Records that are what was written, and still no state: whoever wrote them
  // wrote nonsense, or both a byte and its CRC were changed.
  if (unread.code() == StatusCode::kCorrupt && report.damage.empty()) {
    report.damage.push_back({source.name(), "", {}, 0, problem});
  }
  return report;
}

}  // namespace

Result<VerifyReport> Reader::Verify() const {
  std::vector<std::shared_ptr<const ReadAdapter>> held;
  OneByOne reads;
  return impl_->Verify(reads, &held);
}

Result<VerifyReport> Reader::Impl::Verify(
    ReadExecutor& reads,
    std::vector<std::shared_ptr<const ReadAdapter>>* held) const {
  if (checkpoint) {
    // By the files that are open, which outlive `reads`.
    const auto open = [this](const std::string& path)
        -> Result<std::shared_ptr<const ReadAdapter>> {
      if (path == source.name()) return Borrowed(source);
      for (const ByteSource& shard : shards) {
        if (path == shard.name()) return Borrowed(shard);
      }
      return OpenBuffered(path);
    };
    return VerifyDcp(*checkpoint, open, reads, held);
  }
  std::vector<std::vector<std::string>> names(layout.storages.size());
  for (const TensorLayout& tensor : layout.tensors) {
    names[tensor.storage].push_back(tensor.view.spec.name);
  }
  Verifier verifier(layout.sources);
  for (const OtherRecord& other : layout.others) {
    verifier.Add(other.record, DType::kUInt8, std::span(&other.piece, 1), {});
  }
  for (size_t i = 0; i < layout.storages.size(); ++i) {
    const StorageLayout& storage = layout.storages[i];
    verifier.Add(storage.record, storage.dtype, storage.pieces,
                 std::move(names[i]));
  }
  return verifier.Run([&](std::span<ReadTask> tasks) {
    return Run(tasks, reads, OnError::kGoOn);
  });
}

Result<VerifyReport> VerifyAdapter(std::shared_ptr<const ReadAdapter> adapter,
                                   ReadExecutor& reads) {
  const auto reader = Reader::Open(adapter);
  std::vector<std::shared_ptr<const ReadAdapter>> none;  // is one file
  if (reader) return Reader::Impl::Of(*reader).Verify(reads, &none);
  const StatusCode code = reader.error().code();
  const bool unread =
      code == StatusCode::kCorrupt || code == StatusCode::kUnsupported;
  const ByteSource source(std::move(adapter));
  if (code == StatusCode::kCorrupt && IsOneIndex(source)) {
    return DamagedIndex(source.name(), reader.error());
  }
  // What is no archive has no records to check.
  if (!unread || !RequireZip(source).ok()) return reader.error();
  return VerifyRecords(source, reader.error(), reads);
}

Result<VerifyReport> VerifyShards(const std::string& path,
                                  const OpenAdapter& open,
                                  ReadExecutor& reads) {
  const auto reader = Reader::Impl::Open(path, {}, open);
  std::vector<std::shared_ptr<const ReadAdapter>> held;
  if (reader) return Reader::Impl::Of(*reader).Verify(reads, &held);
  if (reader.error().code() != StatusCode::kCorrupt) return reader.error();
  return DamagedIndex(path, reader.error());
}

Result<VerifyReport> VerifyFile(const std::string& path) {
  if (IsDcp(path)) {
    CAISSON_ASSIGN_OR_RETURN(const DcpPath checkpoint, FindDcp(path));
    std::vector<std::shared_ptr<const ReadAdapter>> held;
    OneByOne one_by_one;
    return VerifyDcp(checkpoint, OpenBuffered, one_by_one, &held);
  }
  if (IsIndexOrFolder(path)) {
    OneByOne shard_reads;
    return VerifyShards(path, OpenBuffered, shard_reads);
  }
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> adapter,
                           FileAdapter::Open(path));
  OneByOne reads;
  return VerifyAdapter(std::move(adapter), reads);
}

}  // namespace caisson
