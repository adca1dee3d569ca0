/* safetensors.c - the header is jansson's tree, kept for its strings; data are read at absolute offsets, so that
 * threads can read in parallel. */
#include "base/safetensors.h"

#include "base/json.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "__metadata__"

/* Maximum header length in bytes: a run of 100,000 tokens needs about a third of it. */
static const uint64_t MAX_HEADER = 64u << 20;

enum { PREFIX_BYTES = 8, ALIGNMENT = 8, BUFFER_BYTES = 1 << 15, NAME_CAPACITY = 80 };

struct hw__safetensors {
    FILE *stream;               /* NULL: bytes */
    const unsigned char *bytes; /* [n_bytes] borrowed */
    uint64_t n_bytes;           /* of the file, or the bytes */
    json_t *header;             /* owns all names and strings */
    hw__tensor *tensors;        /* [n_tensors] in data order */
    size_t n_tensors;
    uint64_t data_begin; /* file offset of the data */
};

/* All dtypes of the format: the size of a tensor that is skipped is checked too. */
static const struct {
    const char *name;
    unsigned bits;
    hw__dtype dtype;
} dtypes[] = {
    {"F16", 16, HW__F16},      {"BF16", 16, HW__BF16},    {"F32", 32, HW__F32},      {"F64", 64, HW__F64},
    {"U8", 8, HW__U8},         {"I32", 32, HW__I32},      {"I64", 64, HW__I64},      {"BOOL", 8, HW__OTHER},
    {"I8", 8, HW__OTHER},      {"U16", 16, HW__OTHER},    {"I16", 16, HW__OTHER},    {"U32", 32, HW__OTHER},
    {"U64", 64, HW__OTHER},    {"C64", 64, HW__OTHER},    {"F4", 4, HW__OTHER},      {"F6_E2M3", 6, HW__OTHER},
    {"F6_E3M2", 6, HW__OTHER}, {"F8_E4M3", 8, HW__OTHER}, {"F8_E5M2", 8, HW__OTHER}, {"F8_E8M0", 8, HW__OTHER},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

static size_t find_dtype(const char *name) {
    size_t i = 0;
    while (name && i < N_DTYPES && strcmp(dtypes[i].name, name) != 0) i++;
    return name ? i : N_DTYPES;
}

static size_t element_bytes(hw__dtype dtype) {
    assert(dtype != HW__OTHER);
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == dtype) return dtypes[i].bits / 8;
    return 0;
}

static const char *dtype_name(hw__dtype dtype) {
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == dtype && dtype != HW__OTHER) return dtypes[i].name;
    return "another dtype";
}

/* ------------------------------------------------------------------ header */

static uint64_t load_le(const unsigned char *bytes, size_t n) {
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;) v = v << 8 | bytes[i];
    return v;
}

static hw_err fail_tensor(hw_error *err, const char *name, const char *what) {
    char line[NAME_CAPACITY];
    return hw__fail(err, HW_ERR_FORMAT, "tensor \"%s\": %s", hw__utf8_line(line, sizeof line, name, strlen(name)),
                    what);
}

/* A JSON integer >= 0 that fits size_t. */
static bool get_size(size_t *out, const json_t *value) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    json_int_t v = json_integer_value(value);
    *out = (size_t)v;
    return (json_int_t)*out == v;
}

static hw_err parse_shape(hw__tensor *t, const json_t *shape, hw_error *err) {
    if (!json_is_array(shape)) return fail_tensor(err, t->name, "\"shape\" must be a list of sizes");
    t->n_dims = json_array_size(shape);
    if (t->n_dims > HW__MAX_DIMS) return fail_tensor(err, t->name, "more than 8 dimensions");
    t->n = 1;
    for (size_t d = 0; d < t->n_dims; d++) {
        if (!get_size(&t->shape[d], json_array_get(shape, d)))
            return fail_tensor(err, t->name, "a size is not a whole number, 0 or more");
        if (!hw__mul(&t->n, t->n, t->shape[d])) return fail_tensor(err, t->name, "the product of its sizes overflows");
    }
    return HW_OK;
}

