// SPDX-License-Identifier: Apache-2.0
//
// The persistent ids of a torch.save pickle: which storages they name.
// formats.md 2.4; those of files from before 1.6, section 4.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"

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

class PersistentIds {
 public:
  // Five parts, or six with the part of another storage that is meant.
  enum class Form : uint8_t { kZip, kLegacy };

  explicit PersistentIds(Form form) : form_(form) {}

  // The storage that `id` names, described when it is first named; of a legacy
  // module, its class. kCorrupt for anything else.
  Result<Node> Load(const Node& id);

  // Lets a tensor over a part of a storage view the storage itself.
  void MoveToRoot(Node& node) const;

  // In the order in which they were first named.
  const std::vector<PickledStorage>& storages() const { return storages_; }

 private:
  Result<StorageHandle> StorageOf(const std::string& key,
                                  std::optional<DType> dtype,
                                  const Text& location, const Node& elems);

  // The part of `root` that `metadata` asks for; `root` itself for None.
  Result<StorageHandle> PartOf(const StorageHandle& root, const Node& metadata);

  const Form form_;
  std::vector<PickledStorage> storages_;
  std::map<std::string, size_t> by_key_;
  std::map<const Storage*, size_t> parts_;  // those that have a root
};

}  // namespace caisson::torch
