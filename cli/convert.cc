// SPDX-License-Identifier: Apache-2.0
//
// caisson convert, pack, unpack IN OUT: write a file again.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/edit.h"
#include "caisson/engine.h"
#include "caisson/reader.h"
#include "cli/commands.h"
#include "cli/convert_options.h"
#include "cli/engine_progress.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

constexpr size_t kMostNames = 20;  // of what is dropped, in one line

// Records that the state does not carry are lost only if that was asked for.
Status CheckExtras(const Reader& reader, const ConvertOptions& options) {
  const std::vector<std::string> extras = reader.extra_records();
  if (extras.empty()) return Status::Ok();
  constexpr size_t kShown = 5;
  std::string names = extras.front();
  for (size_t i = 1; i < std::min(extras.size(), kShown); ++i) {
    names += ", " + extras[i];
  }
  if (extras.size() > kShown) {
    names += fmt::format(" and {} more", extras.size() - kShown);
  }
  if (!options.drop) {
    return Status::Unsupported(fmt::format(
        "{}: records that are no part of the state: {}; --drop leaves them out",
        options.in, names));
  }
  Print(
      fmt::format("{}: dropped {}\n", Printable(options.in), Printable(names)));
  return Status::Ok();
}

// "cast 12 tensors from float32 to bfloat16", one line for each such pair.
// Both hold the tensors of one file in one order, unless somebody replaced it
// in between.
Result<std::string> CastText(const Reader& reader, const State& loaded,
                             const std::string& file) {
  std::map<std::pair<DType, DType>, uint64_t> counts;
  const Result<std::vector<NamedTensor>> tensors = loaded.Tensors();
  if (!tensors) return tensors.error();
  if (tensors->size() != reader.tensors().size()) {
    return Status::Io(fmt::format(
        "{}: had {}, then {}: it was replaced "
        "meanwhile",
        file, Plural(reader.tensors().size(), "tensor"), tensors->size()));
  }
  for (size_t i = 0; i < tensors->size(); ++i) {
    const DType from = reader.tensors()[i].view.spec.dtype;
    const DType to = (*tensors)[i].view->spec.dtype;
    if (from != to) ++counts[{from, to}];
  }
  std::string text;
  for (const auto& [pair, count] : counts) {
    text += fmt::format("cast {} from {} to {}\n", Plural(count, "tensor"),
                        Name(pair.first), Name(pair.second));
  }
  return text.empty() ? "no tensor needed a cast\n" : text;
}

// Renames in order, and says so.
Result<std::string> RenameAll(const ConvertOptions& options, State& state) {
  std::string text;
  for (const KeyChange& change : options.renames) {
    const Status status = Rename(state, change.from, change.to);
    if (!status.ok()) return status.WithContext(options.in);
    text += fmt::format("renamed {} to {}\n", Printable(change.from),
                        Printable(change.to));
  }
  return text;
}

// The format that OUT will have; none if it is refused.
std::optional<FileFormat> TargetOf(const ConvertOptions& options) {
  return options.format.format ? options.format.format : FormatOf(options.out);
}

// The text beside the tensors goes where there is a place for it, and the
// library that loads a safetensors file wants to be told who wrote it.
Result<std::string> AdaptMetadata(const Reader& reader,
                                  const ConvertOptions& options, State* state) {
  const bool flat = TargetOf(options) == FileFormat::kSafetensors;
  if (flat && reader.format() != "safetensors") {
    state->metadata.emplace("format", "pt");
  }
  if (flat) return std::string();
  state->metadata.erase("format");
  if (state->metadata.empty()) return std::string();
  std::vector<std::string> keys;
  for (const auto& [key, value] : state->metadata) keys.push_back(key);
  if (!options.drop) {
    return Status::Unsupported(fmt::format(
        "{}: metadata that a {} file cannot carry: {}; --drop leaves it out",
        options.in,
        TargetOf(options) == FileFormat::kCaffe2 ? "Caffe2" : "PyTorch",
        NameList(keys, kMostNames)));
  }
  return fmt::format("{}: dropped metadata: {}\n", Printable(options.in),
                     NameList(keys, kMostNames));
}

// What the format of OUT could not carry.
std::string DroppedText(const std::vector<std::string>& dropped,
                        const std::string& out) {
  if (dropped.empty()) return "";
  return fmt::format("{}: dropped {}\n", Printable(out),
                     NameList(dropped, kMostNames));
}

// The state in memory, with the casts that were asked for.
Result<State> LoadAll(Engine& engine, const Reader& reader,
                      const ConvertOptions& options, Progress& progress) {
  EngineProgress reading(progress, 0, reader.file_bytes(),
                         "reading " + options.in);
  LoadOptions load;
  load.keep_unknown = true;
  load.casts = options.casts;
  Result<State> state = engine.Load(reader, load, reading.callback());
  progress.Clear();
  return state;
}

