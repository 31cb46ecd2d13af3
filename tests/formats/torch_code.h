// SPDX-License-Identifier: Apache-2.0
//
// Pickles of torch objects put together call by call, and archives around
// them:
//
//   TorchFile file;
//   file.pickle = Whole(TensorV2(StorageId("FloatStorage", "0", 6), "K\0",
//   ...)); file.storages["0"] = std::string(24, '\0'); OpenBytes(file.Bytes());
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/reader.h"
#include "core/formats/torch/torch_semantics.h"
#include "tests/formats/pickle_code.h"
#include "tests/support/zip_builder.h"

namespace caisson::torch {

using pickle::Class;
using pickle::Get;
using pickle::Int;
using pickle::Op;
using pickle::Put;
using pickle::Repeated;
using pickle::Str;
using pickle::TupleOf;
using pickle::Whole;

// A tuple of ints.
inline std::string Ints(const std::vector<int64_t>& values) {
  std::string items;
  for (const int64_t value : values) items += Int(value);
  return TupleOf(items);
}

// A persistent id. `cls` is a class of torch, or one with its module.
inline std::string StorageId(std::string_view cls, std::string_view key,
                             int64_t numel, std::string_view location = "cpu") {
  const size_t dot = cls.rfind('.');
  const std::string global =
      dot == std::string_view::npos
          ? Class("torch", cls)
          : Class(cls.substr(0, dot), cls.substr(dot + 1));
  return TupleOf(Str("storage") + global + Str(key) + Str(location) +
                 Int(numel)) +
         "Q";
}

inline std::string OrderedDictCode() {
  return Class("collections", "OrderedDict") + ")R";
}

inline std::string Call(std::string_view module, std::string_view name,
                        std::string_view args) {
  return Class(module, name) + TupleOf(args) + "R";
}

// _rebuild_tensor_v2 over the code of a storage. `tail` follows the hooks.
inline std::string TensorV2(const std::string& storage,
                            const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides,
                            int64_t offset = 0, const std::string& tail = "") {
  return Call("torch._utils", "_rebuild_tensor_v2",
              storage + Int(offset) + Ints(shape) + Ints(strides) + "\x89" +
                  OrderedDictCode() + tail);
}

inline std::string TensorV3(const std::string& storage, std::string_view dtype,
                            const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides,
                            int64_t offset = 0) {
  return Call("torch._utils", "_rebuild_tensor_v3",
              storage + Int(offset) + Ints(shape) + Ints(strides) + "\x89" +
                  OrderedDictCode() + Class("torch", dtype));
}

// A float32 tensor of `n` elements over storage "0".
inline std::string FloatTensor(int64_t n) {
  return TensorV2(StorageId("FloatStorage", "0", n), {n}, {1});
}

// What Whole(code) means to torch, or the error.
inline std::string TorchMeaning(std::string_view code, bool strict = true) {
  TorchSemantics semantics;
  const std::string bytes = Whole(code);
  const auto unpickled =
      pickle::Unpickle(std::as_bytes(std::span(bytes)), "p", semantics,
                       pickle::Options{.strict = strict});
  return unpickled ? NodeText(unpickled->root) : unpickled.error().ToString();
}

// An archive as torch 2.6 lays it out, but for what a test changes.
struct TorchFile {
  std::string pickle = Whole("N");
  std::map<std::string, std::string> storages;  // by key
  std::optional<std::string> version = "3\n";
  std::optional<std::string> byteorder = "little";
  std::vector<std::pair<std::string, std::string>> others;  // after the version
  std::string prefix = "archive";
  ZipStyle style = ZipStyle::kPyTorch;

  std::string Bytes() const {
    ZipBuilder zip(style);
    const auto add = [&](const std::string& name, const std::string& content) {
      zip.Add(prefix + "/" + name, content);
    };
    add("data.pkl", pickle);
    if (byteorder) add("byteorder", *byteorder);
    for (const auto& [key, content] : storages) add("data/" + key, content);
    if (version) add("version", *version);
    for (const auto& [name, content] : others) add(name, content);
    return zip.Build();
  }
};

inline Result<Reader> OpenBytes(std::string bytes, bool strict = false) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  ReaderOptions options;
  options.strict = strict;
  return Reader::Open(std::make_shared<MemoryAdapter>(
                          std::as_bytes(std::span(*owner)), "model.pt", owner),
                      options);
}

}  // namespace caisson::torch
