/*
 * attention_file.c - an engine that replays exported attention: from PyTorch, JAX, an encoder, a vision model.
 *
 * The file holds `attention` [L,H,T,T] or [L,T,T] (heads already fused: H = 1) as F16, BF16, F32 or F64. Opening reads
 * it once, layer by layer, to check every number; decoding reads it again. Only one layer [H,T,T] is in memory.
 *
 * Metadata, all optional: `m` prompt tokens (then rows must be causal, unless `causal` is "false": an encoder reads the
 * prompt), `tokens` a JSON list of T strings, `model` its name, `sinks` "true" if rows may sum to less than 1.
 *
 * The folder engine/import/: the engine that replays attention exported from elsewhere.
 */
#include "base/json.h"
#include "base/safetensors.h"
#include "base/utf8.h"
#include "engine/engine.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Accepted distance of a row's sum from 1. Rounding to F16 changes it by at most 2^-11, BF16 by 2^-9, which is more
 * than the rest of the library accepts: BF16 rows are accepted within twice that and scaled to sum to 1. */
static const double BF16_TOLERANCE = 0x1p-8;

typedef struct import_engine {
    hw__engine base;
    hw_model_info info;
    hw__import_info import;
    hw__safetensors *file;
    const hw__tensor *attention;
    size_t n_layers, n_heads, n_tokens; /* L, H, T */
    float *layer;                       /* [H, T, T] */
    char *path;
    json_t *tokens;     /* owns the texts */
    const char **texts; /* [T] */
    int32_t *layers;    /* [L] 0..L-1 */
    size_t n_done;      /* tokens decoded: 0 or T */
    hw_stop_fn stop;
    void *stop_ctx;
} import_engine;

static import_engine *self(hw__engine *e) { return (import_engine *)e; }

typedef struct row_place {
    size_t layer, head, q;
} row_place;

/* ------------------------------------------------------------------ checks at opening */

/* Results of checking every weight. */
typedef struct findings {
    double row_error;
    double tolerance;
    bool sinks; /* sums below 1 are accepted */
    bool must_be_causal;
    bool causal;              /* so far */
    size_t layer, head, q, k; /* first weight on a later column, if not causal */
    float weight;
} findings;

static hw_err check_row(findings *f, const float *row, size_t n, row_place at, hw_error *err) {
    size_t layer = at.layer, head = at.head, q = at.q;
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        if (!(row[k] >= 0) || isinf(row[k]))
            return hw__fail(err, HW_ERR_FORMAT,
                            "layer %zu, head %zu, row %zu, column %zu: weight %g, must be a number of 0 or more", layer,
                            head, q, k, row[k]);
        if (k > q && row[k] != 0 && f->causal) {
            f->causal = false;
            f->layer = layer;
            f->head = head;
            f->q = q;
            f->k = k;
            f->weight = row[k];
        }
        sum += row[k];
    }
    double off = fabs(1 - sum);
    if (off > f->row_error) f->row_error = off;
    if (off <= f->tolerance || (f->sinks && sum < 1)) return HW_OK;
    return hw__fail(
        err, HW_ERR_FORMAT,
        "layer %zu, head %zu, row %zu: weights sum to %g, must be 1 within %g%s (weights rounded to BF16: save "
        "the tensor as BF16; a model with attention sinks: put sinks = \"true\" into the metadata)",
        layer, head, q, sum, f->tolerance, f->sinks ? ", or less" : "");
}

