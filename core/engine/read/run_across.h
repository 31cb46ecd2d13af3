// SPDX-License-Identifier: Apache-2.0
//
// Does read tasks whose storages may lie in several files.
#pragma once

#include <span>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/engine/read/read_task.h"

namespace caisson {

// As ReadExecutor::Run(). `first` is Layout::sources[0], `others` are the rest,
// in whose order the files are read. What of a storage lies in one file is done
// with the rest of that file; blocks of a storage that lies in several are read
// on the calling thread.
Status RunAcross(const ByteSource& first, std::span<const ByteSource> others,
                 std::span<ReadTask> tasks, ReadExecutor& reads,
                 OnError on_error);

}  // namespace caisson
