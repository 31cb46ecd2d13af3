// SPDX-License-Identifier: Apache-2.0
//
// Changes of a State's tree that look the same as if Python had made them
// before torch.save.
#pragma once

#include <string_view>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// Gives an entry of a dict another key. `from` names the entry by its path
// joined by '.', as `caisson ls` does; its value may be of any kind. `to` is
// the same path with another last key:
//
//   Rename(state, "model.0.weight", "model.layers.0.weight");
//
// renames the key "0.weight" of the dict "model". A key may hold dots; the
// dict stays the one that held the entry, the entry keeps its position in it,
// and the key becomes a new str that shares its identity with no other. A dict
// that stands at several places changes at all of them.
//
// Errors, which leave the state as it was: kNotFound if nothing has the name
// `from`; kInvalidArgument if several paths join to it, if it names no entry of
// a dict or one whose key is no str, if `to` is no UTF-8, is taken, lies in
// another dict or list, or would make other names seem to lie in the entry;
// kUnsupported for very many unequal keys of one hash.
Status Rename(State& state, std::string_view from, std::string_view to);

}  // namespace caisson
