// SPDX-License-Identifier: Apache-2.0
#include "core/engine/rotation/rotation_names.h"

#include <charconv>

#include "core/io/temporary.h"

namespace caisson {
namespace {

// Shorter than the part of a target that its temporary's name keeps, so that
// the one can be told from the other.
constexpr size_t kMaxName = 200;

constexpr size_t kMaxDigits = 20;  // of 2^64 - 1

Status CheckName(const char* what, const std::string& name) {
  const std::string quoted =
      std::string("rotation: the ") + what + " '" + name + "' ";
  if (name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return Status::InvalidArgument(quoted + "contains a slash or a zero byte");
  }
  if (name.size() > kMaxName - kMaxDigits) {
    return Status::InvalidArgument(
        quoted + "has " + std::to_string(name.size()) + " bytes, expected " +
        "at most " + std::to_string(kMaxName - kMaxDigits));
  }
  return Status::Ok();
}

}  // namespace

Status CheckRotationNames(const RotationOptions& options) {
  if (options.keep == 0) {
    return Status::InvalidArgument("rotation: keep 0, expected at least 1");
  }
  for (const auto& [what, name] : {std::pair("prefix", &options.prefix),
                                   std::pair("suffix", &options.suffix),
                                   std::pair("pointer", &options.latest)}) {
    if (Status status = CheckName(what, *name); !status.ok()) return status;
  }
  if (CheckpointName(options, ~uint64_t{0}).size() > kMaxName) {
    return Status::InvalidArgument("rotation: the prefix '" + options.prefix +
                                   "' and the suffix '" + options.suffix +
                                   "' leave no room for the step");
  }
  if (options.prefix.empty() && options.suffix.empty()) {
    return Status::InvalidArgument(
        "rotation: prefix and suffix are empty; every number would be a "
        "checkpoint");
  }
  if (options.prefix.starts_with('.') || options.latest.starts_with('.')) {
    return Status::InvalidArgument("rotation: the prefix '" + options.prefix +
                                   "' or the pointer '" + options.latest +
                                   "' begins with a dot, as temporaries do");
  }
  if (options.latest.empty() || StepOf(options, options.latest)) {
    return Status::InvalidArgument("rotation: the pointer '" + options.latest +
                                   "' is empty or a checkpoint's name");
  }
  return Status::Ok();
}

std::string CheckpointName(const RotationOptions& options, uint64_t step) {
  return options.prefix + std::to_string(step) + options.suffix;
}

std::optional<uint64_t> StepOf(const RotationOptions& options,
                               std::string_view name) {
  const size_t around = options.prefix.size() + options.suffix.size();
  if (name.size() <= around || !name.starts_with(options.prefix) ||
      !name.ends_with(options.suffix)) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(options.prefix.size(), name.size() - around);
  uint64_t step = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, step);
  if (error != std::errc() || stop != end) return std::nullopt;
  // One name for each step: "step007.pt" is not ours.
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return step;
}

std::string_view CheckpointOfTemporary(const RotationOptions& options,
                                       std::string_view name) {
  // .step100.pt.<pid>-<n>.tmp
  std::string_view target = name.substr(0, name.rfind('.'));
  target = target.substr(0, target.rfind('.'));
  if (target.size() < 2) return {};
  target.remove_prefix(1);
  if (!StepOf(options, target) || !IsTemporaryOf(target, name)) return {};
  return target;
}

}  // namespace caisson
