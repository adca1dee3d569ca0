/*
 * result.h - the table of result formats; each row is one result_*.c.
 *
 * A format writes into a file that result.c creates and commits, and does not know file names. The numbers are those of
 * attribution.h: M [n, m, L] and outside [n, L].
 */
#ifndef HW_FORMATS_RESULT_H
#define HW_FORMATS_RESULT_H

#include "base/atomic_file.h"
#include "data/attribution.h"

struct hw_result {
    hw_attribution **list; /* [n] owned */
    size_t n;
};

typedef struct hw__format {
    hw_format_info info;
    /* Writes attributions [n] of one run, n = 1 unless info.many. Write errors are reported by the commit. */
    hw_err (*save)(hw__file *file, const hw_attribution *const *list, size_t n, bool full, hw_error *err);
    /* Fills a zeroed result, which the caller frees after success or failure; NULL: the format cannot be read. */
    hw_err (*open)(hw_result *out, hw__input from, hw_error *err);
} hw__format;

/* format_table.c */
extern const hw__format *const hw__formats[]; /* [hw__n_formats] */
extern const size_t hw__n_formats;

extern const hw__format hw__format_json, hw__format_safetensors, hw__format_csv, hw__format_npy;

#endif
