// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/save_pipeline.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/engine/arrivals.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/engine/device/device_stagers.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/chunk_layer.h"
#include "core/engine/write/piece_source.h"
#include "core/engine/write/save_facts.h"
#include "core/engine/write/tensor_piece.h"
#include "core/engine/write/varint_piece.h"
#include "core/engine/write/window_image.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// How long a save waits for memory that others have before it looks whether it
// was cancelled, of which nobody wakes it.
constexpr std::chrono::milliseconds kLookAgain{50};

// A window that was filled, or written.
struct Arrival {
  WindowImage* window;
  std::optional<Result<size_t>> written;  // none: it was filled
};

class SavePipeline {
 public:
  SavePipeline(PartStream& parts, File& file, const Machinery& machinery,
               const SaveHooks& hooks, const KernelTable& kernels,
               StageTimes* stages)
      : parts_(parts),
        file_(file),
        machinery_(machinery),
        hooks_(hooks),
        kernels_(kernels),
        stages_(*stages),
        stagers_(machinery, hooks.devices, kernels, hooks.cancelled),
        source_(hooks.devices, stagers_),
        chunks_(machinery, kernels, source_, facts_,
                {[this] { return CurrentWindow(); },
                 [this](WindowImage* window) { Done(window); }}) {}

  Result<PartTotals> Run() {
    Fail(LayAll());
    Drain();
    stages_.encode += chunks_.seconds();
    if (hooks_.device_report != nullptr) {
      stagers_.AddTo(*hooks_.device_report);
      chunks_.AddTo(*hooks_.device_report);
    }
    CAISSON_RETURN_IF_ERROR(failure_);
    CAISSON_RETURN_IF_ERROR(file_.Truncate(totals_.file_bytes));
    if (front_) CAISSON_RETURN_IF_ERROR(WriteFront());
    return totals_;
  }

 private:
  using Window = std::unique_ptr<WindowImage>;

  // --- laying out -----------------------------------------------------------

