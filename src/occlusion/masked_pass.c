/*
 * masked_pass.c - decodes one sequence after another, each from the first token that differs from the previous one.
 *
 *     kept prompt tokens [c] ++ completion [n - 1]     row c - 1 + i gives log p of completion token i
 *
 * The row that predicts the first completion token is always decoded: the engine keeps logits of its last decode only.
 */
#include "occlusion/masked_pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hw__masked_pass {
    hw__engine *engine;
    const hw_run *run;
    hw_stop_fn stop;
    void *stop_ctx;
    int32_t *done; /* [T] capacity; the n_done tokens that the engine has decoded */
    int32_t *next; /* [T] capacity; the n_next tokens to decode */
    size_t n_done, n_next;
    bool begun; /* the engine's sequence is the one in `done` */
    size_t n_passes, n_decoded;
};

/* ------------------------------------------------------------------ opening */

static hw_err check_run(const hw_run *run, const hw_model_info *info, hw_error *err) {
    if (run->n_prompt == 0 || hw_run_n_completion(run) == 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the run has %zu prompt and %zu completion tokens: running it again needs both", run->n_prompt,
                        hw_run_n_completion(run));
    if (run->model.n_vocab != info->n_vocab || !hw__same_model(&run->model, info))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the run was made by another model (%s) than %s: its tokens mean something else there",
                        run->model.path, info->path);
    for (size_t t = 0; t < run->n_tokens; t++)
        if (run->tokens[t].id < 0 || run->tokens[t].id >= info->n_vocab)
            return hw__fail(err, HW_ERR_UNSUPPORTED,
                            "token %zu has no id in the vocabulary: an import cannot be run again", t);
    return HW_OK;
}

hw_err hw__masked_pass_new(hw__masked_pass **out, hw_model *model, const hw_run *run, hw_stop_fn stop, void *stop_ctx,
                           hw_error *err) {
    hw_err rc = check_run(run, hw_model_describe(model), err);
    if (rc != HW_OK) return rc;
    hw__masked_pass *r = hw__alloc(1, sizeof *r);
    if (!r) return hw__fail_memory(err, "passes of the model", 1, sizeof *r);
    *r = (hw__masked_pass){.engine = model->engine, .run = run, .stop = stop, .stop_ctx = stop_ctx};
    r->done = hw__alloc(run->n_tokens, sizeof *r->done);
    r->next = hw__alloc(run->n_tokens, sizeof *r->next);
    if (!r->done || !r->next) {
        hw__masked_pass_free(r);
        return hw__fail_memory(err, "passes of the model", 2 * run->n_tokens, sizeof *r->next);
    }
    *out = r;
    return HW_OK;
}

void hw__masked_pass_free(hw__masked_pass *r) {
    if (!r) return;
    free(r->done);
    free(r->next);
    free(r);
}

void hw__masked_pass_size(const hw__masked_pass *r, size_t *n_prompt, size_t *n_completion) {
    *n_prompt = r->run->n_prompt;
    *n_completion = hw_run_n_completion(r->run);
}

bool hw__masked_pass_movable(const hw__masked_pass *r, size_t t) {
    hw_role role = r->run->tokens[t].role;
    return t < r->run->n_prompt && (role == HW_ROLE_PROMPT || role == HW_ROLE_THINKING);
}
size_t hw__masked_pass_n_passes(const hw__masked_pass *r) { return r->n_passes; }
size_t hw__masked_pass_n_decoded(const hw__masked_pass *r) { return r->n_decoded; }

/* ------------------------------------------------------------------ probabilities */

/* Natural log of the softmax of logits [n] at `id`; NaN if a logit is NaN or none is finite. The other terms are summed
 * without `id`, so that 1 - p stays accurate for a probability near 1. */
static double log_softmax(const float *logits, size_t n, size_t id) {
    double top = -INFINITY, others = 0;
    for (size_t i = 0; i < n; i++) top = logits[i] > top ? logits[i] : top;
    if (!isfinite(top)) return NAN;
    for (size_t i = 0; i < n; i++)
        if (i != id) others += expf((float)(logits[i] - top));
    double own = logits[id] - top;
    return own == 0 ? -log1p(others) : own - log(others + exp(own)); /* NaN propagates through `others` or `own` */
}

double hw__logit(double logprob) {
    static const double nearest = -1e-12; /* a log probability closer to 0 than this is a rounding error */
    double capped = logprob < nearest ? logprob : nearest;
    return capped - log(-expm1(capped));
}

/* ------------------------------------------------------------------ one pass */

/* Builds the next sequence; returns the number of prompt tokens in it. */
static size_t lay_out(hw__masked_pass *r, const bool *keep) {
    size_t kept = 0, m = r->run->n_prompt, total = r->run->n_tokens;
    for (size_t t = 0; t < m; t++)
        if (keep[t] || !hw__masked_pass_movable(r, t)) r->next[kept++] = r->run->tokens[t].id;
    r->n_next = kept;
    for (size_t t = m; t + 1 < total; t++) r->next[r->n_next++] = r->run->tokens[t].id;
    return kept;
}

/* Cuts the engine's sequence to the first `n` tokens of the next one, or to none if the engine cannot rewind. */
static hw_err go_back(hw__masked_pass *r, size_t n, hw_error *err) {
    if (r->begun && r->engine->ops->rewind && n > 0) {
        hw_err rc = r->engine->ops->rewind(r->engine, n, err);
        if (rc == HW_OK) r->n_done = n;
        if (rc != HW_ERR_UNSUPPORTED) return rc; /* recurrent models cannot rewind: they start again */
    }
    r->begun = false;
    r->n_done = 0;
    hw_err rc = r->engine->ops->begin(r->engine, r->run->n_tokens, r->stop, r->stop_ctx, err);
    r->begun = rc == HW_OK;
    return rc;
}

