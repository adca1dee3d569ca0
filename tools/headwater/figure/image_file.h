/* image_file.h - writes a page to a file: the table of formats, by extension. */
#ifndef HW_FIGURE_IMAGE_FILE_H
#define HW_FIGURE_IMAGE_FILE_H

#include "headwater.h"

#include "figure/canvas.h"

/* One row of the format table. */
typedef struct surface_format {
    const char *ending, *summary;
    bool pixelled, xml;
    cairo_surface_t *(*create)(cairo_write_func_t write, void *to, double width, double height, const char *name);
} surface_format;

size_t surface_count(void);
const surface_format *surface_at(size_t i);
const surface_format *surface_of(const char *path); /* NULL: unknown extension */

/* Draws the page and renames the file into place. `scale`: pixels per point. Errors: ARGUMENT (too large), IO,
 * MEMORY. */
hw_err surface_save(const page *p, const char *path, double scale, hw_error *err);

#endif
