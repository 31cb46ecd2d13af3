// SPDX-License-Identifier: Apache-2.0
//
// Who serializes the types that are built in.
#pragma once

#include "caisson/caffe2.h"

namespace caisson::caffe2 {

// Registers them. By a call, not by objects of their own, which a static
// library would lose.
void RegisterBuiltIn(Registry<TypeIdentifier, BlobSerializerBase>& registry);
void RegisterBuiltIn(Registry<std::string, BlobDeserializerBase>& registry);

// A record of that type.
BlobMessage RecordOf(const std::string& name, const std::string& type);

// Encodes `record` and hands it over under `key`.
Status Accept(const BlobMessage& record, const std::string& key,
              const SerializationAcceptor& acceptor);

// A tensor in memory of its own of all that `tensor` has.
Result<TensorView> ViewOf(const TensorMessage& tensor);

}  // namespace caisson::caffe2
