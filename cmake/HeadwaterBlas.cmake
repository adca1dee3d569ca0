# OpenBLAS, in the build that shares OpenMP's threads with ggml and with our own parallel loops, inside which its products take no
# threads of their own. Debian keeps its builds side by side, and what pkg-config finds first is another: with that one
# results are the same, and products slower.
#
# It is not linked but opened at the first product (src/math/blas.c): its start-up takes memory for buffers and never returns
# where there is none. HEADWATER_BLAS_FILE is the library by its path, HEADWATER_BLAS_SONAME by the name that the loader
# searches for where that path does not exist. A copy beside libheadwater goes before both (HeadwaterWheel.cmake).
set(HEADWATER_OPENBLAS_OPENMP "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp" CACHE PATH
    "Where OpenBLAS's OpenMP build lies; without it the system's OpenBLAS is taken")
if(EXISTS "${HEADWATER_OPENBLAS_OPENMP}/pkgconfig/openblas.pc")
    set(ENV{PKG_CONFIG_PATH} "${HEADWATER_OPENBLAS_OPENMP}/pkgconfig:$ENV{PKG_CONFIG_PATH}")
endif()
pkg_check_modules(OPENBLAS REQUIRED openblas)
list(GET OPENBLAS_LINK_LIBRARIES 0 HEADWATER_BLAS_LINKED)
if(NOT EXISTS "${HEADWATER_BLAS_LINKED}" OR NOT HEADWATER_BLAS_LINKED MATCHES "\\.so")
    message(FATAL_ERROR "OpenBLAS as a shared library is needed; pkg-config names ${HEADWATER_BLAS_LINKED}")
endif()
execute_process(COMMAND "${CMAKE_READELF}" -d "${HEADWATER_BLAS_LINKED}" OUTPUT_VARIABLE _blas_dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "SONAME[^[]*\\[([^]]+)\\]" _blas_found "${_blas_dynamic}")
set(HEADWATER_BLAS_SONAME "${CMAKE_MATCH_1}")
if(NOT HEADWATER_BLAS_SONAME)
    message(FATAL_ERROR "${HEADWATER_BLAS_LINKED} has no SONAME")
endif()
get_filename_component(_blas_folder "${HEADWATER_BLAS_LINKED}" DIRECTORY)
set(HEADWATER_BLAS_FILE "${_blas_folder}/${HEADWATER_BLAS_SONAME}")
set_source_files_properties(src/math/blas.c PROPERTIES
    INCLUDE_DIRECTORIES "${OPENBLAS_INCLUDE_DIRS}"
    COMPILE_DEFINITIONS "HEADWATER_BLAS_FILE=\"${HEADWATER_BLAS_FILE}\";HEADWATER_BLAS_SONAME=\"${HEADWATER_BLAS_SONAME}\"")
