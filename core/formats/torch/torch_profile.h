// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "caisson/profile.h"
#include "core/formats/torch/torch_archive.h"

namespace caisson::torch {

// Which of torch.save's layouts an archive has, from its records and their
// order. `alignment` is the content of ".storage_alignment", or 0.
Profile DetectProfile(const TorchArchive& archive, uint64_t alignment);

}  // namespace caisson::torch