/* Reads layer `l` into e->layer, one head at a time, checking for a stop between heads. */
static hw_err read_layer(import_engine *e, size_t l, hw_error *err) {
    size_t head = e->n_tokens * e->n_tokens;
    for (size_t h = 0; h < e->n_heads; h++) {
        if (e->stop && e->stop(e->stop_ctx))
            return hw__fail(err, HW_ERR_CANCELLED, "stopped at layer %zu of %zu", l, e->n_layers);
        hw_err rc =
            hw__safetensors_floats(e->file, e->layer + h * head, e->attention, (l * e->n_heads + h) * head, head, err);
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

/* Corrects the row sums of e->layer after rounding to BF16; with sinks, sums below 1 are kept. */
static void scale_rows(import_engine *e) {
    size_t n = e->n_tokens;
    for (size_t i = 0; i < e->n_heads * n; i++) {
        float *row = e->layer + i * n;
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += row[k];
        if (sum <= 1 && e->info.has_sinks) continue;
        for (size_t k = 0; k < n; k++) row[k] = (float)(row[k] / sum);
    }
}

static hw_err check_weights(import_engine *e, findings *f, hw_error *err) {
    size_t n = e->n_tokens;
    for (size_t l = 0; l < e->n_layers; l++) {
        hw_err rc = read_layer(e, l, err);
        for (size_t i = 0; rc == HW_OK && i < e->n_heads * n; i++)
            rc = check_row(f, e->layer + i * n, n, (row_place){l, i / n, i % n}, err);
        if (rc != HW_OK) return rc;
    }
    return HW_OK;
}

/* Checks shape [L,H,T,T] or [L,T,T], and that sizes fit memory and int32. */
static hw_err check_shape(import_engine *e, hw_error *err) {
    const hw__tensor *t = hw__safetensors_find(e->file, "attention");
    if (!t)
        return hw__fail(
            err, HW_ERR_FORMAT,
            "there is no tensor \"attention\" of [layers, heads, tokens, tokens] or [layers, tokens, tokens]");
    if (!hw__tensor_is_float(t))
        return hw__fail(err, HW_ERR_FORMAT, "tensor \"attention\" must be F16, BF16, F32 or F64");
    if (t->n_dims != 3 && t->n_dims != 4)
        return hw__fail(err, HW_ERR_FORMAT,
                        "tensor \"attention\" has %zu dimensions: 4 (layers, heads, tokens, tokens) or 3 (without "
                        "heads) are accepted",
                        t->n_dims);
    size_t rows = t->shape[t->n_dims - 2], columns = t->shape[t->n_dims - 1];
    e->attention = t;
    e->n_layers = t->shape[0];
    e->n_heads = t->n_dims == 4 ? t->shape[1] : 1;
    e->n_tokens = rows;
    if (rows != columns)
        return hw__fail(err, HW_ERR_FORMAT, "tensor \"attention\" has %zu rows and %zu columns: it must be square",
                        rows, columns);
    if (t->n == 0 || e->n_layers > INT32_MAX || e->n_heads > INT32_MAX || rows > INT32_MAX)
        return hw__fail(err, HW_ERR_FORMAT,
                        "tensor \"attention\" of %zu layers, %zu heads, %zu tokens: each must be 1 to %d", e->n_layers,
                        e->n_heads, rows, INT32_MAX);
    return HW_OK;
}

/* ------------------------------------------------------------------ metadata */

/* Metadata `m`: 1..T-1, so that there is a prompt and a completion. */
static hw_err read_prompt_length(import_engine *e, hw_error *err) {
    const char *text = hw__safetensors_metadata(e->file, "m");
    e->import.n_prompt = e->n_tokens;
    if (!text) return HW_OK;
    size_t digits = strspn(text, "0123456789");
    char line[32];
    long m = digits > 0 && digits < 10 && !text[digits] ? atol(text) : -1;
    if (m < 1 || (size_t)m >= e->n_tokens)
        return hw__fail(err, HW_ERR_FORMAT,
                        "the metadata's m (prompt tokens) is \"%s\": 1 to %zu is accepted with %zu tokens, the rest "
                        "being the completion%s",
                        hw__utf8_line(line, sizeof line, text, strlen(text)), e->n_tokens - 1, e->n_tokens,
                        e->n_tokens == 1 ? "; without m every row is explained" : "");
    e->import.n_prompt = (size_t)m;
    e->import.has_prompt = true;
    return HW_OK;
}

static hw_err read_texts(import_engine *e, hw_error *err) {
    const char *text = hw__safetensors_metadata(e->file, "tokens");
    if (!text) return HW_OK;
    hw_err rc = hw__json_parse(&e->tokens, text, strlen(text), err);
    if (rc != HW_OK) return hw__fail_in(err, rc, "the metadata's tokens");
    if (!json_is_array(e->tokens) || json_array_size(e->tokens) != e->n_tokens)
        return hw__fail(err, HW_ERR_FORMAT,
                        "the metadata's tokens must be a list of %zu strings, as many as the tensor has rows",
                        e->n_tokens);
    e->texts = hw__alloc(e->n_tokens, sizeof *e->texts);
    if (!e->texts) return hw__fail_memory(err, "token texts", e->n_tokens, sizeof *e->texts);
    for (size_t t = 0; t < e->n_tokens; t++) {
        const json_t *token = json_array_get(e->tokens, t);
        if (!json_is_string(token) || strlen(json_string_value(token)) != json_string_length(token))
            return hw__fail(err, HW_ERR_FORMAT, "the metadata's tokens: entry %zu is not a string without NUL", t);
        e->texts[t] = json_string_value(token);
    }
    e->import.texts = e->texts;
    return HW_OK;
}

/* "true" or "false"; *value is left as it is if there is no such metadata. */
static hw_err read_flag(bool *value, const import_engine *e, const char *key, hw_error *err) {
    const char *text = hw__safetensors_metadata(e->file, key);
    if (!text) return HW_OK;
    *value = strcmp(text, "true") == 0;
    if (*value || strcmp(text, "false") == 0) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "the metadata's %s must be \"true\" or \"false\"", key);
}

static hw_err fill_info(import_engine *e, const findings *f, const char *path, hw_error *err) {
    const char *name = hw__safetensors_metadata(e->file, "model");
    e->path = hw__strndup(path, strlen(path));
    e->layers = hw__alloc(e->n_layers, sizeof *e->layers);
    if (!e->path || !e->layers) return hw__fail_memory(err, "the list of layers", e->n_layers, sizeof *e->layers);
    for (size_t l = 0; l < e->n_layers; l++) e->layers[l] = (int32_t)l;
    e->info = (hw_model_info){
        .path = e->path,
        .engine = "import",
        .engine_version = "",
        .architecture = "",
        .name = name ? name : "",
        .quantisation = "",
        .metadata_sha256 = "",
        .sample_sha256 = "",
        .adapters = "",
        .device = "CPU",
        .problem = "",
        .values_problem = "an exported file holds attention weights only, not the values that they carry",
        .readout_problem = "an exported file holds attention weights only, not the output weights",
        .layers = e->layers,
        .n_layers = (int32_t)e->n_layers,
        .n_blocks = (int32_t)e->n_layers,
        .n_heads = (int32_t)e->n_heads,
        .n_heads_kv = (int32_t)e->n_heads,
        .n_ctx_train = (int32_t)e->n_tokens,
        .has_sinks = f->sinks,
        .host_rows = true,
        .row_error = f->row_error,
    };
    return HW_OK;
}

/* ------------------------------------------------------------------ operations */

static const hw_model_info *describe(const hw__engine *e) { return &((const import_engine *)e)->info; }

static hw_err unsupported(const char *what, hw_error *err) {
    return hw__fail(err, HW_ERR_UNSUPPORTED, "exported attention has no model behind it: it cannot %s", what);
}

static hw_err tokenize(hw__engine *e, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err) {
    (void)e, (void)out, (void)text, (void)n, (void)flags;
    return unsupported("tokenize text", err);
}

static hw_err piece(hw__engine *e, hw__piece *out, int32_t id, hw_error *err) {
    (void)e, (void)out, (void)id;
    return unsupported("name a token id", err);
}

static hw_err render(hw__engine *e, hw__written *out, const hw__chat *chat, hw_error *err) {
    (void)e, (void)out, (void)chat;
    return unsupported("apply a chat template", err);
}

static hw_err find_control(hw__engine *e, hw__control *out, const char *text, size_t n, size_t from, hw_error *err) {
    (void)e, (void)out, (void)text, (void)n, (void)from;
    return unsupported("find control tokens", err);
}

static hw_err begin(hw__engine *base, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err) {
    import_engine *e = self(base);
    if (n_tokens != e->n_tokens)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens requested, the exported attention has %zu", n_tokens,
                        e->n_tokens);
    e->n_done = 0;
    e->stop = stop;
    e->stop_ctx = stop_ctx;
    return HW_OK;
}

