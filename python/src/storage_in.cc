// SPDX-License-Identifier: Apache-2.0
#include "python/src/storage_in.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string_view>

#include "caisson/version.h"
#include "python/src/errors.h"

namespace caisson::python {
namespace {

// Whether the library reads memory of CUDA devices itself.
bool ReadsCuda() {
  static const bool reads = !QueryBuild().cuda_devices.empty();
  return reads;
}

std::vector<int64_t> Ints(nb::handle sequence) {
  return nb::cast<std::vector<int64_t>>(sequence);
}

}  // namespace

DType StoragesIn::DTypeOf(nb::handle dtype) {
  const auto known = dtypes_.find(dtype.ptr());
  if (known != dtypes_.end()) return known->second;
  std::string name = nb::cast<std::string>(nb::str(dtype));
  if (name.starts_with("torch.")) name.erase(0, 6);
  const auto found = ParseDType(name);
  if (!found) Raise(Status::Unsupported("a tensor of " + name));
  held_->Keep(nb::borrow(dtype));
  dtypes_.emplace(dtype.ptr(), *found);
  return *found;
}

void StoragesIn::AddStream(Device device) {
  const bool known = std::ranges::any_of(
      streams_, [&](const DeviceStream& s) { return s.device == device; });
  if (known) return;
  const nb::object stream = nb::module_::import_("torch").attr("cuda").attr(
      "current_stream")(device.ordinal);
  const auto native = nb::cast<uintptr_t>(stream.attr("cuda_stream"));
  held_->Keep(stream);
  streams_.push_back({device, {reinterpret_cast<void*>(native)}});
}

// Memory of a device that the library cannot read is copied to the host.
void StoragesIn::Locate(nb::handle untyped, caisson::Storage* storage) {
  nb::object bytes = nb::borrow(untyped);
  const nb::object device = untyped.attr("device");
  const auto type = nb::cast<std::string>(device.attr("type"));
  storage->location = cpu_;
  if (type != "cpu") {
    const nb::object tag =
        nb::module_::import_("torch.serialization").attr("location_tag");
    storage->location = Text(nb::cast<std::string>(tag(untyped)));
    if (type == "cuda" && ReadsCuda()) {
      storage->region.device =
          Device::Cuda(nb::cast<int>(device.attr("index")));
      AddStream(storage->region.device);
    } else if (type != "meta") {
      bytes = untyped.attr("cpu")();
      copies_.emplace_back(nb::borrow(untyped), bytes);
    }
  }
  storage->region.bytes = nb::cast<size_t>(untyped.attr("nbytes")());
  storage->region.data = reinterpret_cast<std::byte*>(
      nb::cast<uintptr_t>(bytes.attr("data_ptr")()));
  storage->owner = held_;
  held_->Keep(std::move(bytes));
}

void StoragesIn::CopyBack() const {
  for (const auto& [original, copy] : copies_) original.attr("copy_")(copy);
}

StoragesIn::Entry& StoragesIn::EntryOf(nb::handle untyped) {
  const auto key = nb::cast<uintptr_t>(untyped.attr("_cdata"));
  const auto [known, added] = known_.try_emplace(key);
  if (added) {
    held_->Keep(nb::borrow(untyped));
    known->second.handle = std::make_shared<caisson::Storage>();
    Locate(untyped, known->second.handle.get());
  }
  return known->second;
}

StorageHandle StoragesIn::Storage(nb::handle storage) {
  const bool typed = nb::hasattr(storage, "_untyped_storage");
  if (!typed) return EntryOf(storage).handle;
  const StorageHandle handle = EntryOf(storage.attr("_untyped_storage")).handle;
  const DType dtype = DTypeOf(storage.attr("dtype"));
  if (!TorchStorageClass(dtype).empty()) handle->dtype = dtype;
  return handle;
}

TensorView StoragesIn::Tensor(nb::handle tensor, const std::string& name) {
  TensorView view;
  view.spec.name = name;
  view.spec.dtype = DTypeOf(tensor.attr("dtype"));
  view.spec.shape = Ints(tensor.attr("size")());
  view.strides = Ints(tensor.attr("stride")());
  view.offset = nb::cast<uint64_t>(tensor.attr("storage_offset")());
  view.requires_grad = nb::cast<bool>(tensor.attr("requires_grad"));
  view.conj = nb::cast<bool>(tensor.attr("is_conj")());
  view.neg = nb::cast<bool>(tensor.attr("is_neg")());
  const nb::object untyped = tensor.attr("untyped_storage")();
  const size_t before = known_.size();
  Entry& entry = EntryOf(untyped);
  const bool first = known_.size() > before;
  view.storage = entry.handle;
  if (!cast_.is_none()) {
    const std::string_view from = caisson::Name(view.spec.dtype);
    const nb::object cast =
        cast_(name, untyped, nb::str(from.data(), from.size()));
    const DType to =
        cast.is_none() ? view.spec.dtype : DTypeOf(nb::handle(cast[1]));
    if (first && !cast.is_none()) {
      entry.cast_from = view.spec.dtype;
      entry.cast_to = to;
      Locate(cast[0], entry.handle.get());
    }
    const bool suits = entry.cast_from ? entry.cast_from == view.spec.dtype &&
                                             entry.cast_to == to
                                       : cast.is_none();
    if (!suits) {
      Raise(Status::InvalidArgument(
          "cast: '" + name + "' shares memory with a tensor of another dtype"));
    }
    view.spec.dtype = to;
  }
  if (!TorchStorageClass(view.spec.dtype).empty()) {
    entry.handle->dtype = view.spec.dtype;
  }
  return view;
}

// (owner, address of the object that owns, data, bytes, offset, shape, strides,
// dtype, whether it is the array's own memory and may be written), offset and
// strides in elements.
TensorView StoragesIn::Array(nb::handle description) {
  if (in_place_ && !nb::cast<bool>(description[8])) {
    Raise(Status::InvalidArgument(
        "an array that cannot be filled in place: read-only, of another byte "
        "order, or with negative strides"));
  }
  const auto key = nb::cast<uintptr_t>(description[1]);
  const auto [known, added] = arrays_.try_emplace(key);
  if (added) {
    held_->Keep(nb::borrow(description[0]));
    auto storage = std::make_shared<caisson::Storage>();
    storage->region.data =
        reinterpret_cast<std::byte*>(nb::cast<uintptr_t>(description[2]));
    storage->region.bytes = nb::cast<size_t>(description[3]);
    storage->location = cpu_;
    storage->owner = held_;
    known->second = std::move(storage);
  }
  TensorView view;
  view.storage = known->second;
  view.offset = nb::cast<uint64_t>(description[4]);
  view.spec.shape = Ints(description[5]);
  view.strides = Ints(description[6]);
  const auto name = nb::cast<std::string>(description[7]);
  const auto dtype = ParseDType(name);
  if (!dtype) Raise(Status::Unsupported("an array of " + name));
  view.spec.dtype = *dtype;
  if (!TorchStorageClass(*dtype).empty()) view.storage->dtype = *dtype;
  return view;
}

}  // namespace caisson::python
