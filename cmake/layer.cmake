# SPDX-License-Identifier: Apache-2.0
#
# caisson_layer(NAME SOURCES...): one layer as an object library
# `caisson_NAME`. What a layer may include is held by tests/layers_test.py;
# here is what it is compiled with.
function(caisson_layer name)
  add_library(caisson_${name} OBJECT ${ARGN})
  target_include_directories(caisson_${name}
    PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(caisson_${name} PRIVATE caisson_warnings)
endfunction()
