// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "caisson/caffe2.h"
#include "core/base/status_macros.h"
#include "core/formats/caffe2/caffe2_writer.h"
#include "core/formats/caffe2/records.h"
#include "core/formats/caffe2/serializers.h"
#include "core/formats/caffe2/tensor_message.h"

namespace caisson::caffe2 {
namespace {

std::string LocationOf(const TensorMessage& tensor) {
  if (!tensor.device_detail) return "cpu";
  const DeviceMessage& device = *tensor.device_detail;
  const int32_t type = device.device_type.value_or(kDeviceCpu);
  if (type != kDeviceCuda && type != kDeviceHip) return "cpu";
  return "cuda:" + std::to_string(device.device_id.value_or(0));
}

// Zeros for the whole tensor. Pages that no chunk fills are never touched.
Result<TensorView> Allocate(const Chunk& chunk, const std::string& location) {
  TensorSpec spec;
  spec.dtype = chunk.dtype;
  spec.shape = chunk.shape;
  const uint64_t bytes = spec.bytes();
  void* data = bytes > SIZE_MAX / 2
                   ? nullptr
                   : std::calloc(std::max<uint64_t>(bytes, 1), 1);
  if (data == nullptr) {
    return Status::OutOfMemory("a tensor of " + std::to_string(bytes) +
                               " bytes");
  }
  TensorView view = DenseTensor(
      chunk.dtype, chunk.shape, data,
      std::shared_ptr<const void>(
          data, [](const void* old) { std::free(const_cast<void*>(old)); }));
  view.storage->location = Text(location);
  return view;
}

// Whether the tensor that is there takes chunks of such a one.
bool Takes(const TensorView& view, const Chunk& chunk) {
  return view.spec.dtype == chunk.dtype && view.spec.shape == chunk.shape &&
         view.contiguous() && view.storage->resident() &&
         view.storage->region.device.is_cpu();
}

}  // namespace

BlobMessage RecordOf(const std::string& name, const std::string& type) {
  BlobMessage record;
  record.name = name;
  record.type = type;
  return record;
}

Status Accept(const BlobMessage& record, const std::string& key,
              const SerializationAcceptor& acceptor) {
  CAISSON_ASSIGN_OR_RETURN(std::string data, Encode(record));
  return acceptor(key, std::move(data));
}

Status TensorSerializer::Serialize(const Blob& blob, const std::string& name,
                                   const SerializationAcceptor& acceptor,
                                   const BlobSerializationOptions& options) {
  const TensorView* view = blob.Get<TensorView>();
  const auto refuse = [&](const std::string& problem) {
    return Status::Unsupported("blob '" + name + "': " + problem);
  };
  if (view == nullptr) return refuse("no tensor");
  CAISSON_RETURN_IF_ERROR(view->Validate().WithContext("blob '" + name + "'"));
  if (GetDataType(view->spec.dtype) == DataType::kUndefined) {
    return refuse("Caffe2 has no " + std::string(Name(view->spec.dtype)));
  }
  if (!view->contiguous() || !view->storage->resident() ||
      !view->storage->region.device.is_cpu()) {
    return refuse("expected a contiguous tensor in memory of the host");
  }
  if (options.chunk_size < -1) {
    return Status::InvalidArgument("blob '" + name + "': chunks of " +
                                   std::to_string(options.chunk_size) +
                                   " elements");
  }
  const uint64_t elems = view->spec.elems();
  uint64_t chunk = static_cast<uint64_t>(
      options.chunk_size == 0 ? kDefaultChunk : options.chunk_size);
  if (options.chunk_size == -1) chunk = elems + 1;
  const uint32_t format = options.float_format == FloatFormat::kBFloat16
                              ? kFormatBFloat16
                              : kFormatProtobuf;
  const bool half = view->spec.dtype == DType::kFloat16;
  const bool as_bytes =
      options.bytes_as_holder || (options.fp16_as_bytes && half);
  for (uint64_t begin = 0; begin < std::max<uint64_t>(elems, 1);
       begin += chunk) {
    const uint64_t end = begin + std::min(chunk, elems - begin);
    BlobMessage record = RecordOf(name, "Tensor");
    record.tensor = MessageOf(*view, name, begin, end, format, as_bytes);
    CAISSON_RETURN_IF_ERROR(Accept(
        record,
        name + std::string(kChunkIdSeparator) + std::to_string(begin / chunk),
        acceptor));
  }
  return Status::Ok();
}

Status TensorDeserializer::Deserialize(const BlobMessage& proto, Blob* blob) {
  const std::string context = "blob '" + proto.name.value_or("") + "'";
  if (!proto.tensor) return Status::Corrupt(context + ": no tensor");
  Result<Chunk> chunk = ChunkOf(*proto.tensor);
  if (!chunk) return chunk.error().WithContext(context);
  const Result<std::string> elems = ElementsOf(*chunk, *proto.tensor);
  if (!elems) return elems.error().WithContext(context);
  // Caffe2 has no other floats in memory.
  if (chunk->dtype == DType::kBFloat16) chunk->dtype = DType::kFloat32;
  const TensorView* there = blob->Get<TensorView>();
  if (there == nullptr || !Takes(*there, *chunk)) {
    CAISSON_ASSIGN_OR_RETURN(TensorView made,
                             Allocate(*chunk, LocationOf(*proto.tensor)));
    blob->Set(std::move(made));
  }
  if (elems->empty()) return Status::Ok();
  const TensorView& view = *blob->Get<TensorView>();
  const size_t first =
      (view.offset + chunk->begin) * ByteWidth(view.spec.dtype);
  std::memcpy(view.storage->region.data + first, elems->data(), elems->size());
  return Status::Ok();
}

Result<TensorView> ViewOf(const TensorMessage& tensor) {
  BlobMessage record = RecordOf(tensor.name.value_or(""), "Tensor");
  record.tensor = tensor;
  record.tensor->segment.reset();
  Blob blob;
  CAISSON_RETURN_IF_ERROR(TensorDeserializer().Deserialize(record, &blob));
  return *blob.Get<TensorView>();
}

}  // namespace caisson::caffe2
