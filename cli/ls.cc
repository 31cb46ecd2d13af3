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

// Left-aligned columns, save those named in `right`.
template <size_t kColumns>
class Table {
 public:
  using Row = std::array<std::string, kColumns>;

  Table(Row heads, size_t right) : right_(right) { Add(std::move(heads)); }

  void Add(Row row) {
    for (size_t c = 0; c < kColumns; ++c) {
      widths_[c] = std::max(widths_[c], Width(row[c]));
    }
    rows_.push_back(std::move(row));
  }

  std::string Text() const {
    std::string text;
    for (const Row& row : rows_) {
      std::string line;
      for (size_t c = 0; c < kColumns; ++c) {
        const std::string gap(widths_[c] - Width(row[c]), ' ');
        line += c == right_ ? gap + row[c] : row[c] + gap;
        line += "  ";
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
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

// Elements of all tensors; those that several names show count once.
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
    if (added) elems += view.spec.elems();
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

std::string LsText(const Reader& reader) {
  const Sharing sharing = CountSharing(reader);
  std::string text;
  if (!reader.tensors().empty()) {
    Table<7> table(
        {"name", "dtype", "shape", "bytes", "storage", "compression", ""},
        /*right=*/3);
    for (const TensorInfo& tensor : reader.tensors()) {
      const TensorView& view = tensor.view;
      const size_t views = sharing.at(view.storage.get());
      table.Add({Printable(view.spec.name), std::string(Name(view.spec.dtype)),
                 fmt::format("[{}]", fmt::join(view.spec.shape, ", ")),
                 ByteText(view.spec.bytes()), Printable(tensor.record),
                 std::string(Name(tensor.compression)),
                 views > 1 ? fmt::format("shared by {}", views) : ""});
    }
    text = table.Text() + "\n";
  }
  text += TotalLine(reader, sharing);
  const std::string tree = RenderState(reader.state());
  return tree.empty() ? text : text + "\n" + tree;
}

Json TensorJson(const TensorInfo& tensor) {
  const TensorView& view = tensor.view;
  Json json = Json::object();
  json["name"] = Utf8(view.spec.name);
  json["path"] = PathJson(tensor.path);
  json["dtype"] = std::string(Name(view.spec.dtype));
  json["shape"] = view.spec.shape;
  json["bytes"] = view.spec.bytes();
  json["storage"] = Utf8(tensor.record);
  json["offset"] = tensor.offset;
  json["stored_bytes"] = tensor.stored_bytes;
  json["compression"] = std::string(Name(tensor.compression));
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
  json["state"] = StateJson(reader.state());
  return Document(json);
}

int RunLs(const LsOptions& options) {
  const Result<Reader> reader = Reader::Open(options.path);
  if (!reader) return Fail(reader.error());
  Print(options.json ? LsJson(*reader) : LsText(*reader));
  return kFine;
}

}  // namespace

void AddLs(CLI::App& app, Action* action) {
  const auto options = std::make_shared<LsOptions>();
  CLI::App* command = app.add_subcommand(
      "ls", "Lists the tensors of a file, and what else it holds");
  command->add_option("PATH", options->path, "the file")->required();
  command->add_flag("--json", options->json, "one JSON document");
  command->callback(
      [options, action] { *action = [options] { return RunLs(*options); }; });
}

}  // namespace caisson::cli
