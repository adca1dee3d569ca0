/* weight_product.c - see weight_product.h: a graph of one product. */
#include "engine/llama/file/weight_product.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <stdlib.h>

static void set_one_thread(ggml_backend_t backend) {
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
    void *set = reg ? ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads") : NULL;
    if (set) ((ggml_backend_set_n_threads_t)set)(backend, 1);
}

/* Rows of a weight, as the file has them. */
typedef struct weight_rows {
    const hw__gguf_pick *w;
    const hw__gguf_raw *raw;
} weight_rows;

/* y <- w x, computed by the backend in memory of its own. */
static hw_err compute(float *out, ggml_backend_t backend, struct ggml_context *ctx, weight_rows rows, const float *x,
                      hw_error *err) {
    const hw__gguf_pick *w = rows.w;
    const hw__gguf_raw *raw = rows.raw;
    struct ggml_tensor *weight = ggml_new_tensor_2d(ctx, raw->type, (int64_t)w->width, (int64_t)w->n);
    struct ggml_tensor *in = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, (int64_t)w->width);
    struct ggml_tensor *y = ggml_mul_mat(ctx, weight, in);
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, y);
    ggml_backend_buffer_t memory = ggml_backend_alloc_ctx_tensors(ctx, backend);
    if (!memory) return hw__fail_memory(err, w->name, w->n, raw->row_bytes);
    ggml_backend_tensor_set(weight, raw->bytes, 0, w->n * raw->row_bytes);
    ggml_backend_tensor_set(in, x, 0, w->width * sizeof *x);
    bool done = ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS;
    if (done) ggml_backend_tensor_get(y, out, 0, w->n * sizeof *out);
    ggml_backend_buffer_free(memory);
    return done ? HW_OK : hw__fail(err, HW_ERR_ENGINE, "ggml could not multiply %s", w->name);
}

hw_err hw__weight_product(float *out, const hw__gguf *file, const hw__gguf_pick *w, const float *x, hw_error *err) {
    hw__gguf_raw raw = {.bytes = NULL};
    hw_err rc = hw__gguf_raw_rows(file, &raw, w, err);
    if (rc != HW_OK) return rc;
    struct ggml_init_params params = {.mem_size = 4 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true};
    struct ggml_context *ctx = ggml_init(params);
    ggml_backend_t backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
    if (!ctx || !backend) {
        rc = hw__fail_memory(err, w->name, w->n, raw.row_bytes);
    } else {
        set_one_thread(backend);
        rc = compute(out, backend, ctx, (weight_rows){w, &raw}, x, err);
    }
    ggml_backend_free(backend);
    if (ctx) ggml_free(ctx);
    free(raw.bytes);
    return rc;
}
