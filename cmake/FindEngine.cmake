# Finds the engine that runs models, llama.cpp's libllama with ggml, and gives engine::llama; and, where the same prefix has it,
# engine::common, llama.cpp's library llama-common, which renders chat templates. Its headers are not in llama.cpp's own installation:
# scripts/setup-engine.sh puts them into <prefix>/include/llama-common.
#
# Where it looks, first that applies:
#   HEADWATER_LLAMA_PREFIX   an installation prefix, or the word "system"
#   build/deps/engine        one line by scripts/setup-engine.sh: a prefix, or "system"
#   build/deps/llama         where that script installs the engine it builds
# A relative prefix counts from the source folder.
#
# Sets ENGINE_PREFIX, ENGINE_VERSION, ENGINE_LIB_DIR, and ENGINE_BUNDLED: true when the libraries lie
# outside the linker's usual folders, so that an installation of Headwater carries a copy of them.

set(HEADWATER_LLAMA_PREFIX "" CACHE STRING "Where llama.cpp is installed, or \"system\"")

get_filename_component(_engine_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(_engine_choice "${_engine_root}/build/deps/engine")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_engine_choice}")

set(ENGINE_PREFIX "build/deps/llama")
if(HEADWATER_LLAMA_PREFIX)
    set(ENGINE_PREFIX "${HEADWATER_LLAMA_PREFIX}")
elseif(EXISTS "${_engine_choice}")
    file(STRINGS "${_engine_choice}" ENGINE_PREFIX LIMIT_COUNT 1)
endif()
if(NOT ENGINE_PREFIX STREQUAL "system")
    get_filename_component(ENGINE_PREFIX "${ENGINE_PREFIX}" ABSOLUTE BASE_DIR "${_engine_root}")
endif()

# A different engine than last time: forget what the last search found.
if(NOT ENGINE_PREFIX STREQUAL "${ENGINE_LAST_PREFIX}")
    unset(llama_DIR CACHE)
    unset(ggml_DIR CACHE)
    unset(llama_LIBRARY CACHE)
    set(ENGINE_LAST_PREFIX "${ENGINE_PREFIX}" CACHE INTERNAL "")
endif()

set(_engine_saved_path "${CMAKE_PREFIX_PATH}")
if(ENGINE_PREFIX STREQUAL "system")
    find_package(llama CONFIG QUIET)
else()
    list(PREPEND CMAKE_PREFIX_PATH "${ENGINE_PREFIX}") # llama's own search for ggml, too
    find_package(llama CONFIG QUIET PATHS "${ENGINE_PREFIX}" NO_DEFAULT_PATH)
endif()
set(CMAKE_PREFIX_PATH "${_engine_saved_path}")

include(FindPackageHandleStandardArgs)
set(ENGINE_VERSION "${llama_VERSION}")
find_package_handle_standard_args(Engine
    REQUIRED_VARS llama_LIBRARY llama_DIR
    VERSION_VAR ENGINE_VERSION
    REASON_FAILURE_MESSAGE "no llama.cpp at \"${ENGINE_PREFIX}\": run scripts/setup-engine.sh")
mark_as_advanced(llama_DIR ggml_DIR llama_LIBRARY)

if(Engine_FOUND AND NOT TARGET engine::llama)
    # llama's package asks for the C++ linker in any case. A shared library needs none.
    if(llama_LIBRARY MATCHES "\\.a$")
        enable_language(CXX)
    else()
        set_target_properties(llama PROPERTIES IMPORTED_LINK_INTERFACE_LANGUAGES "")
        foreach(_engine_backend IN LISTS GGML_AVAILABLE_BACKENDS)
            if(TARGET ggml::${_engine_backend})
                set_target_properties(ggml::${_engine_backend} PROPERTIES
                    IMPORTED_LINK_INTERFACE_LANGUAGES "")
            endif()
        endforeach()
    endif()
    add_library(engine::llama INTERFACE IMPORTED)
    target_link_libraries(engine::llama INTERFACE llama)
endif()

if(Engine_FOUND)
    get_filename_component(ENGINE_LIB_DIR "${llama_LIBRARY}" DIRECTORY)
    set(ENGINE_BUNDLED FALSE)
    if(llama_LIBRARY MATCHES "\\.so$"
       AND NOT ENGINE_LIB_DIR IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES
       AND NOT ENGINE_PREFIX STREQUAL "system")
        set(ENGINE_BUNDLED TRUE)
    endif()
endif()

if(Engine_FOUND AND NOT TARGET engine::common)
    get_filename_component(_engine_lib_dir "${llama_LIBRARY}" DIRECTORY)
    find_library(_engine_common llama-common PATHS "${_engine_lib_dir}" NO_DEFAULT_PATH NO_CACHE)
    find_path(_engine_common_include chat.h NO_CACHE NO_DEFAULT_PATH
        PATHS "${_engine_lib_dir}/../include/llama-common" /usr/include/llama-common)
    if(_engine_common AND _engine_common_include)
        add_library(engine::common INTERFACE IMPORTED)
        target_include_directories(engine::common SYSTEM INTERFACE "${_engine_common_include}")
        target_link_libraries(engine::common INTERFACE "${_engine_common}")
    else()
        message(STATUS "no llama-common beside libllama: this build renders no chat templates")
    endif()
endif()
