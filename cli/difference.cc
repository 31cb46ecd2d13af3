// SPDX-License-Identifier: Apache-2.0
#include "cli/difference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "cli/element_text.h"
#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {
namespace {

constexpr size_t kMostCharacters = 1000;  // of a name

// "7 in A, 8 in B", or one of them.
std::string SidesText(const Difference& difference) {
  std::string text;
  if (difference.a) text = *difference.a + " in A";
  if (difference.a && difference.b) text += ", ";
  if (difference.b) text += *difference.b + " in B";
  return text;
}

std::string ElementsText(const ElementDifference& elements) {
  const std::string all = elements.elems == kTooLarge
                              ? std::string("too many")
                              : std::to_string(elements.elems);
  std::string text = fmt::format(
      "{} of {} {} differ, first at [{}]: {} in A, {} in B", elements.differing,
      all, elements.packed ? "packed bytes" : "elements",
      fmt::join(elements.index, ", "), elements.a, elements.b);
  if (elements.greatest) {
    text += fmt::format("; greatest difference {:.5g}", *elements.greatest);
  }
  return text;
}

std::string ProblemText(const Difference& difference) {
  const char* side = difference.a ? "A" : "B";
  const std::string& one =
      difference.a ? *difference.a : difference.b.value_or("");
  switch (difference.kind) {
    case DifferenceKind::kOnlyInA:
    case DifferenceKind::kOnlyInB:
      return fmt::format("only in {}: {}", side, one);
    case DifferenceKind::kOrder:
      return "keys in another order: first " + SidesText(difference);
    case DifferenceKind::kShape:
      return "shape " + SidesText(difference);
    case DifferenceKind::kFlag:
      return fmt::format("{} in {} only", one, side);
    case DifferenceKind::kSharing:
      return fmt::format("shares its storage with {} in {} only", one, side);
    case DifferenceKind::kLayout:
      return "layout: " + SidesText(difference);
    case DifferenceKind::kElements:
      return ElementsText(*difference.elements);
    case DifferenceKind::kRepeated:
      return fmt::format("differs as {} does", one);
    default:
      return SidesText(difference);
  }
}

Json TextJson(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

// JSON has no infinity.
Json DistanceJson(const std::optional<double>& distance) {
  if (!distance) return nullptr;
  if (std::isfinite(*distance)) return *distance;
  return Json{{"$float", "inf"}};
}

}  // namespace

std::string_view Name(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kOnlyInA:
      return "only_in_a";
    case DifferenceKind::kOnlyInB:
      return "only_in_b";
    case DifferenceKind::kType:
      return "type";
    case DifferenceKind::kValue:
      return "value";
    case DifferenceKind::kOrder:
      return "order";
    case DifferenceKind::kDType:
      return "dtype";
    case DifferenceKind::kShape:
      return "shape";
    case DifferenceKind::kFlag:
      return "flag";
    case DifferenceKind::kSharing:
      return "sharing";
    case DifferenceKind::kLayout:
      return "layout";
    case DifferenceKind::kElements:
      return "elements";
    case DifferenceKind::kRepeated:
      return "repeated";
  }
  return "unknown";
}

std::string DifferenceLine(const Difference& difference) {
  const std::string name =
      difference.path.empty()
          ? std::string("state")
          : Abbreviated(Join(difference.path), kMostCharacters);
  return name + ": " + ProblemText(difference);
}

Json DifferenceJson(const Difference& difference) {
  Json json = Json::object();
  json["kind"] = std::string(Name(difference.kind));
  json["name"] = Utf8(Join(difference.path));
  json["path"] = PathJson(difference.path);
  json["a"] = TextJson(difference.a);
  json["b"] = TextJson(difference.b);
  if (!difference.elements) return json;
  const ElementDifference& elements = *difference.elements;
  json["a"] = elements.a;
  json["b"] = elements.b;
  json["differing"] = elements.differing;
  json["elems"] = nullptr;
  if (elements.elems != kTooLarge) json["elems"] = elements.elems;
  json["index"] = elements.index;
  json["greatest"] = DistanceJson(elements.greatest);
  return json;
}

}  // namespace caisson::cli
