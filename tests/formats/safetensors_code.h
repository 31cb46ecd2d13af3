// SPDX-License-Identifier: Apache-2.0
//
// Safetensors files as tests spell them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "caisson/adapter.h"
#include "core/base/byte_source.h"
#include "core/base/endian.h"
#include "core/formats/safetensors/safetensors_reader.h"

namespace caisson {

// A length, then `json`, then `data`.
inline std::string SafetensorsFile(std::string_view json,
                                   std::string_view data = "") {
  std::string file(8, '\0');
  StoreLittle<uint64_t>(json.size(), file.data());
  return file.append(json).append(data);
}

inline ByteSource SourceOf(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return ByteSource(std::make_shared<MemoryAdapter>(
      std::as_bytes(std::span(*owner)), "model.safetensors", owner));
}

inline Result<Layout> Parse(std::string bytes) {
  return safetensors::ParseSafetensors(SourceOf(std::move(bytes)));
}

}  // namespace caisson
