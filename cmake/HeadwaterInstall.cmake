# What `cmake --install` puts in place: the header, the shared library with its CMake package and
# pkg-config file, the program, and, when the engine is not the system's, a copy of the engine's
# libraries in <libdir>/headwater, so that the installation does not depend on this folder.

include(CMakePackageConfigHelpers)
set(HEADWATER_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/headwater")

install(FILES include/headwater.h include/headwater.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS headwater EXPORT headwater-targets)
install(TARGETS headwater_cli)
install(TARGETS headwater_figure LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/headwater")
if(TARGET headwater_templates)
    install(TARGETS headwater_templates LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/headwater")
endif()
install(EXPORT headwater-targets NAMESPACE headwater:: DESTINATION "${HEADWATER_CMAKE_DIR}")

if(ENGINE_BUNDLED)
    install(DIRECTORY "${ENGINE_LIB_DIR}/" DESTINATION "${CMAKE_INSTALL_LIBDIR}/headwater"
        FILES_MATCHING
        PATTERN "libllama.so.*"
        PATTERN "libllama-common.so.*"
        PATTERN "libggml*.so.*"
        PATTERN "libggml-*.so" # backends that are plug-ins
        PATTERN "cmake" EXCLUDE
        PATTERN "pkgconfig" EXCLUDE)
    install(FILES "${ENGINE_PREFIX}/LICENSE" OPTIONAL
        DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME LICENSE.llama.cpp)
endif()

configure_package_config_file(
    cmake/headwater-config.cmake.in "${PROJECT_BINARY_DIR}/headwater-config.cmake"
    INSTALL_DESTINATION "${HEADWATER_CMAKE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/headwater-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/headwater-config.cmake"
    "${PROJECT_BINARY_DIR}/headwater-config-version.cmake"
    DESTINATION "${HEADWATER_CMAKE_DIR}")

file(RELATIVE_PATH HEADWATER_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" HEADWATER_PC_TO_PREFIX "${HEADWATER_PC_TO_PREFIX}")
configure_file(cmake/headwater.pc.in "${PROJECT_BINARY_DIR}/headwater.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/headwater.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
