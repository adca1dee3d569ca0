/* device_read.c - sums and copies of rows in device memory, by one small graph each, computed on the device. */
#include "engine/llama/device/device_read.h"

#include <ggml-alloc.h>
#include <ggml.h>

#include <stdlib.h>
#include <string.h>

/* RESERVED_BYTES of device memory: the rows of one token at 4,000 tokens of context in a model of 30 layers and 32
 * heads. */
enum { MAX_PLACES = 17, RESERVED_BYTES = 32 << 20 };

/* Resources for computing beside the model in one kind of memory. */
typedef struct place {
    ggml_backend_buffer_type_t type;
    ggml_backend_t backend;
    ggml_gallocr_t sums;        /* memory for sums */
    ggml_backend_buffer_t kept; /* memory for nodes that are read later; NULL until needed */
} place;

struct hw__device_read {
    place at[MAX_PLACES];
    size_t n;
    unsigned char *copy; /* [capacity] */
    size_t capacity;
};

hw__device_read *hw__device_read_new(void) { return hw__alloc(1, sizeof(hw__device_read)); }

void hw__device_read_free(hw__device_read *reader) {
    if (!reader) return;
    for (size_t i = 0; i < reader->n; i++) {
        ggml_gallocr_free(reader->at[i].sums);
        ggml_backend_buffer_free(reader->at[i].kept);
        ggml_backend_free(reader->at[i].backend);
    }
    free(reader->copy);
    free(reader);
}

static unsigned char *reserve(hw__device_read *reader, size_t bytes) {
    if (bytes <= reader->capacity) return reader->copy;
    unsigned char *resized = hw__realloc(reader->copy, bytes, 1);
    if (!resized) return NULL;
    reader->copy = resized;
    reader->capacity = bytes;
    return resized;
}

const void *hw__device_read_bytes(hw__device_read *reader, const struct ggml_tensor *t) {
    if (ggml_backend_buffer_is_host(t->buffer)) return t->data;
    unsigned char *to = reserve(reader, ggml_nbytes(t));
    if (to) ggml_backend_tensor_get(t, to, 0, ggml_nbytes(t));
    return to;
}

/* Creates our own backend on the device of the buffer, because the model's backend belongs to libllama. The
 * scheduler waits for a node before it calls back, so nothing read here is still being computed. NULL if the device
 * is unknown. */
static place *place_of(hw__device_read *reader, ggml_backend_buffer_t buffer) {
    ggml_backend_buffer_type_t type = ggml_backend_buffer_get_type(buffer);
    for (size_t i = 0; i < reader->n; i++)
        if (reader->at[i].type == type) return &reader->at[i];
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    if (!device || reader->n == MAX_PLACES) return NULL;
    place p = {.type = type, .backend = ggml_backend_dev_init(device, NULL)};
    if (!p.backend) return NULL;
    p.sums = ggml_gallocr_new(type);
    if (!p.sums) {
        ggml_backend_free(p.backend);
        return NULL;
    }
    reader->at[reader->n] = p;
    return &reader->at[reader->n++];
}

/* ------------------------------------------------------------------ nodes that are kept */

bool hw__device_read_keep(hw__device_read *reader, struct ggml_tensor *t, size_t offset, size_t capacity) {
    place *p = t->view_src ? NULL : place_of(reader, t->buffer);
    if (!p) return false;
    if (!p->kept) p->kept = ggml_backend_buft_alloc_buffer(p->type, RESERVED_BYTES);
    if (!p->kept || offset % ggml_backend_buft_get_alignment(p->type) != 0 ||
        ggml_backend_buft_get_alloc_size(p->type, t) > capacity || offset > RESERVED_BYTES - capacity)
        return false;
    t->buffer = p->kept;
    t->data = (char *)ggml_backend_buffer_get_base(p->kept) + offset;
    return true;
}

void hw__device_read_move_view(const hw__device_read *reader, struct ggml_tensor *t) {
    for (size_t i = 0; t->view_src && i < reader->n; i++) {
        if (!reader->at[i].kept || t->view_src->buffer != reader->at[i].kept) continue;
        t->buffer = t->view_src->buffer;
        t->data = (char *)t->view_src->data + t->view_offs;
    }
}

/* ------------------------------------------------------------------ rows */