static hw_err parse_tensor(hw__tensor *t, const char *name, const json_t *entry, hw_error *err) {
    t->name = name;
    if (!json_is_object(entry)) return fail_tensor(err, name, "must be an object with dtype, shape and data_offsets");
    size_t dtype = find_dtype(json_string_value(json_object_get(entry, "dtype")));
    if (dtype == N_DTYPES)
        return fail_tensor(err, name, "\"dtype\" is not a type of the format (F16, BF16, F32, F64, I32, I64, U8 ...)");
    t->dtype = dtypes[dtype].dtype;
    hw_err rc = parse_shape(t, json_object_get(entry, "shape"), err);
    if (rc != HW_OK) return rc;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    size_t begin, end, bits;
    if (json_array_size(offsets) != 2 || !get_size(&begin, json_array_get(offsets, 0)) ||
        !get_size(&end, json_array_get(offsets, 1)) || begin > end)
        return fail_tensor(err, name, "\"data_offsets\" must be [begin, end], two byte offsets with begin <= end");
    if (!hw__mul(&bits, t->n, dtypes[dtype].bits) || bits % 8 != 0 || bits / 8 != end - begin)
        return fail_tensor(err, name, "its data_offsets do not span what dtype and shape need");
    t->begin = begin;
    t->end = end;
    return HW_OK;
}

static hw_err check_metadata(const json_t *metadata, hw_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return hw__fail(err, HW_ERR_FORMAT, METADATA " must be an object of strings");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) /* the macro does not accept const, and does not
                                                                      modify the object */
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) return hw__fail(
            err, HW_ERR_FORMAT, "every value of " METADATA " must be a string without NUL");
    return HW_OK;
}

static int by_place(const void *a, const void *b) {
    const hw__tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Tensors must cover the data from first to last byte, in some order. */
static hw_err check_places(hw__safetensors *f, uint64_t data_bytes, hw_error *err) {
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, by_place);
    uint64_t at = 0;
    for (size_t i = 0; i < f->n_tensors; i++) {
        if (f->tensors[i].begin != at)
            return fail_tensor(err, f->tensors[i].name, "its data overlap the tensor before or leave a hole");
        at = f->tensors[i].end;
    }
    if (at != data_bytes)
        return hw__fail(err, HW_ERR_FORMAT,
                        "the tensors need %llu bytes of data, the file has %llu: it is cut off or has something behind",
                        (unsigned long long)at, (unsigned long long)data_bytes);
    return HW_OK;
}

static hw_err parse_header(hw__safetensors *f, uint64_t data_bytes, hw_error *err) {
    const char *name;
    json_t *entry;
    f->tensors = hw__alloc(json_object_size(f->header), sizeof *f->tensors);
    if (!f->tensors)
        return hw__fail_memory(err, "the list of tensors", json_object_size(f->header), sizeof *f->tensors);
    json_object_foreach(f->header, name, entry) {
        hw_err rc = strcmp(name, METADATA) == 0 ? check_metadata(entry, err)
                                                : parse_tensor(&f->tensors[f->n_tensors++], name, entry, err);
        if (rc != HW_OK) return rc;
    }
    return check_places(f, data_bytes, err);
}

static bool read_bytes(const hw__safetensors *f, void *to, size_t n, uint64_t at) {
    if (f->stream) return hw__file_read_at(f->stream, to, n, at);
    if (at > f->n_bytes || n > f->n_bytes - at) return false;
    memcpy(to, f->bytes + at, n);
    return true;
}

