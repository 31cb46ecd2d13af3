// SPDX-License-Identifier: Apache-2.0
//
// caisson ls PATH: what is in a file, from its index alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "caisson/reader.h"
#include "cli/commands.h"
#include "cli/json_state.h"
#include "cli/render_state.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

struct LsOptions {
  std::string path;
  bool json = false;
};

// No column is padded beyond this, so that one long name costs its own bytes
// and not those of every row.
constexpr size_t kMostPadding = 100;

// Longer cells are abbreviated; many tensors may share the front of a name.
constexpr size_t kMostCharacters = 1000;

constexpr size_t kMostGlobals = 10;  // in one line

// Left-aligned columns, save the one named in `right`.
template <size_t kColumns>
class Table {
 public:
  using Row = std::array<std::string, kColumns>;

  Table(Row heads, size_t right) : right_(right) { Add(std::move(heads)); }

  void Add(Row row) {
    for (size_t c = 0; c < kColumns; ++c) {
      const size_t width = std::min(Width(row[c]), kMostPadding);
      widths_[c] = std::max(widths_[c], width);
    }
    rows_.push_back(std::move(row));
  }

  void PrintRows() const {
    for (const Row& row : rows_) {
      std::string line;
      for (size_t c = 0; c < kColumns; ++c) {
        const size_t width = std::min(Width(row[c]), widths_[c]);
        const std::string gap(widths_[c] - width, ' ');
        line += c == right_ ? gap + row[c] : row[c] + gap;
        line += "  ";
      }
      line.erase(line.find_last_not_of(' ') + 1);
      Print(line + "\n");
    }
  }

 private:
  const size_t right_;
  std::array<size_t, kColumns> widths_{};
  std::vector<Row> rows_;
};

// The storages of a file, each with the number of tensors over it.
using Sharing = std::unordered_map<const Storage*, size_t>;

Sharing CountSharing(const Reader& reader) {
  Sharing sharing;
  for (const TensorInfo& tensor : reader.tensors()) {
    ++sharing[tensor.view.storage.get()];
  }
  return sharing;
}

// Elements of all tensors; those that several names show count once. kTooLarge
// if 64 bits cannot hold it.
uint64_t CountElements(const Reader& reader) {
  using Identity = std::tuple<const Storage*, DType, uint64_t,
                              std::vector<int64_t>, std::vector<int64_t>>;
  std::set<Identity> seen;
  uint64_t elems = 0;
  for (const TensorInfo& tensor : reader.tensors()) {
    const TensorView& view = tensor.view;
    const bool added = seen.insert({view.storage.get(), view.spec.dtype,
                                    view.offset, view.spec.shape, view.strides})
                           .second;
    if (!added) continue;
    const uint64_t sum = elems + view.spec.elems();
    elems = sum < elems ? kTooLarge : sum;
  }
  return elems;
}

std::string TotalLine(const Reader& reader, const Sharing& sharing) {
  uint64_t storage_bytes = 0;
  uint64_t stored_bytes = 0;
  std::set<const Storage*> seen;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (!seen.insert(tensor.view.storage.get()).second) continue;
    storage_bytes += tensor.view.storage->region.bytes;
    stored_bytes += tensor.stored_bytes;
  }
  std::string line = fmt::format(
      "{}, {} elements, {} in {}", Plural(reader.tensors().size(), "tensor"),
      CountText(CountElements(reader)), ByteText(storage_bytes),
      Plural(sharing.size(), "storage"));
  if (stored_bytes != storage_bytes) {
    line += fmt::format(" ({} stored)", ByteText(stored_bytes));
  }
  return line + fmt::format("; {} file of {}\n", Printable(reader.format()),
                            ByteText(reader.file_bytes()));
}

// What the storage takes of what it is, in percent.
double PercentOf(const TensorInfo& tensor) {
  const uint64_t bytes = tensor.view.storage->region.bytes;
  if (bytes == 0) return 100;
  return 100 * static_cast<double>(tensor.stored_bytes) /
         static_cast<double>(bytes);
}

// "none", "plane 66.4 %".
std::string CompressionText(const TensorInfo& tensor) {
  const std::string name(Name(tensor.compression));
  if (tensor.compression == Compression::kNone) return name;
  return fmt::format("{} {:.1f} %", name, PercentOf(tensor));
}

