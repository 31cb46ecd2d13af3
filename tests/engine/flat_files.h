// SPDX-License-Identifier: Apache-2.0
//
// Files of flat formats, whose states are one dict of dense tensors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "caisson/state.h"
#include "caisson/writer.h"
#include "tests/engine/state_files.h"

namespace caisson {

// That `loaded` has the tensors of `expected` under their joined names, and
// nothing else.
inline void ExpectSame(const State& expected, const State& loaded) {
  const auto wanted = expected.Tensors();
  ASSERT_THAT(wanted.status(), IsOk());
  for (const NamedTensor& tensor : *wanted) {
    const std::string name = Join(tensor.path);
    const Node* node = loaded.root.Find(name);
    ASSERT_NE(node, nullptr) << name;
    const TensorView* view = node->As<TensorView>();
    ASSERT_NE(view, nullptr) << name;
    EXPECT_EQ(view->spec.dtype, tensor.view->spec.dtype) << name;
    EXPECT_EQ(view->spec.shape, tensor.view->spec.shape) << name;
    EXPECT_EQ(PlainGather(*view), PlainGather(*tensor.view)) << name;
  }
  EXPECT_EQ(loaded.root.As<Dict>()->size(), wanted->size());
}

inline WriteOptions QuickWrite() {
  WriteOptions options;
  options.sync = false;
  return options;
}

inline std::string Written(const State& state, const std::string& path,
                           const WriteOptions& options = QuickWrite()) {
  EXPECT_THAT(Writer(options).Write(state, path).status(), IsOk());
  return Content(path);
}

}  // namespace caisson
