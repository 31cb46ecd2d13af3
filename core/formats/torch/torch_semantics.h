// SPDX-License-Identifier: Apache-2.0
//
// What the objects in a torch.save pickle mean: storages behind persistent
// ids, tensors behind rebuild calls. formats.md 2.4 to 2.6.
#pragma once

#include <optional>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/pickle/unpickler.h"
#include "core/formats/torch/persistent_ids.h"

namespace caisson::torch {

class TorchSemantics : public pickle::Semantics {
 public:
  explicit TorchSemantics(PersistentIds::Form form = PersistentIds::Form::kZip)
      : ids_(form) {}

  pickle::Trust Classify(const Global& global) const override;
  Result<Node> LoadPersistent(const Node& id) override { return ids_.Load(id); }
  Result<std::optional<Node>> Call(const Global& callable,
                                   const Tuple& args) override;

  // In the order in which the pickle first names them.
  const std::vector<PickledStorage>& storages() const {
    return ids_.storages();
  }

 private:
  PersistentIds ids_;
};

}  // namespace caisson::torch
