# SPDX-License-Identifier: Apache-2.0
#
# The library: every layer in one archive, with the public headers, installed
# and found by find_package(caisson).
include(CMakePackageConfigHelpers)

set(layers base kernels device io caffe2_proto formats engine)
add_library(caisson STATIC)
add_library(caisson::caisson ALIAS caisson)
foreach(layer IN LISTS layers)
  target_sources(caisson PRIVATE $<TARGET_OBJECTS:caisson_${layer}>)
endforeach()
target_include_directories(caisson PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(caisson PUBLIC cxx_std_20)
target_link_libraries(caisson PRIVATE
  PkgConfig::hwy PkgConfig::libdeflate PkgConfig::protobuf Threads::Threads)
if(CAISSON_HAVE_ISAL)
  target_link_libraries(caisson PRIVATE PkgConfig::isal)
endif()
if(CAISSON_HAVE_URING)
  target_link_libraries(caisson PRIVATE PkgConfig::liburing)
endif()
if(CAISSON_HAVE_CUDA)
  target_link_libraries(caisson PRIVATE CUDA::cudart_static)
endif()
set_target_properties(caisson PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINKER_LANGUAGE CXX)

install(TARGETS caisson EXPORT caisson_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/caisson
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT caisson_targets NAMESPACE caisson::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/caisson)
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/caisson-config.cmake.in
  ${PROJECT_BINARY_DIR}/caisson-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/caisson)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/caisson-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/caisson-config.cmake
  ${PROJECT_BINARY_DIR}/caisson-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/caisson)
