// SPDX-License-Identifier: Apache-2.0
#include "bench/isal.h"

namespace caisson::bench {

const IsaL* FindIsaL() { return nullptr; }

}  // namespace caisson::bench
