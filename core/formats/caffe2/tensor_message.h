// SPDX-License-Identifier: Apache-2.0
//
// Tensors in memory as messages, for a serializer and for text.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "caisson/caffe2_messages.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/formats/caffe2/records.h"

namespace caisson::caffe2 {

// Whether a TensorProto holds tensors of that dtype.
bool Holds(DType dtype);

// Where the tensor lies, as device_detail says it: on the host with its type
// alone, on a device with its number too.
DeviceMessage DeviceOf(const TensorView& view);

// All fields but payload of the elements [begin, end), of which `format` says
// how floats are stored.
TensorMessage FieldsOf(const TensorView& view, const std::string& name,
                       uint64_t begin, uint64_t end, uint32_t format);

// The same with payload. A float32 becomes bfloat16 where `format` says so, and
// types of 1 and 2 bytes are byte_data where `as_bytes` does.
//
// REQUIRES: the view is contiguous and in memory of the host, Holds() its
// dtype, or it is quantised; begin <= end <= elems.
TensorMessage MessageOf(const TensorView& view, const std::string& name,
                        uint64_t begin, uint64_t end, uint32_t format,
                        bool as_bytes = false);

// The message's encoding around the payload of `stored` bytes, whose tag and
// length are the end of `before`.
struct Envelope {
  std::string before;
  std::string after;
};
Envelope EnvelopeOf(const TensorMessage& fields, Field payload,
                    uint64_t stored);

}  // namespace caisson::caffe2
