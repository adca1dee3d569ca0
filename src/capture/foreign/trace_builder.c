/* trace_builder.c - a trace made of attention rows that the caller passes, from an engine of its own. */
#include "base/sized.h"
#include "capture/capture.h"
#include "data/thinking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hw_trace_builder {
    hw_run *run; /* until the trace has it */
    hw_trace *trace;
    hw__capture capture;
    size_t n_layers, n_heads, n_prompt, max_tokens;
    bool bidirectional;
};

static const hw_trace_builder_params defaults = {.size = sizeof defaults};

void hw_trace_builder_params_init(hw_trace_builder_params *params, size_t size) {
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

enum { MAX_LAYERS = 4096, MAX_HEADS = 65536 };

static hw_err check_params(const hw_trace_builder_params *p, hw_error *err) {
    if (p->n_layers < 1 || p->n_layers > MAX_LAYERS)
        return hw__fail(err, HW_ERR_ARGUMENT, "n_layers is %zu: 1 to %d are accepted", p->n_layers, MAX_LAYERS);
    if (p->n_heads < 1 || p->n_heads > MAX_HEADS)
        return hw__fail(err, HW_ERR_ARGUMENT, "n_heads is %zu: 1 to %d are accepted", p->n_heads, MAX_HEADS);
    if (p->n_prompt < 1 || p->max_tokens < p->n_prompt || p->max_tokens > INT32_MAX)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "n_prompt is %zu and max_tokens %zu: at least one prompt token, in all as many or more, and at most %d "
            "are accepted",
            p->n_prompt, p->max_tokens, INT32_MAX);
    if ((unsigned)p->fuse > HW_FUSE_MIN)
        return hw__fail(err, HW_ERR_ARGUMENT, "fuse is %d: mean, max or min", (int)p->fuse);
    return HW_OK;
}

/* The run copies `layers` [n_layers] and the strings; those that are NULL are empty there. */
static hw_err make_run(hw_run **out, const hw_trace_builder_params *p, const int32_t *layers, hw_error *err) {
    const hw_model_info info = {
        .path = p->model,
        .engine = "builder",
        .name = p->model,
        .device = "CPU",
        .values_problem = "its trace was built of attention rows alone, without the values that they carry",
        .readout_problem = "its trace was built of attention rows alone, without the output weights",
        .layers = layers,
        .n_layers = (int32_t)p->n_layers,
        .n_blocks = (int32_t)p->n_layers,
        .n_heads = (int32_t)p->n_heads,
        .n_heads_kv = (int32_t)p->n_heads,
        .n_ctx_train = (int32_t)p->max_tokens,
        .has_sinks = p->sinks,
        .host_rows = true,
    };
    const hw__run_options options = {.run = {.fuse = p->fuse, .top_p = 1}};
    hw_err rc = hw__run_new(out, &info, &options, err);
    if (rc == HW_OK) (*out)->causal = !p->bidirectional;
    return rc;
}

hw_err hw_trace_builder_new(hw_trace_builder **out, const hw_trace_builder_params *params, hw_error *err) {
    hw_trace_builder_params p = defaults;
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_trace_builder_params", err);
    if (rc == HW_OK) rc = check_params(&p, err);
    if (rc != HW_OK) return rc;
    hw_trace_builder *b = hw__alloc(1, sizeof *b);
    int32_t *layers = hw__alloc(p.n_layers, sizeof *layers);
    rc = b && layers ? HW_OK : hw__fail_memory(err, "a trace builder", p.n_layers, sizeof *layers);
    for (size_t l = 0; rc == HW_OK && l < p.n_layers; l++) layers[l] = (int32_t)l;
    if (rc == HW_OK) {
        b->n_layers = p.n_layers;
        b->n_heads = p.n_heads;
        b->n_prompt = p.n_prompt;
        b->max_tokens = p.max_tokens;
        b->bidirectional = p.bidirectional;
        rc = make_run(&b->run, &p, layers, err);
    }
    if (rc == HW_OK) rc = hw__trace_new(&b->trace, b->run, p.max_tokens, err);
    free(layers);
    if (rc != HW_OK) {
        hw_trace_builder_free(b);
        return rc;
    }
    b->trace->growing = true;
    b->capture = (hw__capture){.trace = b->trace, .sinks = p.sinks};
    *out = b;
    return HW_OK;
}

void hw_trace_builder_free(hw_trace_builder *b) {
    if (!b) return;
    if (b->trace) {
        hw_trace_free(b->trace);
    } else {
        hw__run_release(b->run);
    }
    free(b);
}

