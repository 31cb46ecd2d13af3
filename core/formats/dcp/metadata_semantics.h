// SPDX-License-Identifier: Apache-2.0
//
// What the objects in stock's .metadata mean: a list of names, of which each
// class stays an object that holds its attributes, and nothing is called.
#pragma once

#include <optional>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/pickle/unpickler.h"

namespace caisson::dcp {

// The classes of the list.
enum class Part : uint8_t {
  kMetadata,
  kTensor,
  kBytes,
  kChunk,
  kProperties,
  kIndex,
  kStorage,
  kStorageMeta,
};

class MetadataSemantics : public pickle::Semantics {
 public:
  pickle::Trust Classify(const Global& global) const override;
  Result<Node> LoadPersistent(const Node& id) override;
  Result<std::optional<Node>> Call(const Global& callable,
                                   const Tuple& args) override;
};

// Whether `node` is an object of that class.
bool IsPart(const Node& node, Part part);

// An attribute of such an object; nullptr if it has none of that name.
const Node* AttributeOf(const Node& node, const char* name);

}  // namespace caisson::dcp
