/*
 * canvas.h - the page, web/ built into one HTML file: part of the program, put in by cmake/HeadwaterPage.cmake.
 *
 * Served as it is, it asks the server under /api/. As a report it carries a document (docs/reference/formats.md) between
 * <script type="application/json" id="headwater-data"> and </script>, which the page holds once, with nothing between.
 */
#ifndef HW_EXPORT_EMBEDDED_PAGE_H
#define HW_EXPORT_EMBEDDED_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[]; /* [page_html_size] UTF-8, not ended by a NUL */
extern const size_t page_html_size;

#endif /* HW_EXPORT_EMBEDDED_PAGE_H */
