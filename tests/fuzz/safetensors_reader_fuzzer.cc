// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a safetensors file or a typed error; what opens lies inside the
// file, can be verified and loaded, and comes back from what is written of it.
// What is no index of a sharded file is one too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "caisson/adapter.h"
#include "caisson/reader.h"
#include "core/base/checked_math.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/safetensors/safetensors_writer.h"
#include "core/formats/safetensors/shard_index.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;
using caisson::StatusCode;

void ReadIndex(std::span<const std::byte> bytes) {
  const auto index = caisson::safetensors::ParseIndex(bytes);
  if (!index.has_value()) return ExpectTyped(index.error());
  for (const std::string& file : index->Shards()) {
    if (file.empty() || file.find('/') != std::string::npos) std::abort();
  }
}

void ReadFile(std::span<const std::byte> bytes) {
  const auto reader = caisson::Reader::Open(
      std::make_shared<caisson::MemoryAdapter>(bytes, "fuzz.safetensors"));
  if (!reader.has_value()) return ExpectTyped(reader.error());
  if (reader->format() != "safetensors") return;
  for (const caisson::TensorInfo& tensor : reader->tensors()) {
    if (!tensor.view.Validate().ok()) std::abort();
    if (!caisson::FitsWithin(tensor.offset, tensor.stored_bytes,
                             bytes.size())) {
      std::abort();
    }
  }
  const auto report = reader->Verify();
  if (!report.has_value()) std::abort();
  caisson::LoadOptions options;
  options.verify = false;
  const auto state = reader->Load(options);
  if (!state.has_value()) std::abort();
  auto flat = caisson::Flatten(*state, caisson::safetensors::Holds);
  if (!flat.has_value() || !flat->losses.empty()) std::abort();
  if (flat->tensors.size() != reader->tensors().size()) std::abort();
  const auto parts = caisson::safetensors::WriteSafetensors(
      std::move(flat->tensors), {state->metadata, true});
  if (!parts.has_value() &&
      parts.error().code() != StatusCode::kInvalidArgument) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  ReadFile(bytes);
  ReadIndex(bytes);
  return 0;
}