static hw_err read_header(hw__safetensors *f, hw_error *err) {
    unsigned char prefix[PREFIX_BYTES];
    uint64_t file_bytes = f->n_bytes;
    if (file_bytes < PREFIX_BYTES || !read_bytes(f, prefix, PREFIX_BYTES, 0))
        return hw__fail(err, HW_ERR_FORMAT, "%llu bytes are too few for a safetensors file",
                        (unsigned long long)file_bytes);
    uint64_t length = load_le(prefix, PREFIX_BYTES);
    if (length > MAX_HEADER || length > file_bytes - PREFIX_BYTES)
        return hw__fail(
            err, HW_ERR_FORMAT,
            "not a safetensors file, or cut off: its header would have %llu bytes, at most %llu fit",
            (unsigned long long)length,
            (unsigned long long)(file_bytes - PREFIX_BYTES < MAX_HEADER ? file_bytes - PREFIX_BYTES : MAX_HEADER));
    char *text = hw__alloc(length, 1);
    if (!text) return hw__fail_memory(err, "the header", length, 1);
    hw_err rc = HW_OK;
    if (!read_bytes(f, text, length, PREFIX_BYTES))
        rc = hw__fail(err, HW_ERR_IO, "the header cannot be read");
    else if (length == 0 || text[0] != '{')
        rc = hw__fail(err, HW_ERR_FORMAT, "not a safetensors file: its header does not begin with {");
    else if ((rc = hw__json_parse(&f->header, text, length, err)) != HW_OK)
        hw__fail_in(err, rc, "the header");
    free(text);
    f->data_begin = PREFIX_BYTES + length;
    return rc == HW_OK ? parse_header(f, file_bytes - f->data_begin, err) : rc;
}

hw_err hw__safetensors_open(hw__safetensors **out, const char *path, hw_error *err) {
    return hw__safetensors_read(out, (hw__input){.path = path}, err);
}

hw_err hw__safetensors_read(hw__safetensors **out, hw__input from, hw_error *err) {
    hw__safetensors *f = hw__alloc(1, sizeof *f);
    if (!f) return hw__fail_memory(err, "a file", 1, sizeof *f);
    f->bytes = from.bytes;
    f->n_bytes = from.n_bytes;
    hw_err rc = from.bytes ? HW_OK : hw__file_open(&f->stream, &f->n_bytes, from.path, err);
    if (rc == HW_OK && (rc = read_header(f, err)) != HW_OK) hw__fail_in(err, rc, "%s", from.path);
    if (rc != HW_OK) {
        hw__safetensors_close(f);
        return rc;
    }
    *out = f;
    return HW_OK;
}

void hw__safetensors_close(hw__safetensors *f) {
    if (!f) return;
    if (f->stream) fclose(f->stream);
    json_decref(f->header);
    free(f->tensors);
    free(f);
}

const hw__tensor *hw__safetensors_find(const hw__safetensors *f, const char *name) {
    for (size_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    return NULL;
}

const char *hw__safetensors_metadata(const hw__safetensors *f, const char *key) {
    return json_string_value(json_object_get(json_object_get(f->header, METADATA), key));
}

bool hw__tensor_is_float(const hw__tensor *t) { return t->dtype <= HW__F64; }

/* "F32 [2, 3]" */
static const char *describe(char *out, size_t capacity, hw__dtype dtype, size_t n_dims, const size_t *shape) {
    size_t at = (size_t)snprintf(out, capacity, "%s [", dtype_name(dtype));
    for (size_t d = 0; d < n_dims && at < capacity; d++)
        at += (size_t)snprintf(out + at, capacity - at, d ? ", %zu" : "%zu", shape[d]);
    if (at < capacity) snprintf(out + at, capacity - at, "]");
    return out;
}

hw_err hw__safetensors_need(const hw__tensor **out, const hw__safetensors *f, const char *name, hw__tensor_form form,
                            hw_error *err) {
    char is[256], must[256];
    const hw__tensor *t = hw__safetensors_find(f, name);
    describe(must, sizeof must, form.dtype, form.n_dims, form.shape);
    if (!t) return hw__fail(err, HW_ERR_FORMAT, "there is no tensor \"%s\"; %s is needed", name, must);
    if (t->dtype != form.dtype || t->n_dims != form.n_dims ||
        memcmp(t->shape, form.shape, form.n_dims * sizeof *form.shape) != 0)
        return hw__fail(err, HW_ERR_FORMAT, "tensor \"%s\" is %s, it must be %s", name,
                        describe(is, sizeof is, t->dtype, t->n_dims, t->shape), must);
    *out = t;
    return HW_OK;
}

hw_err hw__safetensors_expect(const hw__safetensors *f, const char *format, int version, hw_error *err) {
    char line[NAME_CAPACITY];
    const char *is = hw__safetensors_metadata(f, "format"), *number = hw__safetensors_metadata(f, "version");
    if (!is || strcmp(is, format) != 0)
        return hw__fail(err, HW_ERR_FORMAT, "holds no %s: the format in its metadata is %s", format,
                        is ? hw__utf8_line(line, sizeof line, is, strlen(is)) : "not given");
    size_t digits = number ? strspn(number, "0123456789") : 0;
    if (digits == 0 || digits > 9 || number[digits] || number[0] == '0')
        return hw__fail(err, HW_ERR_FORMAT, "the version in its metadata is not a whole number from 1");
    if (atol(number) > version)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "is version %s of %s; this build reads up to version %d", number,
                        format, version);
    return HW_OK;
}

