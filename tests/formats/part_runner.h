// SPDX-License-Identifier: Apache-2.0
//
// Pulls the parts of a format into memory by the plainest of loops: what the
// engine's writer must agree with.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/crc32.h"
#include "caisson/dtype.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/format.h"
#include "core/formats/torch/torch_writer.h"

namespace caisson {

// The bytes of `piece` in the file.
inline std::string StoredBytes(const TensorPiece& piece) {
  const std::byte* data = piece.storage->region.data + piece.offset;
  std::string bytes(reinterpret_cast<const char*>(data), piece.bytes);
  const size_t width = piece.order == kNativeOrder ? 1 : SwapWidth(piece.dtype);
  for (size_t at = 0; width > 1 && at < bytes.size(); at += width) {
    std::reverse(&bytes[at], &bytes[at] + width);
  }
  return bytes;
}

// The file that `parts` gives. REQUIRES: raw pieces of whole elements.
inline Result<std::string> RunParts(PartStream& parts) {
  std::string file;
  std::vector<PieceFacts> pieces;
  std::optional<FrontBlock> front;
  while (true) {
    const Facts facts{file.size(), pieces};
    CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part, parts.Next(facts));
    if (!part) break;
    if (const auto* literal = std::get_if<Literal>(&*part)) {
      file.append(reinterpret_cast<const char*>(literal->bytes.data()),
                  literal->bytes.size());
    } else if (const auto* piece = std::get_if<TensorPiece>(&*part)) {
      const std::string bytes = StoredBytes(*piece);
      PieceFacts known;
      known.crc32 = Crc32(0, std::as_bytes(std::span(bytes)));
      known.stored_bytes = bytes.size();
      std::memcpy(known.head.data(), bytes.data(),
                  std::min(bytes.size(), known.head.size()));
      pieces.push_back(known);
      file.append(bytes);
    } else if (const auto* later = std::get_if<DeferredLiteral>(&*part)) {
      std::string bytes(later->bytes, '\0');
      CAISSON_RETURN_IF_ERROR(
          later->fill(Facts{file.size(), pieces},
                      std::as_writable_bytes(std::span(bytes))));
      file.append(bytes);
    } else if (auto* block = std::get_if<FrontBlock>(&*part)) {
      front = std::move(*block);
      file.append(front->bytes, '\0');
    } else {
      return Status::Unsupported("a part that no file here has");
    }
  }
  if (front) {
    CAISSON_RETURN_IF_ERROR(front->fill(
        Facts{file.size(), pieces},
        std::as_writable_bytes(std::span(file)).first(front->bytes)));
  }
  return file;
}

// `state` as a file of `profile`, in the folder "archive" if it names none.
inline Result<std::string> TorchBytes(const State& state, Profile profile) {
  if (!profile.prefix) profile.prefix = "archive";
  CAISSON_ASSIGN_OR_RETURN(const auto parts,
                           torch::WriteTorchArchive(state, profile));
  return RunParts(*parts);
}

}  // namespace caisson
