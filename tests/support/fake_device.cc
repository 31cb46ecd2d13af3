// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

Status Broken(const Status& status) {
  return Status(StatusCode::kDevice, std::string(status.message()));
}

}  // namespace

struct FakeDevices::Event {
  Device device;
  EventUse use;
  FakeStreams::MarkerHandle marker;  // null: never recorded
};

class FakeDevices::RuntimeImpl : public DeviceRuntime {
 public:
  explicit RuntimeImpl(FakeDevices& fake) : fake_(fake) {}

  Result<std::byte*> Allocate(Device device, size_t bytes) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(device, "allocate"));
    if (bytes == 0) return fake_.Violation("allocates no bytes");
    return fake_.memory_.Allocate(device, bytes);
  }

  Status Free(Device device, std::byte* data) override {
    const Status begun = fake_.Begin(device, "free");
    if (fake_.HasDevice(device)) {
      fake_.streams_.AwaitAll(device);
      const Status freed = fake_.memory_.Free(device, data);
      if (!freed.ok()) return fake_.Violation(std::string(freed.message()));
    }
    return begun;
  }

  Result<DeviceMemory> MemoryOf(Device device) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(device, "memory of"));
    return fake_.memory_.Of(device);
  }

  Status Pin(Device device, std::span<std::byte> memory) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(device, "pin"));
    const Status pinned = fake_.memory_.Pin(memory);
    if (!pinned.ok()) return fake_.Violation(std::string(pinned.message()));
    return pinned;
  }

  Status Unpin(Device device, std::byte* data) override {
    const Status begun = fake_.Begin(device, "unpin");
    const Status unpinned = fake_.memory_.Unpin(data);
    if (!unpinned.ok()) return fake_.Violation(std::string(unpinned.message()));
    return begun;
  }

  Result<DeviceStream> CreateStream(Device device, StreamPriority) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(device, "create stream"));
    return DeviceStream{device, {fake_.streams_.Create(device)}};
  }

  Status DestroyStream(const DeviceStream& stream) override {
    const Status begun = fake_.Begin(stream.device, "destroy stream");
    if (!fake_.streams_.Destroy(stream.stream.native)) {
      return fake_.Violation("destroys a stream that is not there");
    }
    return begun;
  }

  Result<DeviceEvent> CreateEvent(Device device, EventUse use) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(device, "create event"));
    auto* const event = new Event{device, use, nullptr};
    const std::lock_guard hold(fake_.lock_);
    fake_.events_.insert(event);
    return DeviceEvent{device, event};
  }

  Status DestroyEvent(const DeviceEvent& event) override {
    const Status begun = fake_.Begin(event.device, "destroy event");
    auto* const native = static_cast<Event*>(event.native);
    {
      const std::lock_guard hold(fake_.lock_);
      if (fake_.events_.erase(native) == 1) {
        delete native;
        return begun;
      }
    }
    return fake_.Violation("destroys an event that is not there");
  }

  Status Record(const DeviceEvent& event, const DeviceStream& stream) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(stream.device, "record"));
    CAISSON_RETURN_IF_ERROR(CheckStream(stream));
    if (!(event.device == stream.device)) {
      return fake_.Violation("records an event of another device");
    }
    auto marker = fake_.streams_.Mark(stream.device, stream.stream.native);
    const std::lock_guard hold(fake_.lock_);
    if (fake_.events_.count(static_cast<Event*>(event.native)) == 1) {
      static_cast<Event*>(event.native)->marker = std::move(marker);
    } else {
      fake_.violations_.push_back("records an event that is not there");
    }
    return Status::Ok();
  }

  Status WaitFor(const DeviceStream& stream,
                 const DeviceEvent& event) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(stream.device, "wait for"));
    CAISSON_RETURN_IF_ERROR(CheckStream(stream));
    CAISSON_ASSIGN_OR_RETURN(auto marker, MarkerOf(event));
    if (marker != nullptr) {
      fake_.streams_.WaitFor(stream.device, stream.stream.native,
                             std::move(marker));
    }
    return Status::Ok();
  }

  Status Synchronize(const DeviceEvent& event) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(event.device, "synchronize event"));
    CAISSON_ASSIGN_OR_RETURN(const auto marker, MarkerOf(event));
    if (marker == nullptr) return Status::Ok();
    return fake_.streams_.Await(event.device, marker);
  }

  Status Synchronize(const DeviceStream& stream) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(stream.device, "synchronize stream"));
    CAISSON_RETURN_IF_ERROR(CheckStream(stream));
    return fake_.streams_.Await(
        stream.device,
        fake_.streams_.Mark(stream.device, stream.stream.native));
  }

  Result<bool> Happened(const DeviceEvent& event) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(event.device, "happened"));
    CAISSON_ASSIGN_OR_RETURN(const auto marker, MarkerOf(event));
    return marker == nullptr || fake_.streams_.Reached(marker);
  }

  Result<double> MillisecondsBetween(const DeviceEvent& from,
                                     const DeviceEvent& to) override {
    CAISSON_RETURN_IF_ERROR(fake_.Begin(from.device, "milliseconds"));
    CAISSON_ASSIGN_OR_RETURN(const auto begin, MarkerOf(from));
    CAISSON_ASSIGN_OR_RETURN(const auto end, MarkerOf(to));
    if (begin == nullptr || end == nullptr) {
      return fake_.Violation("takes the time of events never recorded");
    }
    return fake_.streams_.Milliseconds(begin, end);
  }

  Status Copy(std::byte* dst, const std::byte* src, size_t bytes,
              const DeviceStream& stream) override {
    if (bytes == 0) return Status::Ok();
    Status later;
    CAISSON_RETURN_IF_ERROR(fake_.Begin(stream.device, "copy", &later));
    CAISSON_RETURN_IF_ERROR(CheckStream(stream));
    bool waits = false;
    for (const std::byte* end : {static_cast<const std::byte*>(dst), src}) {
      if (fake_.memory_.IsDevice(end) || fake_.memory_.IsPinned(end, bytes)) {
        continue;
      }
      // Unless it was pinned meanwhile.
      if (fake_.memory_.TouchesPinned(end, bytes) &&
          !fake_.memory_.IsPinned(end, bytes)) {
        return fake_.Violation("copies memory that is pinned in part");
      }
      waits = true;
    }
    fake_.streams_.Do(
        stream.device, stream.stream.native,
        [this, dst, src, bytes, later, waits]() -> Status {
          CAISSON_RETURN_IF_ERROR(later);
          std::byte* const to = Place(dst, bytes, waits);
          std::byte* const from = Place(src, bytes, waits);
          if (to == nullptr || from == nullptr) {
            return fake_.Violation("copies memory that is not there any more");
          }
          std::memcpy(to, from, bytes);
          return Status::Ok();
        });
    if (!waits) return Status::Ok();
    return fake_.streams_.Await(
        stream.device,
        fake_.streams_.Mark(stream.device, stream.stream.native));
  }

 private:
  Status CheckStream(const DeviceStream& stream) {
    if (fake_.streams_.Has(stream.device, stream.stream.native)) {
      return Status::Ok();
    }
    return fake_.Violation("uses a stream that is not there");
  }

  Result<FakeStreams::MarkerHandle> MarkerOf(const DeviceEvent& event) {
    {
      const std::lock_guard hold(fake_.lock_);
      auto* const native = static_cast<Event*>(event.native);
      if (fake_.events_.count(native) == 1) return native->marker;
    }
    return fake_.Violation("uses an event that is not there");
  }

  // Where a copy finds memory; null if it is gone.
  std::byte* Place(const std::byte* data, size_t bytes, bool waits) {
    if (fake_.memory_.IsDevice(data)) return fake_.memory_.Alias(data, bytes);
    if (!waits && !fake_.memory_.IsPinned(data, bytes)) return nullptr;
    return const_cast<std::byte*>(data);
  }

  FakeDevices& fake_;
};

