// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace caisson {

// Whether all of `text` fits `glob`, in which '*' stands for any characters,
// dots too, or none, '?' for one byte, and everything else for itself. Time
// proportional to the product of both lengths at most.
bool GlobMatches(std::string_view glob, std::string_view text);

}  // namespace caisson
