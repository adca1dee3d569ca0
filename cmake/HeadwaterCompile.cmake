# How every C and C++ file of the project is compiled: the language, the warnings, the sanitizers.
# headwater_compile(<target>) applies it. Floating point stays IEEE: never -ffast-math here.
# Nobody asks for errno after expf, nor for floating-point exceptions; keeping those in order keeps loops from being vectorised.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# release: optimised, debuggable, asserts off. dev: the same warnings as errors, asserts on.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O2 -g -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
set(CMAKE_CXX_FLAGS_DEBUG "${CMAKE_C_FLAGS_DEBUG}")
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

set(HEADWATER_WARNINGS
    -Wall -Wextra -Wshadow
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wold-style-definition>
    -Wpointer-arith -Wvla -Wundef -Wwrite-strings -Wformat=2
    -Wno-format-truncation) # messages are cut to their buffers on purpose
if(HEADWATER_WERROR)
    list(APPEND HEADWATER_WARNINGS -Werror)
endif()

# Narrowing of integers is an error waiting to happen; double to float is how results are stored,
# and mixed signs are everywhere in size arithmetic, where hw__ helpers check instead.
set(HEADWATER_WARN_CONVERSION -Wconversion -Wno-sign-conversion -Wno-float-conversion)

set(HEADWATER_SANITIZE_FLAGS "")
# Linkers of ELF files know -z, --as-needed and version scripts; others do by themselves what the first two ask for.
set(HEADWATER_ELF TRUE)
set(HEADWATER_ORIGIN "$ORIGIN")
if(APPLE OR WIN32)
    set(HEADWATER_ELF FALSE)
    set(HEADWATER_ORIGIN "@loader_path")
endif()
set(HEADWATER_LINK_STRICT "")
if(HEADWATER_ELF)
    set(HEADWATER_LINK_STRICT "LINKER:-z,defs")
    add_link_options(LINKER:--as-needed)
endif()
if(HEADWATER_SANITIZE)
    set(HEADWATER_SANITIZE_FLAGS
        -fsanitize=${HEADWATER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    set(HEADWATER_LINK_STRICT "") # the sanitizer's run-time library resolves its own symbols
endif()
add_link_options(${HEADWATER_SANITIZE_FLAGS})

function(headwater_compile target)
    target_compile_options(${target} PRIVATE -fno-math-errno -fno-trapping-math ${HEADWATER_WARNINGS} ${HEADWATER_SANITIZE_FLAGS})
    target_compile_definitions(${target} PRIVATE
        _XOPEN_SOURCE=700 HW_VERSION="${PROJECT_VERSION}")
endfunction()
