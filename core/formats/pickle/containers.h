// SPDX-License-Identifier: Apache-2.0
//
// The containers that an unpickler has made. A chain of a million of them must
// not be freed by a million nested destructors, nor a cycle leak.
//
// Thread safety: one thread at a time.
#pragma once

#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson::pickle {

class Containers {
 public:
  Containers() = default;

  // Empties every container while it still holds all of them.
  ~Containers();

  Containers(const Containers&) = delete;
  Containers& operator=(const Containers&) = delete;

  // Holds `node`, just made, if that is a container.
  void Add(const Node& node);

  // Frees those made last that nothing else holds.
  void DropUnused();

  // Lets go of all. kInvalidArgument, and nothing changes, if any contains
  // itself or is nested too deeply: it would be freed as deeply.
  Status Release();

 private:
  std::vector<Node> nodes_;
};

}  // namespace caisson::pickle
