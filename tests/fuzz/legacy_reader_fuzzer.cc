// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a legacy PyTorch file or a typed error; what opens lies inside
// the file and can be loaded. The magic number is put in front of each input,
// or hardly one would get past it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "caisson/adapter.h"
#include "caisson/reader.h"
#include "core/base/checked_math.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;

constexpr std::string_view kMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  std::ranges::copy(kMagic.substr(0, file.size()), file.begin());
  const auto reader = caisson::Reader::Open(
      std::make_shared<caisson::MemoryAdapter>(std::as_bytes(std::span(file))));
  if (!reader.has_value()) {
    ExpectTyped(reader.error());
    return 0;
  }
  for (const caisson::TensorInfo& tensor : reader->tensors()) {
    if (!tensor.view.Validate().ok()) std::abort();
    if (!caisson::FitsWithin(tensor.offset, tensor.stored_bytes, file.size())) {
      std::abort();
    }
  }
  if (!reader->Verify().has_value()) std::abort();
  caisson::LoadOptions options;
  options.keep_unknown = true;
  if (!reader->Load(options).has_value()) std::abort();
  return 0;
}
