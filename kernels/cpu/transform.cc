// SPDX-License-Identifier: Apache-2.0
//
// Checks a step and its jobs, and hands each to a BlockLoop.
#include <optional>
#include <string>

#include "kernels/cpu/block_loop.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/stream_copy.h"

namespace caisson::cpu {
namespace {

Result<Pass> PassOf(const Step& step) {
  const Result<CheckedStep> checked = CheckStep(step);
  if (!checked.has_value()) return checked.error();
  Pass pass;
  pass.step = *checked;
  if (checked->conversion) pass.conversion.emplace(*checked->conversion);
  pass.Size(step.stores);
  return pass;
}

Status Run(const Pass& pass, const Job& job) {
  const Result<CheckedJob> checked = CheckJob(pass.step, job);
  if (!checked.has_value()) return checked.error();
  if (checked->empty) return Status::Ok();
  std::optional<Gather> gather;
  if (checked->view)
    gather.emplace(job.src, *checked->view, pass.step.src_width);
  BlockLoop loop(pass, job, gather ? &*gather : nullptr);
  loop.Run();
  if (job.crc != nullptr) *job.crc = loop.crc();
  if (job.bad != nullptr) *job.bad = loop.bad();
  return Status::Ok();
}

}  // namespace

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Result<Pass> pass = PassOf(step);
  if (!pass.has_value()) return pass.error();
  Status status;
  for (size_t i = 0; i < jobs.size() && status.ok(); ++i) {
    status = Run(*pass, jobs[i]);
    if (!status.ok()) status = status.WithContext("job " + std::to_string(i));
  }
  StreamFence();
  return status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

}  // namespace caisson::cpu
