// SPDX-License-Identifier: Apache-2.0
#include "caisson/archive_writer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "caisson/crc32.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/engine/archive/byte_output.h"
#include "core/formats/torch/serialization_id.h"
#include "core/formats/torch/torch_writer.h"
#include "core/formats/zip/zip_layout.h"
#include "core/formats/zip/zip_writer.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

constexpr char kSerializationId[] = ".data/serialization_id";
constexpr char kByteOrder[] = "byteorder";

// From this version on its record has another name: formats.md 1.9.
constexpr uint64_t kFirstDataVersion = 6;
constexpr uint64_t kDefaultVersion = 3;

// Upstream's compression level, and the size below which it stores.
constexpr int kDeflateLevel = 9;
constexpr size_t kDeflateFrom = 4;

std::string LowerCase(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

Status CheckOptions(const ArchiveWriteOptions& options) {
  if (options.alignment >= 1 && options.alignment <= zip::kMaxAlignment) {
    return Status::Ok();
  }
  return Status::InvalidArgument(
      "an alignment of " + std::to_string(options.alignment) +
      ", expected 1 to " + std::to_string(zip::kMaxAlignment));
}

}  // namespace

class PyTorchStreamWriter::Impl {
 public:
  Impl(std::unique_ptr<ByteOutput> to, std::string prefix,
       const ArchiveWriteOptions& options)
      : folder(std::move(prefix)),
        output_(std::move(to)),
        zip_(options.alignment),
        compute_crc32_(options.compute_crc32) {}

  Status CheckName(const std::string& name) const;
  Status Write(const std::string& name, const void* data, size_t size,
               bool compress);
  Status Finish();

  const std::string folder;
  std::unordered_set<std::string> names;
  std::string serialization_id;
  uint64_t version = kDefaultVersion;
  bool finalized = false;

 private:
  Status Put(std::span<const std::byte> bytes);
  Status WriteText(const std::string& name, const std::string& content);
  Status WriteDeflated(const std::string& path,
                       std::span<const std::byte> bytes);
  Status WriteStored(const std::string& path, std::span<const std::byte> bytes);
  Status WriteHole(const std::string& path, uint64_t bytes);
  // The descriptor of the record begun last.
  Status EndRecord(uint32_t crc32);

  std::unique_ptr<ByteOutput> output_;
  zip::ZipWriter zip_;
  const bool compute_crc32_;
  torch::SerializationId id_;
  std::unordered_set<std::string> folded_;  // names in lower case
  std::vector<uint32_t> crcs_;
  uint64_t offset_ = 0;
  Status failure_;  // of the output; nothing can follow it
};

Status PyTorchStreamWriter::Impl::CheckName(const std::string& name) const {
  const auto refuse = [&](const std::string& why) {
    return Status::InvalidArgument("record '" + name + "': " + why);
  };
  if (finalized) return refuse("the archive is finished");
  if (name.empty()) return refuse("no name");
  if (name.front() == '/') return refuse("the name begins with '/'");
  if (name.find('\0') != std::string::npos) return refuse("a zero byte");
  if (folder.size() + 1 + name.size() > zip::kMaxNameBytes) {
    return refuse("the name is longer than " +
                  std::to_string(zip::kMaxNameBytes));
  }
  if (names.contains(name)) return refuse("written before");
  if (folded_.contains(LowerCase(name))) {
    return refuse("differs from another record only in case");
  }
  return Status::Ok();
}

Status PyTorchStreamWriter::Impl::Put(std::span<const std::byte> bytes) {
  CAISSON_RETURN_IF_ERROR(failure_);
  failure_ = output_->Put(bytes);
  offset_ += bytes.size();
  return failure_;
}

Status PyTorchStreamWriter::Impl::Write(const std::string& name,
                                        const void* data, size_t size,
                                        bool compress) {
  CAISSON_RETURN_IF_ERROR(CheckName(name));
  CAISSON_RETURN_IF_ERROR(failure_);
  const std::string path = folder + "/" + name;
  const std::span bytes(static_cast<const std::byte*>(data), size);
  CAISSON_RETURN_IF_ERROR(data == nullptr && size > 0 ? WriteHole(path, size)
                          : compress && size >= kDeflateFrom
                              ? WriteDeflated(path, bytes)
                              : WriteStored(path, bytes));
  names.insert(name);
  folded_.insert(LowerCase(name));
  id_.AddName(name);
  return Status::Ok();
}

Status PyTorchStreamWriter::Impl::WriteStored(
    const std::string& path, std::span<const std::byte> bytes) {
  std::byte head[8] = {};
  std::ranges::copy(bytes.first(std::min(bytes.size(), sizeof(head))), head);
  id_.AddPayload(bytes.size(), head);
  CAISSON_RETURN_IF_ERROR(Put(zip_.Begin(path, bytes.size(), offset_)));
  CAISSON_RETURN_IF_ERROR(Put(bytes));
  return EndRecord(compute_crc32_ ? Crc32(0, bytes) : 0);
}

