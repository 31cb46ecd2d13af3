// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a file of Caffe2's in some form, or a typed error; what opens
// can be verified and loaded, and written again. Any bytes are a blob or one
// too, and a blob that is read is written as it was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "caisson/adapter.h"
#include "caisson/caffe2.h"
#include "caisson/reader.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/caffe2/caffe2_writer.h"
#include "core/formats/caffe2/tensor_message.h"
#include "core/formats/flat_tensors.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;
using caisson::StatusCode;

// A chunk alone takes memory for its tensor: see DeserializeBlob().
constexpr uint64_t kMostElems = 1'000'000;

void ReadFile(std::span<const std::byte> bytes, const char* name) {
  const auto adapter = std::make_shared<caisson::MemoryAdapter>(bytes, name);
  if (!caisson::caffe2::RecogniseForm(caisson::ByteSource(adapter))) return;
  const auto reader = caisson::Reader::Open(adapter);
  if (!reader.has_value()) return ExpectTyped(reader.error());
  for (const caisson::TensorInfo& tensor : reader->tensors()) {
    if (!tensor.view.Validate().ok()) std::abort();
  }
  const auto report = reader->Verify();
  if (!report.has_value()) std::abort();
  const auto state = reader->Load();
  if (!state.has_value()) {
    if (report->ok()) std::abort();
    return ExpectTyped(state.error());
  }
  auto flat = caisson::Flatten(*state, caisson::caffe2::Holds);
  if (!flat.has_value()) return;
  const auto parts = caisson::caffe2::WriteCaffe2(std::move(flat->tensors), {});
  if (!parts.has_value() &&
      parts.error().code() != StatusCode::kInvalidArgument) {
    std::abort();
  }
}

void ReadBlob(std::string_view bytes) {
  const auto blob = caisson::caffe2::DecodeBlob(bytes);
  if (!blob.has_value()) return ExpectTyped(blob.error());
  const auto again = caisson::caffe2::Encode(*blob);
  if (!again.has_value()) std::abort();
  const auto same = caisson::caffe2::DecodeBlob(*again);
  if (!same.has_value() || *caisson::caffe2::Encode(*same) != *again) {
    std::abort();
  }
  if (blob->tensor) {
    const auto elems = caisson::caffe2::Numel(blob->tensor->dims);
    if (elems.has_value() && *elems > kMostElems) return;
  }
  caisson::caffe2::Blob into;
  const auto status = caisson::caffe2::DeserializeBlob(*blob, &into);
  if (!status.ok()) ExpectTyped(status);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  ReadFile(bytes, "fuzz");
  ReadFile(bytes, "fuzz.pbtxt");
  ReadBlob({reinterpret_cast<const char*>(data), size});
  return 0;
}
