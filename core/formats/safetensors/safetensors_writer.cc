// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"
#include "core/formats/safetensors/header.h"

namespace caisson::safetensors {
namespace {

// Tensors follow each other by dtype, wide ones first: the order of the
// crate's enumeration (formats.md 4.3), backwards.
constexpr DType kOrder[] = {
    DType::kBool,           DType::kFloat4E2M1FnX2, DType::kFloat6E2M3,
    DType::kFloat6E3M2,     DType::kUInt8,          DType::kInt8,
    DType::kFloat8E5M2,     DType::kFloat8E4M3Fn,   DType::kFloat8E8M0Fnu,
    DType::kFloat8E4M3FnUz, DType::kFloat8E5M2FnUz, DType::kInt16,
    DType::kUInt16,         DType::kFloat16,        DType::kBFloat16,
    DType::kInt32,          DType::kUInt32,         DType::kFloat32,
    DType::kComplex64,      DType::kFloat64,        DType::kInt64,
    DType::kUInt64,
};

size_t RankOf(DType dtype) {
  return static_cast<size_t>(std::ranges::find(kOrder, dtype) -
                             std::begin(kOrder));
}

// As serde_json writes a string, and nlohmann's library too.
std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

// The bytes of `tensor` in its storage.
TensorPiece PieceOf(const FlatTensor& tensor) {
  const TensorView& view = tensor.view;
  TensorPiece piece;
  piece.storage = view.storage;
  piece.offset = view.offset * BitWidth(view.spec.dtype) / 8;
  piece.bytes = view.spec.bytes();
  if (ByteWidth(view.spec.dtype) > 0) piece.dtype = view.spec.dtype;
  return piece;
}

std::string EntryJson(const FlatTensor& tensor, uint64_t begin) {
  const TensorSpec& spec = tensor.view.spec;
  std::string json = Quoted(tensor.name) + ":{\"dtype\":\"" +
                     std::string(SafetensorsName(spec.dtype)) +
                     "\",\"shape\":[";
  for (size_t d = 0; d < spec.shape.size(); ++d) {
    uint64_t size = static_cast<uint64_t>(spec.shape[d]);
    // The file counts single values, torch pairs.
    const bool pairs = spec.dtype == DType::kFloat4E2M1FnX2;
    if (pairs && d + 1 == spec.shape.size()) size *= 2;
    if (d > 0) json += ',';
    json += std::to_string(size);
  }
  json += "],\"data_offsets\":[" + std::to_string(begin) + ',' +
          std::to_string(begin + spec.bytes()) + "]}";
  return json;
}

// Whether the format can say what the tensor is.
Status CheckTensor(const FlatTensor& tensor) {
  const auto refuse = [&](const std::string& problem) {
    return Status::InvalidArgument("tensor '" + tensor.name + "': " + problem);
  };
  if (tensor.name == kMetadataKey) {
    return refuse("the name is that of the metadata in a safetensors file");
  }
  if (!IsUtf8(tensor.name)) return refuse("the name is no UTF-8");
  const TensorSpec& spec = tensor.view.spec;
  if (spec.dtype == DType::kFloat4E2M1FnX2 && spec.shape.empty()) {
    return refuse("a scalar of two F4 values, which has no shape in the file");
  }
  const size_t bits = BitWidth(spec.dtype);
  if (spec.elems() * bits % 8 != 0 || tensor.view.offset * bits % 8 != 0) {
    return refuse("it does not fill whole bytes");
  }
  return Status::Ok();
}

Status CheckText(const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, value] : metadata) {
    if (IsUtf8(key) && IsUtf8(value)) continue;
    return Status::InvalidArgument("metadata '" + key + "': no UTF-8");
  }
  return Status::Ok();
}

