// SPDX-License-Identifier: Apache-2.0
//
// What a load is asked for: which tensors, as what, where, and what is checked.
//
// Plain values.
#pragma once

#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/memory.h"

namespace caisson {

// Which tensors a load converts, and to which floating type.
struct Cast {
  // The joined names that it covers: '*' stands for any characters, dots too,
  // '?' for one byte.
  std::string name_glob;
  DType dtype = DType::kFloat32;
};

struct LoadOptions {
  // Check CRCs, in the same pass as the copy. Default: on.
  bool verify = true;

  // Keep what torch.load(weights_only=True) would refuse as nodes that name it,
  // so that the state can be looked at and written again. Default: refuse it.
  bool keep_unknown = false;

  // Which tensors are read: those whose joined names one of these globs covers,
  // as in Cast. The others stay in the state as they are in the file, without
  // memory; a storage that any covered tensor views is read. Empty: all.
  std::vector<std::string> names = {};

  // Let tensors lie in a private mapping of the file instead of reading them:
  // opening takes no time, pages come when they are touched, and what is
  // written to them is this process's own. Nothing is checked; Verify() is for
  // that. Storages that are compressed, swapped, cast or not aligned to their
  // elements are read all the same. The file must not shrink while a tensor
  // lives: replacing it, as every save does, is fine. kUnsupported for an
  // adapter that is no file. Default: read everything.
  bool map = false;

  // Converts floating tensors on their way into memory, rounding to nearest
  // even, as torch's `.to(dtype)` does; what is too large becomes infinite, or
  // the largest number in a type without infinities. CRCs are those of the
  // file's bytes. The first cast that covers a tensor decides; integer, bool,
  // complex and quantised tensors, and the parameters of quantised ones, stay
  // as they are, as do meta tensors, which have no storage. A storage is
  // converted as a whole, and keeps its number of elements.
  std::vector<Cast> casts = {};

  // Where the tensors shall be, all of them. On a device, which takes an
  // Engine, bytes go there as they arrive, and it checks, swaps and converts
  // them; no copy of the state is in host memory. Storages get the device's
  // name as their location, and small ones share allocations. Default: the
  // host.
  Device device = Device::Cpu();

  // As in SaveOptions; what they had is done before memory of a device is
  // written.
  std::vector<DeviceStream> streams = {};
};

struct LoadIntoOptions {
  bool verify = true;

  // Accept a file that holds tensors which the state lacks. Default: off.
  bool allow_unused = false;

  // As in SaveOptions: streams that work on tensors of devices. What they had
  // is done before a byte is written; the bytes are there when the call
  // returns.
  std::vector<DeviceStream> streams = {};
};

}  // namespace caisson
