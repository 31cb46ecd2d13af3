// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a minidb of blobs or a typed error, what opens lies inside the
// file, and its records come one after the other.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "caisson/adapter.h"
#include "core/base/byte_source.h"
#include "core/base/checked_math.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/caffe2/minidb.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;

void Walk(const caisson::ByteSource& source) {
  caisson::caffe2::MinidbWalk walk(source);
  uint64_t next = 0;
  while (true) {
    const auto record = walk.Next();
    if (!record.has_value()) return ExpectTyped(record.error());
    if (!record->has_value()) break;
    const auto& [key, value] = **record;
    if (value.offset != next + 8 + key.size() || value.bytes == 0) std::abort();
    next = value.offset + value.bytes;
  }
  if (next != source.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const caisson::ByteSource source(
      std::make_shared<caisson::MemoryAdapter>(bytes, "fuzz.minidb"));
  Walk(source);
  const auto parsed =
      caisson::caffe2::ParseCaffe2(source, caisson::caffe2::Form::kMinidb);
  if (!parsed.has_value()) {
    ExpectTyped(parsed.error());
    return 0;
  }
  for (const caisson::StorageLayout& storage : parsed->layout.storages) {
    uint64_t elems = 0;
    for (const caisson::Piece& piece : storage.pieces) {
      const size_t end =
          piece.source == 0 ? bytes.size() : parsed->image->size();
      if (!caisson::FitsWithin(piece.offset, piece.stored_bytes, end)) {
        std::abort();
      }
      if (piece.first_elem != elems) std::abort();
      elems += piece.elems;
    }
    if (elems * caisson::ByteWidth(storage.dtype) != storage.bytes) {
      std::abort();
    }
  }
  return 0;
}
