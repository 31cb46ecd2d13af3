// SPDX-License-Identifier: Apache-2.0
//
// Greedy, with one place to go back to: what the last '*' took can only have
// been too little, and what stood before it needs no second try.
#include "core/base/glob.h"

#include <cstddef>

namespace caisson {

bool GlobMatches(std::string_view glob, std::string_view text) {
  constexpr size_t kNone = std::string_view::npos;
  size_t g = 0;
  size_t star = kNone;  // position of the last '*' in the glob
  size_t taken = 0;     // where in the text what follows it was tried
  for (size_t t = 0; t < text.size();) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      taken = t;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (star != kNone) {
      g = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == kNone;
}

}  // namespace caisson