static size_t chunk(const hw__engine *e) { return ((const import_engine *)e)->n_tokens; }

/* Replays all T rows at once; ids are ignored and may be NULL. */
static hw_err decode(hw__engine *base, hw__token_batch batch, const hw__sink *sink, hw_error *err) {
    size_t n = batch.n, at = batch.at;
    import_engine *e = self(base);
    if (n != e->n_tokens || at != 0 || e->n_done != 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%zu tokens at %zu requested: exported attention shows all %zu at 0, once a run", n, at,
                        e->n_tokens);
    size_t n_head = e->n_tokens * e->n_tokens;
    for (size_t l = 0; l < e->n_layers; l++) {
        hw_err rc = read_layer(e, l, err);
        if (rc == HW_OK && e->attention->dtype == HW__BF16) scale_rows(e);
        hw__heads heads = {
            .attn = e->layer, .n_heads = e->n_heads, .n_rows = n, .n_keys = n, .head_stride = n_head, .row_stride = n};
        if (rc == HW_OK) rc = sink->rows(sink->ctx, l, &heads, err);
        if (rc != HW_OK) return rc;
    }
    e->n_done = n;
    return HW_OK;
}

static const float *logits(hw__engine *e, size_t i) {
    (void)e, (void)i;
    return NULL;
}

