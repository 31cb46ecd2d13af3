// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do without us: the rates that a checkpoint is
// compared with. Each function moves `bytes` and returns bytes per second, 0
// if it could not.
#pragma once

#include <cstddef>
#include <string>

// memcpy between two buffers that were touched before.
double CopyRate(size_t bytes);

// Touching memory that the process has just been given.
double FirstTouchRate(size_t bytes);

// Sequential writes of random data to a new file in `directory`, fsynced; the
// file is then read back with its pages dropped from the cache, and removed.
struct DiskRates {
  double write = 0;
  double read = 0;
};
DiskRates MeasureDisk(const std::string& directory, size_t bytes);
