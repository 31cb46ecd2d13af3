// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace caisson::cpu {

// Name and version of each library that the host kernels are built on.
std::vector<std::pair<std::string, std::string>> LibraryVersions();

}  // namespace caisson::cpu
