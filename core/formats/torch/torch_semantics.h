// SPDX-License-Identifier: Apache-2.0
//
// What the objects in a torch.save pickle mean: storages behind persistent
// ids, tensors behind rebuild calls. formats.md 2.4 to 2.6.
#pragma once

#include <cstdint>
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

  // Legacy files only: the storage that this one is a part of, and the byte of
  // it at which this one begins.
  StorageHandle root = nullptr;
  uint64_t root_offset = 0;
};

class TorchSemantics : public pickle::Semantics {
 public:
  // How persistent ids look: five parts, or six with the part of another
  // storage that is meant.
  enum class Ids : uint8_t { kZip, kLegacy };

  explicit TorchSemantics(Ids ids = Ids::kZip) : ids_(ids) {}

  pickle::Trust Classify(const Global& global) const override;
  Result<Node> LoadPersistent(const Node& id) override;
  Result<std::optional<Node>> Call(const Global& callable,
                                   const Tuple& args) override;

  // In the order in which the pickle first names them.
  const std::vector<PickledStorage>& storages() const { return storages_; }

 private:
  // The storage called `key`, described when it is first named.
  Result<StorageHandle> StorageOf(const std::string& key,
                                  std::optional<DType> dtype,
                                  const Text& location, const Node& elems);

  // The part of `root` that `metadata` asks for; `root` itself for None.
  Result<StorageHandle> PartOf(const StorageHandle& root, const Node& metadata);

  // Lets a tensor over a part of a storage view the storage itself.
  void MoveToRoot(Node& node) const;

  const Ids ids_;
  std::vector<PickledStorage> storages_;
  std::map<std::string, size_t> by_key_;
  std::map<const Storage*, size_t> parts_;  // those that have a root
};

}  // namespace caisson::torch
