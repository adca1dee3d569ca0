/*
 * safetensors.h - the container of traces, results and imported attention: named tensors and a map of strings.
 *
 *     8 bytes      length of the header, little-endian
 *     header       JSON: "__metadata__" {string: string}, NAME {"dtype", "shape", "data_offsets": [begin, end]}
 *     data         every tensor row-major and little-endian, one after the other without gaps
 *
 * The reader checks the whole header against the file's size before it allocates or reads any data. It does not know
 * what the tensors mean. Shapes are slowest index first.
 */
#ifndef HW_BASE_SAFETENSORS_H
#define HW_BASE_SAFETENSORS_H

#include "base/atomic_file.h"
#include "base/float16.h"

#include <jansson.h>

/* Dtypes that can be read or written as numbers. Tensors of other dtypes are only checked. */
typedef enum hw__dtype { HW__F16, HW__BF16, HW__F32, HW__F64, HW__U8, HW__I32, HW__I64, HW__OTHER } hw__dtype;

enum { HW__MAX_DIMS = 8 };

typedef struct hw__tensor {
    const char *name; /* UTF-8 */
    hw__dtype dtype;
    size_t n_dims, shape[HW__MAX_DIMS];
    size_t n;            /* elements */
    uint64_t begin, end; /* bytes from the start of the data */
} hw__tensor;

/* ------------------------------------------------------------------ reading */

typedef struct hw__safetensors hw__safetensors; /* an open file */

/* Errors: IO, FORMAT (which rule is violated, by which tensor), MEMORY; each names the file. */
hw_err hw__safetensors_open(hw__safetensors **out, const char *path, hw_error *err);
/* The same for a file, or for bytes, which are borrowed until the close. */
hw_err hw__safetensors_read(hw__safetensors **out, hw__input from, hw_error *err);
void hw__safetensors_close(hw__safetensors *file);
const hw__tensor *hw__safetensors_find(const hw__safetensors *file, const char *name); /* NULL: not found */
const char *hw__safetensors_metadata(const hw__safetensors *file, const char *key);    /* NULL: not found */

typedef struct hw__tensor_form {
    hw__dtype dtype;
    size_t n_dims;
    const size_t *shape; /* [n_dims] */
} hw__tensor_form;

/* The tensor `name`, which must have this form. */
hw_err hw__safetensors_need(const hw__tensor **out, const hw__safetensors *file, const char *name, hw__tensor_form form,
                            hw_error *err);

/* Checks the metadata of Headwater's own files: `format`, and a `version` from 1 to what this build reads (UNSUPPORTED
 * above that). */
hw_err hw__safetensors_expect(const hw__safetensors *file, const char *format, int version, hw_error *err);

/* Whether hw__safetensors_floats() can read its elements. */
bool hw__tensor_is_float(const hw__tensor *tensor);

/* Elements first..first+n-1 of a F16, BF16, F32 or F64 tensor as floats [n]; NaN and infinity are kept. F64 values
 * beyond the range of float become infinite. */
hw_err hw__safetensors_floats(const hw__safetensors *file, float *out, const hw__tensor *tensor, size_t first, size_t n,
                              hw_error *err);
/* The same for U8, I32 and I64. */
hw_err hw__safetensors_ints(const hw__safetensors *file, int64_t *out, const hw__tensor *tensor, size_t first, size_t n,
                            hw_error *err);

/* Elements of a U8 tensor. */
hw_err hw__safetensors_bytes(const hw__safetensors *file, unsigned char *out, const hw__tensor *tensor, size_t first,
                             size_t n, hw_error *err);

/* ------------------------------------------------------------------ writing */

typedef struct hw__safetensors_writer {
    hw__file *file;
    uint64_t left; /* bytes of data not written yet */
} hw__safetensors_writer;

/* Writes the header from name, dtype (F32, F16, I32 or U8) and shape of each tensor [n]. `metadata` is an object of
 * strings. Then write the data in the same order, in chunks of any length. */
hw_err hw__safetensors_begin(hw__safetensors_writer *out, hw__file *file, const hw__tensor *tensors, size_t n,
                             const json_t *metadata, hw_error *err);
void hw__safetensors_put_floats(hw__safetensors_writer *writer, const float *values, size_t n);
void hw__safetensors_put_halves(hw__safetensors_writer *writer, const float *values, size_t n); /* written as F16 */
void hw__safetensors_put_ints(hw__safetensors_writer *writer, const int32_t *values, size_t n);
void hw__safetensors_put_bytes(hw__safetensors_writer *writer, const unsigned char *bytes, size_t n);

#endif
