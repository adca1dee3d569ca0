# Threads for loops over rows: OpenMP's, which are the engine's own while it waits for us (ggml is built with it too), so that
# no second team of threads spins beside the first. HEADWATER_OPENMP is what to link, or empty: then one thread does it all.
# The thread sanitizer does not see through libgomp's barriers, so its build goes without.
set(HEADWATER_OPENMP "")
find_package(OpenMP COMPONENTS C)
if(OpenMP_C_FOUND AND NOT HEADWATER_SANITIZE MATCHES "thread")
    set(HEADWATER_OPENMP OpenMP::OpenMP_C)
else()
    add_compile_options(-Wno-unknown-pragmas)
endif()
