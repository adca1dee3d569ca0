/* fake_engine.c - a deterministic engine; it refuses what the real one refuses, so that callers keep the contract. */
#include "support/fake_engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    " the", " is",  " of",      "Russia", " Russia", " Rome", "Rome", " sunny", "sun",    "ny",
    "day",  " I",   " am",      " it",    "It",      "ing",   "er",   "\n\n",   "  ",     " a",
    "'s",   "city", "\xC3\xA9", "name",   " was",    " 2020", "rome", "hello",  " Hello",
};
enum { N_WORDS = sizeof words / sizeof *words, N_VOCAB = FAKE_WORDS + N_WORDS };

static const char *const control_names[] = {"<s>", "</s>", "<tool>"};

typedef struct fake_engine {
    hw__engine base;
    fake_params p;
    hw_model_info info;
    int32_t layers[64];
    int32_t *ids;                                         /* [room] the sequence */
    size_t n_ids, capacity, last_at, last_n, first_logit; /* of the last decode */
    float *kept;                                          /* [last_n - first_logit, V] */
    hw_stop_fn stop;
    void *stop_ctx;
    uint64_t dice;
    size_t n_decodes, longest, n_decoded, n_begins, n_tokenized;
} fake_engine;

static hw_err begin(hw__engine *base, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err);

static const hw_model_info *describe(const hw__engine *base) { return &((const fake_engine *)base)->info; }

/* ------------------------------------------------------------------ text and tokens */

static const char *token_text(int32_t id, size_t *n) {
    static const char bytes[256] = {
#define FOUR(b)    (char)(b), (char)((b) + 1), (char)((b) + 2), (char)((b) + 3)
#define SIXTEEN(b) FOUR(b), FOUR((b) + 4), FOUR((b) + 8), FOUR((b) + 12)
#define ROW(b)     SIXTEEN(b), SIXTEEN((b) + 16), SIXTEEN((b) + 32), SIXTEEN((b) + 48)
        ROW(0), ROW(64), ROW(128), ROW(192)};
    if (id < 256) return *n = 1, bytes + id;
    const char *text = id < FAKE_WORDS ? control_names[id - 256] : words[id - FAKE_WORDS];
    *n = strlen(text);
    return text;
}

/* The longest word at the front of `text`, else its first byte. */
static int32_t longest(const char *text, size_t n, size_t *taken) {
    int32_t best = (unsigned char)text[0];
    *taken = 1;
    for (int32_t id = FAKE_WORDS; id < N_VOCAB; id++) {
        size_t len;
        const char *word = token_text(id, &len);
        if (len > *taken && len <= n && memcmp(word, text, len) == 0) best = id, *taken = len;
    }
    return best;
}

static size_t char_length(const unsigned char *text, size_t n) {
    size_t len = text[0] < 0x80 ? 1 : text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : text[0] >= 0xC2 ? 2 : 0;
    if (len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    return len;
}

/* The text as this tokenizer reads it, malloc'd. */
static char *rewritten(const fake_engine *e, const char *text, size_t n, unsigned flags, size_t *n_out) {
    char *out = hw__alloc(3 * n + 2, 1);
    size_t at = 0;
    assert_non_null(out);
    if (e->p.puts_space && !(flags & HW__TOKENIZE_CONTINUES)) out[at++] = ' ';
    for (size_t i = 0; i < n;) {
        size_t len = e->p.replaces_bad ? char_length((const unsigned char *)text + i, n - i) : 1;
        memcpy(out + at, len ? text + i : "\xEF\xBF\xBD", len ? len : 3);
        if (e->p.lowers_case && text[i] >= 'A' && text[i] <= 'Z') out[at] = (char)(text[i] + 32);
        at += len ? len : 3;
        i += len ? len : 1;
    }
    *n_out = at;
    return out;
}

static hw_err tokenize(hw__engine *base, hw__tokens *out, const char *text, size_t n, unsigned flags, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    if (e->p.failure == FAKE_TOKENIZE) return hw__fail(err, HW_ERR_ENGINE, "the fake tokenizer fails");
    e->n_tokenized += n;
    size_t n_read, taken;
    char *read = n ? rewritten(e, text, n, flags, &n_read) : (n_read = 0, NULL);
    *out = (hw__tokens){.ids = hw__alloc(n_read + 2, sizeof(int32_t))};
    assert_non_null(out->ids);
    if (flags & HW__TOKENIZE_BOS && e->p.adds_bos) out->ids[out->n++] = FAKE_BOS;
    for (size_t at = 0; at < n_read; at += taken) out->ids[out->n++] = longest(read + at, n_read - at, &taken);
    if (flags & HW__TOKENIZE_BOS && e->p.adds_end) out->ids[out->n++] = FAKE_END;
    free(read);
    return HW_OK;
}

static hw_err piece(hw__engine *base, hw__piece *out, int32_t id, hw_error *err) {
    (void)base;
    if (id < 0 || id >= N_VOCAB)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, N_VOCAB - 1);
    const char *text = token_text(id, &out->n_bytes);
    memcpy(out->bytes, text, out->n_bytes);
    out->special = id >= FAKE_BOS && id < FAKE_WORDS;
    out->end = id == FAKE_END;
    return HW_OK;
}

