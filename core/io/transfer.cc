// SPDX-License-Identifier: Apache-2.0
#include "core/io/transfer.h"

namespace caisson {

std::string TransferText(std::string_view doing, uint64_t offset,
                         uint64_t needed, uint64_t done) {
  std::string text(doing);
  text.append(" at ").append(std::to_string(offset));
  text.append(": needed ").append(std::to_string(needed)).append(" bytes, ");
  return text.append(std::to_string(done)).append(" done");
}

Status BeyondAnyFile(std::string_view path, std::string_view doing,
                     uint64_t offset, uint64_t needed) {
  std::string message(path);
  message.append(": ").append(TransferText(doing, offset, needed, 0));
  return Status::InvalidArgument(message + ": no file can be so large");
}

}  // namespace caisson