void PrintTensors(const Reader& reader, const Sharing& sharing) {
  Table<7> table(
      {"name", "dtype", "shape", "bytes", "storage", "compression", ""},
      /*right=*/3);
  for (const TensorInfo& tensor : reader.tensors()) {
    const TensorView& view = tensor.view;
    const size_t views = sharing.at(view.storage.get());
    table.Add({Abbreviated(view.spec.name, kMostCharacters),
               std::string(Name(view.spec.dtype)),
               fmt::format("[{}]", fmt::join(view.spec.shape, ", ")),
               ByteText(view.spec.bytes()),
               Abbreviated(tensor.record, kMostCharacters),
               CompressionText(tensor),
               views > 1 ? fmt::format("shared by {}", views) : ""});
  }
  table.PrintRows();
}

std::vector<std::string> UnknownGlobals(const Reader& reader) {
  std::vector<std::string> names;
  for (const Global& global : reader.unknown_globals()) {
    names.push_back(global.dotted());
  }
  return names;
}

void PrintText(const Reader& reader) {
  for (const std::string& warning : reader.warnings()) {
    Print("note: " + Printable(warning) + "\n");
  }
  const Sharing sharing = CountSharing(reader);
  if (!reader.tensors().empty()) {
    PrintTensors(reader, sharing);
    Print("\n");
  }
  Print(TotalLine(reader, sharing));
  if (const auto names = UnknownGlobals(reader); !names.empty()) {
    Print("uses globals that torch.load(weights_only=True) refuses: " +
          NameList(names, kMostGlobals) + "\n");
  }
  for (const auto& [key, value] : reader.state().metadata) {
    Print(fmt::format("metadata {}: {}\n", Abbreviated(key, kMostCharacters),
                      Abbreviated(value, kMostCharacters)));
  }
  const std::string tree = RenderState(reader.state());
  if (!tree.empty()) Print("\n" + tree);
}

Json TensorJson(const TensorInfo& tensor) {
  const TensorView& view = tensor.view;
  Json json = Json::object();
  json["name"] = Utf8(view.spec.name);
  json["path"] = PathJson(tensor.path);
  json["dtype"] = std::string(Name(view.spec.dtype));
  json["shape"] = view.spec.shape;
  json["bytes"] = nullptr;
  const uint64_t bytes = view.spec.bytes();
  if (bytes != kTooLarge) json["bytes"] = bytes;
  json["file"] = Utf8(tensor.file);
  json["storage"] = Utf8(tensor.record);
  json["offset"] = tensor.offset;
  json["stored_bytes"] = tensor.stored_bytes;
  json["compression"] = std::string(Name(tensor.compression));
  json["ratio"] = PercentOf(tensor) / 100;
  json["crc32"] = nullptr;
  if (tensor.crc32) json["crc32"] = fmt::format("{:08x}", *tensor.crc32);
  json["strides"] = view.strides;
  json["storage_offset"] = view.offset;
  json["requires_grad"] = view.requires_grad;
  return json;
}

std::string LsJson(const Reader& reader) {
  Json json = Json::object();
  json["format"] = reader.format();
  json["file_bytes"] = reader.file_bytes();
  json["tensors"] = Json::array();
  for (const TensorInfo& tensor : reader.tensors()) {
    json["tensors"].push_back(TensorJson(tensor));
  }
  json["metadata"] = Json::object();
  for (const auto& [key, value] : reader.state().metadata) {
    json["metadata"][key] = value;
  }
  json["warnings"] = Json::array();
  for (const std::string& warning : reader.warnings()) {
    json["warnings"].push_back(Utf8(warning));
  }
  json["unknown_globals"] = Json::array();
  for (const std::string& name : UnknownGlobals(reader)) {
    json["unknown_globals"].push_back(Utf8(name));
  }
  json["state"] = StateJson(reader.state());
  return Document(json);
}

int RunLs(const LsOptions& options) {
  const Result<Reader> reader = Reader::Open(options.path);
  if (!reader) return Fail(reader.error());
  if (options.json) {
    Print(LsJson(*reader));
  } else {
    PrintText(*reader);
  }
  return kFine;
}

}  // namespace

void AddLs(CLI::App& app, Action* action) {
  const auto options = std::make_shared<LsOptions>();
  CLI::App* command = app.add_subcommand(
      "ls", "Lists the tensors of a file, and what else it holds");
  command
      ->add_option("PATH", options->path,
                   "a file, or the folder of a distributed checkpoint")
      ->required();
  command->add_flag("--json", options->json, "one JSON document");
  command->callback(
      [options, action] { *action = [options] { return RunLs(*options); }; });
}

}  // namespace caisson::cli
