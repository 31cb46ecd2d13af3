// SPDX-License-Identifier: Apache-2.0
//
// Engine for Python: every call that moves bytes lets the GIL go.
#include "python/src/engine.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <utility>
#include <vector>

#include "caisson/file_format.h"
#include "caisson/reader.h"
#include "python/src/errors.h"
#include "python/src/interrupt.h"
#include "python/src/state_in.h"

namespace caisson::python {
namespace {

template <class T>
void Set(nb::handle options, const char* name, T* value) {
  const nb::object given = options.attr("get")(name, nb::none());
  if (!given.is_none()) *value = nb::cast<T>(given);
}

std::unique_ptr<EngineBox> MakeEngine(size_t pool_bytes, size_t window_bytes,
                                      size_t threads, size_t depth,
                                      const std::string& io, bool direct) {
  EngineOptions options;
  if (pool_bytes != 0) options.pool_bytes = pool_bytes;
  if (window_bytes != 0) options.window_bytes = window_bytes;
  options.threads = threads;
  options.depth = depth;
  options.direct = direct;
  if (io == "threads") options.io = IoKind::kThreads;
  if (io == "uring") options.io = IoKind::kUring;
  return std::make_unique<EngineBox>(Take(Engine::Create(options)));
}

Profile ProfileFrom(nb::handle options) {
  Profile profile;
  Set(options, "format_version", &profile.format_version);
  Set(options, "storage_alignment", &profile.storage_alignment);
  Set(options, "byteorder", &profile.byteorder);
  Set(options, "serialization_id", &profile.serialization_id);
  Set(options, "numeric_order", &profile.numeric_order);
  Set(options, "alignment", &profile.alignment);
  Set(options, "crc32", &profile.crc32);
  const nb::object prefix = options.attr("get")("prefix", nb::none());
  if (!prefix.is_none()) profile.prefix = nb::cast<std::string>(prefix);
  return profile;
}

SaveOptions SaveOptionsFrom(nb::handle given) {
  SaveOptions options;
  const nb::object profile = given.attr("get")("profile", nb::none());
  if (!profile.is_none()) options.profile = ProfileFrom(profile);
  std::string format;
  Set(given, "format", &format);
  if (format == "pytorch") options.format.format = FileFormat::kPyTorch;
  if (format == "safetensors") options.format.format = FileFormat::kSafetensors;
  std::string compress;
  Set(given, "compress", &compress);
  if (compress == "deflate") options.compress = CompressMode::kDeflate;
  if (compress == "plane") options.compress = CompressMode::kPlane;
  if (compress == "auto") options.compress = CompressMode::kAuto;
  Set(given, "drop", &options.format.drop);
  Set(given, "checksums", &options.format.checksums);
  Set(given, "shard_bytes", &options.format.shard_bytes);
  Set(given, "fsync", &options.sync);
  return options;
}

State StateFrom(nb::handle object, nb::handle options, SaveOptions* save) {
  bool arrays = true;
  Set(options, "arrays", &arrays);
  StateIn in(arrays, options.attr("get")("cast", nb::none()));
  State state = in.Run(object);
  save->streams = in.streams();
  const nb::object metadata = options.attr("get")("metadata", nb::none());
  if (!metadata.is_none()) {
    for (const nb::handle item : metadata.attr("items")()) {
      state.metadata.emplace(nb::cast<std::string>(item[0]),
                             nb::cast<std::string>(item[1]));
    }
  }
  return state;
}

nb::dict Save(const EngineBox& engine, nb::handle object,
              const std::string& path, nb::handle given) {
  SaveOptions options = SaveOptionsFrom(given);
  const State state = StateFrom(object, given, &options);
  Interrupt interrupt(given.attr("get")("told", nb::none()));
  options.progress = interrupt.callback();
  std::optional<Result<SaveReport>> report;
  {
    const nb::gil_scoped_release free;
    report = engine->Save(state, path, options);
  }
  interrupt.Rethrow();
  return AsDict(Take(*std::move(report), path));
}

nb::object SaveAsync(const EngineBox& engine, nb::handle object,
                     const std::string& path, nb::handle given) {
  AsyncOptions options;
  options.save = SaveOptionsFrom(given);
  std::string busy;
  Set(given, "when_busy", &busy);
  if (busy == "skip") options.when_busy = WhenBusy::kSkip;
  if (busy == "fail") options.when_busy = WhenBusy::kFail;
  Set(given, "borrow", &options.borrow);
  Set(given, "snapshot_on_device", &options.snapshot_on_device);
  const State state = StateFrom(object, given, &options.save);
  std::optional<Result<Ticket>> ticket;
  {
    const nb::gil_scoped_release free;
    ticket = engine->SaveAsync(state, path, options);
  }
  return TicketObject(Take(*std::move(ticket), path), path);
}

void LoadInto(const EngineBox& engine, const std::string& path,
              nb::handle object, bool verify, bool allow_unused,
              nb::object told) {
  StateIn in(true, nb::none(), true);
  State state = in.Run(object);
  LoadIntoOptions options;
  options.verify = verify;
  options.allow_unused = allow_unused;
  options.streams = in.streams();
  Interrupt interrupt(std::move(told));
  Status status;
  {
    const nb::gil_scoped_release free;
    status = engine->LoadInto(path, state, options, interrupt.callback());
  }
  interrupt.Rethrow();
  Check(status, path);
  in.CopyBack();
}

// A tree goes from file to file, so what only torch knows stays what it was. A
// flat format has no place for it.
nb::dict Convert(const EngineBox& engine, const std::string& source,
                 const std::string& target, const Casts& casts,
                 nb::handle given) {
  SaveOptions options = SaveOptionsFrom(given);
  LoadOptions load;
  load.keep_unknown = options.format.format.value_or(FormatOf(target).value_or(
                          FileFormat::kPyTorch)) == FileFormat::kPyTorch;
  load.casts = CastsFrom(casts);
  Interrupt loading{nb::none()};
  Interrupt saving{nb::none()};
  options.progress = saving.callback();
  // Casts take the state in memory; else it goes through in windows.
  const bool streams = load.casts.empty();
  std::optional<Result<SaveReport>> report;
  {
    const nb::gil_scoped_release free;
    const Result<Reader> reader = Engine::Open(source);
    const Result<State> state =
        !reader   ? Result<State>(reader.error())
        : streams ? reader->Outline(load.keep_unknown)
                  : engine->Load(*reader, load, loading.callback());
    if (state && streams) options.source = &*reader;
    report = state ? engine->Save(*state, target, options)
                   : Result<SaveReport>(state.error());
  }
  loading.Rethrow();
  saving.Rethrow();
  return AsDict(Take(*std::move(report), source));
}

nb::dict Verify(const EngineBox& engine, const std::string& path,
                nb::object told) {
  Interrupt interrupt(std::move(told));
  std::optional<Result<VerifyReport>> result;
  {
    const nb::gil_scoped_release free;
    result = engine->Verify(path, interrupt.callback());
  }
  interrupt.Rethrow();
  return AsDict(Take(*std::move(result), path));
}

}  // namespace

std::vector<Cast> CastsFrom(const Casts& given) {
  std::vector<Cast> casts;
  for (const auto& [glob, name] : given) {
    const auto dtype = ParseDType(name);
    if (!dtype) Raise(Status::InvalidArgument("cast: no dtype '" + name + "'"));
    casts.push_back({glob, *dtype});
  }
  return casts;
}

nb::dict AsDict(const SaveReport& report) {
  nb::dict made;
  made["file_bytes"] = report.file_bytes;
  made["tensor_bytes"] = report.tensor_bytes;
  made["seconds"] = report.seconds;
  made["staged_seconds"] = report.staged_seconds;
  made["io"] = report.io;
  made["dropped"] = report.dropped;
  return made;
}

nb::dict AsDict(const VerifyReport& report) {
  nb::list damage;
  for (const Damage& one : report.damage) {
    nb::dict place;
    place["file"] = one.file;
    place["record"] = one.record;
    place["tensors"] = one.tensors;
    place["offset"] = one.offset;
    place["problem"] = one.problem;
    damage.append(place);
  }
  nb::dict made;
  made["ok"] = report.ok();
  made["checked"] = report.checked;
  made["unchecked"] = report.unchecked;
  made["damage"] = damage;
  made["unread"] = report.unread;
  return made;
}

void AddEngine(nb::module_& module) {
  nb::class_<EngineBox>(module, "Engine")
      .def_static("create", &MakeEngine, nb::arg("pool_bytes") = 0,
                  nb::arg("window_bytes") = 0, nb::arg("threads") = 0,
                  nb::arg("depth") = 0, nb::arg("io") = "auto",
                  nb::arg("direct") = true)
      .def("close", &EngineBox::Close)
      .def("leak", &EngineBox::Leak);
  module.def("save", &Save);
  module.def("save_async", &SaveAsync);
  module.def("convert", &Convert);
  module.def("load_into", &LoadInto, nb::arg(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg().none());
  module.def("verify", &Verify, nb::arg(), nb::arg(), nb::arg().none());
  module.def("is_loadable", [](std::string global, std::string name) {
    return IsLoadable({std::move(global), std::move(name)});
  });
}

}  // namespace caisson::python
