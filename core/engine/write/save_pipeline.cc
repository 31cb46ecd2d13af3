// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/save_pipeline.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/engine/arrivals.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/tensor_piece.h"
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

// Bytes that are made when their turn comes.
struct Deferred {
  DeferredLiteral literal;
  size_t pieces;                   // that came before it
  std::vector<std::byte> content;  // empty before that, and when it is laid
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
        stages_(*stages) {}

  Result<PartTotals> Run() {
    Fail(LayAll());
    Drain();
    CAISSON_RETURN_IF_ERROR(failure_);
    CAISSON_RETURN_IF_ERROR(file_.Truncate(totals_.file_bytes));
    if (front_) CAISSON_RETURN_IF_ERROR(WriteFront());
    return totals_;
  }

 private:
  using Window = std::unique_ptr<WindowImage>;

  // --- laying out -----------------------------------------------------------

  Status LayAll() {
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

  Facts Now() const { return {cursor(), facts_}; }

  Status Lay(const Literal& literal) { return Put(literal.bytes); }

  Status Lay(const TensorPiece& piece) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(piece));
    const PieceStep how = StepOf(piece);
    const std::span<const std::byte> src(
        piece.storage->region.data + piece.offset, piece.bytes);
    const size_t index = facts_.size();
    facts_.emplace_back();
    facts_.back().stored_bytes = src.size();
    head_bytes_.push_back(0);
    totals_.tensor_bytes += src.size();
    size_t at = 0;
    while (at < src.size()) {
      CAISSON_RETURN_IF_ERROR(NeedRoom());
      const size_t whole =
          std::min(room(), src.size() - at) / how.unit * how.unit;
      if (whole == 0) {
        CAISSON_RETURN_IF_ERROR(
            LayCutUnit(how, src.subspan(at, how.unit), index));
        at += how.unit;
        continue;
      }
      WindowEvent event;
      event.index = current_->fills.size();
      event.piece = index;
      event.at = current_->used;
      event.bytes = whole;
      current_->events.push_back(event);
      current_->fills.push_back({how.step, &src[at], event.at, whole, 0});
      current_->used += whole;
      at += whole;
    }
    return Status::Ok();
  }

  // An element that the window's edge cuts.
  Status LayCutUnit(const PieceStep& how, std::span<const std::byte> src,
                    size_t piece) {
    std::byte unit[kMaxElemBytes];
    WindowEvent event;
    event.kind = WindowEvent::Kind::kUnit;
    event.index = units_.size();
    event.piece = piece;
    event.bytes = src.size();
    Job job;
    job.src = src.data();
    job.dst = unit;
    job.elems = src.size() / ByteWidth(how.step.from);
    job.crc = &event.crc;
    CAISSON_RETURN_IF_ERROR(
        kernels_.transform(how.step, std::span(&job, 1), {}, {}));
    units_.emplace_back(unit, unit + src.size());
    current_->events.push_back(event);
    return Put(std::span(unit).first(src.size()));
  }

  Status Lay(const Measure& measure) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(measure.piece));
    facts_.emplace_back();
    facts_.back().stored_bytes = measure.piece.bytes;
    head_bytes_.push_back(0);
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
    const size_t index = deferred_.size();
    deferred_.push_back({std::move(literal), facts_.size(), {}});
    size_t from = 0;
    while (from < bytes) {
      CAISSON_RETURN_IF_ERROR(NeedRoom());
      WindowEvent event;
      event.kind = WindowEvent::Kind::kDeferred;
      event.index = index;
      event.at = current_->used;
      event.bytes = std::min<size_t>(room(), bytes - from);
      event.from = from;
      current_->events.push_back(event);
      current_->used += event.bytes;
      from += event.bytes;
    }
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

  // Gives the current window to a worker.
  void Dispatch() {
    WindowImage* const window = current_.get();
    filling_.push_back(std::move(current_));
    machinery_.workers.Run([this, window] {
      FillWindow(kernels_, *window);
      arrivals_.Add({window, std::nullopt});
    });
  }

  // Takes what has come, without waiting. Returns the first failure.
  Status TakeArrivals() {
    for (Arrival& arrival : arrivals_.Take()) {
      arrival.written ? NoteWritten(arrival) : NoteFilled(*arrival.window);
    }
    while (!filling_.empty() && filling_.front()->filled) {
      Window window = std::move(filling_.front());
      filling_.pop_front();
      if (failure_.ok()) Fail(Retire(*window));
      if (failure_.ok()) Submit(std::move(window));
    }
    if (hooks_.cancelled != nullptr && *hooks_.cancelled) {
      Fail(Status::Cancelled("save: cancelled"));
    }
    return failure_;
  }

  void Fail(const Status& status) {
    if (failure_.ok()) failure_ = status;
  }

  void NoteFilled(WindowImage& window) {
    window.filled = true;
    stages_.copy += window.fill_seconds;
    Fail(window.status);
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

  // Adds up the facts of the window, which is the lowest one, and makes what
  // was deferred until they are known.
  Status Retire(WindowImage& window) {
    for (const WindowEvent& event : window.events) {
      const auto bytes = window.block.bytes().subspan(event.at, event.bytes);
      switch (event.kind) {
        case WindowEvent::Kind::kFill:
          AddFacts(event.piece, window.fills[event.index].crc, bytes);
          break;
        case WindowEvent::Kind::kUnit:
          AddFacts(event.piece, event.crc, units_[event.index]);
          break;
        case WindowEvent::Kind::kDeferred:
          CAISSON_RETURN_IF_ERROR(
              Fill(deferred_[event.index], event, window.offset, bytes));
          break;
      }
    }
    return Status::Ok();
  }

  void AddFacts(size_t piece, uint32_t crc, std::span<const std::byte> bytes) {
    PieceFacts& facts = facts_[piece];
    facts.crc32 = Crc32Combine(facts.crc32, crc, bytes.size());
    uint8_t& have = head_bytes_[piece];
    const size_t taken = std::min(facts.head.size() - have, bytes.size());
    std::memcpy(facts.head.data() + have, bytes.data(), taken);
    have = static_cast<uint8_t>(have + taken);
  }

  Status Fill(Deferred& deferred, const WindowEvent& event,
              uint64_t window_offset, std::span<std::byte> dst) {
    if (event.from == 0) {
      deferred.content.resize(deferred.literal.bytes);
      const Facts known = {window_offset + event.at,
                           std::span(facts_).first(deferred.pieces)};
      CAISSON_RETURN_IF_ERROR(deferred.literal.fill(known, deferred.content));
      deferred.literal.fill = nullptr;
    }
    const auto part =
        std::span(deferred.content).subspan(event.from, event.bytes);
    std::ranges::copy(part, dst.begin());
    if (event.from + event.bytes == deferred.content.size()) {
      std::vector<std::byte>().swap(deferred.content);
    }
    return Status::Ok();
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
    CAISSON_RETURN_IF_ERROR(front_->fill({totals_.file_bytes, facts_}, bytes));
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

  std::vector<PieceFacts> facts_;
  std::vector<uint8_t> head_bytes_;  // that facts_ have, parallel to them
  std::vector<std::vector<std::byte>> units_;
  std::deque<Deferred> deferred_;
  std::optional<FrontBlock> front_;
  uint64_t written_ = 0;
  PartTotals totals_;
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