hw_err hw_trace_builder_token(hw_trace_builder *b, const char *bytes, size_t n_bytes, int32_t id, float logprob,
                              hw_error *err) {
    if (!b || (!bytes && n_bytes))
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a builder, and the token's bytes, are needed");
    hw_run *run = b->run;
    if (run->n_tokens == b->max_tokens)
        return hw__fail(err, HW_ERR_ARGUMENT, "a token more than max_tokens, %zu", b->max_tokens);
    if (logprob > 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "token %zu has log probability %g: 0 or less, or NaN, is accepted",
                        run->n_tokens, logprob);
    hw_token token = {.bytes = bytes ? bytes : "",
                      .n_bytes = n_bytes,
                      .id = id,
                      .role = run->n_tokens < b->n_prompt ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION,
                      .logprob = logprob};
    if (run->n_tokens < b->n_prompt) { /* the prompt is its joined tokens */
        token.begin = run->n_tokens ? run->tokens[run->n_tokens - 1].end : 0;
        token.end = token.begin + n_bytes;
    }
    return hw__run_add_token(run, &token, err);
}

/* Columns of row q. */
static size_t row_width(const hw_trace_builder *b, size_t q) { return b->bidirectional ? b->max_tokens : q + 1; }

/* Columns after a row's own must be 0. *error: the largest distance of a sum from 1. */
static hw_err check_columns(double *error, const hw_trace_builder *b, const float *rows, size_t n_rows, size_t n_keys,
                            hw_error *err) {
    size_t at = b->trace->n_rows;
    for (size_t i = 0; i < b->n_layers * b->n_heads * n_rows; i++) {
        const float *row = rows + i * n_keys;
        size_t q = at + i % n_rows, n = row_width(b, q);
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += row[k];
        if (fabs(1 - sum) > *error) *error = fabs(1 - sum);
        for (size_t k = n; k < n_keys; k++)
            if (row[k] != 0)
                return hw__fail(err, HW_ERR_ARGUMENT,
                                "layer %zu, head %zu, row %zu puts %g on column %zu, which comes after %s",
                                i / n_rows / b->n_heads, i / n_rows % b->n_heads, q, row[k], k,
                                b->bidirectional ? "the last token" : "it");
    }
    return HW_OK;
}

hw_err hw_trace_builder_rows(hw_trace_builder *b, const float *rows, size_t n_rows, size_t n_keys, hw_error *err) {
    if (!b || !rows) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a builder and rows are needed");
    size_t at = b->trace->n_rows, cells, needed;
    if (n_rows < 1 || n_rows > b->max_tokens - at)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu rows after %zu: max_tokens is %zu", n_rows, at, b->max_tokens);
    needed = row_width(b, at + n_rows - 1);
    if (n_keys < needed)
        return hw__fail(err, HW_ERR_ARGUMENT, "rows %zu to %zu have %zu columns: the last one needs %zu", at,
                        at + n_rows - 1, n_keys, needed);
    if (!hw__mul(&cells, b->n_layers * b->n_heads * n_rows, n_keys))
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu columns are too many", n_keys);
    double error = b->run->model.row_error;
    hw_err rc = check_columns(&error, b, rows, n_rows, n_keys, err);
    const hw__sink sink = hw__capture_sink(&b->capture);
    for (size_t l = 0; rc == HW_OK && l < b->n_layers; l++) {
        const hw__heads heads = {.attn = rows + l * b->n_heads * n_rows * n_keys,
                                 .n_heads = b->n_heads,
                                 .n_rows = n_rows,
                                 .n_keys = n_keys,
                                 .head_stride = n_rows * n_keys,
                                 .row_stride = n_keys,
                                 .q0 = at};
        rc = sink.rows(sink.ctx, l, &heads, err);
    }
    if (rc != HW_OK) return rc;
    b->trace->n_rows = at + n_rows;
    b->run->model.row_error = error;
    return HW_OK;
}

static hw_err check_complete(const hw_trace_builder *b, hw_error *err) {
    size_t T = b->run->n_tokens, n = b->trace->n_rows;
    bool encoder = b->max_tokens == b->n_prompt, fixed = encoder || b->bidirectional;
    if (!encoder && T <= b->n_prompt)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens, of which %zu are the prompt: there is no completion", T,
                        b->n_prompt);
    if (fixed && T != b->max_tokens)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%zu tokens: max_tokens, %zu, are needed where every row is explained or "
                        "reads later tokens",
                        T, b->max_tokens);
    if (n != T && (fixed || n + 1 != T))
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu rows and %zu tokens: as many rows%s", n, T,
                        fixed ? " are needed" : ", or all but the last token's");
    return HW_OK;
}

hw_err hw_trace_builder_finish(hw_trace **out, hw_trace_builder *b, hw_error *err) {
    if (!b || !b->trace) return hw__fail(err, HW_ERR_ARGUMENT, "NULL, or finished already: a builder is needed");
    hw_run *run = b->run;
    hw_err rc = check_complete(b, err);
    if (rc == HW_OK) rc = hw__run_join_prompt(run, err);
    if (rc == HW_OK) rc = hw__thinking_roles(run, err);
    if (rc != HW_OK) return rc;
    run->stop = HW_STOP_GIVEN;
    b->trace->growing = false;
    b->trace->lacks_last = b->trace->n_rows + 1 == run->n_tokens;
    *out = b->trace;
    b->trace = NULL;
    b->run = NULL;
    return HW_OK;
}
