// SPDX-License-Identifier: Apache-2.0
//
// The words of the canonical text: tests/peers/canonical.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/state.h"
#include "caisson/tensor.h"

namespace caisson {

// Lower case, two digits for each byte.
std::string Hex(std::string_view data);

// Hex of the bytes of a resident storage as little-endian memory holds them,
// whatever this machine is.
std::string StorageHex(const Storage& storage);

// The bits of a double: 16 digits, most significant first.
std::string Bits(double value);

// "[]", "[3]", "[1,2]".
std::string Dims(const std::vector<int64_t>& values);

// "1" or "0".
std::string Flag(bool value);

// A tuple, list or torch.Size of ints; none for anything else.
std::optional<std::vector<int64_t>> AsInts(const Node& node);

}  // namespace caisson
