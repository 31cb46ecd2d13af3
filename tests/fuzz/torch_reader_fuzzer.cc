// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a PyTorch file or a typed error; what opens can be verified,
// loaded and written again. Each input is read as it is and with its CRCs taken
// out, without which hardly any change would reach the parser.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "caisson/adapter.h"
#include "caisson/reader.h"
#include "core/formats/torch/torch_writer.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;
using caisson::StatusCode;

void ReadAll(std::string_view bytes) {
  const auto reader =
      caisson::Reader::Open(std::make_shared<caisson::MemoryAdapter>(
          std::as_bytes(std::span(bytes))));
  if (!reader.has_value()) return ExpectTyped(reader.error());
  for (const caisson::TensorInfo& tensor : reader->tensors()) {
    if (!tensor.view.Validate().ok()) std::abort();
    if (tensor.offset > bytes.size()) std::abort();
  }
  const auto report = reader->Verify();
  if (!report.has_value()) ExpectTyped(report.error());
  caisson::LoadOptions options;
  options.keep_unknown = true;
  const auto state = reader->Load(options);
  if (!state.has_value()) return ExpectTyped(state.error());
  caisson::Profile profile = state->profile;
  if (!profile.prefix) profile.prefix = "archive";
  const auto parts = caisson::torch::WriteTorchArchive(*state, profile);
  if (!parts.has_value() &&
      parts.error().code() != StatusCode::kInvalidArgument) {
    std::abort();
  }
}

// Zeroes `bytes` bytes at `offset` from each place where `signature` stands.
void Erase(std::string& file, std::string_view signature, size_t offset,
           size_t bytes) {
  for (size_t at = file.find(signature); at != std::string::npos;
       at = file.find(signature, at + 1)) {
    if (at + offset + bytes > file.size()) return;
    std::memset(file.data() + at + offset, 0, bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  ReadAll(file);
  Erase(file, "PK\x07\x08", 4, 4);   // APPNOTE 4.3.9
  Erase(file, "PK\x01\x02", 16, 4);  // APPNOTE 4.3.12
  ReadAll(file);
  return 0;
}
