// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_writer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/formats/encoded_bound.h"
#include "core/formats/pickle/pickler.h"
#include "core/formats/torch/pack_record.h"
#include "core/formats/torch/serialization_id.h"
#include "core/formats/torch/torch_rules.h"
#include "core/formats/zip/zip_format.h"
#include "core/formats/zip/zip_layout.h"
#include "core/formats/zip/zip_writer.h"

namespace caisson::torch {
namespace {

// What torch.save has always written; formats.md 1.9.
constexpr std::string_view kVersion = "3\n";

// A record to come: bytes that are known, a storage, or a late one, whose
// content depends on the records before it.
struct Plan {
  std::string name;  // without the folder
  std::vector<std::byte> content;
  const SavedStorage* storage = nullptr;
  TensorPiece piece;        // of the storage
  uint64_t late_bytes = 0;  // of a late one
  bool is_id = false;       // which of the two
};

std::vector<std::byte> AsContent(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class TorchParts : public PartStream {
 public:
  TorchParts(const Profile& profile, std::string prefix)
      : profile_(profile),
        prefix_(std::move(prefix)),
        zip_(profile.alignment) {}

  Status Prepare(const State& state, const EncodingChoice& choose) {
    pickle::Pickler pickler(rules_);
    CAISSON_ASSIGN_OR_RETURN(auto data, pickler.Run(state.root));
    AddText("data.pkl", std::move(data));
    std::vector<Plan> storages = PlanStorages(choose);
    if (!packed_ && PromisesOffsets())
      AddText(".format_version", AsContent("1"));
    if (!packed_ && profile_.storage_alignment) {
      AddText(".storage_alignment",
              AsContent(std::to_string(profile_.alignment)));
    }
    if (profile_.byteorder) AddText("byteorder", AsContent("little"));
    for (Plan& plan : storages) plans_.push_back(std::move(plan));
    if (packed_) AddLate(std::string(kPackRecord), CountPack());
    AddText("version", AsContent(kVersion));
    if (profile_.serialization_id) {
      AddLate(".data/serialization_id", SerializationId::kBytes);
      plans_.back().is_id = true;
    }
    for (const Plan& plan : plans_) {
      if (prefix_.size() + 1 + plan.name.size() > zip::kMaxNameBytes) {
        return Status::InvalidArgument(
            "record '" + plan.name + "': too long a name with its prefix of " +
            std::to_string(prefix_.size()) + " bytes");
      }
    }
    return Status::Ok();
  }

  // Each record is a header, then for storages a piece and a deferred
  // descriptor; other content rides along with its header.
  Result<std::optional<Part>> Next(const Facts& facts) override {
    if (!pending_.empty()) {
      std::optional<Part> part = std::move(pending_.front());
      pending_.pop_front();
      return part;
    }
    if (closed_.size() == plans_.size()) return Finish(facts);
    const Plan& plan = plans_[closed_.size()];
    if (plan.storage != nullptr) return StorageRecord(plan, facts);
    if (plan.late_bytes > 0) return LateRecord(plan, facts);
    return KnownRecord(plan, facts);
  }

  std::vector<TensorPiece> EncodedPieces() const override {
    std::vector<TensorPiece> pieces;
    for (const Plan& plan : plans_) {
      if (IsEncoded(plan)) pieces.push_back(plan.piece);
    }
    return pieces;
  }

  uint64_t BytesBound() const override {
    uint64_t bytes = zip::kMaxEndBytes;
    for (const Plan& plan : plans_) {
      bytes += ContentBound(plan) + profile_.alignment +
               zip::kMaxRecordOverhead +
               2 * (prefix_.size() + 1 + plan.name.size());
    }
    return bytes;
  }

 private:
  static bool IsEncoded(const Plan& plan) {
    return plan.storage != nullptr && plan.piece.encoding != Encoding::kRaw;
  }

  static uint64_t EncodedBytes(const Plan& plan) {
    return EncodedBound(plan.piece.encoding, plan.piece.dtype,
                        plan.piece.bytes);
  }

  static uint64_t ContentBound(const Plan& plan) {
    if (IsEncoded(plan)) return EncodedBytes(plan);
    if (plan.storage != nullptr) return plan.piece.bytes;
    return plan.late_bytes + plan.content.size();
  }

  void AddLate(std::string name, uint64_t bytes) {
    Plan plan;
    plan.name = std::move(name);
    plan.late_bytes = bytes;
    plans_.push_back(std::move(plan));
  }

  void AddText(std::string name, std::vector<std::byte> content) {
    Plan plan;
    plan.name = std::move(name);
    plan.content = std::move(content);
    plans_.push_back(std::move(plan));
  }

  // ".format_version" tells readers that they may compute where each storage
  // lies instead of looking: formats.md 1.14.
  bool PromisesOffsets() const {
    return profile_.format_version && profile_.numeric_order &&
           (profile_.storage_alignment ||
            profile_.alignment == zip::kDefaultAlignment);
  }

  // Of the pack record.
  uint64_t CountPack() const {
    uint64_t records = 0;
    uint64_t chunks = 0;
    for (const Plan& plan : plans_) {
      if (!IsDeflated(plan)) continue;
      ++records;
      chunks +=
          EncodedChunks(Encoding::kDeflate, plan.piece.dtype, plan.piece.bytes);
    }
    return PackBytes(records, chunks);
  }

  static bool IsDeflated(const Plan& plan) {
    return IsEncoded(plan) && plan.piece.encoding == Encoding::kDeflate;
  }

  std::vector<Plan> PlanStorages(const EncodingChoice& choose) {
    std::vector<const SavedStorage*> order;
    for (const SavedStorage& storage : rules_.storages()) {
      order.push_back(&storage);
    }
    if (!profile_.numeric_order) {
      std::ranges::sort(order, [](const auto* a, const auto* b) {
        return a->key.str() < b->key.str();
      });
    }
    std::vector<Plan> plans;
    plans.reserve(order.size());
    for (const SavedStorage* storage : order) {
      Plan plan;
      plan.storage = storage;
      plan.piece.storage = storage->handle;
      plan.piece.bytes = storage->handle->region.bytes;
      plan.piece.dtype = storage->dtype.value_or(DType::kUInt8);
      if (choose && plan.piece.bytes > 0) Choose(choose, *storage, plan.piece);
      packed_ = packed_ || IsEncoded(plan);
      const bool plane = plan.piece.encoding == Encoding::kPlane;
      plan.name = (plane ? "plane/" : "data/") + storage->key.str();
      plans.push_back(std::move(plan));
    }
    return plans;
  }

  static void Choose(const EncodingChoice& choose, const SavedStorage& storage,
                     TensorPiece& piece) {
    // What tensors see in an untyped storage of bytes is known here only.
    const bool bytes = !storage.dtype && ByteWidth(storage.seen) == 1;
    const DType dtype = bytes ? storage.seen : piece.dtype;
    const size_t width = TraitsOf(PlaneTypeOf(dtype)).width;
    piece.encoding = choose(*storage.handle, dtype);
    if (piece.encoding == Encoding::kPlane && piece.bytes % width != 0) {
      piece.encoding = Encoding::kRaw;
    }
    if (piece.encoding != Encoding::kRaw) piece.dtype = dtype;
  }

  // A record whose header was given: what its descriptor will say.
  struct Closed {
    std::optional<size_t> piece;  // whose CRC it is
    uint32_t crc32 = 0;           // otherwise
    Encoding encoding = Encoding::kRaw;
  };

  std::vector<std::byte> Header(const Plan& plan, uint64_t bytes,
                                const Facts& facts) {
    return zip_.Begin(prefix_ + "/" + plan.name, bytes, facts.cursor);
  }

  // A packed file has them always: its profile says what the other one has.
  uint32_t Stored(uint32_t crc32) const {
    return profile_.crc32 || packed_ ? crc32 : 0;
  }

  uint32_t CrcOf(const Closed& closed, const Facts& facts) const {
    if (!closed.piece) return Stored(closed.crc32);
    const PieceFacts& piece = facts.pieces[*closed.piece];
    return Stored(closed.encoding == Encoding::kPlane ? piece.stored_crc32
                                                      : piece.crc32);
  }

  std::optional<Part> KnownRecord(const Plan& plan, const Facts& facts) {
    std::vector<std::byte> bytes = Header(plan, plan.content.size(), facts);
    bytes.insert(bytes.end(), plan.content.begin(), plan.content.end());
    const uint32_t crc32 = Crc32(0, plan.content);
    const auto descriptor = zip_.Descriptor(closed_.size(), Stored(crc32));
    bytes.insert(bytes.end(), descriptor.begin(), descriptor.end());
    closed_.push_back({std::nullopt, crc32, Encoding::kRaw});
    return Literal{std::move(bytes)};
  }

  std::optional<Part> StorageRecord(const Plan& plan, const Facts& facts) {
    const TensorPiece& piece = plan.piece;
    const uint64_t bytes = piece.bytes;
    const bool encoded = IsEncoded(plan);
    const bool deflated = piece.encoding == Encoding::kDeflate;
    Literal header{encoded ? zip_.BeginEncoded(prefix_ + "/" + plan.name,
                                               deflated ? zip::kMethodDeflate
                                                        : zip::kMethodStored,
                                               deflated ? bytes : 0,
                                               EncodedBytes(plan), facts.cursor)
                           : Header(plan, bytes, facts)};
    const size_t record = closed_.size();
    if (bytes == 0) {
      closed_.push_back({});
      return header;
    }
    DeferredLiteral descriptor;
    descriptor.bytes = zip_.DescriptorBytes(record);
    descriptor.fill = [this, record, encoded](const Facts& known,
                                              std::span<std::byte> dst) {
      if (encoded) {
        const size_t index = *closed_[record].piece;
        zip_.SetStored(record, known.pieces[index].stored_bytes);
      }
      const uint32_t crc32 = CrcOf(closed_[record], known);
      std::ranges::copy(zip_.Descriptor(record, crc32), dst.begin());
      return Status::Ok();
    };
    closed_.push_back({pieces_++, 0, piece.encoding});
    pending_.push_back(piece);
    pending_.push_back(std::move(descriptor));
    return header;
  }

  // The content depends on facts before it, and its CRC on the content.
  std::optional<Part> LateRecord(const Plan& plan, const Facts& facts) {
    Literal header{Header(plan, plan.late_bytes, facts)};
    const size_t record = closed_.size();
    DeferredLiteral rest;
    rest.bytes = plan.late_bytes + zip_.DescriptorBytes(record);
    rest.fill = [this, record](const Facts& known, std::span<std::byte> dst) {
      const Plan& late = plans_[record];
      const std::vector<std::byte> content =
          late.is_id ? IdContent(record, known) : Pack(known);
      std::ranges::copy(content, dst.begin());
      Closed& closed = closed_[record];
      closed.crc32 = Crc32(0, content);  // for the directory, which comes later
      std::ranges::copy(zip_.Descriptor(record, CrcOf(closed, known)),
                        dst.begin() + late.late_bytes);
      return Status::Ok();
    };
    closed_.push_back({});
    pending_.push_back(std::move(rest));
    return header;
  }

  std::vector<std::byte> Pack(const Facts& facts) const {
    PackRecord pack;
    pack.profile = profile_;
    pack.chunk_bytes = kDeflateChunkBytes;
    for (size_t record = 0; record < closed_.size(); ++record) {
      const Closed& closed = closed_[record];
      if (!closed.piece || closed.encoding != Encoding::kDeflate) continue;
      const SavedStorage* const storage = plans_[record].storage;
      const auto number =
          static_cast<uint32_t>(storage - rules_.storages().data());
      pack.deflated.push_back({number, facts.pieces[*closed.piece].chunks});
    }
    return PackContent(pack);
  }

  // From the records before `id`, all of whose facts are known.
  std::vector<std::byte> IdContent(size_t id, const Facts& facts) const {
    SerializationId digits;
    for (size_t record = 0; record < id; ++record) {
      digits.AddName(plans_[record].name);
      const Closed& closed = closed_[record];
      if (closed.piece) {
        const PieceFacts& piece = facts.pieces[*closed.piece];
        digits.AddPayload(piece.stored_bytes, piece.head);
      }
      if (zip_.DescriptorBytes(record) > 0) {
        digits.AddDescriptor(CrcOf(closed, facts));
      }
    }
    const auto text = digits.Digits();
    return AsContent(std::string_view(text.data(), text.size()));
  }

  std::vector<uint32_t> AllCrcs(const Facts& facts) const {
    std::vector<uint32_t> crcs;
    crcs.reserve(closed_.size());
    for (size_t record = 0; record < closed_.size(); ++record) {
      crcs.push_back(CrcOf(closed_[record], facts));
    }
    return crcs;
  }

  std::optional<Part> Finish(const Facts& facts) {
    if (std::exchange(finished_, true)) return std::nullopt;
    DeferredLiteral directory;
    directory.bytes = zip_.FinishBytes();
    directory.fill = [this, offset = facts.cursor](const Facts& known,
                                                   std::span<std::byte> dst) {
      std::ranges::copy(zip_.Finish(offset, AllCrcs(known)), dst.begin());
      return Status::Ok();
    };
    return directory;
  }

  const Profile profile_;
  const std::string prefix_;
  TorchRules rules_;
  zip::ZipWriter zip_;
  bool packed_ = false;         // a storage is encoded
  std::vector<Plan> plans_;     // every record, in file order
  std::vector<Closed> closed_;  // those whose header was given
  size_t pieces_ = 0;
  std::deque<Part> pending_;  // the rest of the record begun last
  bool finished_ = false;
};

}  // namespace

Result<std::unique_ptr<PartStream>> WriteTorchArchive(
    const State& state, const Profile& profile, const EncodingChoice& choose) {
  if (profile.alignment < 1 || profile.alignment > zip::kMaxAlignment) {
    return Status::InvalidArgument(
        "an alignment of " + std::to_string(profile.alignment) +
        ", expected 1 to " + std::to_string(zip::kMaxAlignment));
  }
  const std::string prefix = profile.prefix.value_or("");
  if (prefix.empty() || prefix.find('/') != std::string::npos ||
      prefix.find('\0') != std::string::npos) {
    return Status::InvalidArgument("a prefix that is no name of a folder: '" +
                                   prefix + "'");
  }
  auto parts = std::make_unique<TorchParts>(profile, prefix);
  CAISSON_RETURN_IF_ERROR(parts->Prepare(state, choose));
  return std::unique_ptr<PartStream>(std::move(parts));
}

Result<std::string> PrefixFor(std::string_view path) {
  // torch.save takes such paths as file objects, which have no name.
  if (std::ranges::any_of(path, [](char c) { return (c & 0x80) != 0; })) {
    return std::string("archive");
  }
  const size_t slash = path.find_last_of("/\\");
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  path = path.substr(0, path.find_last_of('.'));
  if (path.empty()) {
    return Status::InvalidArgument(
        "a file name without a stem, from which the archive's folder is named");
  }
  return std::string(path);
}

}  // namespace caisson::torch
