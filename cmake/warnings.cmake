# SPDX-License-Identifier: Apache-2.0
#
# Warnings of our own code; linked by every layer, never exported.
add_library(caisson_warnings INTERFACE)
target_compile_options(caisson_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor;-Wunused;-Woverloaded-virtual;-Wimplicit-fallthrough>
  # g++ 12 reports the payload of an empty std::optional or std::variant, and
  # overlaps in std::string's operator+ (GCC bug 105651).
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized;-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${CAISSON_WERROR}>>:-Werror>)
