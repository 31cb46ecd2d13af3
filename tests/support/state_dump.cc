// SPDX-License-Identifier: Apache-2.0
//
// state_dump FILE...: for each file the line "== FILE" and then the canonical
// text of its state, for comparison with what stock torch loads.
//
// Exit status: 0, or 2 if a file could not be loaded or has no such text.
#include <cstdio>
#include <string>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "tests/support/canonical_text.h"

namespace caisson {
namespace {

Result<std::string> Dump(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Reader::Open(path));
  CAISSON_ASSIGN_OR_RETURN(const State state, reader.Load());
  return CanonicalText(state);
}

}  // namespace
}  // namespace caisson

int main(int argc, char** argv) {
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    std::printf("== %s\n", argv[i]);
    const caisson::Result<std::string> text = caisson::Dump(argv[i]);
    if (text) {
      std::fwrite(text->data(), 1, text->size(), stdout);
    } else {
      std::fprintf(stderr, "state_dump: %s\n", text.error().ToString().c_str());
      status = 2;
    }
  }
  return status;
}
