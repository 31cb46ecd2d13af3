// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace caisson::pickle {

// Which memo entries the pickle at the front of `bytes` fetches, by index.
// torch.save memoises every object and fetches few, so that a reader which
// knows them need not keep the rest. Ends at STOP or where the pickle cannot
// be decoded. At most one entry for each byte: higher indices are left out.
std::vector<bool> FetchedEntries(std::span<const std::byte> bytes);

}  // namespace caisson::pickle