/* ------------------------------------------------------------------ numbers */

static float float_of_f64(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return (float)v;
}

static void decode_floats(float *out, const unsigned char *in, size_t n, hw__dtype dtype) {
    switch (dtype) {
    case HW__F16:
        for (size_t i = 0; i < n; i++) out[i] = hw__float_of_half((uint16_t)load_le(in + 2 * i, 2));
        break;
    case HW__BF16:
        for (size_t i = 0; i < n; i++) out[i] = hw__float_of_bits((uint32_t)load_le(in + 2 * i, 2) << 16);
        break;
    case HW__F32:
        for (size_t i = 0; i < n; i++) out[i] = hw__float_of_bits((uint32_t)load_le(in + 4 * i, 4));
        break;
    default:
        for (size_t i = 0; i < n; i++) out[i] = float_of_f64(load_le(in + 8 * i, 8));
    }
}

static void decode_ints(int64_t *out, const unsigned char *in, size_t n, hw__dtype dtype) {
    for (size_t i = 0; i < n; i++) {
        if (dtype == HW__U8)
            out[i] = in[i];
        else if (dtype == HW__I32)
            out[i] = (int32_t)(uint32_t)load_le(in + 4 * i, 4);
        else
            out[i] = (int64_t)load_le(in + 8 * i, 8);
    }
}

/* Files are little-endian: on a little-endian machine floats are read directly to their destination. */
static bool is_little_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Reads in chunks and decodes each into floats or ints, whichever is not NULL. */
static hw_err read_at(const hw__safetensors *f, void *to, size_t n, const hw__tensor *t, uint64_t at, hw_error *err) {
    if (read_bytes(f, to, n, at)) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "tensor \"%s\" cannot be read to its end", t->name);
}

/* Elements first .. first + n - 1 of a tensor. */
typedef struct elements {
    const hw__tensor *t;
    size_t first, n;
} elements;

/* Into one of the two arrays; the other is NULL. */
static hw_err read_elements(const hw__safetensors *f, float *floats, int64_t *ints, elements e, hw_error *err) {
    const hw__tensor *t = e.t;
    size_t first = e.first, n = e.n;
    assert(first <= t->n && n <= t->n - first);
    unsigned char buffer[BUFFER_BYTES];
    size_t size = element_bytes(t->dtype), max = BUFFER_BYTES / size;
    uint64_t at = f->data_begin + t->begin + (uint64_t)first * size;
    if (floats && t->dtype == HW__F32 && is_little_endian()) return read_at(f, floats, n * size, t, at, err);
    for (size_t i = 0; i < n;) {
        size_t part = n - i < max ? n - i : max;
        hw_err rc = read_at(f, buffer, part * size, t, at + i * size, err);
        if (rc != HW_OK) return rc;
        if (floats)
            decode_floats(floats + i, buffer, part, t->dtype);
        else
            decode_ints(ints + i, buffer, part, t->dtype);
        i += part;
    }
    return HW_OK;
}

hw_err hw__safetensors_floats(const hw__safetensors *f, float *out, const hw__tensor *t, size_t first, size_t n,
                              hw_error *err) {
    assert(hw__tensor_is_float(t));
    return read_elements(f, out, NULL, (elements){t, first, n}, err);
}

hw_err hw__safetensors_ints(const hw__safetensors *f, int64_t *out, const hw__tensor *t, size_t first, size_t n,
                            hw_error *err) {
    assert(t->dtype == HW__U8 || t->dtype == HW__I32 || t->dtype == HW__I64);
    return read_elements(f, NULL, out, (elements){t, first, n}, err);
}

