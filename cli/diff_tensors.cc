// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "cli/terminal.h"
#include "cli/units.h"
#include "cli/value_text.h"

namespace caisson::cli {
namespace {

constexpr size_t kMostCharacters = 1000;  // of a name

std::string ShapeText(const TensorSpec& spec) {
  return fmt::format("[{}]", fmt::join(spec.shape, ", "));
}

std::string LayoutText(const TensorView& view) {
  const Storage& storage = *view.storage;
  std::string text = fmt::format("strides [{}], offset {}, storage of {}",
                                 fmt::join(view.strides, ", "), view.offset,
                                 ByteText(storage.region.bytes));
  if (storage.dtype) text += fmt::format(" of {}", Name(*storage.dtype));
  return text + fmt::format(" on {}", Abbreviated(storage.location.str(), 40));
}

std::string NameText(const Path& path) {
  return path.empty() ? "state" : Abbreviated(Join(path), kMostCharacters);
}

}  // namespace

std::optional<HeldTensor> TensorOf(const Node& node) {
  if (const TensorView* view = node.As<TensorView>()) {
    return HeldTensor{view, false, view->requires_grad};
  }
  if (!IsTensor(node)) return std::nullopt;
  // _rebuild_parameter(data, requires_grad, backward_hooks)
  const auto& args = node.As<Object>()->args.As<Tuple>()->items;
  if (args.size() != 3) return std::nullopt;
  const bool* requires_grad = args[1].As<bool>();
  const Dict* hooks = args[2].As<Dict>();
  if (requires_grad == nullptr || hooks == nullptr || hooks->size() != 0) {
    return std::nullopt;
  }
  return HeldTensor{args[0].As<TensorView>(), true, *requires_grad};
}

std::string TensorHead(const HeldTensor& tensor) {
  const TensorSpec& spec = tensor.view->spec;
  return fmt::format("{}{} {}", tensor.parameter ? "Parameter " : "",
                     Name(spec.dtype), ShapeText(spec));
}

TensorDiff::TensorDiff(ValueDiff* values, const DifferenceSink* sink,
                       TensorDiffOptions options)
    : values_(values), sink_(sink), options_(options) {}

void TensorDiff::Differ(DifferenceKind kind, const Path& path,
                        std::optional<std::string> a,
                        std::optional<std::string> b) {
  sink_->differ({kind, path, std::move(a), std::move(b)});
}

void TensorDiff::Compare(const Path& path, const HeldTensor& a,
                         const HeldTensor& b) {
  ++compared_;
  if (!options_.contents) {
    if (a.parameter != b.parameter) {
      const auto kind = [](const HeldTensor& tensor) {
        return tensor.parameter ? "Parameter" : "tensor";
      };
      Differ(DifferenceKind::kType, path, kind(a), kind(b));
    }
    CompareFlags(path, a, b);
    CompareSharing(path, *a.view, *b.view);
  }
  const TensorSpec& spec_a = a.view->spec;
  const TensorSpec& spec_b = b.view->spec;
  if (spec_a.dtype != spec_b.dtype) {
    Differ(DifferenceKind::kDType, path, std::string(Name(spec_a.dtype)),
           std::string(Name(spec_b.dtype)));
  }
  if (spec_a.shape != spec_b.shape) {
    Differ(DifferenceKind::kShape, path, ShapeText(spec_a), ShapeText(spec_b));
  }
  if (spec_a.dtype != spec_b.dtype || spec_a.shape != spec_b.shape) return;
  if (options_.layout) CompareLayout(path, *a.view, *b.view);
  Result<std::optional<ElementDifference>> values =
      values_->Compare(*a.view, *b.view);
  if (!values) return sink_->fail(path, values.error());
  if (!*values) return;
  sink_->differ({.kind = DifferenceKind::kElements,
                 .path = path,
                 .elements = **std::move(values)});
}

void TensorDiff::CompareFlags(const Path& path, const HeldTensor& a,
                              const HeldTensor& b) {
  const auto compare = [&](const char* name, bool in_a, bool in_b) {
    if (in_a == in_b) return;
    Differ(DifferenceKind::kFlag, path,
           in_a ? std::optional<std::string>(name) : std::nullopt,
           in_b ? std::optional<std::string>(name) : std::nullopt);
  };
  compare("requires_grad", a.requires_grad, b.requires_grad);
  compare("conj", a.view->conj, b.view->conj);
  compare("neg", a.view->neg, b.view->neg);
}

void TensorDiff::CompareLayout(const Path& path, const TensorView& a,
                               const TensorView& b) {
  std::string in_a = LayoutText(a);
  std::string in_b = LayoutText(b);
  if (in_a == in_b) return;
  Differ(DifferenceKind::kLayout, path, std::move(in_a), std::move(in_b));
}

void TensorDiff::CompareSharing(const Path& path, const TensorView& a,
                                const TensorView& b) {
  const Storage* storage_a = a.storage.get();
  const Storage* storage_b = b.storage.get();
  // torch.save does not keep which tensors share a storage of no bytes.
  if (storage_a->region.bytes == 0 || storage_b->region.bytes == 0) return;
  if (!paired_.insert({storage_a, storage_b}).second) return;
  const auto partner_of = [&](Partners& partners, const Storage* from,
                              const Storage* to) {
    return partners.try_emplace(from, Partner{to, path}).first->second;
  };
  const Partner in_b = partner_of(of_a_, storage_a, storage_b);
  const Partner in_a = partner_of(of_b_, storage_b, storage_a);
  if (in_b.storage != storage_b) {
    Differ(DifferenceKind::kSharing, path, NameText(in_b.path), std::nullopt);
  }
  if (in_a.storage != storage_a) {
    Differ(DifferenceKind::kSharing, path, std::nullopt, NameText(in_a.path));
  }
}

Status DiffByName(const Reader& a, const Reader& b, TensorDiff* tensors,
                  const DifferenceSink& sink) {
  const auto in = [](const Reader& reader, const TensorInfo& tensor) {
    return reader.Find(tensor.view.spec.name);
  };
  for (const Reader* reader : {&a, &b}) {
    for (const TensorInfo& tensor : reader->tensors()) {
      const auto found = in(*reader, tensor);
      if (!found) return found.error();
    }
  }
  const auto head = [](const TensorInfo& tensor) {
    return TensorHead({&tensor.view});
  };
  for (const TensorInfo& tensor : a.tensors()) {
    const auto other = in(b, tensor);
    if (other) {
      tensors->Compare(tensor.path, {&tensor.view}, {&(*other)->view});
    } else {
      sink.differ({.kind = DifferenceKind::kOnlyInA,
                   .path = tensor.path,
                   .a = head(tensor)});
    }
  }
  for (const TensorInfo& tensor : b.tensors()) {
    if (in(a, tensor)) continue;
    sink.differ({.kind = DifferenceKind::kOnlyInB,
                 .path = tensor.path,
                 .b = head(tensor)});
  }
  return Status::Ok();
}

}  // namespace caisson::cli
