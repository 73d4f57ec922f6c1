# Installs the library, its headers, and the files that find_package(plug) and `pkg-config plug`
# read. No installed file contains an absolute path, so `cmake --install BUILD --prefix ANY` works.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(plug_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/plug")
set(plug_pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(TARGETS plug EXPORT plugTargets FILE_SET HEADERS)
install(EXPORT plugTargets NAMESPACE plug:: DESTINATION "${plug_cmake_dir}")
if(TARGET plug_fiber)
  install(TARGETS plug_fiber EXPORT plugFiberTargets)
  install(EXPORT plugFiberTargets NAMESPACE plug:: DESTINATION "${plug_cmake_dir}")
endif()

# The libraries that a program links in addition to a static plug_fiber.
set(plug_fiber_needs "")
if(TARGET plug_fiber)
  get_target_property(plug_fiber_type plug_fiber TYPE)
  if(plug_fiber_type STREQUAL "STATIC_LIBRARY")
    set(plug_fiber_needs "-lboost_context")
    if(plug_has_uring)
      string(APPEND plug_fiber_needs " -luring")
    endif()
  endif()
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/plugConfig.cmake.in" "${PROJECT_BINARY_DIR}/plugConfig.cmake"
  INSTALL_DESTINATION "${plug_cmake_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/plugConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/plugConfig.cmake" "${PROJECT_BINARY_DIR}/plugConfigVersion.cmake"
  DESTINATION "${plug_cmake_dir}")

file(RELATIVE_PATH plug_pc_to_prefix
  "${CMAKE_INSTALL_PREFIX}/${plug_pkgconfig_dir}" "${CMAKE_INSTALL_PREFIX}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/plug.pc.in" "${PROJECT_BINARY_DIR}/plug.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/plug.pc" DESTINATION "${plug_pkgconfig_dir}")
if(TARGET plug_fiber)
  configure_file(
    "${PROJECT_SOURCE_DIR}/cmake/plug-fiber.pc.in" "${PROJECT_BINARY_DIR}/plug-fiber.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/plug-fiber.pc" DESTINATION "${plug_pkgconfig_dir}")
endif()
