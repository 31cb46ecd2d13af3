// SPDX-License-Identifier: Apache-2.0
#include "cli/convert_options.h"

#include <fmt/format.h>

#include <CLI/Error.hpp>
#include <CLI/Option.hpp>
#include <functional>
#include <string_view>

#include "caisson/dtype.h"
#include "cli/byte_size.h"
#include "cli/terminal.h"

namespace caisson::cli {
namespace {

// Adds an option that takes one value each time it is given, which `take` gets
// as it stands; what is wrong with it comes back, or "".
CLI::Option* AddRepeated(
    CLI::App& command, const std::string& name, const std::string& value,
    const std::string& help,
    const std::function<std::string(const std::string&)>& take) {
  const auto take_all = [name, take](const std::vector<std::string>& values) {
    for (const std::string& text : values) {
      const std::string problem = take(text);
      if (problem.empty()) continue;
      throw CLI::ValidationError(
          fmt::format("{}: '{}': {}", name, Abbreviated(text, 200), problem));
    }
    return true;
  };
  return command.add_option(name, CLI::callback_t(take_all), help)
      ->type_name(value)
      ->type_size(1)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// PyTorch's name of a dtype ("bfloat16"), safetensors' in either case ("BF16",
// "bf16"), or that of the papers ("fp16").
std::optional<DType> DTypeNamed(std::string_view name) {
  if (const std::optional<DType> dtype = ParseDType(name)) return dtype;
  std::string upper(name);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
  if (upper.starts_with("FP")) upper.erase(1, 1);
  return upper.empty() ? std::nullopt : ParseSafetensorsName(upper);
}

// A dtype has no '=', so the last one ends the glob.
std::string TakeCast(const std::string& text, std::vector<Cast>* casts) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) {
    return "expected NAME_GLOB=DTYPE";
  }
  const std::string name = text.substr(equals + 1);
  const std::optional<DType> dtype = DTypeNamed(name);
  if (!dtype) return fmt::format("'{}' is no dtype", Abbreviated(name, 100));
  casts->push_back({text.substr(0, equals), *dtype});
  return "";
}

std::string TakeRename(const std::string& text,
                       std::vector<KeyChange>* renames) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return "expected OLD=NEW";
  }
  renames->push_back({text.substr(0, equals), text.substr(equals + 1)});
  return "";
}

std::string TakeProfile(const std::string& text,
                        std::optional<Profile>* profile) {
  if (text == "1.13") {
    *profile = Profile::Torch1_13();
  } else if (text == "2.6") {
    *profile = Profile::Torch2_6();
  } else if (text == "2.7") {
    *profile = Profile::Torch2_7();
  } else {
    return "expected 1.13, 2.6 or 2.7";
  }
  return "";
}

std::string TakeFormat(const std::string& text, FormatOptions* format) {
  if (text == "pt") {
    format->format = FileFormat::kPyTorch;
  } else if (text == "safetensors") {
    format->format = FileFormat::kSafetensors;
  } else if (text == "caffe2") {
    format->format = FileFormat::kCaffe2;
  } else {
    return "expected pt, safetensors or caffe2";
  }
  return "";
}

std::string TakeCompress(const std::string& text, CompressMode* compress) {
  if (text == "none") {
    *compress = CompressMode::kNone;
  } else if (text == "deflate") {
    *compress = CompressMode::kDeflate;
  } else if (text == "plane") {
    *compress = CompressMode::kPlane;
  } else if (text == "auto") {
    *compress = CompressMode::kAuto;
  } else {
    return "expected none, deflate, plane or auto";
  }
  return "";
}

std::string TakeShardBytes(const std::string& text, FormatOptions* format) {
  const std::optional<uint64_t> bytes = ParseByteSize(text);
  if (!bytes || *bytes == 0) return "expected a size such as 5GB";
  format->shard_bytes = *bytes;
  return "";
}

}  // namespace

void AddInAndOut(CLI::App& command, ConvertOptions* options) {
  command
      .add_option("IN", options->in,
                  "the file to read, or a distributed checkpoint")
      ->required();
  command
      .add_option("OUT", options->out,
                  "the file to write; may be IN, which is then replaced as "
                  "a whole or not at all")
      ->required();
}

void AddConvertOptions(CLI::App& command, ConvertOptions* options) {
  AddInAndOut(command, options);
  AddRepeated(
      command, "--cast", "NAME_GLOB=DTYPE",
      "convert the floating tensors with such names in IN to bfloat16 (or "
      "bf16), float16, ...; '*' stands for anything, dots too, '?' for "
      "one byte; the first that covers a tensor decides",
      [options](const std::string& text) {
        return TakeCast(text, &options->casts);
      });
  AddRepeated(command, "--rename", "OLD=NEW",
              "give the entry of a dict that ls calls OLD, a tensor or "
              "anything else, another key; NEW is its whole new name; done in "
              "the order given",
              [options](const std::string& text) {
                return TakeRename(text, &options->renames);
              });
  AddRepeated(command, "--profile", "1.13|2.6|2.7",
              "lay the file out, and name its folder after OUT, as that "
              "release of torch does; without it as IN is",
              [options](const std::string& text) {
                return TakeProfile(text, &options->profile);
              })
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  AddRepeated(command, "--to", "pt|safetensors|caffe2",
              "the format of OUT; without it what its suffix says; Caffe2 is a "
              "minidb unless OUT ends with .pb (protodb) or .pbtxt (its text)",
              [options](const std::string& text) {
                return TakeFormat(text, &options->format);
              })
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  AddRepeated(command, "--compress", "none|deflate|plane|auto",
              "PyTorch files: how tensors are compressed; torch.load reads "
              "deflate with mmap=False only, and not plane; auto takes what is "
              "fastest here",
              [options](const std::string& text) {
                return TakeCompress(text, &options->compress);
              })
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  AddRepeated(command, "--shard-size", "SIZE",
              "safetensors: split what is larger into files of at most SIZE "
              "(5GB, 500MiB) with an index",
              [options](const std::string& text) {
                return TakeShardBytes(text, &options->format);
              })
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  command.add_flag("--no-checksums{false}", options->format.checksums,
                   "safetensors: without the CRCs that verify needs, byte for "
                   "byte as the safetensors library writes");
  command.add_flag("--append", options->format.append,
                   "Caffe2: after the tensors of the database OUT, which has "
                   "none of these names");
  command.add_flag("--drop", options->drop,
                   "leave out what OUT cannot carry: records that are no part "
                   "of the state; in another format than IN's, values that "
                   "it has no place for");
}

}  // namespace caisson::cli
