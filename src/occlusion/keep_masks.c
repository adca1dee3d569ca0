/* keep_masks.c - a list of masks, scored in the order of segments by their first token in the prompt. */
#include "occlusion/keep_masks.h"

#include "base/splitmix64.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct hw__masks {
    hw__masked_pass *masked_pass;
    const int32_t *groups; /* [m] or NULL */
    size_t n_segments, n_prompt, n_completion;
    bool *movable;    /* [n_segments] can be left out */
    size_t *by_begin; /* [n_segments] segments by their first token */
    bool fixed;       /* some token is part of every mask */
    size_t n, capacity, n_scored;
    bool *keep;      /* [n, n_segments] */
    double *logprob; /* [n, n_completion] */
    bool *scored;    /* [n] */
    bool *tokens;    /* [n_prompt] scratch: the mask being scored, token by token */
};

static ptrdiff_t segment_of(const hw__masks *s, size_t t) { return s->groups ? s->groups[t] : (ptrdiff_t)t; }

/* ------------------------------------------------------------------ making one */

/* Finds the segments that can be left out and the order of segments; those without tokens come last. */
static void look_at_segments(hw__masks *s, bool *listed) {
    size_t n = 0;
    for (size_t t = 0; t < s->n_prompt; t++) {
        ptrdiff_t k = segment_of(s, t);
        bool movable = k >= 0 && hw__masked_pass_movable(s->masked_pass, t);
        if (movable) s->movable[k] = true;
        if (!movable) s->fixed = true;
        if (k < 0 || listed[k]) continue;
        listed[k] = true;
        s->by_begin[n++] = (size_t)k;
    }
    for (size_t k = 0; k < s->n_segments; k++)
        if (!listed[k]) s->by_begin[n++] = k;
}

hw_err hw__masks_new(hw__masks **out, hw__masked_pass *masked_pass, const int32_t *groups, size_t n_segments,
                     hw_error *err) {
    if (n_segments > HW__MAX_SEGMENTS)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "%zu segments to leave out, at most %d are accepted: split it into larger segments, such as sentences",
            n_segments, HW__MAX_SEGMENTS);
    hw__masks *s = hw__alloc(1, sizeof *s);
    bool *listed = hw__alloc(n_segments, sizeof *listed);
    hw_err rc = s && listed ? HW_OK : hw__fail_memory(err, "masks", n_segments, 1);
    if (rc == HW_OK) {
        *s = (hw__masks){.masked_pass = masked_pass, .groups = groups, .n_segments = n_segments};
        hw__masked_pass_size(masked_pass, &s->n_prompt, &s->n_completion);
        s->movable = hw__alloc(n_segments, sizeof *s->movable);
        s->by_begin = hw__alloc(n_segments, sizeof *s->by_begin);
        s->tokens = hw__alloc(s->n_prompt, sizeof *s->tokens);
        if (!s->movable || !s->by_begin || !s->tokens)
            rc = hw__fail_memory(err, "masks", s->n_prompt, sizeof *s->by_begin);
    }
    if (rc == HW_OK) {
        look_at_segments(s, listed);
        *out = s;
    } else {
        hw__masks_free(s);
    }
    free(listed);
    return rc;
}

void hw__masks_free(hw__masks *s) {
    if (!s) return;
    free(s->movable);
    free(s->by_begin);
    free(s->keep);
    free(s->logprob);
    free(s->scored);
    free(s->tokens);
    free(s);
}

bool hw__masks_movable(const hw__masks *s, size_t segment) { return s->movable[segment]; }

size_t hw__masks_n_movable(const hw__masks *s) {
    size_t n = 0;
    for (size_t k = 0; k < s->n_segments; k++) n += s->movable[k];
    return n;
}

bool hw__masks_leaves_some(const hw__masks *s, const bool *keep) {
    bool some = s->fixed;
    for (size_t k = 0; k < s->n_segments && !some; k++) some = keep[k] && s->movable[k];
    return some;
}

/* ------------------------------------------------------------------ adding */

static hw_err reserve(hw__masks *s, hw_error *err) {
    if (s->n < s->capacity) return HW_OK;
    size_t capacity = s->capacity ? 2 * s->capacity : 64;
    bool *keep = hw__realloc(s->keep, capacity, s->n_segments * sizeof *keep);
    if (keep) s->keep = keep;
    double *logprob = hw__realloc(s->logprob, capacity, s->n_completion * sizeof *logprob);
    if (logprob) s->logprob = logprob;
    bool *scored = hw__realloc(s->scored, capacity, sizeof *scored);
    if (scored) s->scored = scored;
    if (!keep || !logprob || !scored)
        return hw__fail_memory(err, "masks", capacity, s->n_segments + s->n_completion * sizeof *logprob);
    s->capacity = capacity;
    return HW_OK;
}

