// SPDX-License-Identifier: Apache-2.0
//
// Each registers the benchmarks of some verbs.
#pragma once

namespace caisson::bench {

void RegisterCrc32();      // crc32, crc32_combine
void RegisterTransform();  // copy, byte_swapN, A_to_B, with and without _crc32
void RegisterGather();     // gather_transpose4, gather_rows4
void RegisterBatch();      // small_batch_copy, with and without _crc32
void RegisterDeflate();    // deflate, inflate
void RegisterStores();     // stores_only, stores_then_read
void RegisterPlanes();     // plane_encode_T, plane_decode_T

}  // namespace caisson::bench