// What became of the storages, by compression.
std::string CompressionText(const SaveReport& report) {
  if (report.compression.storages.empty()) return "";
  std::map<Compression, uint64_t> counts;
  for (const CompressionChoice& choice : report.compression.storages) {
    ++counts[choice.compression];
  }
  std::string text;
  for (const auto& [compression, count] : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "compression: " : ", ",
                        Name(compression), Plural(count, "storage"));
  }
  text +=
      fmt::format("; {} of tensors in a file of {}\n",
                  ByteText(report.tensor_bytes), ByteText(report.file_bytes));
  if (!report.compression.why.empty()) {
    text += "chosen by: " + Printable(report.compression.why) + "\n";
  }
  if (counts.contains(Compression::kPlane)) {
    text +=
        "note: torch.load cannot read it; caisson unpack makes a file that "
        "it can\n";
  } else if (counts.contains(Compression::kDeflate)) {
    text += "note: torch.load reads it with mmap=False only\n";
  }
  return text;
}

bool IsPacked(const Reader& reader) {
  return std::ranges::any_of(reader.tensors(), [](const TensorInfo& tensor) {
    return tensor.compression != Compression::kNone;
  });
}

// What unpack will not give back of what pack takes.
Result<std::string> PackWarning(const Reader& reader,
                                const ConvertOptions& options) {
  if (IsPacked(reader)) return std::string();
  if (reader.format() == "safetensors") {
    return std::string(
        "note: packed as a PyTorch file; caisson unpack OUT NAME.safetensors "
        "makes one of its tensors again\n");
  }
  const Result<bool> same = reader.Reproducible();
  if (!same) return same.error();
  if (*same) return std::string();
  return fmt::format(
      "note: {} is not laid out as torch.save does it: unpacking gives its "
      "state, and not the same bytes\n",
      Printable(options.in));
}

enum class Verb : uint8_t { kConvert, kPack, kUnpack };

int RunConvert(const ConvertOptions& options, Verb verb) {
  const Stopwatch watch;
  const Result<Reader> reader = Engine::Open(options.in);
  if (!reader) return Fail(reader.error());
  Result<Engine> engine = Engine::Create();
  if (!engine) return Fail(engine.error());

  if (const Status status = CheckExtras(*reader, options); !status.ok()) {
    return Fail(status);
  }
  std::string done;
  if (verb == Verb::kPack) {
    const Result<std::string> warning = PackWarning(*reader, options);
    if (!warning) return Fail(warning.error());
    done += *warning;
  }

  // Every byte is read once and written once: at the same time, but for casts
  // and compression, which take the whole state in memory.
  const bool streams =
      options.casts.empty() && options.compress == CompressMode::kNone;
  const uint64_t in_bytes = reader->file_bytes();
  Progress progress(streams ? in_bytes : 2 * in_bytes);
  // What torch.load would refuse is written again as it is, never run.
  constexpr bool kKeepUnknown = true;
  Result<State> state = streams ? reader->Outline(kKeepUnknown)
                                : LoadAll(*engine, *reader, options, progress);
  if (!state) return Fail(state.error());

  if (!options.casts.empty()) {
    const Result<std::string> text = CastText(*reader, *state, options.in);
    if (!text) return Fail(text.error());
    done += *text;
  }
  const Result<std::string> renamed = RenameAll(options, *state);
  if (!renamed) return Fail(renamed.error());
  done += *renamed;
  const Result<std::string> adapted = AdaptMetadata(*reader, options, &*state);
  if (!adapted) return Fail(adapted.error());
  done += *adapted;

  EngineProgress writing(progress, streams ? 0 : in_bytes, in_bytes,
                         "writing " + options.out);
  SaveOptions save;
  save.profile = options.profile;
  save.format = options.format;
  save.format.drop = options.drop;
  save.compress = options.compress;
  save.progress = writing.callback();
  if (streams) save.source = &*reader;
  const Result<SaveReport> report = engine->Save(*state, options.out, save);
  progress.Clear();
  if (!report) return Fail(report.error());
  done += DroppedText(report->dropped, options.out);
  done += CompressionText(*report);
  Print(done);
  Print(fmt::format("{} -> {}: {}\n", Printable(options.in),
                    Printable(options.out),
                    WorkText(report->file_bytes, "", watch.seconds())));
  return kFine;
}

}  // namespace

void AddConvert(CLI::App& app, Action* action) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* command =
      app.add_subcommand("convert", "Writes a file again, all bytes checked");
  AddConvertOptions(*command, options.get());
  command->callback([options, action] {
    *action = [options] { return RunConvert(*options, Verb::kConvert); };
  });
}

void AddPack(CLI::App& app, Action* action) {
  const auto options = std::make_shared<ConvertOptions>();
  options->compress = CompressMode::kPlane;
  CLI::App* command = app.add_subcommand(
      "pack", "Compresses the tensors of a file: convert --compress plane");
  AddInAndOut(*command, options.get());
  command->callback([options, action] {
    *action = [options] { return RunConvert(*options, Verb::kPack); };
  });
}

void AddUnpack(CLI::App& app, Action* action) {
  const auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand(
      "unpack",
      "Undoes pack, to the last byte for files of torch.save: convert "
      "--compress none");
  AddInAndOut(*command, options.get());
  command->callback([options, action] {
    *action = [options] { return RunConvert(*options, Verb::kUnpack); };
  });
}

}  // namespace caisson::cli
