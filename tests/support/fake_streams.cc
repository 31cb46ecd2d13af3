// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_streams.h"

#include <algorithm>
#include <utility>

namespace caisson {
namespace {

constexpr int kThreads = 2;

}  // namespace

FakeStreams::FakeStreams(int devices, uint64_t seed,
                         std::chrono::microseconds max_delay)
    : max_delay_(max_delay), random_(seed) {
  for (int i = 0; i < devices; ++i) {
    defaults_.push_back(std::make_shared<Stream>());
    defaults_.back()->device = Device::Cuda(i);
  }
  broken_.resize(defaults_.size());
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
}

FakeStreams::~FakeStreams() {
  {
    const std::lock_guard hold(lock_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void* FakeStreams::Create(Device device) {
  auto stream = std::make_shared<Stream>();
  stream->device = device;
  void* const handle = stream.get();
  const std::lock_guard hold(lock_);
  streams_[handle] = std::move(stream);
  return handle;
}

bool FakeStreams::Destroy(void* stream) {
  const std::lock_guard hold(lock_);
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second->destroyed) return false;
  found->second->destroyed = true;
  if (IsIdle(*found->second)) streams_.erase(found);
  return true;
}

bool FakeStreams::Has(Device device, void* stream) const {
  if (stream == nullptr) return true;
  const std::lock_guard hold(lock_);
  const auto found = streams_.find(stream);
  return found != streams_.end() && !found->second->destroyed &&
         found->second->device == device;
}

bool FakeStreams::Has(void* stream) const {
  const std::lock_guard hold(lock_);
  return streams_.count(stream) == 1;
}

FakeStreams::Stream& FakeStreams::Find(Device device, void* stream) {
  if (stream == nullptr) {
    return *defaults_[static_cast<size_t>(device.ordinal)];
  }
  return *streams_.at(stream);
}

void FakeStreams::Push(Device device, void* stream, Item item) {
  {
    const std::lock_guard hold(lock_);
    if (!broken_[static_cast<size_t>(device.ordinal)].ok()) {
      if (item.marks != nullptr) item.marks->reached = true;
      return;
    }
    item.due = Clock::now();
    // Half of it at once; the rest some time later.
    if (item.work != nullptr && max_delay_.count() > 0 && random_() % 2 == 0) {
      item.due += std::chrono::microseconds(
          random_() % static_cast<uint64_t>(max_delay_.count()));
    }
    Find(device, stream).items.push_back(std::move(item));
  }
  changed_.notify_all();
}

void FakeStreams::Do(Device device, void* stream,
                     std::function<Status()> work) {
  Item item;
  item.work = std::move(work);
  Push(device, stream, std::move(item));
}

FakeStreams::MarkerHandle FakeStreams::Mark(Device device, void* stream) {
  Item item;
  item.marks = std::make_shared<Marker>();
  MarkerHandle marker = item.marks;
  Push(device, stream, std::move(item));
  return marker;
}

void FakeStreams::WaitFor(Device device, void* stream, MarkerHandle marker) {
  Item item;
  item.waits = std::move(marker);
  Push(device, stream, std::move(item));
}

Status FakeStreams::Await(Device device, const MarkerHandle& marker) {
  const auto ordinal = static_cast<size_t>(device.ordinal);
  std::unique_lock hold(lock_);
  changed_.wait(hold,
                [&] { return marker->reached || !broken_[ordinal].ok(); });
  return broken_[ordinal];
}

bool FakeStreams::Reached(const MarkerHandle& marker) const {
  const std::lock_guard hold(lock_);
  return marker->reached;
}

double FakeStreams::Milliseconds(const MarkerHandle& from,
                                 const MarkerHandle& to) const {
  const std::lock_guard hold(lock_);
  return std::chrono::duration<double, std::milli>(to->when - from->when)
      .count();
}

void FakeStreams::BreakLocked(size_t ordinal, const Status& status) {
  if (!broken_[ordinal].ok()) return;
  broken_[ordinal] = status;
  const auto drop = [&](Stream& stream) {
    if (static_cast<size_t>(stream.device.ordinal) != ordinal) return;
    for (const Item& item : stream.items) {
      if (item.marks != nullptr) item.marks->reached = true;
    }
    stream.items.clear();
  };
  drop(*defaults_[ordinal]);
  for (const auto& [handle, stream] : streams_) drop(*stream);
}

void FakeStreams::Break(Device device, const Status& status) {
  std::unique_lock hold(lock_);
  BreakLocked(static_cast<size_t>(device.ordinal), status);
  changed_.notify_all();
  changed_.wait(hold, [&] { return IsIdle(device); });
}

Status FakeStreams::broken(Device device) const {
  const std::lock_guard hold(lock_);
  return broken_[static_cast<size_t>(device.ordinal)];
}

void FakeStreams::AwaitAll(Device device) {
  std::unique_lock hold(lock_);
  changed_.wait(hold, [&] { return IsIdle(device); });
}

bool FakeStreams::IsIdle(const Stream& stream) const {
  return stream.items.empty() && !stream.busy;
}

bool FakeStreams::IsIdle(Device device) const {
  if (!IsIdle(*defaults_[static_cast<size_t>(device.ordinal)])) return false;
  return std::ranges::all_of(streams_, [&](const auto& entry) {
    return entry.second->device != device || IsIdle(*entry.second);
  });
}

size_t FakeStreams::streams() const {
  const std::lock_guard hold(lock_);
  return static_cast<size_t>(std::ranges::count_if(
      streams_, [](const auto& entry) { return !entry.second->destroyed; }));
}

size_t FakeStreams::work() const {
  const std::lock_guard hold(lock_);
  size_t count = 0;
  const auto add = [&](const Stream& stream) {
    count += static_cast<size_t>(std::ranges::count_if(
        stream.items, [](const Item& item) { return item.work != nullptr; }));
    count += stream.busy ? 1 : 0;
  };
  for (const StreamHandle& stream : defaults_) add(*stream);
  for (const auto& [handle, stream] : streams_) add(*stream);
  return count;
}

void FakeStreams::Run() {
  std::unique_lock hold(lock_);
  std::vector<StreamHandle> ready;
  while (true) {
    ready.clear();
    const Clock::time_point now = Clock::now();
    Clock::time_point next = now + std::chrono::hours(1);
    bool idle = true;
    const auto look = [&](const StreamHandle& stream) {
      if (!IsIdle(*stream)) idle = false;
      if (stream->busy || stream->items.empty()) return;
      const Item& head = stream->items.front();
      if (head.waits != nullptr && !head.waits->reached) return;
      if (head.due <= now || ending_) {
        ready.push_back(stream);
      } else {
        next = std::min(next, head.due);
      }
    };
    for (const StreamHandle& stream : defaults_) look(stream);
    for (const auto& [handle, stream] : streams_) look(stream);
    if (ready.empty()) {
      if (ending_ && idle) return;
      // What waits for another device that has nothing to do stays: a test
      // that ends so has failed already.
      changed_.wait_until(hold, next);
      continue;
    }
    const StreamHandle stream = ready[random_() % ready.size()];
    Item item = std::move(stream->items.front());
    stream->items.pop_front();
    Status status;
    if (item.work != nullptr) {
      stream->busy = true;
      hold.unlock();
      status = item.work();
      item.work = nullptr;  // and what it holds
      hold.lock();
      stream->busy = false;
    }
    if (item.marks != nullptr) {
      item.marks->reached = true;
      item.marks->when = Clock::now();
    }
    if (!status.ok()) {
      BreakLocked(static_cast<size_t>(stream->device.ordinal), status);
    }
    if (stream->destroyed && IsIdle(*stream)) streams_.erase(stream.get());
    changed_.notify_all();
  }
}

}  // namespace caisson
