// SPDX-License-Identifier: Apache-2.0
//
// Tells what a file is by its first bytes, so that a file given by mistake is
// refused by its own name. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson {

enum class Signature : uint8_t {
  kZip,             // begins with a local header: formats.md 1.1
  kEmptyZip,        // begins with an end record
  kPyTorchPreview,  // "PYTORCH1"
  kLegacyTorch,     // torch.save before 1.6: formats.md 3
  kTar,             // among them the earliest torch.save
  kPickle,          // a pickle that is not torch.save's
  kSafetensors,
  kHdf5,
  kGzip,
  kGitLfs,  // the pointer that stands for a file in Git LFS
  kEmpty,
  kTooShort,  // 1 to 3 bytes: fewer than any signature
  kUnknown,
};

// How many bytes of a file's front Recognise() looks at.
inline constexpr size_t kSignatureBytes = 512;

// `head` holds the first kSignatureBytes of the file, or all of a shorter one.
Signature Recognise(std::span<const std::byte> head);

// Why the file `name` that begins with `head` cannot be read as a PyTorch zip
// archive: what it is instead, and what helps. kCorrupt for what is empty or
// cut short, kUnsupported for the rest.
//
// REQUIRES: Recognise(head) != Signature::kZip.
Status DescribeForeign(std::string_view name, std::span<const std::byte> head);

// OK if `source` begins as a zip archive does, else DescribeForeign().
Status RequireZip(const ByteSource& source);

}  // namespace caisson