class SafetensorsParts : public PartStream {
 public:
  Status Prepare(std::vector<FlatTensor> tensors, const WriteOptions& options) {
    tensors_ = std::move(tensors);
    for (const FlatTensor& tensor : tensors_) {
      CAISSON_RETURN_IF_ERROR(CheckTensor(tensor));
    }
    CAISSON_RETURN_IF_ERROR(CheckText(options.metadata));
    std::ranges::sort(tensors_, [](const FlatTensor& a, const FlatTensor& b) {
      const size_t rank_a = RankOf(a.view.spec.dtype);
      const size_t rank_b = RankOf(b.view.spec.dtype);
      return rank_a != rank_b ? rank_a > rank_b : a.name < b.name;
    });
    std::map<std::string, std::string> metadata = options.metadata;
    metadata.erase(std::string(kCrcKey));
    const bool crcs = options.checksums && !tensors_.empty();
    if (crcs) {
      metadata.emplace(kCrcKey, std::string(kCrcDigits * tensors_.size(), '0'));
    }
    MakeHeader(metadata);
    if (header_.size() - kLengthBytes > kMaxHeaderBytes) {
      return Status::InvalidArgument(
          "a safetensors header of " +
          std::to_string(header_.size() - kLengthBytes) + " bytes, at most " +
          std::to_string(kMaxHeaderBytes));
    }
    if (!crcs) crcs_at_ = std::string::npos;
    return Status::Ok();
  }

  Result<std::optional<Part>> Next(const Facts&) override {
    if (!std::exchange(begun_, true)) return FirstPart();
    // Facts come of those that have bytes.
    while (next_ < tensors_.size()) {
      const TensorPiece piece = PieceOf(tensors_[next_++]);
      if (piece.bytes > 0) return std::optional<Part>(piece);
    }
    return std::optional<Part>();
  }

  uint64_t BytesBound() const override { return header_.size() + data_bytes_; }

 private:
  void MakeHeader(const std::map<std::string, std::string>& metadata) {
    header_.assign(kLengthBytes, '\0');
    header_ += '{';
    if (!metadata.empty()) {
      header_ += Quoted(std::string(kMetadataKey)) + ":{";
      for (const auto& [key, value] : metadata) {
        if (header_.back() != '{') header_ += ',';
        header_ += Quoted(key) + ':';
        if (key == kCrcKey) crcs_at_ = header_.size() + 1;
        header_ += Quoted(value);
      }
      header_ += '}';
    }
    for (const FlatTensor& tensor : tensors_) {
      if (header_.back() != '{') header_ += ',';
      header_ += EntryJson(tensor, data_bytes_);
      data_bytes_ += tensor.view.spec.bytes();
    }
    header_ += '}';
    // The data begins at a multiple of 8.
    while (header_.size() % 8 != 0) header_ += ' ';
    StoreLittle<uint64_t>(header_.size() - kLengthBytes, header_.data());
  }

  std::optional<Part> FirstPart() {
    if (crcs_at_ == std::string::npos) {
      const auto bytes = std::as_bytes(std::span(header_));
      return Literal{{bytes.begin(), bytes.end()}};
    }
    FrontBlock front;
    front.bytes = header_.size();
    front.fill = [this](const Facts& facts, std::span<std::byte> dst) {
      FillCrcs(facts);
      std::ranges::copy(std::as_bytes(std::span(header_)), dst.begin());
      return Status::Ok();
    };
    return front;
  }

  void FillCrcs(const Facts& facts) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    size_t piece = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const bool empty = tensors_[i].view.spec.bytes() == 0;
      const uint32_t crc = empty ? 0 : facts.pieces[piece++].crc32;
      for (size_t digit = 0; digit < kCrcDigits; ++digit) {
        header_[crcs_at_ + i * kCrcDigits + digit] =
            kDigits[crc >> (4 * (kCrcDigits - 1 - digit)) & 15];
      }
    }
  }

  std::vector<FlatTensor> tensors_;  // in file order
  std::string header_;               // with its length in front
  size_t crcs_at_ = std::string::npos;
  uint64_t data_bytes_ = 0;
  bool begun_ = false;
  size_t next_ = 0;
};

}  // namespace

bool Holds(DType dtype) { return !SafetensorsName(dtype).empty(); }

Result<std::unique_ptr<PartStream>> WriteSafetensors(
    std::vector<FlatTensor> tensors, const WriteOptions& options) {
  auto parts = std::make_unique<SafetensorsParts>();
  CAISSON_RETURN_IF_ERROR(parts->Prepare(std::move(tensors), options));
  return std::unique_ptr<PartStream>(std::move(parts));
}

}  // namespace caisson::safetensors