hw_err hw__safetensors_bytes(const hw__safetensors *f, unsigned char *out, const hw__tensor *t, size_t first, size_t n,
                             hw_error *err) {
    assert(t->dtype == HW__U8 && first <= t->n && n <= t->n - first);
    return read_at(f, out, n, t, f->data_begin + t->begin + first, err);
}

/* ------------------------------------------------------------------ writing */

/* The header entry of one tensor at byte *at, which is advanced past its data; NULL on overflow or when memory runs
 * out. */
static json_t *tensor_entry(const hw__tensor *t, uint64_t *at) {
    size_t bytes = element_bytes(t->dtype), end;
    json_t *shape = json_array();
    bool ok = shape != NULL;
    for (size_t d = 0; ok && d < t->n_dims; d++)
        ok = hw__mul(&bytes, bytes, t->shape[d]) &&
             json_array_append_new(shape, json_integer((json_int_t)t->shape[d])) == 0;
    if (!ok || !hw__add(&end, *at, bytes) || end > INT64_MAX) {
        json_decref(shape);
        return NULL;
    }
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(t->dtype), "shape", shape, "data_offsets",
                              (json_int_t)*at, (json_int_t)end);
    *at = end;
    return entry;
}

static char *header_text(uint64_t *data_bytes, const hw__tensor *tensors, size_t n, const json_t *metadata) {
    json_t *header = json_pack("{s:O}", METADATA, metadata);
    uint64_t at = 0;
    bool ok = header != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = json_object_set_new(header, tensors[i].name, tensor_entry(&tensors[i], &at)) == 0;
    char *text = ok ? hw__json_dump(header, JSON_COMPACT) : NULL;
    json_decref(header);
    *data_bytes = at;
    return text;
}

hw_err hw__safetensors_begin(hw__safetensors_writer *out, hw__file *file, const hw__tensor *tensors, size_t n,
                             const json_t *metadata, hw_error *err) {
    static const char spaces[] = "        "; /* ALIGNMENT spaces */
    hw__safetensors_writer writer = {.file = file};
    char *text = header_text(&writer.left, tensors, n, metadata);
    if (!text) return hw__fail(err, HW_ERR_MEMORY, "out of memory: the header of %zu tensors", n);
    size_t length = strlen(text), pad = (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
    uint64_t total = length + pad;
    hw_err rc = HW_OK;
    if (total > MAX_HEADER) {
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "the description of the run takes %llu bytes, a file holds at most %llu",
                      (unsigned long long)total, (unsigned long long)MAX_HEADER);
    } else {
        unsigned char prefix[PREFIX_BYTES];
        for (int i = 0; i < PREFIX_BYTES; i++) prefix[i] = (unsigned char)(total >> (8 * i));
        hw__file_write(file, prefix, sizeof prefix);
        hw__file_write(file, text, length);
        hw__file_write(file, spaces, pad);
        *out = writer;
    }
    free(text);
    return rc;
}

static void put_words(hw__safetensors_writer *w, const void *words, size_t n) {
    assert((uint64_t)n * 4 <= w->left);
    w->left -= (uint64_t)n * 4;
    hw__file_words(w->file, words, n);
}

void hw__safetensors_put_floats(hw__safetensors_writer *w, const float *values, size_t n) { put_words(w, values, n); }
void hw__safetensors_put_ints(hw__safetensors_writer *w, const int32_t *values, size_t n) { put_words(w, values, n); }

void hw__safetensors_put_halves(hw__safetensors_writer *w, const float *values, size_t n) {
    assert((uint64_t)n * 2 <= w->left);
    w->left -= (uint64_t)n * 2;
    unsigned char buffer[BUFFER_BYTES];
    for (size_t i = 0, part; i < n; i += part) {
        part = n - i < BUFFER_BYTES / 2 ? n - i : BUFFER_BYTES / 2;
        for (size_t j = 0; j < part; j++) {
            uint16_t half = hw__half_of_float(values[i + j]);
            buffer[2 * j] = (unsigned char)half;
            buffer[2 * j + 1] = (unsigned char)(half >> 8);
        }
        hw__file_write(w->file, buffer, part * 2);
    }
}

void hw__safetensors_put_bytes(hw__safetensors_writer *w, const unsigned char *bytes, size_t n) {
    assert(n <= w->left);
    w->left -= n;
    hw__file_write(w->file, bytes, n);
}
