// SPDX-License-Identifier: Apache-2.0
//
// General compressors on tensors: on their bytes as they are, and on planes of
// their first bytes, second bytes and so on, as ZipNN has them. Each checks
// that it decodes what it encoded. Main thread.
#pragma once

#include <cstddef>
#include <vector>

#include "bench/contest.h"
#include "bench/plane_sets.h"

namespace caisson::bench {

// zstd and LZ4, where the build found them, and libdeflate; those on planes
// are called "zstd-1-planes".
std::vector<Peer> EncodePeers(const PlaneSet& set, size_t bytes);
std::vector<Peer> DecodePeers(const PlaneSet& set, size_t bytes);

}  // namespace caisson::bench