static void append(hw__written *text, const char *bytes, size_t n) {
    text->bytes = hw__realloc(text->bytes, text->n + n + 1, 1);
    assert_non_null(text->bytes);
    if (n) memcpy(text->bytes + text->n, bytes, n);
    text->n += n;
    text->bytes[text->n] = 0;
}

/* Each message between the two parts; of the last, a model's turn follows the part after it. A source other than NULL
 * is written before all, for thinking "on" twice. */
static hw_err render(hw__engine *base, hw__written *out, const hw__chat *chat, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    if (!e->p.chat_before) return hw__fail(err, HW_ERR_UNSUPPORTED, "the fake model has no chat template");
    *out = (hw__written){0};
    for (int i = 0; chat->source && i < (chat->thinking == HW_THINKING_ON ? 2 : 1); i++)
        append(out, chat->source, strlen(chat->source));
    for (size_t i = 0; i < chat->n_messages; i++) {
        const hw_message *m = &chat->messages[i];
        size_t from = 0, to = m->content_bytes;
        while (e->p.chat_trims && from < to && strchr(" \n", m->content[from])) from++;
        while (e->p.chat_trims && to > from && strchr(" \n", m->content[to - 1])) to--;
        append(out, e->p.chat_before, strlen(e->p.chat_before));
        append(out, m->content + from, to - from);
        append(out, e->p.chat_after, strlen(e->p.chat_after));
    }
    return HW_OK;
}

