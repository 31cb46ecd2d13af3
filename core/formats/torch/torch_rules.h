// SPDX-License-Identifier: Apache-2.0
//
// How storages and tensors are pickled: torch.save's persistent ids and
// rebuild calls. formats.md 2.4 to 2.6.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/base/identity_map.h"
#include "core/formats/pickle/pickler.h"

namespace caisson::torch {

// A storage that the pickle names; its record is "data/<position>".
struct SavedStorage {
  StorageHandle handle;
  Text key;
  std::optional<DType> dtype;  // of its storage class; none: untyped
  DType seen = DType::kUInt8;  // of the tensor that named it first
};

class TorchRules : public pickle::ReduceRules {
 public:
  Status EmitStorage(const StorageHandle& storage,
                     pickle::Pickler& pickler) override;
  Status EmitTensor(const TensorView& view, pickle::Pickler& pickler) override;
  Result<bool> EmitArgs(const Object& object,
                        pickle::Pickler& pickler) override;

  // In the order in which they were first named.
  const std::vector<SavedStorage>& storages() const { return storages_; }

 private:
  Status EmitId(const StorageHandle& storage, std::optional<DType> dtype,
                DType seen, pickle::Pickler& pickler);
  // storage, offset, size, stride.
  Status EmitView(const TensorView& view, pickle::Pickler& pickler);
  // The whole tuple of a plain rebuild call.
  Status EmitTensorArgs(const TensorView& view, pickle::Pickler& pickler);

  std::vector<SavedStorage> storages_;
  IdentityMap<size_t> by_handle_;
  const Text tag_ = "storage";  // one object, as it is a constant in Python
};

}  // namespace caisson::torch
