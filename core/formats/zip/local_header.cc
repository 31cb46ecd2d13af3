// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/local_header.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/zip/central_directory.h"
#include "core/formats/zip/extra_field.h"
#include "core/formats/zip/zip_error.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::zip {
namespace {

constexpr char kLocal[] = "local header";
constexpr char kDescriptor[] = "data descriptor";

// One of the four forms of 4.3.9.
struct DescriptorForm {
  bool has_signature;
  bool wide;  // 64-bit sizes

  size_t bytes() const {
    return (wide ? kDescriptor64Bytes : kDescriptorBytes) -
           (has_signature ? 0 : sizeof(kDescriptorSignature));
  }
};

struct Descriptor {
  uint32_t signature = kDescriptorSignature;
  uint32_t crc32 = 0;
  uint64_t stored_bytes = 0;
  uint64_t bytes = 0;

  Descriptor(const DescriptorForm& form, const std::byte* src) {
    if (form.has_signature) {
      signature = LoadLittle<uint32_t>(src);
      src += sizeof(signature);
    }
    crc32 = LoadLittle<uint32_t>(src);
    src += sizeof(crc32);
    if (form.wide) {
      stored_bytes = LoadLittle<uint64_t>(src);
      bytes = LoadLittle<uint64_t>(src + 8);
    } else {
      stored_bytes = LoadLittle<uint32_t>(src);
      bytes = LoadLittle<uint32_t>(src + 4);
    }
  }

  // What differs from `entry`, or empty.
  std::string Mismatch(const Entry& entry) const {
    if (signature != kDescriptorSignature) {
      return ExpectedHex("signature", kDescriptorSignature, signature);
    }
    if (crc32 != entry.crc32) return ExpectedHex("crc32", entry.crc32, crc32);
    if (stored_bytes != entry.stored_bytes) {
      return Expected("stored size", entry.stored_bytes, stored_bytes);
    }
    if (bytes != entry.bytes) return Expected("size", entry.bytes, bytes);
    return {};
  }
};

class LocalChecker {
 public:
  LocalChecker(ReadAhead* reader, uint64_t limit, Entry* entry)
      : reader_(*reader),
        source_(reader->source()),
        limit_(limit),
        entry_(*entry) {}

  Status Check() {
    CAISSON_RETURN_IF_ERROR(CheckHeader());
    if (!FitsWithin(entry_.data_offset, entry_.stored_bytes, limit_)) {
      return source_.Corrupt(
          entry_.data_offset, PartLabel(entry_.name, "data"),
          std::to_string(entry_.stored_bytes) + " bytes reach past " +
              std::to_string(limit_) +
              ", where the next record or the directory begins");
    }
    const uint64_t data_end = entry_.data_offset + entry_.stored_bytes;
    if ((entry_.flags & kFlagDescriptor) == 0) return Status::Ok();
    return CheckDescriptor(data_end);
  }

 private:
  Status Corrupt(std::string_view problem) const {
    return source_.Corrupt(entry_.header_offset, PartLabel(entry_.name, kLocal),
                           problem);
  }

  Status CheckHeader() {
    const uint64_t offset = entry_.header_offset;
    CAISSON_ASSIGN_OR_RETURN(std::span<const std::byte> header,
                             reader_.Get(offset, kLocalBytes, kLocal));
    const auto signature = LoadLittle<uint32_t>(&header[0]);
    if (signature != kLocalSignature) {
      return Corrupt(ExpectedHex("signature", kLocalSignature, signature));
    }
    const size_t name_bytes = LoadLittle<uint16_t>(&header[26]);
    const size_t extra_bytes = LoadLittle<uint16_t>(&header[28]);
    if (name_bytes != entry_.name.size()) {
      return Corrupt(Expected("name length", entry_.name.size(), name_bytes));
    }
    const size_t bytes = kLocalBytes + name_bytes + extra_bytes;
    if (!FitsWithin(offset, bytes, limit_)) {
      return Corrupt(std::to_string(bytes) + " bytes reach past " +
                     std::to_string(limit_) +
                     ", where the next record or the directory begins");
    }
    CAISSON_ASSIGN_OR_RETURN(header, reader_.Get(offset, bytes, kLocal));
    const std::string_view name(
        reinterpret_cast<const char*>(&header[kLocalBytes]), name_bytes);
    if (name != entry_.name) return Corrupt("names " + Quoted(name));
    CAISSON_RETURN_IF_ERROR(CheckStorage(header));
    CAISSON_RETURN_IF_ERROR(
        CheckSizes(header, header.subspan(kLocalBytes + name_bytes)));
    entry_.data_offset = offset + bytes;
    return Status::Ok();
  }

