// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/caffe2_writer.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <unordered_set>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/caffe2/blob_layout.h"
#include "core/formats/caffe2/minidb.h"
#include "core/formats/caffe2/tensor_message.h"
#include "core/formats/caffe2/wire.h"

namespace caisson::caffe2 {
namespace {

constexpr uint64_t kCopyBytes = uint64_t{1} << 20;  // of an old file at once

Literal LiteralOf(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return Literal{{bytes.begin(), bytes.end()}};
}

class Caffe2Parts : public PartStream {
 public:
  explicit Caffe2Parts(const DbWriteOptions& options) : options_(options) {}

  Status Prepare(std::vector<FlatTensor> tensors) {
    tensors_ = std::move(tensors);
    std::unordered_set<std::string> names;
    if (options_.append) CAISSON_RETURN_IF_ERROR(ReadOldNames(&names));
    for (const FlatTensor& tensor : tensors_) {
      const auto refuse = [&](const std::string& problem) {
        return Status::InvalidArgument("tensor '" + tensor.name +
                                       "': " + problem);
      };
      if (tensor.name.find(kChunkMark) != std::string::npos) {
        return refuse("'#%' in a name ends it in a Caffe2 database");
      }
      if (!names.insert(tensor.name).second) {
        return refuse("the database has one already");
      }
    }
    return Status::Ok();
  }

  Result<std::optional<Part>> Next(const Facts& facts) override {
    if (options_.append && copied_ < options_.append->size()) return Copy();
    while (next_ < tensors_.size()) {
      if (options_.form == Form::kProtodbText) return NextText();
      CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part, NextOfChunk(facts));
      if (part) return part;
      step_ = Step::kMeasure;
      begin_ = end_;
      if (begin_ < elems()) continue;
      ++next_;
      begin_ = 0;
    }
    return std::optional<Part>();
  }

  uint64_t BytesBound() const override {
    if (options_.form == Form::kProtodbText) return 0;
    uint64_t bytes = options_.append ? options_.append->size() : 0;
    for (const FlatTensor& tensor : tensors_) {
      const TensorSpec& spec = tensor.view.spec;
      // The size of varints is known when they are measured.
      if (EncodingOf(ListOf(spec.dtype)) != Encoding::kRaw) return 0;
      const uint64_t chunk = ChunkElems();
      const uint64_t chunks = spec.elems() / chunk + 1;
      bytes += spec.bytes() +
               chunks * (3 * tensor.name.size() + 11 * spec.shape.size() + 200);
    }
    return bytes;
  }

 private:
  enum class Step : uint8_t { kMeasure, kBefore, kPayload, kAfter };

  Status ReadOldNames(std::unordered_set<std::string>* names) {
    CAISSON_ASSIGN_OR_RETURN(const ParsedBlobs old,
                             ParseCaffe2(*options_.append, options_.form));
    for (const auto& [key, value] :
         old.layout.state.root.As<Dict>()->entries()) {
      names->insert(*key.AsStr());
    }
    return Status::Ok();
  }

  Result<std::optional<Part>> Copy() {
    std::string block(std::min(kCopyBytes, options_.append->size() - copied_),
                      '\0');
    CAISSON_RETURN_IF_ERROR(options_.append->ReadExact(
        copied_, std::as_writable_bytes(std::span(block)), "database"));
    copied_ += block.size();
    return std::optional<Part>(LiteralOf(block));
  }

  Result<std::optional<Part>> NextText() {
    const FlatTensor& tensor = tensors_[next_++];
    const Region& region = tensor.view.storage->region;
    if (!tensor.view.storage->resident() || !region.device.is_cpu()) {
      return Status::Unavailable("tensor '" + tensor.name +
                                 "': text is made of memory of the host");
    }
    CAISSON_ASSIGN_OR_RETURN(
        const std::string text,
        TextOf(MessageOf(tensor.view, tensor.name, 0, tensor.view.spec.elems(),
                         kFormatProtobuf)));
    return std::optional<Part>(LiteralOf(text));
  }

  const FlatTensor& tensor() const { return tensors_[next_]; }
  uint64_t elems() const { return tensor().view.spec.elems(); }

  uint64_t ChunkElems() const {
    if (options_.form != Form::kMinidb || options_.chunk_size < 0) {
      return UINT64_MAX;
    }
    return static_cast<uint64_t>(
        options_.chunk_size == 0 ? kDefaultChunk : options_.chunk_size);
  }

  TensorPiece Payload() const {
    const TensorView& view = tensor().view;
    TensorPiece piece;
    const size_t width = ByteWidth(view.spec.dtype);
    piece.storage = view.storage;
    piece.offset = (view.offset + begin_) * width;
    piece.bytes = (end_ - begin_) * width;
    piece.dtype = view.spec.dtype;
    piece.encoding = EncodingOf(ListOf(view.spec.dtype));
    return piece;
  }

