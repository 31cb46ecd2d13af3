// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/manifest.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/formats/dcp/json_value.h"
#include "core/formats/dcp/stored_places.h"

namespace caisson::dcp {
namespace {

constexpr std::string_view kFormat = "caisson.dcp";
constexpr int64_t kVersion = 1;
constexpr std::string_view kNoCrc = "00000000";

Status Malformed(const std::string& where, std::string_view problem) {
  return Status::Corrupt(where + ": " + std::string(problem));
}

std::string Quoted(const std::string& fqn) { return "'" + fqn + "'"; }

// The CRC is that of the text with zeros in its place.
Status CheckCrc(std::span<const std::byte> json, const JsonValue& manifest) {
  const JsonValue* field = manifest.Find("crc32");
  const auto* told = field ? field->As<std::string>() : nullptr;
  if (told == nullptr || told->size() != kNoCrc.size()) {
    return Malformed("manifest", "no 'crc32' of 8 digits");
  }
  const std::string_view text(reinterpret_cast<const char*>(json.data()),
                              json.size());
  const size_t at = text.find(*told);
  if (at == std::string_view::npos) {
    return Malformed("manifest", "no 'crc32' of 8 digits");
  }
  uint32_t crc = Crc32(0, json.first(at));
  crc = Crc32(crc, std::as_bytes(std::span(kNoCrc)));
  crc = Crc32(crc, json.subspan(at + kNoCrc.size()));
  char found[9];
  std::snprintf(found, sizeof(found), "%08x", crc);
  if (*told == found) return Status::Ok();
  return Malformed("manifest", "expected crc32 " + *told + ", found " + found);
}

Status CheckVersion(const JsonValue& manifest) {
  const JsonValue* format = manifest.Find("format");
  const JsonValue* version = manifest.Find("version");
  const auto* name = format ? format->As<std::string>() : nullptr;
  const auto* number = version ? version->As<int64_t>() : nullptr;
  if (name == nullptr || number == nullptr) {
    return Malformed("manifest", "no 'format' and 'version'");
  }
  if (*name == kFormat && *number == kVersion) return Status::Ok();
  return Status::Unsupported("a manifest of '" + *name + "', version " +
                             std::to_string(*number));
}

class Parser {
 public:
  Result<Checkpoint> Run(const JsonValue& manifest) {
    const JsonValue* state = manifest.Find("state");
    const JsonValue* storage = manifest.Find("storage");
    const auto* items = state ? state->As<JsonObject>() : nullptr;
    const auto* places = storage ? storage->As<JsonArray>() : nullptr;
    if (items == nullptr || places == nullptr) {
      return Malformed("manifest", "no 'state' and 'storage'");
    }
    CAISSON_RETURN_IF_ERROR(ReadPlanner(manifest.Find("planner")));
    for (const JsonValue& place : places->items) {
      CAISSON_RETURN_IF_ERROR(ReadPlace(place));
    }
    Checkpoint checkpoint;
    checkpoint.items.reserve(items->fields.size());
    std::unordered_set<std::string_view> names;
    for (const auto& [fqn, what] : items->fields) {
      if (!names.insert(fqn).second) return Malformed(Quoted(fqn), "twice");
      CAISSON_ASSIGN_OR_RETURN(Item item, ReadItem(fqn, what));
      CAISSON_RETURN_IF_ERROR(places_.Join(item));
      checkpoint.items.push_back(std::move(item));
    }
    return checkpoint;
  }

 private:
  Status ReadPlanner(const JsonValue* planner) {
    if (planner == nullptr || planner->null()) return Status::Ok();
    const auto* paths = planner->As<JsonObject>();
    if (paths == nullptr) return Malformed("manifest", "'planner' of no paths");
    for (const auto& [fqn, path] : paths->fields) {
      const auto* steps = path.As<JsonArray>();
      if (steps == nullptr) return Malformed(Quoted(fqn), "no path");
      paths_[fqn] = steps;
    }
    return Status::Ok();
  }

