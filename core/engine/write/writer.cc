// SPDX-License-Identifier: Apache-2.0
#include "caisson/writer.h"

#include <chrono>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
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
    CAISSON_ASSIGN_OR_RETURN(const auto parts,
                             PartsOf(state, path, options_.profile));
    AtomicFileOptions atomic;
    atomic.sync = options_.sync;
    CAISSON_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, atomic));
    const auto totals = WriteParts(*parts, file.file(), window_.bytes());
    if (!totals) return Explained(totals.error(), state, path);
    CAISSON_RETURN_IF_ERROR(file.Commit());
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    return WriteReport{totals->file_bytes, totals->tensor_bytes,
                       elapsed.count()};
  }

 private:
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