  Status CheckStorage(std::span<const std::byte> header) const {
    const auto flags = LoadLittle<uint16_t>(&header[6]);
    const auto method = LoadLittle<uint16_t>(&header[8]);
    CAISSON_RETURN_IF_ERROR(CheckFeatures(source_, entry_.header_offset,
                                          entry_.name, kLocal, flags, method));
    if (method != entry_.method) {
      return Corrupt(Expected("method", entry_.method, method));
    }
    if ((flags ^ entry_.flags) & kFlagDescriptor) {
      return Corrupt(Expected("flag bit 3 (data descriptor)",
                              (entry_.flags & kFlagDescriptor) != 0,
                              (flags & kFlagDescriptor) != 0));
    }
    return Status::Ok();
  }

  // 4.4.4: with a descriptor the values here may be 0. PyTorch leaves all of
  // them 0 except the size in a zip64 field.
  Status CheckSizes(std::span<const std::byte> header,
                    std::span<const std::byte> extra_bytes) {
    const auto crc32 = LoadLittle<uint32_t>(&header[14]);
    if (!Agrees(crc32, entry_.crc32)) {
      return Corrupt(ExpectedHex("crc32", entry_.crc32, crc32));
    }
    const auto stored_bytes = LoadLittle<uint32_t>(&header[18]);
    const auto bytes = LoadLittle<uint32_t>(&header[22]);
    if (stored_bytes != kMoved32) {
      CAISSON_RETURN_IF_ERROR(
          CheckSize("stored size", entry_.stored_bytes, stored_bytes));
    }
    if (bytes != kMoved32) {
      CAISSON_RETURN_IF_ERROR(CheckSize("size", entry_.bytes, bytes));
    }
    const Result<ExtraFields> extra = ParseExtra(extra_bytes, entry_.name);
    if (!extra.has_value()) return Corrupt(extra.error().message());
    zip64_ = extra->zip64.has_value();
    return CheckZip64(extra->zip64.value_or(std::span<const std::byte>()),
                      (stored_bytes == kMoved32) + (bytes == kMoved32));
  }

  // 4.5.3 wants both sizes in a local header. PyTorch adds the header's
  // offset, after them or alone (formats.md 1.6); a lone size is miniz's.
  Status CheckZip64(std::span<const std::byte> field, int moved) const {
    if (field.size() % 8 != 0 || field.size() > 3 * 8) {
      return Corrupt("its zip64 field has " + std::to_string(field.size()) +
                     " bytes");
    }
    const size_t values = field.size() / 8;
    if (values < static_cast<size_t>(moved)) {
      return Corrupt("its zip64 field is " +
                     std::to_string(8 * moved - field.size()) +
                     " bytes too short");
    }
    const auto value = [&](size_t i) {
      return LoadLittle<uint64_t>(&field[8 * i]);
    };
    if (values >= 2) {
      CAISSON_RETURN_IF_ERROR(CheckSize("size", entry_.bytes, value(0)));
      CAISSON_RETURN_IF_ERROR(
          CheckSize("stored size", entry_.stored_bytes, value(1)));
    } else if (values == 1 && moved == 1) {
      CAISSON_RETURN_IF_ERROR(CheckSize("size", entry_.bytes, value(0)));
    }
    const bool has_offset = values == 3 || (values == 1 && moved == 0);
    if (has_offset && value(values - 1) != entry_.header_offset) {
      return Corrupt(
          Expected("header offset", entry_.header_offset, value(values - 1)));
    }
    return Status::Ok();
  }

  Status CheckSize(std::string_view what, uint64_t expected,
                   uint64_t found) const {
    if (Agrees(found, expected)) return Status::Ok();
    return Corrupt(Expected(what, expected, found));
  }

  bool Agrees(uint64_t local, uint64_t central) const {
    return local == central ||
           (local == 0 && (entry_.flags & kFlagDescriptor) != 0);
  }

  // 4.3.9.2 ties 64-bit sizes to the zip64 field, 4.3.9.3 makes the signature
  // optional, and writers keep to neither: the form is the one that says what
  // the directory says, likely ones first.
  Status CheckDescriptor(uint64_t offset) {
    const size_t available =
        std::min<uint64_t>(kDescriptor64Bytes, limit_ - offset);
    CAISSON_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes,
                             reader_.Get(offset, available, kDescriptor));
    const DescriptorForm forms[] = {
        {true, zip64_}, {false, zip64_}, {true, !zip64_}, {false, !zip64_}};
    std::string problem;
    for (const DescriptorForm& form : forms) {
      std::string mismatch;
      if (form.bytes() > available) {
        mismatch = Expected("bytes", form.bytes(), available);
      } else {
        mismatch = Descriptor(form, bytes.data()).Mismatch(entry_);
        if (mismatch.empty()) return Status::Ok();
      }
      if (problem.empty()) problem = std::move(mismatch);
    }
    return source_.Corrupt(offset, PartLabel(entry_.name, kDescriptor),
                           problem);
  }

  ReadAhead& reader_;
  const ByteSource& source_;
  const uint64_t limit_;
  Entry& entry_;
  bool zip64_ = false;  // the local header has the field
};

}  // namespace

Status CheckLocal(ReadAhead* reader, uint64_t limit, Entry* entry) {
  return LocalChecker(reader, limit, entry).Check();
}

}  // namespace caisson::zip
