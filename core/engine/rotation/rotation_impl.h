// SPDX-License-Identifier: Apache-2.0
//
// A Rotation whose file system a test can make fail.
#pragma once

#include <string>

#include "caisson/rotation.h"
#include "core/io/file_system.h"

namespace caisson {

// Rotation::Create() over `files`, which must outlive the result.
Result<Rotation> MakeRotation(std::string directory, RotationOptions options,
                              FileSystem& files);

}  // namespace caisson
