/*
 * text_size.c - three bounds, the cheapest first.
 *
 *     bytes > context x longest piece of the vocabulary     no tokens of this vocabulary cover so much text
 *     bytes x memory of the tokenizer > memory limit
 *     tokens of the parts, one by one > 2 x context         a part's last tokens may differ from those in the
 *                                                           whole text, so only a count far beyond the context is an
 *                                                           error
 */
#include "capture/text_size.h"

#include "base/child_work.h"

#include <stdio.h>
#include <stdlib.h>

/* Texts up to WHOLE_BYTES, or with so few bytes per token of the context that most fit, are tokenized at once. */
enum { PART_BYTES = 16 << 10, WHOLE_BYTES = 64 << 10, USUAL_PIECE = 4, MARGIN = 2 };

static hw_err check_bytes(const hw__text *text, const hw__text_limits *limits, const hw_run_params *params,
                          hw_error *err) {
    size_t max, held;
    if (hw__mul(&max, limits->n_ctx, limits->longest_piece) && text->n > max)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the %s has %zu bytes: the context of %zu tokens holds at most %zu, since no token of the "
                        "vocabulary is longer than %zu",
                        text->name, text->n, limits->n_ctx, max, limits->longest_piece);
    if (params->memory && (!hw__mul(&held, text->n, HW__TOKENIZER_BYTES) || held > params->memory))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the %s has %zu bytes: to tokenize it alone would take %.1f MiB, the limit is %.1f MiB",
                        text->name, text->n, (double)text->n * HW__TOKENIZER_BYTES / 1048576,
                        (double)params->memory / 1048576);
    return HW_OK;
}

/* Bytes of the part that begins at `at`; characters are not split. */
static size_t part_bytes(const hw__text *text, size_t at) {
    size_t n = text->n - at < PART_BYTES ? text->n - at : PART_BYTES;
    while (n < text->n - at && n > PART_BYTES - 4 && ((unsigned char)text->bytes[at + n] & 0xC0) == 0x80) n--;
    return n;
}

static hw_err check_tokens(hw__engine *engine, const hw__text *text, size_t n_ctx, const hw_run_params *params,
                           hw_error *err) {
    size_t n_tokens = 0;
    for (size_t at = 0, n; at < text->n; at += n) {
        hw__tokens part = {0};
        if (params->stop && params->stop(params->ctx))
            return hw__fail(err, HW_ERR_CANCELLED, "stopped while the %s was tokenized", text->name);
        n = part_bytes(text, at);
        hw_err rc = engine->ops->tokenize(engine, &part, text->bytes + at, n, 0, err);
        if (rc != HW_OK) return rc;
        free(part.ids);
        n_tokens += part.n;
        if (n_tokens / MARGIN > n_ctx)
            return hw__fail(err, HW_ERR_ARGUMENT,
                            "the %s has %zu bytes: the first %zu alone are about %zu tokens, the context has %zu",
                            text->name, text->n, at + n, n_tokens, n_ctx);
    }
    return HW_OK;
}

hw_err hw__text_check(hw__engine *engine, const hw__text *text, const hw_run_params *params, hw_error *err) {
    hw__text_limits limits;
    if (!engine->ops->text_limits || text->n <= WHOLE_BYTES) return HW_OK;
    hw_err rc = engine->ops->text_limits(engine, &limits, err);
    if (rc == HW_OK) rc = check_bytes(text, &limits, params, err);
    if (rc != HW_OK || text->n / USUAL_PIECE <= limits.n_ctx) return rc;
    return check_tokens(engine, text, limits.n_ctx, params, err);
}

/* ------------------------------------------------------------------ tokens */

/* Limits of the child: far above what tokenizers take. */
static const size_t CHILD_BYTES = (size_t)256 << 20, CHILD_BYTES_PER_BYTE = 1024;
enum { CHILD_SECONDS = 3600 };

typedef struct reading {
    hw__engine *engine;
    const hw__text *text;
    unsigned flags;
} reading;

static hw_err read_here(char **bytes, size_t *n, void *ctx, hw_error *err) {
    const reading *r = ctx;
    hw__tokens tokens;
    hw_err rc = r->engine->ops->tokenize(r->engine, &tokens, r->text->bytes, r->text->n, r->flags, err);
    if (rc != HW_OK) return rc;
    *bytes = (char *)tokens.ids;
    *n = tokens.n * sizeof *tokens.ids;
    return HW_OK;
}

hw_err hw__text_tokens(hw__tokens *out, hw__engine *engine, const hw__text *text, unsigned flags,
                       const hw_run_params *params, hw_error *err) {
    if (text->n <= WHOLE_BYTES || !params->stop)
        return engine->ops->tokenize(engine, out, text->bytes, text->n, flags, err);
    char what[64], *bytes;
    size_t n, memory;
    if (!hw__mul(&memory, text->n, CHILD_BYTES_PER_BYTE) || !hw__add(&memory, memory, CHILD_BYTES))
        memory = SIZE_MAX / 2;
    snprintf(what, sizeof what, "the %s cannot be tokenized", text->name);
    const hw__child_limits limits = {what, CHILD_SECONDS, memory, SIZE_MAX / 2, params->stop, params->ctx};
    reading r = {engine, text, flags};
    hw_err rc = hw__child_work(&bytes, &n, &limits, read_here, &r, err);
    if (rc != HW_OK) return rc;
    *out = (hw__tokens){.ids = (int32_t *)(void *)bytes, .n = n / sizeof *out->ids};
    return HW_OK;
}
