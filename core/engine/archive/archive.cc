// SPDX-License-Identifier: Apache-2.0
#include "caisson/archive.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/base/byte_source.h"
#include "core/base/status_macros.h"
#include "core/engine/archive/parallel_read.h"
#include "core/engine/read/piece_io.h"
#include "core/engine/read/record_chunks.h"
#include "core/formats/signature.h"
#include "core/formats/torch/torch_archive.h"
#include "core/formats/zip/zip_error.h"
#include "core/formats/zip/zip_layout.h"

namespace caisson {
namespace {

using Adapters = std::span<const std::shared_ptr<const ReadAdapter>>;

constexpr std::string_view kDebugSuffix = ".debug_pkl";

// The records that Open() reads hold a number; a long one is a mistake.
constexpr uint64_t kMaxTextBytes = 4096;

Result<std::unique_ptr<std::byte[]>> Allocate(uint64_t bytes,
                                              const std::string& what) {
  if (bytes == 0) return std::unique_ptr<std::byte[]>();
  std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr) {
    return Status::OutOfMemory(what + ": " + std::to_string(bytes) + " bytes");
  }
  return memory;
}

Result<ByteSource> SourceOf(std::shared_ptr<const ReadAdapter> adapter,
                            uint64_t start) {
  if (adapter == nullptr) return Status::InvalidArgument("no adapter");
  if (start > adapter->size()) {
    return Status::InvalidArgument(adapter->name() +
                                   ": an archive cannot start at " +
                                   std::to_string(start) + ", the file has " +
                                   std::to_string(adapter->size()) + " bytes");
  }
  return ByteSource(std::move(adapter), start);
}

}  // namespace

class ChunkRecordIterator::Impl {
 public:
  Impl(RecordChunks record, size_t chunk)
      : chunks(std::move(record)), chunk_bytes(chunk) {}

  RecordChunks chunks;
  size_t chunk_bytes;
};

ChunkRecordIterator::ChunkRecordIterator(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
ChunkRecordIterator::ChunkRecordIterator(ChunkRecordIterator&&) noexcept =
    default;
ChunkRecordIterator::~ChunkRecordIterator() = default;

Result<size_t> ChunkRecordIterator::next(std::span<std::byte> dst) {
  return impl_->chunks.Next(
      dst.first(std::min(dst.size(), impl_->chunk_bytes)));
}

size_t ChunkRecordIterator::recordSize() const { return impl_->chunks.bytes(); }

class PyTorchStreamReader::Impl {
 public:
  Impl(ByteSource archive, uint64_t archive_start, torch::TorchArchive table)
      : source(std::move(archive)),
        start(archive_start),
        records(std::move(table)) {}

  // Reads the version and the id.
  Status ReadTexts();

  bool IsHidden(std::string_view name) const {
    return !load_debug && name.ends_with(kDebugSuffix);
  }

  // The record's entry, or kNotFound.
  Result<const zip::Entry*> Find(const std::string& name) const;

  // The same, and kInvalidArgument unless `size` is its size.
  Result<const zip::Entry*> FindSized(const std::string& name,
                                      size_t size) const;

  Status Fill(const zip::Entry& entry, std::span<std::byte> dst) const;

  // Through the additional adapters where they can help.
  Status Fill(const zip::Entry& entry, std::span<std::byte> dst,
              Adapters additional) const;

  CrcCheck crc_check() const { return verify ? CrcCheck::kOn : CrcCheck::kOff; }

  ByteSource source;
  uint64_t start;  // of the archive within its adapter
  torch::TorchArchive records;
  uint64_t version = 0;
  std::string serialization_id;
  bool load_debug = true;
  bool verify = true;
  size_t parallel_bytes = size_t{1} << 20;

 private:
  Result<std::string> ReadText(const zip::Entry& entry) const;
};

Result<std::string> PyTorchStreamReader::Impl::ReadText(
    const zip::Entry& entry) const {
  const std::string what = zip::RecordLabel(entry.name);
  if (entry.bytes > kMaxTextBytes) {
    return source.Corrupt(
        entry.data_offset, what,
        std::to_string(entry.bytes) + " bytes are too many for a number");
  }
  std::string text(entry.bytes, '\0');
  CAISSON_RETURN_IF_ERROR(Fill(entry, std::as_writable_bytes(std::span(text))));
  return text;
}

Status PyTorchStreamReader::Impl::ReadTexts() {
  const zip::Entry* entry = records.Find(".data/version");
  if (entry == nullptr) entry = records.Find("version");
  if (entry == nullptr) {
    return Status::Corrupt(source.name() +
                           ": neither a record '.data/version' nor 'version'");
  }
  CAISSON_ASSIGN_OR_RETURN(const std::string text, ReadText(*entry));
  CAISSON_ASSIGN_OR_RETURN(
      version, torch::ParseVersion(
                   text, source.name() + ": " + zip::RecordLabel(entry->name)));
  if (const zip::Entry* id = records.Find(".data/serialization_id")) {
    CAISSON_ASSIGN_OR_RETURN(serialization_id, ReadText(*id));
  }
  return Status::Ok();
}

Result<const zip::Entry*> PyTorchStreamReader::Impl::Find(
    const std::string& name) const {
  const zip::Entry* entry = records.Find(name);
  if (entry != nullptr) return entry;
  return Status::NotFound(source.name() + ": no " + zip::RecordLabel(name));
}

Result<const zip::Entry*> PyTorchStreamReader::Impl::FindSized(
    const std::string& name, size_t size) const {
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, Find(name));
  if (entry->bytes == size) return entry;
  return Status::InvalidArgument(source.name() + ": " + zip::RecordLabel(name) +
                                 ": it has " + std::to_string(entry->bytes) +
                                 " bytes, the destination " +
                                 std::to_string(size));
}