/* Length of the common prefix of the next sequence and the engine's, without its last prompt token. */
static size_t shared_front(const hw__masked_pass *r, size_t kept) {
    size_t n = 0;
    while (n < r->n_done && n + 1 < kept && r->done[n] == r->next[n]) n++;
    return n;
}

/* Decodes the next chunk and reads the log probabilities of completion tokens from its rows into logprob [n]. */
static hw_err decode_chunk(hw__masked_pass *r, size_t kept, double *logprob, hw_error *err) {
    size_t at = r->n_done, n_take = r->n_next - at, chunk = r->engine->ops->chunk(r->engine);
    if (n_take > chunk) n_take = chunk;
    size_t first = at + 1 < kept ? kept - 1 - at : 0; /* first row of this chunk that predicts a completion token */
    if (n_take > first + HW__MAX_LOGITS) n_take = first + HW__MAX_LOGITS;
    if (first > n_take) first = n_take;
    hw_err rc = r->engine->ops->decode(r->engine, (hw__token_batch){r->next + at, n_take, at, first}, NULL, err);
    if (rc != HW_OK) return rc;
    memcpy(r->done + at, r->next + at, n_take * sizeof *r->done);
    r->n_done += n_take;
    r->n_decoded += n_take;
    size_t n_vocab = (size_t)r->run->model.n_vocab;
    for (size_t row = first; row < n_take; row++) {
        size_t i = at + row + 1 - kept;
        const float *logits = r->engine->ops->logits(r->engine, row);
        double v = logits ? log_softmax(logits, n_vocab, (size_t)r->run->tokens[r->run->n_prompt + i].id) : NAN;
        if (isnan(v))
            return hw__fail(err, HW_ERR_ENGINE, "the model's logits for completion token %zu are not numbers", i);
        logprob[i] = v > HW__LOGPROB_FLOOR ? v : HW__LOGPROB_FLOOR;
    }
    return HW_OK;
}

hw_err hw__masked_pass_score(hw__masked_pass *r, const bool *keep, double *logprob, hw_error *err) {
    size_t kept = lay_out(r, keep);
    if (kept == 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "with all of it left out no token of the prompt remains, and the completion's first token "
                        "needs one before it: cut the prompt into smaller segments");
    r->n_passes++;
    hw_err rc = go_back(r, shared_front(r, kept), err);
    while (rc == HW_OK && r->n_done < r->n_next) {
        if (r->stop && r->stop(r->stop_ctx))
            return hw__fail(err, HW_ERR_CANCELLED, "stopped in forward pass %zu", r->n_passes);
        rc = decode_chunk(r, kept, logprob, err);
    }
    if (rc != HW_OK) r->begun = false; /* the engine's sequence is unknown now */
    return rc;
}

/* ------------------------------------------------------------------ writing again */

/* Decodes r->next to its end; keeps the logits of the last row, *row of the last decode. */
static hw_err decode_rest(hw__masked_pass *r, size_t *row, hw_error *err) {
    size_t chunk = r->engine->ops->chunk(r->engine);
    while (r->n_done < r->n_next) {
        size_t at = r->n_done, n_take = r->n_next - at < chunk ? r->n_next - at : chunk;
        if (r->stop && r->stop(r->stop_ctx))
            return hw__fail(err, HW_ERR_CANCELLED, "stopped while it was written again");
        hw_err rc =
            r->engine->ops->decode(r->engine, (hw__token_batch){r->next + at, n_take, at, n_take - 1}, NULL, err);
        if (rc != HW_OK) return rc;
        memcpy(r->done + at, r->next + at, n_take * sizeof *r->done);
        r->n_done += n_take;
        r->n_decoded += n_take;
        *row = n_take - 1;
    }
    return HW_OK;
}

/* Appends the most likely next token to r->next; *ended: it is an end-of-text token. */
static hw_err write_token(hw__masked_pass *r, int32_t *id, bool *ended, size_t step, hw_error *err) {
    static const hw__sampling greedy = {.top_p = 1};
    size_t row = 0;
    hw__piece piece;
    hw_err rc = decode_rest(r, &row, err);
    if (rc == HW_OK) rc = r->engine->ops->sample(r->engine, id, row, step, &greedy, err);
    if (rc == HW_OK) rc = r->engine->ops->piece(r->engine, &piece, *id, err);
    if (rc != HW_OK) return rc;
    *ended = piece.end;
    if (!piece.end && r->n_next < r->run->n_tokens) r->next[r->n_next++] = *id;
    return HW_OK;
}

hw_err hw__masked_pass_write(hw__masked_pass *r, const bool *keep, int32_t *ids, size_t *n, hw_error *err) {
    size_t kept = lay_out(r, keep), written = 0;
    bool ended = false;
    if (kept == 0) return hw__fail(err, HW_ERR_ARGUMENT, "with all of it left out no token of the prompt remains");
    r->n_next = kept;
    r->n_passes++;
    hw_err rc = go_back(r, shared_front(r, kept), err);
    while (rc == HW_OK && !ended && written < hw_run_n_completion(r->run)) {
        rc = write_token(r, &ids[written], &ended, written, err);
        if (rc == HW_OK && !ended) written++;
    }
    if (rc != HW_OK) r->begun = false;
    *n = written;
    return rc;
}