  Status LayAll() {
    CAISSON_RETURN_IF_ERROR(chunks_.Announce(parts_.EncodedPieces()));
    while (true) {
      CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part, parts_.Next(Now()));
      if (!part) break;
      CAISSON_RETURN_IF_ERROR(
          std::visit([this](auto& kind) { return Lay(kind); }, *part));
    }
    totals_.file_bytes = cursor();
    if (current_ != nullptr) Dispatch();
    return Status::Ok();
  }

  uint64_t cursor() const {
    return current_ == nullptr ? next_offset_
                               : current_->offset + current_->used;
  }

  Facts Now() const { return {cursor(), facts_.pieces()}; }

  Status Lay(const Literal& literal) { return Put(literal.bytes); }

  Status Lay(const TensorPiece& piece) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(piece));
    if (IsVarints(piece.encoding)) return LayVarints(piece);
    if (piece.encoding != Encoding::kRaw) {
      totals_.tensor_bytes += piece.bytes;
      return chunks_.Lay(piece);
    }
    const PieceStep how = StepOf(piece);
    const Region region = source_.RegionOf(piece);
    size_t place = 0;
    if (!region.device.is_cpu() && piece.bytes > 0) {
      CAISSON_ASSIGN_OR_RETURN(place, stagers_.PlaceOf(region.device));
    }
    // Of a device, for addresses only.
    const std::span<const std::byte> src(region.data + piece.offset,
                                         piece.bytes);
    const size_t index = facts_.AddPiece(src.size());
    totals_.tensor_bytes += src.size();
    size_t at = 0;
    while (at < src.size()) {
      CAISSON_RETURN_IF_ERROR(NeedRoom());
      const size_t whole =
          std::min(room(), src.size() - at) / how.unit * how.unit;
      if (whole == 0) {
        CAISSON_RETURN_IF_ERROR(
            LayCutUnit(how, src.subspan(at, how.unit), place, index));
        at += how.unit;
        continue;
      }
      WindowEvent event;
      if (current_->places.size() <= place) current_->places.resize(place + 1);
      std::vector<Fill>& fills = current_->places[place].fills;
      event.place = place;
      event.index = fills.size();
      event.piece = index;
      event.at = current_->used;
      event.bytes = whole;
      current_->events.push_back(event);
      fills.push_back({how.step, &src[at], event.at, whole, 0});
      if (piece.held) current_->held.push_back(piece.storage);
      current_->used += whole;
      at += whole;
    }
    return Status::Ok();
  }

  // An element that the window's edge cuts. One of a device is waited for:
  // there is none but where bytes are swapped and lie off their alignment.
  Status LayCutUnit(const PieceStep& how, std::span<const std::byte> src,
                    size_t place, size_t piece) {
    std::byte fetched[kMaxElemBytes];
    if (place > 0) {
      const auto there = std::span(fetched).first(src.size());
      CAISSON_RETURN_IF_ERROR(stagers_.At(place).Fetch(src.data(), there));
      src = there;
    }
    std::byte unit[kMaxElemBytes];
    WindowEvent event;
    event.kind = WindowEvent::Kind::kUnit;
    event.piece = piece;
    event.bytes = src.size();
    Job job;
    job.src = src.data();
    job.dst = unit;
    job.elems = src.size() / ByteWidth(how.step.from);
    job.crc = &event.crc;
    CAISSON_RETURN_IF_ERROR(
        kernels_.transform(how.step, std::span(&job, 1), {}, {}));
    event.index = facts_.AddUnit(std::span(unit).first(src.size()));
    current_->events.push_back(event);
    return Put(std::span(unit).first(src.size()));
  }

  Status Lay(const Measure& measure) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(measure.piece));
    uint64_t bytes = measure.piece.bytes;
    if (IsVarints(measure.piece.encoding)) {
      CAISSON_ASSIGN_OR_RETURN(bytes,
                               MeasureVarints(kernels_, measure.piece,
                                              source_.BytesOf(measure.piece)));
    } else if (measure.piece.encoding != Encoding::kRaw) {
      CAISSON_RETURN_IF_ERROR(CheckOnHost(measure.piece));
      CAISSON_ASSIGN_OR_RETURN(bytes, MeasurePiece(measure.piece, kernels_));
    }
    facts_.AddPiece(bytes);
    return Status::Ok();
  }

  // By this thread: where its bytes lie is known only when they are there.
  Status LayVarints(const TensorPiece& piece) {
    CAISSON_ASSIGN_OR_RETURN(
        const PieceFacts facts,
        EncodeVarints(
            kernels_, piece, source_.BytesOf(piece),
            [this](std::span<const std::byte> bytes) { return Put(bytes); }));
    facts_.AddPiece(facts);
    totals_.tensor_bytes += piece.bytes;
    return Status::Ok();
  }

  // Zeros hold its place until the end.
  Status Lay(FrontBlock& front) {
    if (cursor() != 0 || front_) {
      return Status::InvalidArgument("a front block that is not at the front");
    }
    const std::vector<std::byte> zeros(front.bytes);
    front_ = std::move(front);
    return Put(zeros);
  }

  Status Lay(DeferredLiteral& literal) {
    const size_t bytes = literal.bytes;
    const size_t index = facts_.AddDeferred(std::move(literal));
    size_t from = 0;
    do {
      if (bytes > 0 || current_ == nullptr) CAISSON_RETURN_IF_ERROR(NeedRoom());
      WindowEvent event;
      event.kind = WindowEvent::Kind::kDeferred;
      event.index = index;
      event.at = current_->used;
      event.bytes = std::min<size_t>(room(), bytes - from);
      event.from = from;
      current_->events.push_back(event);
      current_->used += event.bytes;
      from += event.bytes;
    } while (from < bytes);
    return Status::Ok();
  }

  Status Put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      CAISSON_RETURN_IF_ERROR(NeedRoom());
      const auto part = bytes.first(std::min(room(), bytes.size()));
      std::ranges::copy(part, &current_->block.bytes()[current_->used]);
      current_->used += part.size();
      bytes = bytes.subspan(part.size());
    }
    return Status::Ok();
  }

  size_t room() const { return current_->block.size() - current_->used; }

  // Sees to it that the current window has room for at least one byte.
  Status NeedRoom() {
    if (current_ != nullptr && room() > 0) return Status::Ok();
    if (current_ != nullptr) Dispatch();
    CAISSON_RETURN_IF_ERROR(TakeArrivals());
    const Stopwatch waiting;
    while (true) {
      CAISSON_ASSIGN_OR_RETURN(auto block, machinery_.pool.TryLease());
      if (!block && in_flight() == 0) {
        // Others have them all.
        CAISSON_ASSIGN_OR_RETURN(block,
                                 machinery_.pool.TryLeaseFor(kLookAgain));
        if (!block) {
          CAISSON_RETURN_IF_ERROR(TakeArrivals());
          continue;
        }
      }
      if (block) {
        current_ = std::make_unique<WindowImage>();
        current_->block = std::move(*block);
        current_->offset = next_offset_;
        next_offset_ += current_->block.size();
        stages_.wait_memory += waiting.seconds();
        return Status::Ok();
      }
      arrivals_.Wait();
      CAISSON_RETURN_IF_ERROR(TakeArrivals());
    }
  }

  // --- what happens to a window that is laid out -----------------------------

  size_t in_flight() const { return filling_.size() + writing_.size(); }

  // The window that bytes go to, for chunks.
  Result<WindowImage*> CurrentWindow() {
    CAISSON_RETURN_IF_ERROR(TakeArrivals());
    CAISSON_RETURN_IF_ERROR(NeedRoom());
    return current_.get();
  }

  // One of those that fill the window is done.
  void Done(WindowImage* window) {
    if (--window->unfilled > 0) return;
    window->held.clear();
    arrivals_.Add({window, std::nullopt});
  }

  // Gives the current window to a worker and to devices.
  void Dispatch() {
    chunks_.Flush();
    WindowImage* const window = current_.get();
    filling_.push_back(std::move(current_));
    std::vector<PlaceFills>& places = window->places;
    if (places.empty()) places.resize(1);
    for (const PlaceFills& place : places) {
      if (!place.fills.empty()) ++window->unfilled;
    }
    const auto done = [this, window] { Done(window); };
    for (size_t i = 1; i < places.size(); ++i) {
      if (places[i].fills.empty()) continue;
      stagers_.At(i).Stage(window->block.bytes(), places[i], done);
    }
    if (!places[0].fills.empty()) {
      machinery_.workers.Run([this, window, done] {
        FillWindow(kernels_, window->block.bytes(), window->places[0]);
        done();
      });
    }
    Done(window);  // it is laid out
  }

  // After a failure chunks may still be copied into the window that was being
  // laid out: it is waited for like the others, and dropped.
  void Abandon() {
    if (current_ == nullptr) return;
    current_->places.clear();
    Dispatch();
  }

  // Takes what has come, without waiting. Returns the first failure.
  Status TakeArrivals() {
    for (Arrival& arrival : arrivals_.Take()) {
      arrival.written ? NoteWritten(arrival) : NoteFilled(*arrival.window);
    }
    while (!filling_.empty() && filling_.front()->filled) {
      Window window = std::move(filling_.front());
      filling_.pop_front();
      if (failure_.ok()) Fail(facts_.Take(*window));
      if (failure_.ok()) Submit(std::move(window));
    }
    if (hooks_.cancelled != nullptr && *hooks_.cancelled) {
      Fail(Status::Cancelled("save: cancelled"));
    }
    return failure_;
  }

  void Fail(const Status& status) {
    if (status.ok() || !failure_.ok()) return;
    failure_ = status;
    stagers_.Stop();
  }

  void NoteFilled(WindowImage& window) {
    window.filled = true;
    for (const PlaceFills& place : window.places) {
      stages_.copy += place.seconds;
      Fail(place.status);
    }
    for (const PlaceFills& run : window.encoded) {
      stages_.copy += run.seconds;
      Fail(run.status);
    }
  }

  void NoteWritten(const Arrival& arrival) {
    Fail(arrival.written->status());
    const auto found = std::ranges::find_if(writing_, [&](const Writing& w) {
      return w.window.get() == arrival.window;
    });
    assert(found != writing_.end());
    stages_.transfer += found->since.seconds();
    written_ += found->window->used;
    writing_.erase(found);  // its block goes back to the pool
    if (failure_.ok() && hooks_.written) hooks_.written(written_);
  }

  // The last window ends with zeros up to the alignment; Truncate() takes them
  // off again.
  void Submit(Window window) {
    const size_t whole = (window->used + kDirectAlignment - 1) /
                         kDirectAlignment * kDirectAlignment;
    const auto bytes = window->block.bytes().first(whole);
    std::ranges::fill(bytes.subspan(window->used), std::byte{0});
    WindowImage* const key = window.get();
    const uint64_t offset = window->offset;
    writing_.push_back({std::move(window), Stopwatch()});
    machinery_.queue.Write(file_, offset, bytes,
                           [this, key](Result<size_t> result) {
                             arrivals_.Add({key, std::move(result)});
                           });
  }

  // Waits until nothing is in flight.
  void Drain() {
    Abandon();
    bool staged = false;
    while (true) {
      static_cast<void>(TakeArrivals());
      if (filling_.empty() && !std::exchange(staged, true)) {
        if (failure_.ok() && hooks_.staged) hooks_.staged();
      }
      if (in_flight() == 0) return;
      arrivals_.Wait();
    }
  }

  Status WriteFront() {
    std::vector<std::byte> bytes(front_->bytes);
    CAISSON_RETURN_IF_ERROR(
        front_->fill({totals_.file_bytes, facts_.pieces()}, bytes));
    file_.SetDirect(false);
    return file_.WriteAt(0, bytes);
  }

  struct Writing {
    Window window;
    Stopwatch since;
  };

  PartStream& parts_;
  File& file_;
  const Machinery& machinery_;
  const SaveHooks& hooks_;
  const KernelTable& kernels_;
  StageTimes& stages_;

  Window current_;  // being laid out
  uint64_t next_offset_ = 0;
  std::deque<Window> filling_;  // in file order
  std::vector<Writing> writing_;
  Arrivals<Arrival> arrivals_;
  Status failure_;  // the first

  SaveFacts facts_;
  std::optional<FrontBlock> front_;
  uint64_t written_ = 0;
  PartTotals totals_;
  DeviceStagers stagers_;  // ends first: it reports to arrivals_
  PieceSource source_;
  ChunkLayer chunks_;  // before it even: it fetches by stagers_
};

}  // namespace

Result<PartTotals> SaveParts(PartStream& parts, File& file,
                             const Machinery& machinery, const SaveHooks& hooks,
                             StageTimes* stages) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  SavePipeline pipeline(parts, file, machinery, hooks, *kernels, stages);
  return pipeline.Run();
}

}  // namespace caisson
