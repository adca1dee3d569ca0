/*
 * embedded_page.h - the page: web/ built into one HTML file and embedded in the program by cmake/HeadwaterPage.cmake.
 *
 * Served unchanged, the page sends requests to /api/. A report is the page with a document (docs/reference/formats.md)
 * between <script type="application/json" id="headwater-data"> and </script>, which occur once in the page, with
 * nothing between.
 */
#ifndef HW_EXPORT_EMBEDDED_PAGE_H
#define HW_EXPORT_EMBEDDED_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[]; /* [page_html_size] UTF-8, not terminated */
extern const size_t page_html_size;

#endif /* HW_EXPORT_EMBEDDED_PAGE_H */
