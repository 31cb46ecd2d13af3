// SPDX-License-Identifier: Apache-2.0
//
// What the objects in a torch.save pickle mean: storages behind persistent
// ids, tensors behind rebuild calls. formats.md 2.4 to 2.6.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/pickle/unpickler.h"

namespace caisson::torch {

// A storage that the pickle names.
struct PickledStorage {
  std::string key;  // of its record, "data/<key>"
  StorageHandle handle;
};

class TorchSemantics : public pickle::Semantics {
 public:
  pickle::Trust Classify(const Global& global) const override;
  Result<Node> LoadPersistent(const Node& id) override;
  Result<std::optional<Node>> Call(const Global& callable,
                                   const Tuple& args) override;

  // In the order in which the pickle first names them.
  const std::vector<PickledStorage>& storages() const { return storages_; }

 private:
  std::vector<PickledStorage> storages_;
  std::map<std::string, size_t> by_key_;
};

}  // namespace caisson::torch
