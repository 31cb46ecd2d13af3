// SPDX-License-Identifier: Apache-2.0
//
// Reads a pickle as data.
//
// Nothing is imported, looked up or called: a GLOBAL becomes a name, a REDUCE
// becomes an Object that holds the call, unless the Semantics say what value
// it stands for. Memory and stack are bounded by the input's real size: no
// length is believed before the bytes are there, and nesting is limited to
// kMaxDepth.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson::pickle {

// What a Global may be used for.
enum class Trust : uint8_t {
  kUnknown,   // kept as a name; its calls are kept as they are
  kValue,     // stands for itself: a dtype, a storage class
  kFunction,  // may be called with arguments
  kClass,     // may be called, and made by __new__
};

// What the objects of one kind of pickle mean.
class Semantics {
 public:
  virtual ~Semantics() = default;

  virtual Trust Classify(const Global& global) const = 0;

  // The object behind a persistent id.
  virtual Result<Node> LoadPersistent(const Node& id) = 0;

  // The value of callable(*args), or none to keep the call as an Object.
  virtual Result<std::optional<Node>> Call(const Global& callable,
                                           const Tuple& args) = 0;
};

struct Options {
  // Only the opcodes and globals of torch.load(weights_only=True).
  bool strict = false;
};

struct Unpickled {
  Node root;
  std::vector<Global> unknown;  // each Trust::kUnknown global once
  size_t bytes = 0;             // up to and with STOP
};

// Reads the pickle at the front of `bytes`. `name` stands before messages.
//
// Errors: kCorrupt, with the offset, for a malformed stream; kUnsupported for
// an opcode or global that the options refuse.
Result<Unpickled> Unpickle(std::span<const std::byte> bytes,
                           const std::string& name, Semantics& semantics,
                           const Options& options = {});

}  // namespace caisson::pickle
