// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measure/measurement.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "caisson/crc32.h"
#include "core/device/buffer.h"
#include "core/engine/engine_impl.h"
#include "core/engine/measure/measure_memory.h"
#include "core/io/io_path.h"
#include "core/io/temporary.h"

namespace caisson {
namespace {

// How often Time() and Tell() are called.
constexpr uint64_t kMachineSteps = 7;      // each round
constexpr uint64_t kStageSteps = 9;        // more with stages
constexpr uint64_t kStageSteadySteps = 1;  // before the rounds

// A file's name in the directory, which is removed.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& directory)
      : path_(directory + "/" + TemporaryName("caisson-bench")) {}
  ~ScratchFile() { unlink(path_.c_str()); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

Status Check(const MeasureOptions& options) {
  if (options.rounds < kFewestRounds) {
    return Status::InvalidArgument(std::to_string(options.rounds) +
                                   " rounds, expected at least " +
                                   std::to_string(kFewestRounds));
  }
  if (options.bytes < options.engine.window_bytes) {
    return Status::InvalidArgument("a state of " +
                                   std::to_string(options.bytes) +
                                   " bytes, expected at least a window of " +
                                   std::to_string(options.engine.window_bytes));
  }
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<Measurement>> Measurement::Create(
    const MeasureOptions& options, bool with_stages) {
  CAISSON_RETURN_IF_ERROR(Check(options));
  std::unique_ptr<Measurement> made(new Measurement(options, with_stages));
  CAISSON_RETURN_IF_ERROR(made->Prepare());
  return made;
}

Status Measurement::Prepare() {
  const EngineOptions& engine = options_.engine;
  CAISSON_ASSIGN_OR_RETURN(engine_, Engine::Create(engine));
  CAISSON_ASSIGN_OR_RETURN(queue_, MakeQueue(engine));
  CAISSON_ASSIGN_OR_RETURN(
      workers_, WorkerPool::Create(ThreadsOf(engine, Priority::kNormal),
                                   Priority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(
      async_workers_, WorkerPool::Create(ThreadsOf(engine, Priority::kBatch),
                                         Priority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(one_worker_,
                           WorkerPool::Create(1, Priority::kNormal));
  // As the engine does it; and before a long time goes into the memory.
  CAISSON_ASSIGN_OR_RETURN(const IoPath path, ProbeIoPath(options_.directory));
  direct_ = engine.direct && path.direct;
  CAISSON_ASSIGN_OR_RETURN(
      source_, MeasuredState::Create(options_.bytes, options_.weights));
  CAISSON_ASSIGN_OR_RETURN(
      target_, MeasuredState::Create(options_.bytes, options_.weights));
  CAISSON_RETURN_IF_ERROR(TouchInShares(*workers_, source_->bytes()));
  CAISSON_RETURN_IF_ERROR(TouchInShares(*workers_, target_->bytes()));
  CAISSON_ASSIGN_OR_RETURN(const auto tensors, source_->state().Tensors());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& view = *tensors[i].view;
    const Region& region = view.storage->region;
    FillWeights(*workers_, view.spec.dtype, i, {region.data, region.bytes});
  }
  return Status::Ok();
}

uint64_t Measurement::Total() const {
  const uint64_t a_round = kMachineSteps + (with_stages_ ? kStageSteps : 0);
  return (options_.rounds * a_round + (with_stages_ ? kStageSteadySteps : 0)) *
         source_->bytes().size();
}

void Measurement::Tell(std::string_view name) {
  if (options_.progress) {
    options_.progress(
        name, {steps_ * source_->bytes().size(), Total(), since_.seconds()});
  }
  ++steps_;
}

Status Measurement::Run() {
  for (size_t i = 0; i < options_.rounds; ++i) {
    CAISSON_RETURN_IF_ERROR(MemoryRound());
    CAISSON_RETURN_IF_ERROR(DiskRound(i % 2 == 0));
  }
  return with_stages_ ? AsyncRounds() : Status::Ok();
}

Status Measurement::MemoryRound() {
  const std::span<std::byte> src = source_->bytes();
  const std::span<std::byte> dst = target_->bytes();
  const auto copy = [&](WorkerPool& workers) {
    return [&] {
      CopyInShares(workers, src, dst);
      return Status::Ok();
    };
  };
  CAISSON_RETURN_IF_ERROR(Time("memory_read_one_thread", [&] {
    Use(XorOfWords(src));
    return Status::Ok();
  }));
  if (with_stages_) {
    CAISSON_RETURN_IF_ERROR(Time("crc32", [&] {
      Use(Crc32(0, src));
      return Status::Ok();
    }));
  }
  CAISSON_RETURN_IF_ERROR(Time("memcpy_one_thread", copy(*one_worker_)));
  if (with_stages_) {
    CAISSON_RETURN_IF_ERROR(Time("copy_crc32", [&] {
      Use(Crc32Copy(0, src, dst.data()));
      return Status::Ok();
    }));
  }
  CAISSON_RETURN_IF_ERROR(Time("memcpy", copy(*workers_)));
  // With stages it takes turns with SaveAsync.
  if (!with_stages_) {
    CAISSON_RETURN_IF_ERROR(Time("memcpy_async", copy(*async_workers_)));
  }
  CAISSON_ASSIGN_OR_RETURN(const Buffer fresh, Buffer::Allocate(src.size()));
  return Time("first_touch",
              [&] { return TouchInShares(*workers_, fresh.bytes()); });
}

Status Measurement::DiskRound(bool raw_first) {
  const size_t window = options_.engine.window_bytes;
  const uint64_t bytes = source_->bytes().size();
  CAISSON_ASSIGN_OR_RETURN(RawFile raw,
                           RawFile::Create(options_.directory, direct_));
  const ScratchFile saved(options_.directory);
  const auto write = [&] {
    return Time("raw_write", [&] {
      return raw.Write(*queue_, bytes, window, source_->bytes());
    });
  };
  const auto save = [&]() -> Status {
    if (!with_stages_) return Status::Ok();
    SaveReport report;
    CAISSON_RETURN_IF_ERROR(Time("save", [&]() -> Status {
      CAISSON_ASSIGN_OR_RETURN(report,
                               engine_->Save(source_->state(), saved.path()));
      return Status::Ok();
    }));
    Explain("save", report);
    return Status::Ok();
  };
  // The first of them meets a disk that is still discarding the files of the
  // round before.
  CAISSON_RETURN_IF_ERROR(raw_first ? write() : save());
  if (with_stages_) CAISSON_RETURN_IF_ERROR(PlaneRound());
  CAISSON_RETURN_IF_ERROR(raw_first ? save() : write());
  raw.DropCache();
  CAISSON_RETURN_IF_ERROR(Time("raw_read", [&] {
    return raw.Read(*queue_, bytes, window, target_->bytes());
  }));
  return with_stages_ ? LoadStages(saved.path()) : Status::Ok();
}

// Between the raw write and the uncompressed save.
Status Measurement::PlaneRound() {
  const ScratchFile packed(options_.directory);
  SaveOptions options;
  options.compress = CompressMode::kPlane;
  SaveReport saved;
  CAISSON_RETURN_IF_ERROR(Time("save_plane", [&]() -> Status {
    CAISSON_ASSIGN_OR_RETURN(
        saved, engine_->Save(source_->state(), packed.path(), options));
    return Status::Ok();
  }));
  Explain("save_plane", saved);
  CAISSON_RETURN_IF_ERROR(DropFromCache(packed.path()));
  LoadReport loaded;
  CAISSON_RETURN_IF_ERROR(Time("load_plane", [&] {
    return engine_->LoadInto(packed.path(), target_->state(), {}, {}, &loaded);
  }));
  Explain("load_plane", loaded);
  return Status::Ok();
}

Status Measurement::LoadStages(const std::string& path) {
  CAISSON_RETURN_IF_ERROR(DropFromCache(path));
  LoadReport report;
  CAISSON_RETURN_IF_ERROR(Time("load", [&] {
    return engine_->LoadInto(path, target_->state(), {}, {}, &report);
  }));
  Explain("load", report);
  CAISSON_RETURN_IF_ERROR(DropFromCache(path));
  {
    State fresh;  // goes when the time is over
    CAISSON_RETURN_IF_ERROR(Time("load_fresh", [&]() -> Status {
      CAISSON_ASSIGN_OR_RETURN(fresh, engine_->Load(path, {}, {}, &report));
      return Status::Ok();
    }));
    Explain("load_fresh", report);
  }
  CAISSON_RETURN_IF_ERROR(DropFromCache(path));
  CAISSON_RETURN_IF_ERROR(Time("verify", [&]() -> Status {
    CAISSON_ASSIGN_OR_RETURN(const VerifyReport verified,
                             engine_->Verify(path, {}, &report));
    if (verified.ok()) return Status::Ok();
    return Status::Corrupt(verified.damage.front().problem);
  }));
  Explain("verify", report);
  return Status::Ok();
}

void Measurement::Explain(std::string_view name, const SaveReport& report) {
  const StageTimes& stages = report.stages;
  const NamedSeconds times[] = {
      {"total", report.seconds},     {"copy", stages.copy},
      {"transfer", stages.transfer}, {"wait_memory", stages.wait_memory},
      {"sync", stages.sync},         {"encode", stages.encode}};
  samples_.Explain(name, report.io, times);
}

void Measurement::Explain(std::string_view name, const LoadReport& report) {
  const LoadTimes& stages = report.stages;
  const NamedSeconds times[] = {{"total", report.seconds},
                                {"copy", stages.copy},
                                {"transfer", stages.transfer},
                                {"wait_disk", stages.wait_disk},
                                {"wait_memory", stages.wait_memory}};
  samples_.Explain(name, report.io, times);
}

Status Measurement::AsyncRounds() {
  engine_.reset();  // and its pool
  EngineOptions roomy = options_.engine;
  // The file is a little longer than the state.
  roomy.pool_bytes =
      (source_->bytes().size() / roomy.window_bytes + 3) * roomy.window_bytes;
  CAISSON_ASSIGN_OR_RETURN(Engine engine, Engine::Create(roomy));
  Tell("save_async_staged");
  {
    // The first save touches the pool.
    const ScratchFile saved(options_.directory);
    CAISSON_ASSIGN_OR_RETURN(const Ticket ticket,
                             engine.SaveAsync(source_->state(), saved.path()));
    CAISSON_RETURN_IF_ERROR(ticket.Wait().status());
  }
  for (size_t i = 0; i < options_.rounds; ++i) {
    CAISSON_RETURN_IF_ERROR(AsyncRound(engine));
  }
  return Status::Ok();
}

Status Measurement::AsyncRound(Engine& engine) {
  CAISSON_RETURN_IF_ERROR(Time("memcpy_async", [&] {
    CopyInShares(*async_workers_, source_->bytes(), target_->bytes());
    return Status::Ok();
  }));
  const ScratchFile saved(options_.directory);
  std::optional<Ticket> ticket;
  CAISSON_RETURN_IF_ERROR(Time("save_async_staged", [&]() -> Status {
    CAISSON_ASSIGN_OR_RETURN(ticket,
                             engine.SaveAsync(source_->state(), saved.path()));
    return ticket->Staged();
  }));
  return ticket->Wait().status();
}

}  // namespace caisson
