/*
 * safetensors.h - the container of traces, results and imported attention: named tensors and a map of strings.
 *
 *     8 bytes      length of the header, little-endian
 *     header       JSON: "__metadata__" {string: string}, NAME {"dtype", "shape", "data_offsets": [begin, end]}
 *     data         every tensor row-major and little-endian, one after the other without holes
 *
 * The reader checks all of that against the file's size before anything is read or allocated by it. It knows nothing
 * of what the tensors mean. Shapes are slowest index first.
 */
#ifndef HW_BASE_SAFETENSORS_H
#define HW_BASE_SAFETENSORS_H

#include "base/atomic_file.h"
#include "base/float16.h"

#include <jansson.h>

/* Dtypes that are read or written as numbers; a tensor of another one is checked and otherwise left alone. */
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

/* Errors: IO, FORMAT (which rule is broken, by what), MEMORY; each names the file. */
hw_err hw__safetensors_open(hw__safetensors **out, const char *path, hw_error *err);
void hw__safetensors_close(hw__safetensors *file);
const hw__tensor *hw__safetensors_find(const hw__safetensors *file, const char *name); /* NULL: there is none */
const char *hw__safetensors_metadata(const hw__safetensors *file, const char *key);    /* NULL: there is none */

/* The tensor `name`, which must have this dtype and shape. */
hw_err hw__safetensors_need(const hw__tensor **out, const hw__safetensors *file, const char *name, hw__dtype dtype,
                            size_t n_dims, const size_t *shape, hw_error *err);

/* Headwater's own files say in their metadata what they are: `format`, and a `version` from 1 to what this build reads
 * (UNSUPPORTED beyond). */
hw_err hw__safetensors_expect(const hw__safetensors *file, const char *format, int version, hw_error *err);

/* Whether its elements can be read by hw__safetensors_floats(). */
bool hw__tensor_is_float(const hw__tensor *tensor);

/* Elements first..first+n-1 of a tensor of F16, BF16, F32 or F64 as floats [n]; NaN and infinity pass. F64 beyond the
 * range of float becomes infinite. */
hw_err hw__safetensors_floats(const hw__safetensors *file, float *out, const hw__tensor *tensor, size_t first, size_t n,
                              hw_error *err);
/* The same of U8, I32 and I64. */
hw_err hw__safetensors_ints(const hw__safetensors *file, int64_t *out, const hw__tensor *tensor, size_t first, size_t n,
                            hw_error *err);

/* Elements of a U8 tensor as they are. */
hw_err hw__safetensors_bytes(const hw__safetensors *file, unsigned char *out, const hw__tensor *tensor, size_t first,
                             size_t n, hw_error *err);

/* ------------------------------------------------------------------ writing */

typedef struct hw__safetensors_writer {
    hw__file *file;
    uint64_t left; /* bytes of data still to come */
} hw__safetensors_writer;

/* Writes the header: of each tensor [n] name, dtype (F32, F16, I32 or U8) and shape are read. `metadata` is an object of
 * strings. The data follow in the same order, in parts of any length. */
hw_err hw__safetensors_begin(hw__safetensors_writer *out, hw__file *file, const hw__tensor *tensors, size_t n,
                             const json_t *metadata, hw_error *err);
void hw__safetensors_put_floats(hw__safetensors_writer *writer, const float *values, size_t n);
void hw__safetensors_put_halves(hw__safetensors_writer *writer, const float *values, size_t n); /* as F16 */
void hw__safetensors_put_ints(hw__safetensors_writer *writer, const int32_t *values, size_t n);
void hw__safetensors_put_bytes(hw__safetensors_writer *writer, const unsigned char *bytes, size_t n);

#endif
