// SPDX-License-Identifier: Apache-2.0
//
// A file that is open, for Python.
#include "caisson/reader.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "python/src/engine.h"
#include "python/src/errors.h"
#include "python/src/interrupt.h"
#include "python/src/memory.h"
#include "python/src/state_out.h"

namespace caisson::python {
namespace {

// Some bytes of a file: the archive that lies within another's.
class Part final : public ReadAdapter {
 public:
  Part(std::shared_ptr<const ReadAdapter> whole, uint64_t offset,
       uint64_t bytes)
      : whole_(std::move(whole)), offset_(offset), bytes_(bytes) {}

  const std::string& name() const override { return whole_->name(); }
  uint64_t size() const override { return bytes_; }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (offset >= bytes_) return size_t{0};
    const size_t bytes = std::min<uint64_t>(dst.size(), bytes_ - offset);
    return whole_->Read(offset_ + offset, dst.first(bytes));
  }

 private:
  const std::shared_ptr<const ReadAdapter> whole_;
  const uint64_t offset_;
  const uint64_t bytes_;
};

class File {
 public:
  File(Reader reader, std::string path)
      : reader_(std::move(reader)), path_(std::move(path)) {}

  static std::shared_ptr<File> Open(const std::string& path) {
    std::optional<Result<Reader>> reader;
    {
      const nb::gil_scoped_release free;
      reader = Engine::Open(path);
    }
    return std::make_shared<File>(Take(*std::move(reader), path), path);
  }

  static std::shared_ptr<File> OpenPart(const std::string& path,
                                        uint64_t offset, uint64_t bytes) {
    std::shared_ptr<FileAdapter> whole = Take(FileAdapter::Open(path), path);
    if (offset > whole->size() || bytes > whole->size() - offset) {
      Raise(Status::Corrupt(path + ": needs " + std::to_string(bytes) +
                            " bytes at " + std::to_string(offset) +
                            ", the file has " + std::to_string(whole->size())),
            path);
    }
    auto part = std::make_shared<Part>(std::move(whole), offset, bytes);
    return std::make_shared<File>(Take(Reader::Open(std::move(part)), path),
                                  path);
  }

  // An archive in memory.
  static std::shared_ptr<File> OpenBytes(const nb::bytes& content) {
    const auto copy =
        std::make_shared<const std::string>(content.c_str(), content.size());
    auto adapter = std::make_shared<MemoryAdapter>(
        std::as_bytes(std::span(*copy)), "<memory>", copy);
    return std::make_shared<File>(Take(Reader::Open(std::move(adapter))),
                                  "<memory>");
  }

  // (name, path, dtype, shape, bytes, record, offset, stored bytes,
  // compression, crc32, file) of each.
  nb::list tensors() const {
    nb::list all;
    for (const TensorInfo& info : reader_.tensors()) {
      all.append(nb::make_tuple(
          info.view.spec.name, info.path, Text(Name(info.view.spec.dtype)),
          info.view.spec.shape, info.view.spec.bytes(), info.record,
          info.offset, info.stored_bytes, Text(Name(info.compression)),
          info.crc32, info.file));
    }
    return all;
  }

  // (module, name) of each.
  nb::list unknown() const {
    nb::list all;
    for (const Global& global : reader_.unknown_globals()) {
      all.append(nb::make_tuple(global.module, global.name));
    }
    return all;
  }

  nb::object tree(nb::object library) const {
    return StateOut(std::move(library), nb::none(), true)
        .Run(reader_.state().root);
  }

  nb::dict metadata() const {
    nb::dict made;
    for (const auto& [key, value] : reader_.state().metadata) {
      made[key.c_str()] = value;
    }
    return made;
  }

  const Reader& reader() const { return reader_; }
  const std::string& path() const { return path_; }
  const std::string& format() const { return reader_.format(); }
  uint64_t bytes() const { return reader_.file_bytes(); }
  std::vector<std::string> warnings() const {
    return {reader_.warnings().begin(), reader_.warnings().end()};
  }

 private:
  static nb::object Text(std::string_view text) {
    return nb::str(text.data(), text.size());
  }

  const Reader reader_;
  const std::string path_;
};

nb::object Load(const EngineBox& engine, const File& file,
                std::vector<std::string> names, const Casts& casts, bool verify,
                bool map, nb::object library, nb::object device,
                nb::object told) {
  LoadOptions options;
  options.verify = verify;
  options.names = std::move(names);
  options.map = map;
  options.casts = CastsFrom(casts);
  options.keep_unknown =
      true;  // frozenset and empty bytes; others were refused
  Interrupt interrupt(std::move(told));
  std::optional<Result<State>> state;
  {
    const nb::gil_scoped_release free;
    state = engine->Load(file.reader(), options, interrupt.callback());
  }
  interrupt.Rethrow();
  const State loaded = Take(*std::move(state), file.path());
  return StateOut(std::move(library), std::move(device), !options.names.empty())
      .Run(loaded.root);
}

// A tensor by its position, a block of it or, if empty, all, and the address
// and bytes of where it goes.
using Wanted = std::tuple<size_t, std::vector<std::pair<int64_t, int64_t>>,
                          uintptr_t, size_t>;

std::vector<bool> Read(const EngineBox& engine, const File& file,
                       const std::vector<Wanted>& wanted, nb::object told) {
  std::vector<ReadRequest> requests;
  for (const auto& [position, block, address, bytes] : wanted) {
    ReadRequest request;
    request.tensor = &file.reader().tensors()[position];
    for (const auto& [begin, end] : block) {
      request.block.push_back({begin, end});
    }
    request.dst = {reinterpret_cast<std::byte*>(address), bytes, {}};
    requests.push_back(std::move(request));
  }
  Interrupt interrupt(std::move(told));
  std::optional<Result<ReadReport>> report;
  {
    const nb::gil_scoped_release free;
    report = engine->Read(file.reader(), requests, interrupt.callback());
  }
  interrupt.Rethrow();
  return Take(*std::move(report), file.path()).checked;
}

nb::dict Verify(const EngineBox& engine, const File& file) {
  Interrupt interrupt{nb::none()};
  std::optional<Result<VerifyReport>> report;
  {
    const nb::gil_scoped_release free;
    report = engine->Verify(file.reader(), interrupt.callback());
  }
  interrupt.Rethrow();
  return AsDict(Take(*std::move(report), file.path()));
}

}  // namespace

void AddReader(nb::module_& module) {
  nb::class_<File>(module, "File")
      .def_static("open", &File::Open)
      .def_static("open_part", &File::OpenPart)
      .def_static("open_bytes", &File::OpenBytes)
      .def("tensors", &File::tensors)
      .def("unknown", &File::unknown)
      .def("tree", &File::tree)
      .def("metadata", &File::metadata)
      .def_prop_ro("path", &File::path)
      .def_prop_ro("format", &File::format)
      .def_prop_ro("bytes", &File::bytes)
      .def_prop_ro("warnings", &File::warnings);
  module.def("load", &Load, nb::arg(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
             nb::arg().none());
  module.def("verify_open", &Verify);
  module.def("read", &Read, nb::arg(), nb::arg(), nb::arg(), nb::arg().none());
}

}  // namespace caisson::python
