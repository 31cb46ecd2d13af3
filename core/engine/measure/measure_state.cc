// SPDX-License-Identifier: Apache-2.0
#include "core/engine/measure/measure_state.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/io/file_system.h"

namespace caisson {
namespace {

// As large as the weights of one layer are.
constexpr size_t kTensorBytes = size_t{32} << 20;

}  // namespace

Result<MeasuredState> MeasuredState::Create(uint64_t bytes, bool weights) {
  const uint64_t whole = bytes / kDirectAlignment * kDirectAlignment;
  if (whole == 0 || whole > std::numeric_limits<size_t>::max()) {
    return Status::InvalidArgument("a state of " + std::to_string(bytes) +
                                   " bytes cannot be measured");
  }
  CAISSON_ASSIGN_OR_RETURN(Buffer memory,
                           Buffer::Allocate(static_cast<size_t>(whole)));
  return MeasuredState(std::make_shared<Buffer>(std::move(memory)), weights);
}

MeasuredState::MeasuredState(std::shared_ptr<Buffer> memory, bool weights)
    : memory_(std::move(memory)) {
  // One weight and two moments, again and again.
  constexpr const char* kKinds[] = {"weight", "exp_avg", "exp_avg_sq"};
  size_t count = 0;
  for (size_t at = 0; at < memory_->size(); ++count) {
    if (weights && count % 3 != 0) continue;
    const DType dtype = count % 3 == 0 ? DType::kBFloat16 : DType::kFloat32;
    const size_t most =
        dtype == DType::kBFloat16 ? kTensorBytes / 2 : kTensorBytes;
    const size_t bytes = std::min(most, memory_->size() - at);
    const auto elems = static_cast<int64_t>(bytes / ByteWidth(dtype));
    state_["layer" + std::to_string(count / 3)][kKinds[count % 3]] =
        DenseTensor(dtype, {elems}, memory_->data() + at, memory_);
    at += bytes;
  }
}

}  // namespace caisson