static hw_err find_control(hw__engine *base, hw__control *out, const char *text, size_t n, size_t from, hw_error *err) {
    (void)base, (void)err;
    *out = (hw__control){0};
    for (size_t at = from; at < n; at++) {
        for (int32_t id = FAKE_BOS; id < FAKE_WORDS; id++) {
            size_t len;
            const char *name = token_text(id, &len);
            if (len > n - at || memcmp(text + at, name, len) != 0) continue;
            *out = (hw__control){.begin = at, .end = at + len, .id = id};
            return HW_OK;
        }
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ attention */

static double hashed_score(const fake_engine *e, size_t l, size_t h, size_t q, size_t k) {
    uint64_t x = mix(mix(mix(l) + h) + q) + k;
    return exp(4 * unit(mix(mix(mix(x) + (uint64_t)e->ids[q]) + (uint64_t)e->ids[k])));
}

static double weight(const fake_engine *e, size_t l, size_t h, size_t q, size_t k) {
    if (e->p.attention) return e->p.attention(e->p.ctx, l, h, q, k);
    double sum = 0;
    for (size_t c = 0; c <= q; c++) sum += hashed_score(e, l, h, q, c);
    return hashed_score(e, l, h, q, k) / sum;
}

static void spoil_row(const fake_engine *e, float *row, size_t h, size_t q) {
    bool last = h + 1 == (size_t)e->p.n_heads;
    double factor = 1;
    switch (e->p.failure) {
    case FAKE_NAN_WEIGHT: row[q / 2] = last ? NAN : row[q / 2]; break;
    case FAKE_NEGATIVE: row[q / 2] = last ? -row[q / 2] : row[q / 2]; break;
    case FAKE_ROW_SUM: factor = last ? 1.5 : 1; break;
    case FAKE_ROW_SHORT: factor = last ? 0.5 : 1; break;
    case FAKE_OPPOSED_SUMS: factor = h == 0 ? 1.5 : last ? 0.5 : 1; break;
    default: break;
    }
    for (size_t k = 0; k <= q; k++) row[k] = (float)(row[k] * factor);
}

static void fill_row(const fake_engine *e, float *row, size_t l, size_t h, size_t q, size_t n_keys) {
    for (size_t k = 0; k < n_keys; k++) row[k] = k <= q ? (float)((1 - e->p.sinks) * weight(e, l, h, q, k)) : 0;
    if (q == e->p.fail_at && l == e->p.fail_layer) spoil_row(e, row, h, q);
}

static hw_err show_layer(const fake_engine *e, size_t l, size_t at, size_t n, const hw__sink *sink, hw_error *err) {
    size_t n_keys = at + n + e->p.key_padding, row_stride = n_keys + e->p.row_gap;
    size_t head_stride = n * row_stride + e->p.head_gap, n_heads = (size_t)e->p.n_heads;
    float *attn = hw__alloc(n_heads * head_stride, sizeof *attn);
    assert_non_null(attn);
    for (size_t i = 0; i < n_heads * head_stride; i++) attn[i] = NAN;
    for (size_t h = 0; h < n_heads; h++)
        for (size_t q = 0; q < n; q++)
            fill_row(e, attn + h * head_stride + q * row_stride, l % (size_t)e->p.n_layers, h, at + q, n_keys);
    bool few = e->p.failure == FAKE_TOO_FEW_KEYS && at + n > e->p.fail_at;
    hw__heads heads = {.attn = attn,
                       .n_heads = n_heads,
                       .n_rows = n,
                       .n_keys = few ? at + n - 1 : n_keys,
                       .head_stride = head_stride,
                       .row_stride = row_stride,
                       .q0 = at};
    hw_err rc = sink->rows(sink->ctx, l, &heads, err);
    free(attn);
    return rc;
}

/* ------------------------------------------------------------------ decoding */

static hw_err begin(hw__engine *base, size_t n_tokens, hw_stop_fn stop, void *stop_ctx, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    if (n_tokens == 0 || n_tokens > (size_t)e->p.n_ctx)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu tokens do not fit into a context of %d", n_tokens, e->p.n_ctx);
    free(e->ids);
    e->ids = hw__alloc(n_tokens, sizeof *e->ids);
    assert_non_null(e->ids);
    e->n_ids = 0;
    e->n_begins++;
    e->capacity = n_tokens;
    e->stop = stop;
    e->stop_ctx = stop_ctx;
    return HW_OK;
}

static hw_err rewind_to(hw__engine *base, size_t n_tokens, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    if (n_tokens > e->n_ids) return hw__fail(err, HW_ERR_ARGUMENT, "rewind to %zu of %zu tokens", n_tokens, e->n_ids);
    if (e->p.failure == FAKE_NO_REWIND)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the fake model cannot forget its last tokens");
    if (e->p.failure == FAKE_REWIND) return hw__fail(err, HW_ERR_ENGINE, "the fake model fails to forget");
    e->n_ids = n_tokens;
    return HW_OK;
}

static hw_err resume(hw__engine *base, size_t *kept, const hw__sequence *sequence, hw_error *err) {
    const int32_t *ids = sequence->ids;
    size_t n = sequence->n, n_tokens = sequence->n_tokens;
    hw_stop_fn stop = sequence->stop;
    void *stop_ctx = sequence->stop_ctx;
    fake_engine *e = (fake_engine *)base;
    size_t shared = 0, n_old = e->n_ids;
    int32_t *old = e->ids;
    while (shared < n && shared < n_old && old[shared] == ids[shared]) shared++;
    if (e->p.failure == FAKE_NO_REWIND && shared < n_old) shared = 0;
    e->ids = NULL;
    hw_err rc = begin(base, n_tokens, stop, stop_ctx, err);
    e->n_begins--;
    if (rc == HW_OK) {
        memcpy(e->ids, old, shared * sizeof *old);
        e->n_ids = *kept = shared;
    }
    free(old);
    return rc;
}

/* Its cache is its tokens. */
static hw_err save(hw__engine *base, hw__cache *out, const int32_t *ids, size_t n, hw_error *err) {
    const fake_engine *e = (const fake_engine *)base;
    if (n != e->n_ids || memcmp(e->ids, ids, n * sizeof *ids) != 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the fake model has decoded other tokens");
    *out = (hw__cache){.bytes = hw__alloc(n, sizeof *ids), .n_bytes = n * sizeof *ids};
    assert_non_null(out->bytes);
    memcpy(out->bytes, ids, out->n_bytes);
    return HW_OK;
}

static hw_err restore(hw__engine *base, const hw__cache *cache, const int32_t *ids, size_t n, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    if (cache->n_bytes != n * sizeof *ids || memcmp(cache->bytes, ids, cache->n_bytes) != 0)
        return hw__fail(err, HW_ERR_FORMAT, "the cache is not that of %zu tokens", n);
    hw_err rc = begin(base, n, NULL, NULL, err);
    if (rc != HW_OK) return rc;
    memcpy(e->ids, ids, cache->n_bytes);
    e->n_ids = n;
    return HW_OK;
}

static size_t chunk(const hw__engine *base) { return ((const fake_engine *)base)->p.chunk; }

static hw_err check_decode(const fake_engine *e, const int32_t *ids, size_t n, size_t at, size_t first_logit,
                           hw_error *err) {
    if (n == 0 || n > e->p.chunk || at != e->n_ids || at + n > e->capacity || first_logit > n ||
        n - first_logit > HW__MAX_LOGITS)
        return hw__fail(err, HW_ERR_ARGUMENT, "decode of %zu tokens at %zu, logits from %zu: against the contract", n,
                        at, first_logit);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= N_VOCAB) return hw__fail(err, HW_ERR_ARGUMENT, "token id %d", ids[i]);
    return HW_OK;
}

void fake_logits(float *out, const int32_t *ids, size_t n) {
    uint64_t x = n;
    for (size_t i = 0; i < n; i++) x = mix(x + (uint64_t)ids[i]);
    for (int32_t id = 0; id < N_VOCAB; id++) out[id] = (float)(8 * unit(mix(x + (uint64_t)id)));
    out[FAKE_END] = -100;
}

void fake_follow(const void *ctx, float *out, const int32_t *ids, size_t n) {
    const fake_script *script = ctx;
    size_t i = n - script->n_prompt;
    fake_logits(out, ids, n);
    if (n >= script->n_prompt) out[i < script->n ? fake_id(script->texts[i]) : FAKE_END] = 16;
}

static void keep_logits(fake_engine *e) {
    size_t n = e->last_n - e->first_logit;
    free(e->kept);
    e->kept = hw__alloc(n * N_VOCAB, sizeof *e->kept);
    assert_non_null(e->kept);
    for (size_t i = 0; i < n; i++) {
        size_t n_seen = e->last_at + e->first_logit + i + 1;
        float *row = e->kept + i * N_VOCAB;
        if (e->p.logits) {
            e->p.logits(e->p.ctx, row, e->ids, n_seen);
        } else {
            fake_logits(row, e->ids, n_seen);
        }
        if (e->p.failure == FAKE_NAN_LOGIT && n_seen > e->p.fail_at) row[7] = NAN;
    }
}

static hw_err decode(hw__engine *base, hw__token_batch batch, const hw__sink *sink, hw_error *err) {
    const int32_t *ids = batch.ids;
    size_t n = batch.n, at = batch.at, first_logit = batch.first_logit;
    fake_engine *e = (fake_engine *)base;
    hw_err rc = check_decode(e, ids, n, at, first_logit, err);
    if (rc != HW_OK) return rc;
    e->n_decodes++;
    e->n_decoded += n;
    if (n > e->longest) e->longest = n;
    memcpy(e->ids + at, ids, n * sizeof *ids);
    if (e->p.failure == FAKE_DECODE && at + n > e->p.fail_at)
        return hw__fail(err, HW_ERR_ENGINE, "the fake decode fails at token %zu", at);
    size_t n_layers = (size_t)e->p.n_layers + (e->p.failure == FAKE_EXTRA_LAYER);
    for (size_t l = 0; sink && l < n_layers; l++) {
        if (e->stop && e->stop(e->stop_ctx)) return hw__fail(err, HW_ERR_CANCELLED, "stopped at token %zu", at);
        if ((rc = show_layer(e, l, at, n, sink, err)) != HW_OK) return rc;
    }
    e->n_ids = at + n;
    e->last_at = at;
    e->last_n = n;
    e->first_logit = first_logit;
    keep_logits(e);
    return HW_OK;
}

static const float *logits(hw__engine *base, size_t i) {
    fake_engine *e = (fake_engine *)base;
    if (e->p.failure == FAKE_NO_LOGITS && e->n_decodes > e->p.fail_at) return NULL;
    return i >= e->first_logit && i < e->last_n ? e->kept + (i - e->first_logit) * N_VOCAB : NULL;
}

static int32_t greediest(const float *values) {
    int32_t best = 0;
    for (int32_t id = 1; id < N_VOCAB; id++)
        if (values[id] > values[best]) best = id;
    return best;
}

/* Temperature only: enough to see that a seed is passed on and the generator started afresh. */
static hw_err sample(hw__engine *base, int32_t *out, size_t i, size_t step, const hw__sampling *s, hw_error *err) {
    fake_engine *e = (fake_engine *)base;
    const float *values = logits(base, i);
    if (!values) return hw__fail(err, HW_ERR_ARGUMENT, "row %zu of the last decode has no logits", i);
    *out = greediest(values);
    if (s->temperature <= 0) return HW_OK;
    e->dice = mix(step == 0 ? s->seed : e->dice);
    double sum = 0, top = values[*out], at = unit(e->dice);
    for (int32_t id = 0; id < N_VOCAB; id++) sum += exp((values[id] - top) / s->temperature);
    for (*out = 0; *out < N_VOCAB - 1; (*out)++)
        if ((at -= exp((values[*out] - top) / s->temperature) / sum) < 0) break;
    return HW_OK;
}

static void close_engine(hw__engine *base) {
    fake_engine *e = (fake_engine *)base;
    free(e->ids);
    free(e->kept);
    free(e);
}

/* ------------------------------------------------------------------ for tests */

fake_params fake_params_default(void) {
    return (fake_params){.n_layers = 3,
                         .n_heads = 2,
                         .chunk = 512,
                         .n_ctx = 4096,
                         .adds_bos = true,
                         .chat_before = "<tool>user\n",
                         .chat_after = "</s>\n<tool>model\n"};
}

hw_model *fake_model(const fake_params *params) {
    static const hw__engine_ops ops = {
        .describe = describe,
        .tokenize = tokenize,
        .piece = piece,
        .render = render,
        .find_control = find_control,
        .begin = begin,
        .rewind = rewind_to,
        .chunk = chunk,
        .decode = decode,
        .logits = logits,
        .sample = sample,
        .close = close_engine,
        .resume = resume,
        .save = save,
        .restore = restore,
    };
    fake_engine *e = hw__alloc(1, sizeof *e);
    hw_model *model = hw__alloc(1, sizeof *model); /* hw_model_close() frees it */
    assert_true(e && model && params->n_layers <= 64);
    e->base.ops = &ops;
    e->base.generates = true;
    e->p = *params;
    for (int32_t l = 0; l < params->n_layers; l++) e->layers[l] = l;
    e->info = (hw_model_info){.path = "fake.gguf",
                              .engine = "fake",
                              .engine_version = "",
                              .metadata_sha256 = params->fingerprint ? params->fingerprint : "",
                              .sample_sha256 = params->sample ? params->sample : "",
                              .problem = params->problem ? params->problem : "",
                              .values_problem = "the fake model shows no values",
                              .readout_problem = "the fake model has no readout",
                              .layers = e->layers,
                              .n_layers = params->n_layers,
                              .n_blocks = params->n_layers,
                              .n_heads = params->n_heads,
                              .n_params = 1000000,
                              .n_vocab = N_VOCAB,
                              .n_ctx_train = params->n_ctx,
                              .adds_bos = params->adds_bos,
                              .has_sinks = params->sinks > 0,
                              .has_chat_template = params->chat_before != NULL};
    model->engine = &e->base;
    model->params = hw_model_params_default();
    return model;
}

size_t fake_n_vocab(void) { return N_VOCAB; }

int32_t fake_id(const char *text) {
    for (int32_t id = 0; id < N_VOCAB; id++) {
        size_t n;
        const char *token = token_text(id, &n);
        if (n == strlen(text) && memcmp(token, text, n) == 0) return id;
    }
    fail_msg("the fake vocabulary has no \"%s\"", text);
    return -1;
}

size_t fake_n_decodes(const hw_model *model) { return ((const fake_engine *)model->engine)->n_decodes; }
size_t fake_longest_decode(const hw_model *model) { return ((const fake_engine *)model->engine)->longest; }
size_t fake_n_decoded(const hw_model *model) { return ((const fake_engine *)model->engine)->n_decoded; }
size_t fake_n_tokenized(const hw_model *model) { return ((const fake_engine *)model->engine)->n_tokenized; }
size_t fake_n_begins(const hw_model *model) { return ((const fake_engine *)model->engine)->n_begins; }

hw_run_params ask(const char *prompt, const char *completion, size_t n) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = strlen(prompt);
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    p.n_generate = n;
    return p;
}

hw_err fake_try(hw_trace **out, const fake_params *params, const hw_run_params *run, hw_error *err) {
    hw_model *model = fake_model(params);
    hw_err rc = hw_trace_capture(out, model, run, err);
    hw_model_close(model); /* the trace stands on its own */
    return rc;
}

hw_trace *fake_trace(const fake_params *params, const hw_run_params *run) {
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (fake_try(&trace, params, run, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}
