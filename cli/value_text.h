// SPDX-License-Identifier: Apache-2.0
//
// Values of a State in one line, as Python writes them, save that a str shows
// what must not reach a terminal as the \xNN of its UTF-8 bytes. Nothing here
// takes more time than the text it gives is long.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "caisson/state.h"

namespace caisson::cli {

// A tensor, or an object that stands for one and adds nothing to it: a
// Parameter without attributes. `caisson ls` lists these in its table.
bool IsTensor(const Node& node);

// What is not a value of Python or torch, and so is only a name to us.
bool IsOpaque(const Node& node);

// The value if it fits into `width` characters, holds no tensor, and has no
// attributes that this would hide; "[1, 2]", "torch.Size([2])", "'text'".
std::optional<std::string> ShortText(const Node& node, size_t width);

// The front of a str, an int or bytes, or of a list, tuple or set, and how
// much there is: "list of 3000: 0, 1, 2, ...". Containers inside are "...".
std::string FrontText(const Node& node, size_t width);

// The kind of a value that is shown over several lines: "dict of 3",
// "sparse_coo tensor", "argparse.Namespace(...)  [opaque]".
std::string HeadText(const Node& node);

// A dict key: "lr", "'two words'", "0".
std::string KeyText(const Node& key);

// The items of a list, tuple or set, else nullptr.
const std::vector<Node>* ItemsOf(const Node& node);

}  // namespace caisson::cli
