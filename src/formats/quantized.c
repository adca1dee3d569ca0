/*
 * quantized.c - M [n, m, L] as bytes [n, L, m] with scales [n, L], and its means over layers [n, m] as floats.
 *
 *     value = byte * scale    u8: scale = max / 255; i8 if any value is negative: scale = max |v| / 127
 *
 * The bytes of one row and layer are contiguous because the page colours a prompt by one of them. Numbers are
 * little-endian (the library supports no other machine: see atomic_file.c).
 */
#include "formats/quantized.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* EVP_EncodeBlock() counts in int; a multiple of 3 needs no padding between pieces. */
enum { BASE64_PIECE = 3 << 20 };

/* ------------------------------------------------------------------ text */

/* Bytes [n] in base64 as a JSON string; NULL when memory runs out. */
static json_t *base64(const void *bytes, size_t n) {
    size_t capacity;
    if (!hw__mul(&capacity, n / 3 + 1, 4) || !hw__add(&capacity, capacity, 1)) return NULL;
    unsigned char *text = hw__alloc(capacity, 1);
    size_t at = 0;
    for (size_t i = 0; text && i < n; i += BASE64_PIECE) {
        size_t piece = n - i < BASE64_PIECE ? n - i : BASE64_PIECE;
        at += (size_t)EVP_EncodeBlock(text + at, (const unsigned char *)bytes + i, (int)piece);
    }
    json_t *string = text ? json_stringn_nocheck((const char *)text, at) : NULL;
    free(text);
    return string;
}

/* Deflates bytes [n] into out [*n_out]. Z_FILTERED suits many small numbers: 3 % smaller than the default strategy at
 * the same speed. */
static bool deflate_into(unsigned char *out, size_t *n_out, const void *bytes, size_t n) {
    if (n > UINT_MAX || *n_out > UINT_MAX) return false;
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)*n_out};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS, MAX_MEM_LEVEL, Z_FILTERED) != Z_OK) return false;
    *n_out = deflate(&z, Z_FINISH) == Z_STREAM_END ? z.total_out : 0;
    deflateEnd(&z);
    return *n_out > 0;
}

static json_t *deflated(const void *bytes, size_t n) {
    size_t n_out = n + n / 4 + 1024; /* more than deflateBound() returns for any settings */
    unsigned char *out = hw__alloc(n_out, 1);
    json_t *string = out && deflate_into(out, &n_out, bytes, n) ? base64(out, n_out) : NULL;
    free(out);
    return string;
}

/* ------------------------------------------------------------------ quantising */

/* Smallest and largest value of M; false if one is infinite. */
static bool find_range(const hw_attribution *a, float *min, float *max) {
    size_t n = a->n_rows * a->n_columns * a->n_layers;
    *min = *max = 0;
    for (size_t i = 0; i < n; i++) {
        float v = a->values[i];
        if (isinf(v)) return false;
        if (v < *min) *min = v;
        if (v > *max) *max = v;
    }
    return true;
}

/* Writes row i of layer l as bytes [m], `steps` being the largest byte; returns the scale. */
static float quantise(unsigned char *bytes, const hw_attribution *a, size_t i, size_t l, int steps) {
    const float *row = a->values + i * a->n_columns * a->n_layers + l; /* stride L */
    float max = 0;
    for (size_t k = 0; k < a->n_columns; k++) {
        float v = fabsf(row[k * a->n_layers]);
        if (v > max) max = v;
    }
    if (max == 0) return 0;
    float scale = fmaxf(max / (float)steps, FLT_TRUE_MIN);
    for (size_t k = 0; k < a->n_columns; k++) {
        float v = row[k * a->n_layers];
        long byte = isnan(v) ? 0 : lrint((double)v / scale);
        if (byte > steps) byte = steps;
        if (byte < -steps) byte = -steps;
        bytes[k] = (unsigned char)byte;
    }
    return scale;
}

/* bytes [n, L, m] and scales [n, L], zeroed by the caller. */
static void quantise_all(unsigned char *bytes, float *scales, const hw_attribution *a, int steps) {
    for (size_t i = 0; i < a->n_rows; i++)
        for (size_t l = 0; l < a->n_layers; l++) {
            size_t at = i * a->n_layers + l;
            scales[at] = quantise(bytes + at * a->n_columns, a, i, l, steps);
        }
}

static json_t *matrix_to_json(const hw_attribution *a, bool is_signed) {
    size_t n_scales = a->n_rows * a->n_layers, n = n_scales * a->n_columns;
    unsigned char *bytes = hw__alloc(n, 1);
    float *scales = hw__alloc(n_scales, sizeof *scales);
    json_t *json = NULL;
    if (bytes && scales) {
        quantise_all(bytes, scales, a, is_signed ? 127 : 255);
        json = json_pack("{s:s, s:s, s:o, s:o}", "dtype", is_signed ? "i8" : "u8", "order", "nLm", "scale",
                         base64(scales, n_scales * sizeof *scales), "data", deflated(bytes, n));
    }
    free(bytes);
    free(scales);
    return json;
}

static json_t *mean_to_json(const hw_attribution *a) {
    size_t n = a->n_rows * a->n_columns;
    float *means = hw__alloc(n, sizeof *means);
    for (size_t i = 0; means && i < n; i++) {
        double sum = 0;
        for (size_t l = 0; l < a->n_layers; l++) sum += a->values[i * a->n_layers + l];
        means[i] = (float)(sum / (double)a->n_layers);
    }
    json_t *json = means ? json_pack("{s:s, s:o}", "dtype", "f32", "data", deflated(means, n * sizeof *means)) : NULL;
    free(means);
    return json;
}

hw_err hw__quantized_to_json(json_t **out, const hw_attribution *a, hw_error *err) {
    float min, max;
    if (!find_range(a, &min, &max))
        return hw__fail(err, HW_ERR_ARGUMENT, "a value of method %s is infinite: it cannot be drawn", a->method);
    json_t *json = json_pack("{s:o, s:o}", "matrix", matrix_to_json(a, min < 0), "mean", mean_to_json(a));
    if (!json) return hw__fail_memory(err, "an attribution's numbers", a->n_rows * a->n_layers, a->n_columns);
    *out = json;
    return HW_OK;
}
