// SPDX-License-Identifier: Apache-2.0
//
// caisson cat PATH NAME: what one tensor holds.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <string>

#include "caisson/reader.h"
#include "cli/commands.h"
#include "cli/element_values.h"
#include "cli/tensor_text.h"
#include "cli/tensor_values.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

struct CatOptions {
  std::string path;
  std::string name;
  bool raw = false;
};

std::string Headline(const TensorInfo& tensor, bool checked) {
  const TensorView& view = tensor.view;
  std::string line = fmt::format(
      "{}: {} [{}], {}", Printable(view.spec.name), Name(view.spec.dtype),
      fmt::join(view.spec.shape, ", "), ByteText(view.spec.bytes()));
  line += fmt::format(", in {} at {}", Printable(tensor.record), tensor.offset);
  if (tensor.compression != Compression::kNone) {
    line += fmt::format(", {}", Name(tensor.compression));
  }
  if (!view.contiguous()) {
    line += fmt::format(", strides [{}]", fmt::join(view.strides, ", "));
  }
  if (view.offset != 0) line += fmt::format(", from element {}", view.offset);
  if (view.conj) line += ", conj";
  if (view.neg) line += ", neg";
  if (view.requires_grad) line += ", requires grad";
  if (!checked && view.spec.elems() > 0) {
    line += tensor.crc32 ? ", not checked: a part of its record"
                         : ", not checked: its record has no CRC";
  }
  return line;
}

std::string StatisticsLine(const Statistics& statistics) {
  std::string line;
  const auto add = [&](std::string_view label, std::string_view value) {
    if (value.empty()) return;
    line += fmt::format("{}{} {}", line.empty() ? "" : "  ", label, value);
  };
  if (statistics.ordered) {
    add("min", statistics.min);
    add("max", statistics.max);
  }
  add("mean", statistics.mean);
  add("std", statistics.std);
  add("zeros", std::to_string(statistics.zeros));
  add("nan", std::to_string(statistics.nans));
  add("inf", std::to_string(statistics.infinities));
  return line;
}

// Numbers of more than one byte, turned to little-endian.
void MakeLittleEndian(DType dtype, TensorValues* values) {
  if constexpr (std::endian::native == std::endian::big) {
    const size_t width = SwapWidth(dtype);
    for (size_t at = 0; width > 1 && at < values->bytes; at += width) {
      std::reverse(values->data.get() + at, values->data.get() + at + width);
    }
  }
}

// The tensor called `name`, or the one whose name `caisson ls` shows so.
Result<const TensorInfo*> Find(const Reader& reader, const std::string& name) {
  Result<const TensorInfo*> exact = reader.Find(name);
  if (exact || exact.error().code() != StatusCode::kNotFound) return exact;
  const TensorInfo* found = nullptr;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (Printable(tensor.view.spec.name) != name) continue;
    if (found != nullptr) {
      return Status::InvalidArgument("'" + name + "' is shown for two tensors");
    }
    found = &tensor;
  }
  if (found == nullptr) return exact;
  return found;
}

int RunCat(const CatOptions& options) {
  const Result<Reader> reader = Reader::Open(options.path);
  if (!reader) return Fail(reader.error());
  const Result<const TensorInfo*> tensor = Find(*reader, options.name);
  if (!tensor) return Fail(tensor.error());
  Result<TensorValues> values = ReadValues(*reader, **tensor, options.path);
  if (!values) return Fail(values.error());

  const TensorSpec& spec = (*tensor)->view.spec;
  if (options.raw) {
    MakeLittleEndian(spec.dtype, &*values);
    Print({reinterpret_cast<const char*>(values->data.get()), values->bytes});
    return kFine;
  }
  Print(Headline(**tensor, values->checked) + "\n");
  if (ByteWidth(spec.dtype) == 0) {
    TensorSpec bits;
    bits.dtype = DType::kBits8;
    bits.shape = {static_cast<int64_t>(values->bytes)};
    Print("packed, as it is stored:\n" + TensorText(bits, values->span()) +
          "\n");
    return kFine;
  }
  if (ClassOf(spec.dtype) != ElementClass::kBits && spec.elems() > 0) {
    const Statistics statistics = Measure(spec.dtype, values->span());
    Print(StatisticsLine(statistics) + "\n");
  }
  Print(TensorText(spec, values->span()) + "\n");
  return kFine;
}

}  // namespace

void AddCat(CLI::App& app, Action* action) {
  const auto options = std::make_shared<CatOptions>();
  CLI::App* command =
      app.add_subcommand("cat", "Shows a tensor: statistics and values");
  command
      ->add_option("PATH", options->path,
                   "a file, or the folder of a distributed checkpoint")
      ->required();
  command
      ->add_option("NAME", options->name,
                   "the tensor, as `caisson ls` names it")
      ->required();
  command->add_flag("--raw", options->raw,
                    "its bytes alone: dense, row-major, little-endian");
  command->callback(
      [options, action] { *action = [options] { return RunCat(*options); }; });
}

}  // namespace caisson::cli
