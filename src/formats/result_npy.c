/* result_npy.c - M alone as a NumPy array, format version 1.0: '<f4', C order, shape (n, m, L). */
#include "formats/result.h"

#include <string.h>

/* The data begin at a multiple of this, as in files written by NumPy. */
enum { ALIGNMENT = 64, HEADER_CAPACITY = 256, PREFIX_BYTES = 10 };

/* n = 1, and the file always holds the whole M. */
static hw_err save(hw__file *file, const hw_attribution *const *list, size_t n, bool full, hw_error *err) {
    (void)n;
    (void)full;
    (void)err;
    const hw_attribution *a = list[0];
    char header[HEADER_CAPACITY];
    size_t length =
        (size_t)snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu, %zu), }",
                         a->n_rows, a->n_columns, a->n_layers);
    while ((PREFIX_BYTES + length + 1) % ALIGNMENT != 0) header[length++] = ' ';
    header[length++] = '\n';
    const unsigned char prefix[PREFIX_BYTES] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, (unsigned char)(length >> 8)};
    hw__file_write(file, prefix, sizeof prefix);
    hw__file_write(file, header, length);
    hw__file_words(file, a->values, a->n_rows * a->n_columns * a->n_layers);
    return HW_OK;
}

const hw__format hw__format_npy = {
    .info = {.name = "npy",
             .extension = ".npy",
             .summary = "M alone, a NumPy array of completion token x prompt token x layer"},
    .save = save,
};
