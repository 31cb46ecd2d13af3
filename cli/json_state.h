// SPDX-License-Identifier: Apache-2.0
//
// A State as JSON, for programs.
//
// None, bools, ints of 64 bits, finite floats, strs and lists are what JSON
// has; a dict or OrderedDict whose keys are strs that do not start with '$' is
// an object. Everything else is an object with a tag:
//
//   {"$int": "18446744073709551616"}      {"$float": "nan" | "inf" | "-inf"}
//   {"$complex": [real, imaginary]}       {"$str": "<hex>"}  lone surrogates
//   {"$bytes": "<hex>"}                   {"$bytearray": "<hex>"}
//   {"$tuple": [...]}
//   {"$set": [...]}                       {"$frozenset": [...]}
//   {"$dict": [[key, value], ...]}        with "attributes" where it has some
//   {"$tensor": "name"}                   {"$storage": bytes}
//   {"$global": "torch.bfloat16"}
//   {"$object": "module.name", "args": [...], "by_class": true,
//    "items": [...], "entries": [[key, value], ...], "state": ...}
//   {"$elided": "why"}                    what lies deeper than 100 levels, and
//                                         the rest of a tree that unfolds to
//                                         far more than the file holds
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "caisson/state.h"

namespace caisson::cli {

using Json = nlohmann::ordered_json;

Json StateJson(const State& state);

// A path as a list of strings and integers.
Json PathJson(const Path& path);

// One document and a line feed, as `--json` prints it.
std::string Document(const Json& json);

}  // namespace caisson::cli
