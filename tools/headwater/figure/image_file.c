/*
 * image_file.c - writes a page with cairo as pixels, SVG or PDF.
 *
 * The file is made in memory: pages are small, and no incomplete file can be left behind.
 */
#include "figure/image_file.h"

#include "base/atomic_file.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Limits: cairo's images have at most 32,767 pixels per side; PDF viewers accept 14,400 points. */
static const double MAX_POINTS = 14400, MAX_SIDE = 32000, MAX_PIXELS = 120e6;

static cairo_surface_t *create_png(cairo_write_func_t write, void *to, double width, double height, const char *name) {
    (void)write, (void)to, (void)name;
    return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
}

static cairo_surface_t *create_svg(cairo_write_func_t write, void *to, double width, double height, const char *name) {
    (void)name;
    return cairo_svg_surface_create_for_stream(write, to, width, height);
}

static cairo_surface_t *create_pdf(cairo_write_func_t write, void *to, double width, double height, const char *name) {
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(write, to, width, height);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, name);
    return surface;
}

static const surface_format formats[] = {
    {".png", "pixels (--scale)", true, false, create_png},
    {".svg", "vectors, for pages and slides", false, true, create_svg},
    {".pdf", "vectors, for papers", false, false, create_pdf},
};

size_t surface_count(void) { return COUNT(formats); }
const surface_format *surface_at(size_t i) { return &formats[i]; }

const surface_format *surface_of(const char *path) {
    for (size_t i = 0; i < COUNT(formats); i++)
        if (hw__has_extension(path, formats[i].ending)) return &formats[i];
    return NULL;
}

/* ------------------------------------------------------------------ drawing */

typedef struct blob {
    unsigned char *bytes; /* [n] malloc'd */
    size_t n, capacity;
} blob;

static cairo_status_t collect(void *to, const unsigned char *bytes, unsigned n) {
    blob *b = to;
    if (b->capacity - b->n < n) {
        size_t capacity = (b->n + n) * 2;
        unsigned char *resized = realloc(b->bytes, capacity);
        if (!resized) return CAIRO_STATUS_NO_MEMORY;
        b->bytes = resized;
        b->capacity = capacity;
    }
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_status_t draw(blob *out, const page *p, const surface_format *format, double scale) {
    double factor = format->pixelled ? scale : 1;
    cairo_surface_t *surface =
        format->create(collect, out, ceil(p->width * factor), ceil(p->height * factor), p->name ? p->name : "");
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, factor, factor);
    page_draw(p, cr, format->pixelled);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (status == CAIRO_STATUS_SUCCESS && format->pixelled)
        status = cairo_surface_write_to_png_stream(surface, collect, out);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return status;
}

/* ------------------------------------------------------------------ its name */

/* Appends text to an element; characters that XML does not allow are left out. */
static bool collect_escaped(blob *to, const char *text) {
    bool ok = true;
    for (const char *at = text; *at && ok; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : NULL;
        if (c < 0x20 || (c & 0xfffe) == 0xfffe) continue;
        const char *from = entity ? entity : at;
        size_t n = entity ? strlen(entity) : (size_t)(g_utf8_next_char(at) - at);
        ok = collect(to, (const unsigned char *)from, (unsigned)n) == CAIRO_STATUS_SUCCESS;
    }
    return ok;
}

static bool collect_text(blob *to, const char *text) {
    return collect(to, (const unsigned char *)text, (unsigned)strlen(text)) == CAIRO_STATUS_SUCCESS;
}

/* Inserts <title> after the <svg ...> tag, where screen readers look for it. False when memory runs out. */
static bool name_svg(blob *file, const char *name) {
    blob named = {0};
    const char *start =
        memchr(file->bytes, 0, file->n) ? NULL : g_strstr_len((const char *)file->bytes, (gssize)file->n, "<svg");
    const char *end = start ? memchr(start, '>', file->n - (size_t)(start - (const char *)file->bytes)) : NULL;
    if (!end) return true; /* another cairo version writes other text: the figure is complete without a title */
    size_t head = (size_t)(end + 1 - (const char *)file->bytes);
    bool ok = collect(&named, file->bytes, (unsigned)head) == CAIRO_STATUS_SUCCESS &&
              collect_text(&named, "\n<title>") && collect_escaped(&named, name) && collect_text(&named, "</title>") &&
              collect(&named, file->bytes + head, (unsigned)(file->n - head)) == CAIRO_STATUS_SUCCESS;
    free(file->bytes);
    *file = named;
    return ok;
}

/* ------------------------------------------------------------------ the file */

static hw_err too_large(hw_error *err, const page *p, double scale, bool pixelled) {
    *err = (hw_error){.code = HW_ERR_ARGUMENT};
    if (p->width > MAX_POINTS || p->height > MAX_POINTS) {
        snprintf(err->msg, sizeof err->msg,
                 "the figure would be %.0f by %.0f points, at most %.0f are drawn; show less with "
                 "--top or --token, or segments with --by",
                 p->width, p->height, MAX_POINTS);
        return err->code;
    }
    double width = p->width * scale, height = p->height * scale;
    if (!pixelled || (width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS)) return HW_OK;
    snprintf(err->msg, sizeof err->msg,
             "the figure would be %.0f by %.0f pixels, at most %.0f a side and %.0f million in all are "
             "drawn; lower --scale, show less with --top, or draw .svg",
             width, height, MAX_SIDE, MAX_PIXELS / 1e6);
    return err->code;
}

hw_err surface_save(const page *p, const char *path, double scale, hw_error *err) {
    const surface_format *format = surface_of(path);
    hw_err rc = too_large(err, p, scale, format->pixelled);
    if (rc != HW_OK) return rc;
    blob file = {0};
    cairo_status_t status = draw(&file, p, format, scale);
    if (status == CAIRO_STATUS_SUCCESS && format->xml && p->name && !name_svg(&file, p->name))
        status = CAIRO_STATUS_NO_MEMORY;
    if (status == CAIRO_STATUS_SUCCESS) {
        rc = hw__file_save(path, file.bytes, file.n, err);
    } else {
        rc = status == CAIRO_STATUS_NO_MEMORY ? HW_ERR_MEMORY : HW_ERR_UNSUPPORTED;
        *err = (hw_error){.code = rc};
        snprintf(err->msg, sizeof err->msg, "%s cannot be drawn: %s", path, cairo_status_to_string(status));
    }
    free(file.bytes);
    return rc;
}
