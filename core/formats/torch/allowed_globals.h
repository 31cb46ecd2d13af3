// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "caisson/state.h"
#include "core/formats/pickle/unpickler.h"

namespace caisson::torch {

// What torch.load(weights_only=True) of torch 2.13 lets a global do, plus the
// classes that torch.distributed and torch.nested register when imported.
// formats.md 2.8.
pickle::Trust ClassifyGlobal(const Global& global);

}  // namespace caisson::torch
