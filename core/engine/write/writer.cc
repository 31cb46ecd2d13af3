// SPDX-License-Identifier: Apache-2.0
#include "caisson/writer.h"

#include <chrono>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/codec/disk_rate.h"
#include "core/engine/write/part_writer.h"
#include "core/engine/write/state_parts.h"
#include "core/io/atomic_file.h"

namespace caisson {
class Writer::Impl {
 public:
  explicit Impl(WriteOptions options) : options_(std::move(options)) {}

  Result<WriteReport> Write(const State& state, const std::string& path) {
    const auto start = std::chrono::steady_clock::now();
    CAISSON_RETURN_IF_ERROR(PrepareWindow());
    // What the format refuses is refused before a file exists.
    CAISSON_ASSIGN_OR_RETURN(
        SavePlan plan,
        PlanSave(state, path, options_.profile, options_.format, Wish(path)));
    WriteReport report;
    report.compression = std::move(plan.compression);
    report.dropped = std::move(plan.dropped);
    for (const PlannedFile& planned : plan.files) {
      const auto totals = WriteFile(planned);
      if (!totals) return Explained(totals.error(), state, planned.path);
      report.file_bytes += totals->file_bytes;
      report.tensor_bytes += totals->tensor_bytes;
    }
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    report.seconds = elapsed.count();
    return report;
  }

 private:
  CompressionWish Wish(const std::string& path) const {
    CompressionWish wish;
    wish.compress = options_.compress;
    wish.disk_rate = [path]() -> Result<double> {
      CAISSON_ASSIGN_OR_RETURN(const auto queue, MakeThreadQueue(1));
      return ProbeDiskRate(DirectoryOf(path), *queue, /*direct=*/false);
    };
    return wish;
  }

  Result<PartTotals> WriteFile(const PlannedFile& planned) {
    AtomicFileOptions atomic;
    atomic.sync = options_.sync;
    CAISSON_ASSIGN_OR_RETURN(AtomicFile file,
                             AtomicFile::Create(planned.path, atomic));
    CAISSON_ASSIGN_OR_RETURN(
        const PartTotals totals,
        WriteParts(*planned.parts, file.file(), window_.bytes()));
    CAISSON_RETURN_IF_ERROR(file.Commit());
    return totals;
  }

  Status PrepareWindow() {
    if (options_.window_bytes == 0 || options_.window_bytes % 4096 != 0) {
      return Status::InvalidArgument("a window of " +
                                     std::to_string(options_.window_bytes) +
                                     " bytes, expected a multiple of 4096");
    }
    if (!window_.empty()) return Status::Ok();
    CAISSON_ASSIGN_OR_RETURN(window_, Buffer::Allocate(options_.window_bytes));
    return Status::Ok();
  }

  const WriteOptions options_;
  Buffer window_;  // kept, as first touches are slow
};

Writer::Writer(WriteOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

Result<WriteReport> Writer::Write(const State& state, const std::string& path) {
  return impl_->Write(state, path);
}

}  // namespace caisson
