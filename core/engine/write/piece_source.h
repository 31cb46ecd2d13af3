// SPDX-License-Identifier: Apache-2.0
//
// Where the bytes of a piece are while it is saved: in memory of the host or of
// a device, or in the snapshot of a device.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/engine/device/device_stagers.h"
#include "core/formats/format.h"

namespace caisson {

// Gives the bytes [at, at + bytes) of a piece before encoding, in memory of the
// host, until it is asked again.
using PieceBytes = std::function<Result<std::span<const std::byte>>(
    uint64_t at, size_t bytes)>;

class PieceSource {
 public:
  // Both must outlive this.
  PieceSource(const DeviceSaveSetting& devices, DeviceStagers& stagers)
      : devices_(devices), stagers_(stagers) {}

  // That of the storage. Of a device, for addresses only.
  Region RegionOf(const TensorPiece& piece) const;

  // Fills `dst` with the bytes of the storage from `offset` on, which are on a
  // device. Errors: those of the stager.
  Status Fetch(const TensorPiece& piece, uint64_t offset,
               std::span<std::byte> dst);

  // Where a device encodes a piece by itself.
  struct Encoder {
    DeviceEncoder* encoder = nullptr;  // null: the host encodes it
    size_t place = 0;                  // of the device, in windows
  };

  // For the encoded `piece`; of the first of a device, `bytes` says about how
  // much will come. Errors: those of the stagers.
  Result<Encoder> EncoderOf(const TensorPiece& piece, uint64_t bytes);

  // Why the host encodes what is on devices; empty where it does not.
  const std::string& no_encoder() const { return no_encoder_; }

  DeviceStager& StagerAt(size_t place) { return stagers_.At(place); }

  // Those of a device are fetched, as they are asked for. REQUIRES: this and
  // the piece outlive it.
  PieceBytes BytesOf(const TensorPiece& piece);

 private:
  const DeviceSaveSetting& devices_;
  DeviceStagers& stagers_;
  std::string no_encoder_;
};

}  // namespace caisson