Status PyTorchStreamReader::Impl::Fill(const zip::Entry& entry,
                                       std::span<std::byte> dst) const {
  return ReadPiece(source, torch::PieceOf(entry), DType::kUInt8, dst,
                   crc_check(), zip::RecordLabel(entry.name))
      .status();
}

Status PyTorchStreamReader::Impl::Fill(const zip::Entry& entry,
                                       std::span<std::byte> dst,
                                       Adapters additional) const {
  std::vector<ByteSource> sources = {source};
  for (const auto& adapter : additional) {
    CAISSON_ASSIGN_OR_RETURN(ByteSource other, SourceOf(adapter, start));
    if (other.size() != source.size()) {
      return Status::InvalidArgument(
          other.name() + ": it has " + std::to_string(other.size()) +
          " bytes, the archive " + std::to_string(source.size()));
    }
    sources.push_back(std::move(other));
  }
  const Piece piece = torch::PieceOf(entry);
  if (piece.encoding != Encoding::kRaw || dst.size() < parallel_bytes) {
    return Fill(entry, dst);
  }
  return ReadPieceInParallel(sources, piece, dst, crc_check(),
                             zip::RecordLabel(entry.name));
}

PyTorchStreamReader::PyTorchStreamReader(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
PyTorchStreamReader::PyTorchStreamReader(PyTorchStreamReader&&) noexcept =
    default;
PyTorchStreamReader& PyTorchStreamReader::operator=(
    PyTorchStreamReader&&) noexcept = default;
PyTorchStreamReader::~PyTorchStreamReader() = default;

Result<PyTorchStreamReader> PyTorchStreamReader::Open(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<FileAdapter> file,
                           FileAdapter::Open(path));
  return Open(std::move(file));
}

Result<PyTorchStreamReader> PyTorchStreamReader::Open(
    std::shared_ptr<const ReadAdapter> adapter, uint64_t start) {
  CAISSON_ASSIGN_OR_RETURN(const ByteSource source,
                           SourceOf(std::move(adapter), start));
  CAISSON_RETURN_IF_ERROR(RequireZip(source));
  CAISSON_ASSIGN_OR_RETURN(torch::TorchArchive records,
                           torch::TorchArchive::Open(source));
  auto impl = std::make_unique<Impl>(source, start, std::move(records));
  CAISSON_RETURN_IF_ERROR(impl->ReadTexts());
  return PyTorchStreamReader(std::move(impl));
}

Result<Record> PyTorchStreamReader::getRecord(const std::string& name) const {
  return getRecord(name, Adapters());
}

Status PyTorchStreamReader::getRecord(const std::string& name,
                                      std::span<std::byte> dst) const {
  return getRecord(name, dst, Adapters());
}

