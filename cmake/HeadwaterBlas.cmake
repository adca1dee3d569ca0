# PkgConfig::OPENBLAS: OpenBLAS, in the build that shares OpenMP's threads with ggml and with our own parallel loops, inside which
# its products take no threads of their own. Debian keeps its builds side by side, and what pkg-config finds first is another:
# with that one results are the same, and products slower.
set(HEADWATER_OPENBLAS_OPENMP "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp" CACHE PATH
    "Where OpenBLAS's OpenMP build lies; without it the system's OpenBLAS is taken")
set(HEADWATER_BLAS_RPATH "")
if(EXISTS "${HEADWATER_OPENBLAS_OPENMP}/pkgconfig/openblas.pc")
    set(ENV{PKG_CONFIG_PATH} "${HEADWATER_OPENBLAS_OPENMP}/pkgconfig:$ENV{PKG_CONFIG_PATH}")
    set(HEADWATER_BLAS_RPATH "${HEADWATER_OPENBLAS_OPENMP}")
endif()
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