static hw_err sample(hw__engine *e, int32_t *out, size_t i, size_t step, const hw__sampling *sampling, hw_error *err) {
    (void)e, (void)out, (void)i, (void)step, (void)sampling;
    return unsupported("choose a token", err);
}

static hw_err values(hw__engine *e, hw__values *out, size_t layer, hw_error *err) {
    (void)e, (void)out, (void)layer;
    return unsupported("show what attention carries", err);
}

static hw_err readout(hw__engine *e, float *out, hw__readout *how, int32_t id, hw_error *err) {
    (void)e, (void)out, (void)how, (void)id;
    return unsupported("show how logits arise", err);
}

static void close_engine(hw__engine *base) {
    import_engine *e = self(base);
    hw__safetensors_close(e->file);
    json_decref(e->tokens);
    free(e->texts);
    free(e->layers);
    free(e->layer);
    free(e->path);
    free(e);
}

static const hw__engine_ops import_ops = {
    .describe = describe,
    .tokenize = tokenize,
    .piece = piece,
    .render = render,
    .find_control = find_control,
    .begin = begin,
    .chunk = chunk,
    .decode = decode,
    .logits = logits,
    .sample = sample,
    .values = values,
    .readout = readout,
    .close = close_engine,
};

/* ------------------------------------------------------------------ open */

static hw_err check_causal(const import_engine *e, const findings *f, hw_error *err) {
    if (f->causal || !f->must_be_causal) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT,
                    "layer %zu, head %zu, row %zu puts %g on column %zu, which comes after it, but m = %zu says that "
                    "tokens were generated one by one: drop m from the metadata to explain every row against every "
                    "column, or put causal = \"false\" into it if the prompt is read as a whole",
                    f->layer, f->head, f->q, f->weight, f->k, e->import.n_prompt);
}

static hw_err read_file(import_engine *e, const char *path, hw_error *err) {
    findings f = {.causal = true};
    hw_err rc = check_shape(e, err);
    if (rc == HW_OK) rc = read_prompt_length(e, err);
    if (rc == HW_OK) rc = read_texts(e, err);
    f.must_be_causal = e->import.has_prompt;
    if (rc == HW_OK) rc = read_flag(&f.sinks, e, "sinks", err);
    if (rc == HW_OK && e->import.has_prompt) rc = read_flag(&f.must_be_causal, e, "causal", err);
    if (rc != HW_OK) return rc;
    f.tolerance = e->attention->dtype == HW__BF16 ? BF16_TOLERANCE : HW_ROW_TOLERANCE;
    /* Cannot overflow: the file's size bounds t->n. */
    e->layer = hw__alloc(e->attention->n / e->n_layers, sizeof *e->layer);
    if (!e->layer)
        return hw__fail_memory(err, "one layer's attention", e->attention->n / e->n_layers, sizeof *e->layer);
    rc = check_weights(e, &f, err);
    if (rc == HW_OK) rc = check_causal(e, &f, err);
    if (rc != HW_OK) return rc;
    e->import.n_tokens = e->n_tokens;
    e->import.causal = f.causal;
    return fill_info(e, &f, path, err);
}

hw_err hw__engine_import_open(hw__engine **out, hw__input from, hw_error *err) {
    import_engine *e = hw__alloc(1, sizeof *e);
    if (!e) return hw__fail_memory(err, "an engine", 1, sizeof *e);
    e->base.ops = &import_ops;
    hw_err rc = hw__safetensors_read(&e->file, from, err);
    if (rc == HW_OK && (rc = read_file(e, from.path, err)) != HW_OK) hw__fail_in(err, rc, "%s", from.path);
    if (rc != HW_OK) {
        close_engine(&e->base);
        return rc;
    }
    *out = &e->base;
    return HW_OK;
}

const hw__import_info *hw__engine_import_info(const hw__engine *e) {
    assert(e->ops == &import_ops);
    return &((const import_engine *)e)->import;
}