  // The next part of the chunk that begins at begin_, or none at its end.
  Result<std::optional<Part>> NextOfChunk(const Facts& facts) {
    while (true) {
      switch (step_) {
        case Step::kMeasure:
          step_ = Step::kBefore;
          end_ = begin_ + std::min(ChunkElems(), elems() - begin_);
          measured_ = end_ > begin_ && Payload().encoding != Encoding::kRaw;
          if (measured_) return std::optional<Part>(Measure{Payload()});
          break;
        case Step::kBefore: {
          const uint64_t stored =
              measured_ ? facts.pieces.back().stored_bytes : Payload().bytes;
          CAISSON_ASSIGN_OR_RETURN(const std::string before,
                                   Before(stored, facts.cursor));
          step_ = stored > 0 ? Step::kPayload : Step::kAfter;
          return std::optional<Part>(LiteralOf(before));
        }
        case Step::kPayload:
          step_ = Step::kAfter;
          return std::optional<Part>(Payload());
        case Step::kAfter:
          if (after_.empty()) return std::optional<Part>();
          return std::optional<Part>(LiteralOf(std::exchange(after_, "")));
      }
    }
  }

  // What stands before a payload of `stored` bytes; after_ is what follows.
  Result<std::string> Before(uint64_t stored, uint64_t cursor) {
    const TensorView& view = tensor().view;
    const std::string& name = tensor().name;
    Envelope envelope =
        EnvelopeOf(FieldsOf(view, name, begin_, end_, kFormatProtobuf),
                   ListOf(view.spec.dtype), stored);
    after_ = std::move(envelope.after);
    const uint64_t message = envelope.before.size() + stored + after_.size();
    std::string before;
    if (options_.form == Form::kMinidb) {
      std::string blob;
      PutBytes(1, name, &blob);
      PutBytes(2, "Tensor", &blob);
      PutTag(3, WireType::kBytes, &blob);
      PutVarint(message, &blob);
      const std::string key = name + std::string(kChunkMark) +
                              std::to_string(begin_ / ChunkElems());
      const auto prefix = MinidbPrefix(key, blob.size() + message);
      if (!prefix) return TooLarge("a record");
      before = *prefix + blob;
    } else {
      PutTag(1, WireType::kBytes, &before);
      PutVarint(message, &before);
      if (cursor + before.size() + message > INT32_MAX) {
        return TooLarge("a protodb, which is one message");
      }
    }
    return before + envelope.before;
  }

  Status TooLarge(const std::string& what) const {
    return Status::Unsupported("tensor '" + tensor().name + "': " + what +
                               ", of 2 GiB or more");
  }

  const DbWriteOptions options_;
  std::vector<FlatTensor> tensors_;
  uint64_t copied_ = 0;
  size_t next_ = 0;  // tensor
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  Step step_ = Step::kMeasure;
  bool measured_ = false;
  std::string after_;
};

// Whether any element is a NaN but the one that a parser makes of "nan".
template <class Bits>
bool HasOddNan(const TensorView& view, Bits infinity) {
  const auto* data = view.storage->region.data;
  for (uint64_t i = 0; i < view.spec.elems(); ++i) {
    Bits bits;
    std::memcpy(&bits, data + (view.offset + i) * sizeof(Bits), sizeof(Bits));
    const Bits magnitude = bits & static_cast<Bits>(~Bits{0} >> 1);
    const Bits quiet = infinity | (infinity & (~infinity + 1)) >> 1;
    if (magnitude > infinity && bits != quiet) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> LostInText(const std::vector<FlatTensor>& tensors) {
  std::vector<std::string> lost;
  for (const FlatTensor& tensor : tensors) {
    const TensorView& view = tensor.view;
    const Storage& storage = *view.storage;
    if (storage.region.data == nullptr || !storage.region.device.is_cpu()) {
      continue;
    }
    const bool odd = (view.spec.dtype == DType::kFloat32 &&
                      HasOddNan<uint32_t>(view, 0x7F800000)) ||
                     (view.spec.dtype == DType::kFloat64 &&
                      HasOddNan<uint64_t>(view, 0x7FF0000000000000));
    if (odd) lost.push_back("'" + tensor.name + "': the bits of a NaN");
  }
  return lost;
}

Result<std::unique_ptr<PartStream>> WriteCaffe2(std::vector<FlatTensor> tensors,
                                                const DbWriteOptions& options) {
  auto parts = std::make_unique<Caffe2Parts>(options);
  CAISSON_RETURN_IF_ERROR(parts->Prepare(std::move(tensors)));
  return std::unique_ptr<PartStream>(std::move(parts));
}

}  // namespace caisson::caffe2