/* An alias of the memory without the graph that computed it, which a backend would traverse (and RPC would send). */
static struct ggml_tensor *alias(struct ggml_context *ctx, const struct ggml_tensor *t) {
    struct ggml_tensor *a = ggml_new_tensor(ctx, t->type, GGML_MAX_DIMS, t->ne);
    memcpy(a->nb, t->nb, sizeof a->nb);
    ggml_backend_tensor_alloc(t->buffer, a, t->data);
    return a;
}

/* [count, keys] rows of one head. */
static struct ggml_tensor *head_rows(struct ggml_context *ctx, struct ggml_tensor *t, size_t head, size_t first,
                                     size_t count) {
    return ggml_view_2d(ctx, t, t->ne[0], (int64_t)count, t->nb[1], head * t->nb[2] + first * t->nb[1]);
}

static struct ggml_tensor *mean_of_heads(struct ggml_context *ctx, struct ggml_tensor *t, size_t first, size_t count) {
    struct ggml_tensor *sum = head_rows(ctx, t, 0, first, count);
    for (size_t h = 1; h < (size_t)t->ne[2]; h++) sum = ggml_add(ctx, sum, head_rows(ctx, t, h, first, count));
    return ggml_scale(ctx, sum, 1.0f / (float)t->ne[2]);
}

/* Computes the mean on the device and copies it. */
static hw_err fetch_mean(hw__device_read *reader, hw__heads *out, const struct ggml_tensor *t, place *p,
                         hw__row_range rows, hw_error *err) {
    size_t count = rows.count;
    size_t n_tensors = 2 * (size_t)t->ne[2] + 1; /* the alias, a view per head, sums, the scaled one */
    struct ggml_init_params params = {.mem_size = ggml_tensor_overhead() * n_tensors + ggml_graph_overhead(),
                                      .no_alloc = true};
    struct ggml_context *ctx = ggml_init(params);
    unsigned char *to = reserve(reader, count * (size_t)t->ne[0] * sizeof(float));
    hw_err rc = HW_OK;
    if (!ctx || !to) {
        rc = hw__fail_memory(err, "rows from a device", count, (size_t)t->ne[0] * sizeof(float));
        goto done;
    }
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    struct ggml_tensor *mean = mean_of_heads(ctx, alias(ctx, t), rows.first, count);
    ggml_build_forward_expand(graph, mean);
    if (!ggml_gallocr_alloc_graph(p->sums, graph) ||
        ggml_backend_graph_compute(p->backend, graph) != GGML_STATUS_SUCCESS) {
        rc = hw__fail(err, HW_ERR_ENGINE, "device %s could not sum the heads of %zu rows",
                      ggml_backend_name(p->backend), count);
        goto done;
    }
    ggml_backend_tensor_get(mean, to, 0, ggml_nbytes(mean));
    out->n_heads = 1;
    out->row_stride = (size_t)t->ne[0];
    out->head_stride = count * out->row_stride;
done:
    if (ctx) ggml_free(ctx);
    return rc;
}

/* Copies rows of every head, one contiguous range each. */
static hw_err fetch_heads(hw__device_read *reader, hw__heads *out, const struct ggml_tensor *t, size_t first,
                          size_t count, hw_error *err) {
    size_t heads = (size_t)t->ne[2], bytes = count * t->nb[1];
    unsigned char *to = reserve(reader, heads * bytes);
    if (!to) return hw__fail_memory(err, "rows from a device", heads, bytes);
    if (count == (size_t)t->ne[1]) {
        ggml_backend_tensor_get(t, to, 0, heads * bytes);
    } else {
        for (size_t h = 0; h < heads; h++)
            ggml_backend_tensor_get(t, to + h * bytes, h * t->nb[2] + first * t->nb[1], bytes);
    }
    out->n_heads = heads;
    out->row_stride = t->nb[1] / sizeof(float);
    out->head_stride = bytes / sizeof(float);
    return HW_OK;
}

hw_err hw__device_read_rows(hw__device_read *reader, hw__heads *out, const struct ggml_tensor *t, hw__row_range rows,
                            bool mean, hw_error *err) {
    size_t first = rows.first, count = rows.count;
    /* The graph has two nodes per head; ggml's default graph has 2,048. */
    place *p = mean && t->ne[2] <= 1000 ? place_of(reader, t->buffer) : NULL;
    hw_err rc = p ? fetch_mean(reader, out, t, p, rows, err) : fetch_heads(reader, out, t, first, count, err);
    if (rc != HW_OK) return rc;
    out->mean = p != NULL;
    out->attn = (const float *)reader->copy;
    out->n_rows = count;
    out->n_keys = (size_t)t->ne[0];
    return HW_OK;
}
