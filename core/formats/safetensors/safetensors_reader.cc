// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/safetensors_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/safetensors/header.h"

namespace caisson::safetensors {
namespace {

Status HeaderError(const ByteSource& source, std::string_view error,
                   const std::string& problem) {
  return source.Corrupt(0, "header", std::string(error) + ": " + problem);
}

Result<std::vector<std::byte>> FetchHeader(const ByteSource& source) {
  if (source.size() < kLengthBytes) {
    return HeaderError(source, "HeaderTooSmall",
                       "the file has " + std::to_string(source.size()) +
                           " bytes, its length alone takes 8");
  }
  std::array<std::byte, kLengthBytes> front;
  CAISSON_RETURN_IF_ERROR(source.ReadExact(0, front, "header length"));
  const uint64_t bytes = LoadLittle<uint64_t>(front.data());
  if (bytes > kMaxHeaderBytes) {
    return HeaderError(source, "HeaderTooLarge",
                       std::to_string(bytes) + " bytes, at most " +
                           std::to_string(kMaxHeaderBytes) + " are read");
  }
  if (!FitsWithin(kLengthBytes, bytes, source.size())) {
    return HeaderError(source, "InvalidHeaderLength",
                       std::to_string(bytes) + " bytes in a file of " +
                           std::to_string(source.size()));
  }
  std::vector<std::byte> header;
  try {
    header.resize(bytes);
  } catch (const std::exception&) {
    return Status::OutOfMemory(source.name() + ": a header of " +
                               std::to_string(bytes) + " bytes");
  }
  CAISSON_RETURN_IF_ERROR(source.ReadExact(kLengthBytes, header, "header"));
  return header;
}

// `entry` as torch would see it.
Result<TensorView> ViewOf(const Entry& entry) {
  const auto unsupported = [&](const std::string& problem) {
    return Status::Unsupported("tensor '" + entry.name + "': " + problem);
  };
  TensorView view;
  view.spec.dtype = entry.dtype;
  for (const uint64_t size : entry.shape) {
    if (size > INT64_MAX) {
      return unsupported("a dimension of " + std::to_string(size));
    }
    view.spec.shape.push_back(static_cast<int64_t>(size));
  }
  if (entry.dtype == DType::kFloat4E2M1FnX2) {
    // A scalar would have been misaligned.
    if (view.spec.shape.back() % 2 != 0) {
      return unsupported("an F4 whose last dimension, " +
                         std::to_string(view.spec.shape.back()) +
                         ", is odd: pairs would lie across rows");
    }
    view.spec.shape.back() /= 2;
  }
  view.strides = RowMajorStrides(view.spec.shape);
  view.storage = std::make_shared<Storage>();
  view.storage->region.bytes = static_cast<size_t>(entry.end - entry.begin);
  if (!TorchStorageClass(entry.dtype).empty()) {
    view.storage->dtype = entry.dtype;
  }
  if (const Status valid = view.Validate(); !valid.ok()) {
    return unsupported(std::string(valid.message()));
  }
  return view;
}

// The CRCs of `tensors` tensors; none if `text` is not that many.
std::optional<std::vector<uint32_t>> ParseCrcs(std::string_view text,
                                               size_t tensors) {
  if (text.size() / kCrcDigits != tensors || text.size() % kCrcDigits != 0) {
    return std::nullopt;
  }
  std::vector<uint32_t> crcs(tensors);
  for (size_t i = 0; i < tensors; ++i) {
    const char* digits = text.data() + i * kCrcDigits;
    const auto [end, error] =
        std::from_chars(digits, digits + kCrcDigits, crcs[i], 16);
    if (error != std::errc() || end != digits + kCrcDigits) return std::nullopt;
  }
  return crcs;
}

}  // namespace

Result<Layout> ParseSafetensors(const ByteSource& source) {
  CAISSON_ASSIGN_OR_RETURN(const std::vector<std::byte> json,
                           FetchHeader(source));
  const std::string context = source.name() + ": header at 0";
  Result<Header> parsed = ParseHeader(json);
  if (!parsed) return parsed.error().WithContext(context);
  Header& header = *parsed;
  const uint64_t data = kLengthBytes + json.size();
  const Status ordered = OrderEntries(&header.entries, source.size() - data);
  if (!ordered.ok()) return ordered.WithContext(context);

  std::optional<std::vector<uint32_t>> crcs;
  if (const auto text = header.metadata.find(std::string(kCrcKey));
      text != header.metadata.end()) {
    crcs = ParseCrcs(text->second, header.entries.size());
    header.metadata.erase(text);
  }

  Layout layout;
  layout.format = "safetensors";
  layout.sources = {source.name()};
  layout.state.metadata = std::move(header.metadata);
  Dict root;
  layout.storages.reserve(header.entries.size());
  layout.tensors.reserve(header.entries.size());
  static const Text kCpu = "cpu";
  for (size_t i = 0; i < header.entries.size(); ++i) {
    const Entry& entry = header.entries[i];
    Result<TensorView> view = ViewOf(entry);
    if (!view) return view.error().WithContext(source.name());
    view->storage->location = kCpu;
    const Status added = root.Set(Node(entry.name), Node(*view));
    if (!added.ok()) return added.WithContext(source.name());

    StorageLayout storage;
    storage.record = entry.name;
    const size_t width = ByteWidth(entry.dtype);
    if (width > 0) storage.dtype = entry.dtype;
    storage.bytes = view->storage->region.bytes;
    storage.handle = view->storage;
    Piece piece;
    piece.offset = data + entry.begin;
    piece.stored_bytes = storage.bytes;
    piece.elems = storage.bytes / std::max<size_t>(width, 1);
    if (crcs) piece.crc32 = (*crcs)[i];
    storage.pieces.push_back(piece);
    layout.storages.push_back(std::move(storage));

    TensorLayout tensor;
    tensor.path = {entry.name};
    tensor.view = *std::move(view);
    tensor.view.spec.name = entry.name;
    tensor.storage = i;
    layout.tensors.push_back(std::move(tensor));
  }
  layout.state.root = std::move(root);
  return layout;
}

}  // namespace caisson::safetensors