FakeDevices::FakeDevices(const FakeDeviceOptions& options)
    : options_(options),
      memory_(options.devices, options.memory_bytes),
      runtime_(std::make_unique<RuntimeImpl>(*this)),
      fault_(options.fault),
      streams_(options.devices, options.seed, options.max_delay) {
  Live(true);
}

FakeDevices::~FakeDevices() {
  Live(false);
  for (Event* event : events_) delete event;
}

Result<DeviceRuntime*> FakeDevices::Runtime() {
  if (options_.devices == 0) {
    return Status::Unavailable("no fake device on this machine");
  }
  return runtime_.get();
}

bool FakeDevices::HasDevice(Device device) const {
  return device.space == Device::Space::kCuda && device.ordinal >= 0 &&
         device.ordinal < options_.devices;
}

Status FakeDevices::Begin(Device device, const char* name, Status* later) {
  if (!HasDevice(device)) {
    return Status(device.is_cpu() ? StatusCode::kInvalidArgument
                                  : StatusCode::kUnavailable,
                  std::string(name) + ": no device " + Name(device));
  }
  CAISSON_RETURN_IF_ERROR(streams_.broken(device));
  Status failure;
  bool when_run = false;
  {
    const std::lock_guard hold(lock_);
    log_.push_back(name);
    if (!fault_ || (!fault_->only.empty() && fault_->only != name)) {
      return Status::Ok();
    }
    const int n = count_++;
    if (n < fault_->at || (n > fault_->at && !fault_->and_after)) {
      return Status::Ok();
    }
    fired_ = true;
    failure = fault_->status;
    when_run = fault_->later && later != nullptr;
  }
  if (when_run) {
    *later = Broken(failure);
    return Status::Ok();
  }
  if (failure.code() == StatusCode::kDevice) streams_.Break(device, failure);
  return failure;
}

