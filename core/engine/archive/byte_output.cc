// SPDX-License-Identifier: Apache-2.0
#include "core/engine/archive/byte_output.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/write/window.h"
#include "core/io/atomic_file.h"

namespace caisson {
namespace {

constexpr size_t kWindowBytes = size_t{1} << 20;
constexpr size_t kZeroBytes = size_t{64} << 10;

class ToFile : public ByteOutput {
 public:
  ToFile(AtomicFile file, Buffer window)
      : file_(std::move(file)),
        window_(std::move(window)),
        cursor_(file_.file(), window_.bytes()) {}

  Status Put(std::span<const std::byte> bytes) override {
    return cursor_.Put(bytes);
  }

  Status Skip(uint64_t bytes) override { return cursor_.Skip(bytes); }

  Status Finish() override {
    CAISSON_RETURN_IF_ERROR(cursor_.Flush());
    return file_.Commit();
  }

 private:
  AtomicFile file_;
  Buffer window_;
  WindowCursor cursor_;
};

class ToSink : public ByteOutput {
 public:
  explicit ToSink(std::function<size_t(const void*, size_t)> sink)
      : sink_(std::move(sink)) {}

  Status Put(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return Status::Ok();
    const size_t taken = sink_(bytes.data(), bytes.size());
    if (taken == bytes.size()) return Status::Ok();
    return Status::Io("the sink took " + std::to_string(taken) + " of " +
                      std::to_string(bytes.size()) + " bytes");
  }

  Status Skip(uint64_t bytes) override {
    const std::vector<std::byte> zeros(std::min<uint64_t>(kZeroBytes, bytes));
    while (bytes > 0) {
      const auto part = std::span(zeros).first(
          static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes)));
      CAISSON_RETURN_IF_ERROR(Put(part));
      bytes -= part.size();
    }
    return Status::Ok();
  }

  Status Finish() override { return Status::Ok(); }

 private:
  std::function<size_t(const void*, size_t)> sink_;
};

}  // namespace

Result<std::unique_ptr<ByteOutput>> FileOutput(const std::string& path,
                                               bool sync) {
  AtomicFileOptions options;
  options.sync = sync;
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, options));
  CAISSON_ASSIGN_OR_RETURN(Buffer window, Buffer::Allocate(kWindowBytes));
  return std::unique_ptr<ByteOutput>(
      std::make_unique<ToFile>(std::move(file), std::move(window)));
}

std::unique_ptr<ByteOutput> SinkOutput(
    std::function<size_t(const void*, size_t)> sink) {
  return std::make_unique<ToSink>(std::move(sink));
}

std::unique_ptr<ByteOutput> MemoryOutput(std::vector<std::byte>* bytes) {
  return SinkOutput([bytes](const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes->insert(bytes->end(), from, from + size);
    return size;
  });
}

}  // namespace caisson