Status PyTorchStreamReader::getRecord(const std::string& name, void* dst,
                                      size_t size, std::span<std::byte> chunk,
                                      const CopyFunction& copy) const {
  if (impl_->IsHidden(name)) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry,
                           impl_->FindSized(name, size));
  if (chunk.empty() && size > 0) {
    return Status::InvalidArgument(zip::RecordLabel(name) +
                                   ": a chunk of 0 bytes");
  }
  RecordChunks chunks(impl_->source, torch::PieceOf(*entry), impl_->crc_check(),
                      zip::RecordLabel(entry->name));
  for (size_t at = 0; at < size;) {
    CAISSON_ASSIGN_OR_RETURN(const size_t got, chunks.Next(chunk));
    copy(static_cast<std::byte*>(dst) + at, chunk.data(), got);
    at += got;
  }
  return Status::Ok();
}

Result<Record> PyTorchStreamReader::getRecord(const std::string& name,
                                              Adapters additional) const {
  if (impl_->IsHidden(name)) return Record();
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, impl_->Find(name));
  Record record;
  CAISSON_ASSIGN_OR_RETURN(
      record.data, Allocate(entry->bytes, zip::RecordLabel(entry->name)));
  record.size = entry->bytes;
  CAISSON_RETURN_IF_ERROR(
      impl_->Fill(*entry, {record.data.get(), record.size}, additional));
  return record;
}

Status PyTorchStreamReader::getRecord(const std::string& name,
                                      std::span<std::byte> dst,
                                      Adapters additional) const {
  if (impl_->IsHidden(name)) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry,
                           impl_->FindSized(name, dst.size()));
  return impl_->Fill(*entry, dst, additional);
}

Result<uint64_t> PyTorchStreamReader::getRecordSize(
    const std::string& name) const {
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, impl_->Find(name));
  return entry->bytes;
}

Result<uint64_t> PyTorchStreamReader::getRecordHeaderOffset(
    const std::string& name) const {
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, impl_->Find(name));
  return entry->header_offset;
}

Result<uint64_t> PyTorchStreamReader::getRecordOffset(
    const std::string& name) const {
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, impl_->Find(name));
  return entry->data_offset;
}

uint64_t PyTorchStreamReader::getRecordOffsetNoRead(uint64_t cursor,
                                                    std::string_view name,
                                                    uint64_t size,
                                                    uint64_t alignment) {
  return zip::DataOffset(cursor, name.size(), size,
                         std::max<uint64_t>(alignment, 1));
}

bool PyTorchStreamReader::hasRecord(const std::string& name) const {
  return !impl_->IsHidden(name) && impl_->records.Find(name) != nullptr;
}

std::vector<std::string> PyTorchStreamReader::getAllRecords() const {
  std::vector<std::string> names;
  for (const zip::Entry& entry : impl_->records.entries()) {
    const std::string_view name = impl_->records.RecordName(entry);
    if (!impl_->IsHidden(name)) names.emplace_back(name);
  }
  return names;
}

Result<ChunkRecordIterator> PyTorchStreamReader::createChunkReaderIter(
    const std::string& name, size_t chunk_size) const {
  CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry, impl_->Find(name));
  if (chunk_size == 0) {
    return Status::InvalidArgument(zip::RecordLabel(name) +
                                   ": a chunk of 0 bytes");
  }
  RecordChunks chunks(impl_->source, torch::PieceOf(*entry), impl_->crc_check(),
                      zip::RecordLabel(entry->name));
  return ChunkRecordIterator(std::make_unique<ChunkRecordIterator::Impl>(
      std::move(chunks), chunk_size));
}

const std::string& PyTorchStreamReader::archiveName() const {
  return impl_->records.prefix();
}

uint64_t PyTorchStreamReader::version() const { return impl_->version; }

const std::string& PyTorchStreamReader::serializationId() const {
  return impl_->serialization_id;
}

void PyTorchStreamReader::setShouldLoadDebugSymbol(bool load) {
  impl_->load_debug = load;
}

void PyTorchStreamReader::setAdditionalReaderSizeThreshold(size_t bytes) {
  impl_->parallel_bytes = bytes;
}

void PyTorchStreamReader::setShouldVerify(bool verify) {
  impl_->verify = verify;
}

}  // namespace caisson
