// SPDX-License-Identifier: Apache-2.0
#include "core/formats/signature.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "core/base/endian.h"
#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Longer headers are refused by the format itself: formats.md 4.1.
constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

// The pickle of torch.save's magic number: formats.md 3.
constexpr std::string_view kLegacyMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

constexpr size_t kTarMagicOffset = 257;  // POSIX.1-1988, ustar header

struct Prefix {
  std::string_view bytes;
  Signature signature;
};

constexpr std::string_view kZipMagic = "PK\x03\x04";

constexpr Prefix kPrefixes[] = {
    {"PK\x05\x06", Signature::kEmptyZip},
    {"PYTORCH1", Signature::kPyTorchPreview},
    {kLegacyMagic, Signature::kLegacyTorch},
    {"\x1f\x8b\x08", Signature::kGzip},
    {"\x89HDF\r\n\x1a\n", Signature::kHdf5},
    {"version https://git-lfs", Signature::kGitLfs},
};

bool IsTar(std::string_view head) {
  return head.size() > kTarMagicOffset &&
         head.substr(kTarMagicOffset).starts_with("ustar");
}

// A header's length, then JSON: formats.md 4.1. The length may look like the
// magic of another format, which has neither '{' nor a blank there: in a zip
// archive it is the compression method.
bool IsSafetensors(std::string_view head) {
  constexpr std::string_view kFirst = "{ \t\r\n";
  return head.size() > 8 && kFirst.find(head[8]) != std::string_view::npos &&
         LoadLittle<uint64_t>(head.data()) <= kMaxSafetensorsHeader;
}

// PROTO and a protocol that exists.
bool IsPickle(std::string_view head) {
  return head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
}

// The first four bytes, as "504b0304".
std::string Front(std::span<const std::byte> head) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", LoadBig<uint32_t>(head.data()));
  return text;
}

}  // namespace

Signature Recognise(std::span<const std::byte> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  if (head.empty()) return Signature::kEmpty;
  if (head.size() < 4) return Signature::kTooShort;
  if (IsSafetensors(head)) return Signature::kSafetensors;
  if (head.starts_with(kZipMagic)) return Signature::kZip;
  for (const Prefix& prefix : kPrefixes) {
    if (head.starts_with(prefix.bytes)) return prefix.signature;
  }
  if (IsTar(head)) return Signature::kTar;
  if (IsPickle(head)) return Signature::kPickle;
  return Signature::kUnknown;
}

Status DescribeForeign(std::string_view name, std::span<const std::byte> head) {
  const auto unsupported = [&](std::string_view what) {
    return Status::Unsupported(std::string(name) + ": " + std::string(what));
  };
  const auto corrupt = [&](std::string_view what) {
    return Status::Corrupt(std::string(name) + ": " + std::string(what));
  };
  switch (Recognise(head)) {
    case Signature::kZip:
      break;  // the caller's mistake: answered like a file we do not know
    case Signature::kEmptyZip:
      return corrupt("a zip archive without records");
    case Signature::kPyTorchPreview:
      return unsupported(
          "PyTorch's preview format \"PYTORCH1\", which no release reads");
    case Signature::kLegacyTorch:
      return unsupported(
          "legacy torch.save (before 1.6, or with "
          "_use_new_zipfile_serialization=False), not a zip archive");
    case Signature::kTar:
      return unsupported("legacy tar, not supported");
    case Signature::kPickle:
      return unsupported("a pickle that torch.save did not write");
    case Signature::kSafetensors:
      return unsupported("a safetensors file, not a zip archive");
    case Signature::kHdf5:
      return unsupported("an HDF5 file, not a zip archive");
    case Signature::kGzip:
      return unsupported("compressed with gzip: gunzip it first");
    case Signature::kGitLfs:
      return unsupported(
          "a Git LFS pointer, not the file itself: run git lfs pull");
    case Signature::kEmpty:
      return corrupt("the file is empty");
    case Signature::kTooShort:
      return corrupt("the file ends after " + std::to_string(head.size()) +
                     (head.size() == 1 ? " byte" : " bytes"));
    case Signature::kUnknown:
      break;
  }
  return unsupported("expected a zip archive (504b0304), found " + Front(head));
}

Status RequireZip(const ByteSource& source) {
  std::array<std::byte, kSignatureBytes> buffer;
  const auto head = std::span<std::byte>(buffer).first(
      std::min<uint64_t>(buffer.size(), source.size()));
  CAISSON_RETURN_IF_ERROR(source.ReadExact(0, head, "signature"));
  if (Recognise(head) == Signature::kZip) return Status::Ok();
  return DescribeForeign(source.name(), head);
}

}  // namespace caisson
