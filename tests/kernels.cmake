# The kernels of other processors that this machine can run too.
#
# ggml has a CPU backend per kind of processor and takes the best; OpenBLAS has kernels of its own. Numbers of the engine differ
# between them in the last digits, those of quantised models in the third. Besides the plain run, which takes the best of both,
# tests are run as on an old processor and as on one without AVX-512:
#
#     x64      no AVX; OpenBLAS as on SSE 4.2
#     haswell  AVX2, no AVX-512; OpenBLAS as on AMD's processors, or Intel's where this machine is AMD's
#
# A backend is chosen by a folder of links to the engine that holds one alone: ggml looks for its backends beside libggml.
#
# Sets HEADWATER_KERNELS, the names of those that run here, and for each HEADWATER_KERNEL_<name>, its environment.

set(HEADWATER_KERNELS "")
set(_cpu_flags "")
set(_cpu_vendor "")
if(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo _cpu_flags REGEX "^flags" LIMIT_COUNT 1)
    file(STRINGS /proc/cpuinfo _cpu_vendor REGEX "^vendor_id" LIMIT_COUNT 1)
endif()

# headwater_kernels(<name> <OpenBLAS's core type> <flag of /proc/cpuinfo>...)
function(headwater_kernels name core)
    foreach(flag IN LISTS ARGN)
        if(NOT "${_cpu_flags} " MATCHES " ${flag} ")
            message(STATUS "Tests: no kernels of ${name}, this processor has no ${flag}")
            return()
        endif()
    endforeach()
    if(NOT EXISTS "${ENGINE_LIB_DIR}/libggml-cpu-${name}.so")
        message(STATUS "Tests: no kernels of ${name}, the engine at ${ENGINE_LIB_DIR} was built without that backend")
        return()
    endif()
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/kernels/${name}")
    file(REMOVE_RECURSE "${folder}")
    file(MAKE_DIRECTORY "${folder}")
    file(GLOB libraries CONFIGURE_DEPENDS "${ENGINE_LIB_DIR}/lib*.so*")
    list(FILTER libraries EXCLUDE REGEX "/libggml-cpu[^/]*$")
    foreach(library IN LISTS libraries ITEMS "${ENGINE_LIB_DIR}/libggml-cpu-${name}.so")
        get_filename_component(file "${library}" NAME)
        file(CREATE_LINK "${library}" "${folder}/${file}" SYMBOLIC)
    endforeach()
    set(HEADWATER_KERNEL_${name} "LD_LIBRARY_PATH=${folder}" "OPENBLAS_CORETYPE=${core}"
        "HEADWATER_TEST_BACKEND=libggml-cpu-${name}.so" PARENT_SCOPE)
    set(HEADWATER_KERNELS ${HEADWATER_KERNELS} ${name} PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    headwater_kernels(x64 Nehalem sse4_2)
    if(_cpu_vendor MATCHES "AMD")
        headwater_kernels(haswell Haswell avx2 fma f16c bmi2)
    else()
        headwater_kernels(haswell Zen avx2 fma f16c bmi2)
    endif()
endif()
