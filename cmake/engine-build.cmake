# Included by llama.cpp's project() when scripts/setup-engine.sh builds the engine (CMAKE_PROJECT_TOP_LEVEL_INCLUDES): what makes that
# build shorter without changing what decodes.
#
#   llama         some 150 files, one per architecture, that spend most of their time in the same headers: those are compiled once
#   llama-common  renders chat templates, and takes as long to optimise as two CPU backends
function(headwater_shorten_engine_build)
    if(TARGET llama AND EXISTS "${CMAKE_SOURCE_DIR}/src/models/models.h")
        target_precompile_headers(llama PRIVATE "${CMAKE_SOURCE_DIR}/src/models/models.h")
    endif()
    if(TARGET llama-common)
        target_compile_options(llama-common PRIVATE -O1)
    endif()
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL headwater_shorten_engine_build)
