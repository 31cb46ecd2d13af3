// SPDX-License-Identifier: Apache-2.0
//
// What a Reader holds. Constant once opened, hence safe on any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"

namespace caisson {

class Reader::Impl {
 public:
  Impl(ByteSource file, Layout parsed, std::vector<Global> unknown_globals);

  // The storage that `info`, one of infos, views.
  const StorageLayout& StorageOf(const TensorInfo& info) const {
    return layout.storages[layout.tensors[&info - infos.data()].storage];
  }

  // kUnsupported, naming them, if the file has globals that torch.load would
  // refuse.
  Status CheckGlobals() const;

  const ByteSource source;
  const Layout layout;
  const std::vector<Global> unknown;
  std::vector<TensorInfo> infos;  // parallel to layout.tensors
  // Positions in infos, several where paths join to one name.
  std::multimap<std::string_view, size_t> by_name;
};

}  // namespace caisson