  Status ReadPlace(const JsonValue& entry) {
    const auto text = [&](const char* name) {
      const JsonValue* field = entry.Find(name);
      return field ? field->As<std::string>() : nullptr;
    };
    const auto number = [&](const char* name) {
      const JsonValue* field = entry.Find(name);
      const auto* value = field ? field->As<int64_t>() : nullptr;
      return value && *value >= 0 ? value : nullptr;
    };
    const std::string* fqn = text("fqn");
    if (fqn == nullptr) return Malformed("manifest", "a place without a name");
    const std::string* file = text("file");
    const std::string* record = text("record");
    const int64_t* at = number("at");
    const int64_t* bytes = number("bytes");
    const int64_t* crc = number("crc32");
    if (!file || !record || !at || !bytes || !crc || *crc > UINT32_MAX) {
      return Malformed(Quoted(*fqn), "a place that lacks a field");
    }
    std::optional<std::vector<int64_t>> offset;
    if (const JsonValue* field = entry.Find("offset");
        field != nullptr && !field->null()) {
      offset = field->Integers();
      if (!offset) return Malformed(Quoted(*fqn), "a bad offset");
    }
    Place place;
    place.file = *file;
    place.record = *record;
    place.offset = static_cast<uint64_t>(*at);
    place.bytes = static_cast<uint64_t>(*bytes);
    place.crc32 = static_cast<uint32_t>(*crc);
    return places_.Add(*fqn, std::move(offset), std::move(place));
  }

  Result<Item> ReadItem(const std::string& fqn, const JsonValue& what) {
    Item item;
    item.fqn = fqn;
    CAISSON_ASSIGN_OR_RETURN(item.path, PathOf(fqn));
    if (const JsonValue* bytes = what.Find("bytes");
        bytes != nullptr && bytes->As<bool>() && *bytes->As<bool>()) {
      return item;
    }
    item.is_tensor = true;
    const JsonValue* dtype = what.Find("dtype");
    const auto* name = dtype ? dtype->As<std::string>() : nullptr;
    if (name == nullptr) return Malformed(Quoted(fqn), "no dtype");
    const auto known = ParseDType(*name);
    if (!known || ByteWidth(*known) == 0) {
      return Status::Unsupported(Quoted(fqn) + ": the dtype '" + *name + "'");
    }
    item.dtype = *known;
    const JsonValue* size = what.Find("size");
    auto shape = size ? size->Integers() : std::nullopt;
    const JsonValue* list = what.Find("chunks");
    const auto* chunks = list ? list->As<JsonArray>() : nullptr;
    if (!shape || chunks == nullptr) {
      return Malformed(Quoted(fqn), "no size and chunks");
    }
    item.shape = *std::move(shape);
    for (const JsonValue& entry : chunks->items) {
      const JsonValue* offsets = entry.Find("offsets");
      const JsonValue* sizes = entry.Find("sizes");
      auto begin = offsets ? offsets->Integers() : std::nullopt;
      auto counts = sizes ? sizes->Integers() : std::nullopt;
      if (!begin || !counts) return Malformed(Quoted(fqn), "a bad chunk");
      item.chunks.push_back({*std::move(begin), *std::move(counts), {}});
    }
    return item;
  }

  // Where it stood; its name, if nobody says.
  Result<Path> PathOf(const std::string& fqn) const {
    const auto found = paths_.find(fqn);
    if (found == paths_.end()) return Path{fqn};
    Path path;
    for (const JsonValue& step : found->second->items) {
      if (const auto* key = step.As<std::string>()) {
        path.emplace_back(*key);
      } else if (const auto* index = step.As<int64_t>()) {
        path.emplace_back(*index);
      } else {
        return Malformed(Quoted(fqn), "a path of other than names and numbers");
      }
    }
    if (path.empty() || path.size() > kMaxDepth) {
      return Malformed(Quoted(fqn),
                       "a path of " + std::to_string(path.size()) + " steps");
    }
    return path;
  }

  std::unordered_map<std::string_view, const JsonArray*> paths_;
  StoredPlaces places_;
};

}  // namespace

Result<Checkpoint> ParseManifest(std::span<const std::byte> json) {
  const Result<JsonValue> parsed = ParseJson(json);
  if (!parsed) return parsed.error().WithContext("manifest");
  if (parsed->As<JsonObject>() == nullptr) {
    return Malformed("manifest", "no JSON object");
  }
  CAISSON_RETURN_IF_ERROR(CheckVersion(*parsed));
  CAISSON_RETURN_IF_ERROR(CheckCrc(json, *parsed));
  return Parser().Run(*parsed);
}

}  // namespace caisson::dcp
