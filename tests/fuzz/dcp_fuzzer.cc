// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a manifest, a .metadata or a typed error. A manifest is read
// with its CRC made right, without which no change would get past it. A pickle
// ends before the input does: the input is every shard that it names too, and
// what opens is loaded.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "caisson/adapter.h"
#include "caisson/crc32.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/dcp/chunk_rows.h"
#include "core/formats/dcp/manifest.h"
#include "core/formats/dcp/metadata.h"
#include "core/formats/dcp/nested_state.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;
using caisson::Result;
using caisson::dcp::Checkpoint;

// Chunks have as many elements as their tensor, and the state can be nested.
void Use(const Result<Checkpoint>& checkpoint) {
  if (!checkpoint) return ExpectTyped(checkpoint.error());
  caisson::dcp::NestedState state;
  for (const caisson::dcp::Item& item : checkpoint->items) {
    if (item.path.empty()) std::abort();
    const auto put = state.Put(item.path, caisson::Node(1));
    if (!put.ok()) ExpectTyped(put);
    caisson::TensorSpec spec;
    spec.shape = item.shape;
    uint64_t elems = 0;
    for (const caisson::dcp::Chunk& chunk : item.chunks) {
      caisson::TensorSpec part;
      part.shape = chunk.sizes;
      if (part.elems() == 0) continue;
      elems += part.elems();
      const caisson::dcp::ChunkRows rows(item.shape, chunk.offsets,
                                         chunk.sizes);
      if (rows.count() * rows.elems() != part.elems()) std::abort();
      const uint64_t last = rows.Start(rows.count() - 1) + rows.elems();
      if (last > spec.elems()) std::abort();
    }
    if (item.is_tensor && elems != spec.elems()) std::abort();
  }
  const auto root = state.Finish();
  if (!root) ExpectTyped(root.error());
}

std::string Sealed(std::string text) {
  constexpr std::string_view kField = "\"crc32\":\"";
  const size_t at = text.find(kField);
  if (at == std::string::npos || at + kField.size() + 8 > text.size()) {
    return text;
  }
  text.replace(at + kField.size(), 8, "00000000");
  char crc[9];
  std::snprintf(crc, sizeof(crc), "%08x",
                caisson::Crc32(0, std::as_bytes(std::span(text))));
  return text.replace(at + kField.size(), 8, crc);
}

void Open(const std::string& bytes) {
  const auto open = [&](const std::string& path)
      -> Result<std::shared_ptr<const caisson::ReadAdapter>> {
    return std::shared_ptr<const caisson::ReadAdapter>(
        std::make_shared<caisson::MemoryAdapter>(
            std::as_bytes(std::span(bytes)), path));
  };
  const caisson::DcpPath at = {"no folder", "no folder/.metadata"};
  Result<caisson::OpenedFile> opened = caisson::OpenDcp(at, {}, open);
  if (!opened) return ExpectTyped(opened.error());
  const caisson::Reader::Impl file(*std::move(opened));
  caisson::OneByOne reads;
  caisson::LoadOptions options;
  options.keep_unknown = true;
  const auto state = file.Load(options, reads);
  if (!state) ExpectTyped(state.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto span = std::as_bytes(std::span(bytes));
  Use(caisson::dcp::ParseMetadata(span));
  const std::string sealed = Sealed(bytes);
  Use(caisson::dcp::ParseManifest(std::as_bytes(std::span(sealed))));
  Open(bytes);
  return 0;
}