hw_err hw__masks_add(hw__masks *s, size_t *index, const bool *keep, hw_error *err) {
    hw_err rc = reserve(s, err);
    if (rc != HW_OK) return rc;
    bool *added = s->keep + s->n * s->n_segments;
    for (size_t k = 0; k < s->n_segments; k++) added[k] = keep[k] || !s->movable[k];
    for (*index = 0; *index < s->n; ++*index)
        if (memcmp(s->keep + *index * s->n_segments, added, s->n_segments) == 0) return HW_OK;
    s->scored[s->n++] = false;
    return HW_OK;
}

hw_err hw__masks_add_random(hw__masks *s, size_t *index, uint64_t *state, hw_error *err) {
    assert(s->fixed || hw__masks_n_movable(s) > 0);
    bool keep[HW__MAX_SEGMENTS];
    do {
        for (size_t k = 0; k < s->n_segments; k++) keep[k] = hw__random_bits(state) >> 63;
    } while (!hw__masks_leaves_some(s, keep));
    return hw__masks_add(s, index, keep, err);
}

hw_err hw__masks_add_without_each(hw__masks *s, size_t *whole, size_t *without, hw_error *err) {
    bool keep[HW__MAX_SEGMENTS];
    for (size_t k = 0; k < s->n_segments; k++) keep[k] = true;
    hw_err rc = hw__masks_add(s, whole, keep, err);
    for (size_t k = 0; k < s->n_segments && rc == HW_OK; k++) {
        keep[k] = false;
        rc = hw__masks_add(s, &without[k], keep, err);
        keep[k] = true;
    }
    return rc;
}

const bool *hw__masks_keep(const hw__masks *s, size_t index) { return s->keep + index * s->n_segments; }

/* ------------------------------------------------------------------ scoring */

typedef struct place {
    const hw__masks *masks;
    size_t index;
} place;

/* Compares masks segment by segment, kept before left out: neighbours then share the longest prefixes, and leaving out
 * single segments proceeds from the last to the first. */
static int by_prefix(const void *a, const void *b) {
    const place *x = a, *y = b;
    const bool *kx = hw__masks_keep(x->masks, x->index), *ky = hw__masks_keep(y->masks, y->index);
    for (size_t i = 0; i < x->masks->n_segments; i++) {
        size_t k = x->masks->by_begin[i];
        if (kx[k] != ky[k]) return kx[k] ? -1 : 1;
    }
    return 0;
}

static hw_err score_one(hw__masks *s, size_t index, hw_error *err) {
    const bool *keep = hw__masks_keep(s, index);
    for (size_t t = 0; t < s->n_prompt; t++) {
        ptrdiff_t k = segment_of(s, t);
        s->tokens[t] = k < 0 || keep[k];
    }
    hw_err rc = hw__masked_pass_score(s->masked_pass, s->tokens, s->logprob + index * s->n_completion, err);
    s->scored[index] = rc == HW_OK;
    s->n_scored += rc == HW_OK;
    return rc;
}

hw_err hw__masks_score(hw__masks *s, hw_progress_fn progress, void *ctx, hw_error *err) {
    place *order = hw__alloc(s->n, sizeof *order);
    if (!order) return hw__fail_memory(err, "masks", s->n, sizeof *order);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!s->scored[i]) order[n++] = (place){s, i};
    qsort(order, n, sizeof *order, by_prefix);
    hw_err rc = HW_OK;
    for (size_t i = 0; i < n && rc == HW_OK; i++) {
        rc = score_one(s, order[i].index, err);
        if (rc == HW_OK && progress) progress(ctx, HW_STAGE_EXPLAIN, s->n_scored, s->n);
    }
    free(order);
    return rc;
}

const double *hw__masks_logprob(const hw__masks *s, size_t index) {
    assert(s->scored[index]);
    return s->logprob + index * s->n_completion;
}

hw_err hw__masked_pass_method_begin(hw__masked_pass **masked_pass, hw__masks **masks, hw_attribution *a,
                                    const hw_method_params *p, hw_error *err) {
    if (!p->model)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "method %s runs the model again, and none was given: it needs the model that made the run, which a "
            "saved trace does not hold",
            a->method);
    if (p->columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "method %s leaves out parts of the prompt only: the completion's columns cannot be asked for",
                        a->method);
    a->params.row = HW_ROW_PREDICTOR; /* a probability is computed at the row that predicts the token */
    hw_err rc = hw__masked_pass_new(masked_pass, p->model, a->run, p->stop, p->ctx, err);
    return rc == HW_OK ? hw__masks_new(masks, *masked_pass, a->groups, a->n_columns, err) : rc;
}