Status FakeDevices::Violation(const std::string& what) {
  const std::lock_guard hold(lock_);
  violations_.push_back(what);
  return Status::DeviceError("a rule was broken: " + what);
}

void FakeDevices::SetFault(std::optional<FakeFault> fault) {
  const std::lock_guard hold(lock_);
  fault_ = std::move(fault);
  count_ = 0;
  fired_ = false;
}

bool FakeDevices::fired() const {
  const std::lock_guard hold(lock_);
  return fired_;
}

std::vector<std::string> FakeDevices::log() const {
  const std::lock_guard hold(lock_);
  return log_;
}

std::vector<std::string> FakeDevices::violations() const {
  const std::lock_guard hold(lock_);
  return violations_;
}

FakeCounts FakeDevices::counts() const {
  FakeCounts counts;
  counts.allocations = memory_.allocations();
  counts.pins = memory_.pins();
  counts.streams = streams_.streams();
  counts.work = streams_.work();
  const std::lock_guard hold(lock_);
  counts.events = events_.size();
  counts.allocations -= own_allocations_;
  counts.streams -= own_streams_.size();
  return counts;
}

std::shared_ptr<std::byte> FakeDevices::Upload(
    Device device, std::span<const std::byte> bytes) {
  const size_t some = std::max<size_t>(bytes.size(), 1);
  const auto data = memory_.Allocate(device, some);
  if (!data.has_value()) return nullptr;
  {
    const std::lock_guard hold(lock_);
    ++own_allocations_;
  }
  std::ranges::copy(bytes, memory_.Alias(*data, some));
  return std::shared_ptr<std::byte>(*data, [this, device](std::byte* given) {
    static_cast<void>(memory_.Free(device, given));
    const std::lock_guard hold(lock_);
    --own_allocations_;
  });
}

std::span<std::byte> FakeDevices::Alias(const std::byte* data, size_t bytes) {
  return {memory_.Alias(data, bytes), bytes};
}

DeviceStream FakeDevices::MakeStream(Device device) {
  const DeviceStream stream = {device, {streams_.Create(device)}};
  const std::lock_guard hold(lock_);
  own_streams_.push_back(stream);
  return stream;
}

void FakeDevices::Enqueue(const DeviceStream& stream,
                          std::function<void()> work) {
  streams_.Do(stream.device, stream.stream.native, [work = std::move(work)] {
    work();
    return Status::Ok();
  });
}

void FakeDevices::AwaitAll() {
  for (int i = 0; i < options_.devices; ++i) {
    streams_.AwaitAll(Device::Cuda(i));
  }
}

}  // namespace caisson
