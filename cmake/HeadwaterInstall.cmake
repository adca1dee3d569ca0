# What `cmake --install` puts in place: the headers, the library, shared and as an archive, with its CMake package and
# pkg-config file, the program, and, when the engine is not the system's, a copy of the engine's libraries in
# <libdir>/headwater. Everything is found relative to the installed files, so that the installation can be moved and does not
# depend on this folder.

include(CMakePackageConfigHelpers)
set(HEADWATER_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/headwater")
set(HEADWATER_MODULE_DIR "${CMAKE_INSTALL_LIBDIR}/headwater") # modules, and the engine if it is a copy

install(FILES include/headwater.h include/headwater.hpp include/headwater-llama.h include/headwater-llama.hpp
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(TARGETS headwater EXPORT headwater-targets
    LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS headwater_static ARCHIVE COMPONENT development)
install(TARGETS headwater_cli COMPONENT program)
install(TARGETS headwater_figure LIBRARY DESTINATION "${HEADWATER_MODULE_DIR}" COMPONENT program)
install(FILES web/element/headwater-report.js DESTINATION "${CMAKE_INSTALL_DATADIR}/headwater" COMPONENT program)
if(TARGET headwater_templates)
    install(TARGETS headwater_templates LIBRARY DESTINATION "${HEADWATER_MODULE_DIR}" COMPONENT runtime)
endif()
install(EXPORT headwater-targets NAMESPACE headwater:: DESTINATION "${HEADWATER_CMAKE_DIR}" COMPONENT development)
install(FILES THIRD_PARTY.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)

if(ENGINE_BUNDLED)
    install(DIRECTORY "${ENGINE_LIB_DIR}/" DESTINATION "${HEADWATER_MODULE_DIR}" COMPONENT runtime
        FILES_MATCHING
        PATTERN "libllama.so.*"
        PATTERN "libllama-common.so.*"
        PATTERN "libggml*.so.*"
        PATTERN "libggml-*.so" # backends that are plug-ins
        PATTERN "libggml-base.so" EXCLUDE
        PATTERN "cmake" EXCLUDE
        PATTERN "pkgconfig" EXCLUDE)
    install(FILES "${ENGINE_PREFIX}/LICENSE" OPTIONAL COMPONENT runtime
        DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME LICENSE.llama.cpp)
endif()

# ---------------------------------------------------------------- manual pages, completion in shells
# The program writes its manual pages. One that is built for another processor can run if CMake knows an emulator for it.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(STATUS "no manual pages: CMAKE_CROSSCOMPILING_EMULATOR is not set")
else()
    set(_manual "${PROJECT_BINARY_DIR}/manual")
    add_custom_command(OUTPUT "${_manual}/headwater.1"
        COMMAND ${CMAKE_COMMAND} "-DPROGRAM=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:headwater_cli>" "-DFOLDER=${_manual}"
            -P "${PROJECT_SOURCE_DIR}/cmake/write_manual.cmake"
        DEPENDS headwater_cli headwater_figure cmake/write_manual.cmake VERBATIM)
    add_custom_target(headwater_manual ALL DEPENDS "${_manual}/headwater.1")
    install(DIRECTORY "${_manual}/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT program FILES_MATCHING PATTERN "*.1")
endif()
set(HEADWATER_ZSH_FOLDER "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" CACHE STRING "Where zsh looks for completion functions")
install(FILES tools/completion/headwater.bash RENAME headwater
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT program)
install(FILES tools/completion/_headwater DESTINATION "${HEADWATER_ZSH_FOLDER}" COMPONENT program)
install(FILES tools/completion/headwater.fish
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" COMPONENT program)

# ---------------------------------------------------------------- what the archive is linked with
# In the words of pkg-config (headwater.pc) and of CMake (headwater-config.cmake). The shared library has it all inside.
set(HEADWATER_PC_REQUIRES "jansson icu-uc icu-i18n libcrypto zlib")
set(HEADWATER_PC_LIBS "-lstdc++ -pthread -lm")
if(CMAKE_DL_LIBS)
    string(APPEND HEADWATER_PC_LIBS " -l${CMAKE_DL_LIBS}")
endif()
if(HEADWATER_OPENMP)
    string(PREPEND HEADWATER_PC_LIBS "${OpenMP_C_FLAGS} ")
endif()
if(ENGINE_BUNDLED)
    set(HEADWATER_ENGINE_FILES "")
    foreach(_library llama ggml ggml-base)
        file(READ_SYMLINK "${ENGINE_LIB_DIR}/lib${_library}.so" _soname)
        list(APPEND HEADWATER_ENGINE_FILES "${_soname}")
        string(APPEND HEADWATER_PC_ENGINE " -l:${_soname}")
    endforeach()
    string(PREPEND HEADWATER_PC_LIBS
        "-L\${libdir}/headwater${HEADWATER_PC_ENGINE} -Wl,-rpath,\${libdir}/headwater ")
else()
    string(APPEND HEADWATER_PC_REQUIRES " llama")
endif()

configure_package_config_file(
    cmake/headwater-config.cmake.in "${PROJECT_BINARY_DIR}/headwater-config.cmake"
    INSTALL_DESTINATION "${HEADWATER_CMAKE_DIR}"
    PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/headwater-config-version.cmake"
    COMPATIBILITY SameMajorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/headwater-config.cmake"
    "${PROJECT_BINARY_DIR}/headwater-config-version.cmake"
    DESTINATION "${HEADWATER_CMAKE_DIR}" COMPONENT development)

file(RELATIVE_PATH HEADWATER_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" HEADWATER_PC_TO_PREFIX "${HEADWATER_PC_TO_PREFIX}")
configure_file(cmake/headwater.pc.in "${PROJECT_BINARY_DIR}/headwater.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/headwater.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
