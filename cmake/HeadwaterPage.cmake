# Puts the page, which scripts/setup-web.sh builds from web/, into the program: tools/headwater/export/embedded_page.h declares it.

set(_page "${PROJECT_SOURCE_DIR}/build/page/index.html")
if(NOT EXISTS "${_page}")
    message(FATAL_ERROR "no ${_page}: run scripts/setup-web.sh")
endif()

enable_language(ASM)
set(_page_source "${PROJECT_BINARY_DIR}/generated/page.S")
file(CONFIGURE OUTPUT "${_page_source}" @ONLY CONTENT [[
    .section .rodata
    .globl page_html
    .type page_html, %object
page_html:
    .incbin "@_page@"
page_html_end:
    .size page_html, page_html_end - page_html
    .globl page_html_size
    .type page_html_size, %object
    .balign 8
page_html_size:
    .quad page_html_end - page_html
    .size page_html_size, 8
    .section .note.GNU-stack, "", %progbits
]])
set_source_files_properties("${_page_source}" PROPERTIES OBJECT_DEPENDS "${_page}")
target_sources(headwater_program PRIVATE "${_page_source}")