Status PyTorchStreamWriter::Impl::WriteDeflated(
    const std::string& path, std::span<const std::byte> bytes) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  const size_t bound = kernels->deflate_bound(bytes.size());
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow)
                                                std::byte[bound]);
  if (memory == nullptr) {
    return Status::OutOfMemory("record '" + path +
                               "': " + std::to_string(bound) + " bytes");
  }
  size_t stored = 0;
  const DeflateJob job = {bytes, {memory.get(), bound}, &stored};
  CAISSON_RETURN_IF_ERROR(
      kernels->deflate(kDeflateLevel, std::span(&job, 1), {}));
  CAISSON_RETURN_IF_ERROR(
      Put(zip_.BeginDeflated(path, bytes.size(), stored, offset_)));
  CAISSON_RETURN_IF_ERROR(Put({memory.get(), stored}));
  return EndRecord(compute_crc32_ ? Crc32(0, bytes) : 0);
}

Status PyTorchStreamWriter::Impl::WriteHole(const std::string& path,
                                            uint64_t bytes) {
  CAISSON_RETURN_IF_ERROR(Put(zip_.Begin(path, bytes, offset_)));
  failure_ = output_->Skip(bytes);
  offset_ += bytes;
  CAISSON_RETURN_IF_ERROR(failure_);
  return EndRecord(0);
}

Status PyTorchStreamWriter::Impl::EndRecord(uint32_t crc32) {
  const size_t record = zip_.records() - 1;
  if (zip_.DescriptorBytes(record) > 0) id_.AddDescriptor(crc32);
  crcs_.push_back(crc32);
  return Put(zip_.Descriptor(record, crc32));
}

Status PyTorchStreamWriter::Impl::WriteText(const std::string& name,
                                            const std::string& content) {
  return Write(name, content.data(), content.size(), false);
}

Status PyTorchStreamWriter::Impl::Finish() {
  if (finalized) {
    return Status::InvalidArgument("the archive is finished already");
  }
  CAISSON_RETURN_IF_ERROR(
      WriteText(version >= kFirstDataVersion ? ".data/version" : "version",
                std::to_string(version) + "\n"));
  if (!names.contains(kByteOrder)) {
    CAISSON_RETURN_IF_ERROR(WriteText(kByteOrder, "little"));
  }
  const auto digits = id_.Digits();
  const std::string id(digits.begin(), digits.end());
  CAISSON_RETURN_IF_ERROR(WriteText(kSerializationId, id));
  CAISSON_RETURN_IF_ERROR(Put(zip_.Finish(offset_, crcs_)));
  failure_ = output_->Finish();
  CAISSON_RETURN_IF_ERROR(failure_);
  serialization_id = id;
  finalized = true;
  return Status::Ok();
}

PyTorchStreamWriter::PyTorchStreamWriter(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
PyTorchStreamWriter::PyTorchStreamWriter(PyTorchStreamWriter&&) noexcept =
    default;
PyTorchStreamWriter& PyTorchStreamWriter::operator=(
    PyTorchStreamWriter&&) noexcept = default;
PyTorchStreamWriter::~PyTorchStreamWriter() = default;

Result<PyTorchStreamWriter> PyTorchStreamWriter::Open(
    const std::string& path, const ArchiveWriteOptions& options) {
  CAISSON_RETURN_IF_ERROR(CheckOptions(options));
  CAISSON_ASSIGN_OR_RETURN(std::string prefix, torch::PrefixFor(path));
  CAISSON_ASSIGN_OR_RETURN(std::unique_ptr<ByteOutput> output,
                           FileOutput(path, options.sync));
  return PyTorchStreamWriter(
      std::make_unique<Impl>(std::move(output), std::move(prefix), options));
}

Result<PyTorchStreamWriter> PyTorchStreamWriter::Open(
    Sink sink, const ArchiveWriteOptions& options) {
  CAISSON_RETURN_IF_ERROR(CheckOptions(options));
  if (!sink) return Status::InvalidArgument("no sink");
  return PyTorchStreamWriter(
      std::make_unique<Impl>(SinkOutput(std::move(sink)), "archive", options));
}

Result<PyTorchStreamWriter> PyTorchStreamWriter::Open(
    std::vector<std::byte>* bytes, const ArchiveWriteOptions& options) {
  CAISSON_RETURN_IF_ERROR(CheckOptions(options));
  if (bytes == nullptr) return Status::InvalidArgument("no memory");
  return PyTorchStreamWriter(
      std::make_unique<Impl>(MemoryOutput(bytes), "archive", options));
}

void PyTorchStreamWriter::setMinVersion(uint64_t version) {
  impl_->version = std::max(impl_->version, version);
}

Status PyTorchStreamWriter::writeRecord(const std::string& name,
                                        const void* data, size_t size,
                                        bool compress) {
  // Upstream computes it and drops what callers bring.
  if (name == kSerializationId && !impl_->finalized) return Status::Ok();
  return impl_->Write(name, data, size, compress);
}

Status PyTorchStreamWriter::writeEndOfFile() { return impl_->Finish(); }

const std::unordered_set<std::string>&
PyTorchStreamWriter::getAllWrittenRecords() const {
  return impl_->names;
}

bool PyTorchStreamWriter::finalized() const { return impl_->finalized; }

const std::string& PyTorchStreamWriter::archiveName() const {
  return impl_->folder;
}

const std::string& PyTorchStreamWriter::serializationId() const {
  return impl_->serialization_id;
}

}  // namespace caisson
