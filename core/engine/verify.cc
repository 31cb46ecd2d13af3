// SPDX-License-Identifier: Apache-2.0
//
// Reader::Verify and VerifyFile: every record of a file against its CRC.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/engine/piece_io.h"
#include "core/engine/reader_impl.h"
#include "core/formats/signature.h"
#include "core/formats/torch/torch_archive.h"

namespace caisson {
namespace {

// `message` without what Damage says in fields of its own.
std::string ProblemOf(std::string_view message, const std::string& context) {
  if (message.starts_with(context)) message.remove_prefix(context.size());
  return std::string(message);
}

class Verifier {
 public:
  explicit Verifier(const ByteSource& source) : source_(source) {}

  // Reads one record, `tensors` being the names of those that view it.
  Status Check(const std::string& record, DType dtype,
               std::span<const Piece> pieces,
               const std::vector<std::string>& tensors) {
    bool all_checked = true;
    for (const Piece& piece : pieces) {
      const std::string what = "record '" + record + "'";
      const auto checked = CheckPiece(source_, piece, dtype, what);
      if (checked) {
        all_checked = all_checked && *checked;
        continue;
      }
      const Status& status = checked.error();
      if (status.code() != StatusCode::kCorrupt) return status;
      const std::string context = source_.name() + ": " + what + " at " +
                                  std::to_string(piece.offset) + ": ";
      report_.damage.push_back({source_.name(), record, tensors, piece.offset,
                                ProblemOf(status.message(), context)});
      return Status::Ok();
    }
    if (all_checked) {
      ++report_.checked;
    } else {
      report_.unchecked.push_back(record);
    }
    return Status::Ok();
  }

  VerifyReport Take() { return std::move(report_); }

 private:
  const ByteSource& source_;
  VerifyReport report_;
};

// Checks the records of an archive whose state cannot be read for the reason
// `unread`.
Result<VerifyReport> VerifyRecords(const ByteSource& source,
                                   const Status& unread) {
  const std::string context = source.name() + ": ";
  const std::string problem = ProblemOf(unread.message(), context);
  const auto archive = torch::TorchArchive::Open(source);
  if (!archive) {
    if (archive.error().code() != StatusCode::kCorrupt) return archive.error();
    VerifyReport report;
    report.damage.push_back({source.name(),
                             "",
                             {},
                             0,
                             ProblemOf(archive.error().message(), context)});
    return report;
  }
  Verifier verifier(source);
  for (const zip::Entry& entry : archive->entries()) {
    const Piece piece = torch::PieceOf(entry);
    CAISSON_RETURN_IF_ERROR(
        verifier.Check(std::string(archive->RecordName(entry)), DType::kUInt8,
                       std::span(&piece, 1), {}));
  }
  VerifyReport report = verifier.Take();
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
  const Layout& layout = impl_->layout;
  std::vector<std::vector<std::string>> names(layout.storages.size());
  for (const TensorLayout& tensor : layout.tensors) {
    names[tensor.storage].push_back(tensor.view.spec.name);
  }
  Verifier verifier(impl_->source);
  for (const OtherRecord& other : layout.others) {
    CAISSON_RETURN_IF_ERROR(verifier.Check(other.record, DType::kUInt8,
                                           std::span(&other.piece, 1), {}));
  }
  for (size_t i = 0; i < layout.storages.size(); ++i) {
    const StorageLayout& storage = layout.storages[i];
    CAISSON_RETURN_IF_ERROR(verifier.Check(storage.record, storage.dtype,
                                           storage.pieces, names[i]));
  }
  return verifier.Take();
}

Result<VerifyReport> VerifyFile(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> adapter,
                           FileAdapter::Open(path));
  const auto reader = Reader::Open(adapter);
  if (reader) return reader->Verify();
  const StatusCode code = reader.error().code();
  const bool unread =
      code == StatusCode::kCorrupt || code == StatusCode::kUnsupported;
  const ByteSource source(std::move(adapter));
  // What is no archive has no records to check.
  if (!unread || !RequireZip(source).ok()) return reader.error();
  return VerifyRecords(source, reader.error());
}

}  // namespace caisson
