// SPDX-License-Identifier: Apache-2.0
//
// What the saves and loads of an Engine tell afterwards: bytes, seconds, and
// what was done where.
//
// Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "caisson/compression.h"

namespace caisson {

// What a save did with devices.
struct DeviceSaveReport {
  uint64_t bytes = 0;             // that came from devices
  uint64_t crc_device_bytes = 0;  // of these, whose CRC a device took
  uint64_t crc_host_bytes = 0;    // the others
  std::string crc_host_reason;    // why the host did; empty where it did not

  uint64_t encoded_bytes = 0;  // that devices compressed: these bytes became
                               // some of `bytes`

  // Staging memory that devices reach at full speed, of all saves so far.
  uint64_t pinned_bytes = 0;
  double pin_seconds = 0;
  std::string pin_problem;  // why some could not be pinned; else empty

  uint64_t snapshot_bytes = 0;  // AsyncOptions::snapshot_on_device
  std::string no_snapshot;      // why there is none where it was asked for
};

// Where the time of a save went, in seconds. Stages run at the same time: their
// sum may exceed that of the save. A save that waited for memory most of the
// time was as fast as its transfers; one that did not was held up by the copy.
struct StageTimes {
  double copy = 0;         // of all threads together, copying and checking
  double transfer = 0;     // of all transfers together, from submit to done
  double wait_memory = 0;  // the layout had no free window
  double sync = 0;         // until the device had everything
  double encode = 0;       // of all threads of the host, compressing
};

struct SaveReport {
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;  // of the storages, each once
  double seconds = 0;
  double staged_seconds = 0;  // until the last tensor was in staging memory
  StageTimes stages;
  std::string io;  // "io_uring, direct"

  // What FormatOptions::drop left out: "'step': an int".
  std::vector<std::string> dropped;
  DeviceSaveReport device;
  CompressionReport compression;  // of SaveOptions::compress
};

// Where the time of a load went, in seconds. Transfers and copies run at the
// same time: their sum may exceed that of the load. One that waited for the
// disk most of the time was as fast as its transfers; one that did neither wait
// was held up by both in turn, or by work that they do not count, such as
// parsing the file's index.
struct LoadTimes {
  double copy = 0;         // of all threads together, copying and checking;
                           // of what must be decoded, reading it too
  double transfer = 0;     // of all reads together: past the page cache from
                           // submit to done, else the calls of the threads
  double wait_disk = 0;    // every thread waited for a read past the page cache
  double wait_memory = 0;  // nothing was read for want of staging memory
};

// What a load did with devices.
struct DeviceLoadReport {
  uint64_t bytes = 0;          // that were put into memory of devices
  uint64_t decoded_bytes = 0;  // of these, that the devices decompressed
  uint64_t host_bytes = 0;     // of these, that the host had to check, swap,
                               // convert or decompress
  std::string host_reason;     // why; empty where it had not
};

struct LoadReport {
  uint64_t file_bytes = 0;    // of the records that were read, as stored
  uint64_t tensor_bytes = 0;  // that were put into memory; none by Verify()
  double seconds = 0;         // of the call
  size_t threads = 0;         // that copied and checked
  LoadTimes stages;

  // The queue, and which way the bytes came: "threads, direct" past the page
  // cache; "page cache" where they were there already; "buffered" where direct
  // I/O is refused or unwanted; "adapter" for a source that is no file, or that
  // Open() did not open. All but the first are read by the threads themselves.
  std::string io;
  DeviceLoadReport device;
};

}  // namespace caisson
