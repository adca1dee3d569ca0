/*
 * faithfulness.c - hw_check: how much less likely an answer becomes without the segments that an explanation ranks
 * high.
 *
 *     given attributions, baselines -> scores of segments -> masks -> forward passes -> figures -> verdict
 *
 * Every figure of every method is computed from one set of masks, each run once. Random masks have their own random
 * stream, so that an ablation with the same seed is not judged on the masks it was fitted to.
 */
#include "base/error.h"
#include "base/sized.h"
#include "base/splitmix64.h"
#include "evaluate/verdict.h"
#include "math/spearman.h"
#include "methods/method.h"
#include "occlusion/keep_masks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_DROPS = 3, N_SHARES = 5, MAX_ABLATIONS = 100000, N_RANDOM = 300 /* draws of random scores */ };
static const size_t drop_sizes[N_DROPS] = {1, 3, 5};
static const double shares[N_SHARES] = {0.01, 0.05, 0.10, 0.20, 0.50};
static const char *const baselines[] = {"random", "uniform", "attention"};
static const char leave_one_out[] = "leave-one-out";
enum { N_BASELINES = sizeof baselines / sizeof *baselines };

/* XORed with the seed; any two constants other than 0. */
static const uint64_t MASK_STREAM = 0x6865616477617465u, SCORE_STREAM = 0x72616e646f6d6c79u;
static const size_t NO_MASK = SIZE_MAX, NO_SEGMENT = SIZE_MAX;

struct hw_check {
    hw_check_row *rows; /* [n] */
    size_t n;
    double base;
    size_t n_passes;
    bool *masks_kept; /* [n_cuts, n_segments] */
    double *logits;   /* [n_cuts] */
    size_t n_cuts, n_segments;
    char verdict[512];
};

/* One method that is checked. */
typedef struct subject {
    const char *name;
    size_t n_passes;
    double *scores; /* [n_segments] */
    size_t *order;  /* [n_segments] by descending score */
    /* Indices of masks, or NO_MASK. */
    size_t drop[N_DROPS], without[N_SHARES], only[N_SHARES];
} subject;

typedef struct work {
    const hw_check_params *p;
    const hw_trace *trace;
    const int32_t *groups; /* [m] */
    size_t n_segments, row_begin, row_end;
    hw__masked_pass *masked_pass;
    hw__masks *masks;
    subject *subjects; /* [n_subjects], capacity for all */
    size_t n_subjects;
    size_t whole, *alone; /* masks: all segments; [n_segments] all but one */
    size_t *random;       /* [n_ablations] masks */
    double *x, *y;        /* [n_ablations] of the LDS: summed scores (scratch) and logits */
    bool *keep;           /* [n_segments] scratch */
    double *scores;       /* [n_segments] scratch */
} work;

void hw_check_params_init(hw_check_params *params, size_t size) {
    const hw_check_params defaults = {.size = sizeof defaults, .n_ablations = 64};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

/* ------------------------------------------------------------------ what is asked */

static bool same_run(const hw_run *a, const hw_run *b) {
    if (a == b) return true;
    if (a->n_tokens != b->n_tokens || a->n_prompt != b->n_prompt) return false;
    for (size_t t = 0; t < a->n_tokens; t++)
        if (a->tokens[t].id != b->tokens[t].id) return false;
    return true;
}

static hw_err check_attribution(const work *w, const hw_attribution *a, size_t i, hw_error *err) {
    if (!same_run(a->run, w->trace->run))
        return hw__fail(err, HW_ERR_ARGUMENT, "attribution %zu (%s) explains another run than the trace's", i,
                        a->method);
    if (a->n_columns != w->n_segments)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "attribution %zu (%s) has %zu columns and there are %zu segments: explain with the segments as groups", i,
            a->method, a->n_columns, w->n_segments);
    return HW_OK;
}

static hw_err check_request(work *w, const hw_segments *segments, const hw_attribution *const *list, size_t n,
                            hw_error *err) {
    const hw_run *run = w->trace->run;
    size_t n_groups, n_rows = hw_run_n_completion(run);
    w->groups = hw_segments_groups(segments, &n_groups);
    w->n_segments = hw_segments_count(segments);
    w->row_begin = w->p->row_begin;
    w->row_end = w->p->row_begin == 0 && w->p->row_end == 0 ? n_rows : w->p->row_end;
    if (n_groups != run->n_prompt)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "the segments are of %zu tokens, the prompt has %zu: segments of this run's prompt are judged",
                        n_groups, run->n_prompt);
    if (w->n_segments < 2)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "%zu segment: with fewer than 2 there is nothing to rank (split the prompt into smaller segments)",
            w->n_segments);
    if (n_rows > 0 && (w->row_begin >= w->row_end || w->row_end > n_rows))
        return hw__fail(err, HW_ERR_ARGUMENT, "completion tokens %zu..%zu requested, the completion has 0..%zu",
                        w->row_begin, w->row_end, n_rows);
    if (w->p->n_ablations > MAX_ABLATIONS)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu ablations: at most %d are accepted", w->p->n_ablations,
                        MAX_ABLATIONS);
    hw_err rc = HW_OK;
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = check_attribution(w, list[i], i, err);
    return rc;
}

/* ------------------------------------------------------------------ subjects */

static hw_err add_subject(work *w, const char *name, size_t n_passes, hw_error *err) {
    subject *s = &w->subjects[w->n_subjects];
    *s = (subject){.name = name, .n_passes = n_passes};
    s->scores = hw__alloc(w->n_segments, sizeof *s->scores);
    s->order = hw__alloc(w->n_segments, sizeof *s->order);
    w->n_subjects++;
    return s->scores && s->order ? HW_OK
                                 : hw__fail_memory(err, "scores of segments", w->n_segments, 2 * sizeof *s->scores);
}

/* A segment's score: the mean over the checked rows and all layers, with its sign. */
static hw_err add_attribution(work *w, const hw_attribution *a, hw_error *err) {
    hw_err rc = add_subject(w, a->method, hw_attribution_n_passes(a), err);
    double *scores = w->subjects[w->n_subjects - 1].scores;
    for (size_t k = 0; k < w->n_segments && rc == HW_OK; k++) {
        double sum = 0;
        for (size_t i = w->row_begin; i < w->row_end; i++)
            for (size_t l = 0; l < a->n_layers; l++) sum += a->values[(i * a->n_columns + k) * a->n_layers + l];
        scores[k] = sum / (double)((w->row_end - w->row_begin) * a->n_layers);
    }
    return rc;
}

static subject *find_subject(const work *w, const char *name) {
    for (size_t i = 0; i < w->n_subjects; i++)
        if (strcmp(w->subjects[i].name, name) == 0) return &w->subjects[i];
    return NULL;
}

static hw_err add_baselines(work *w, hw_error *err) {
    hw_method_params params = hw_method_params_default();
    params.groups = w->groups;
    params.n_groups = w->n_segments;
    params.seed = w->p->seed;
    hw_err rc = HW_OK;
    for (size_t i = 0; i < N_BASELINES && rc == HW_OK; i++) {
        hw_attribution *a = NULL;
        if (find_subject(w, baselines[i])) continue;
        if (!hw_run_model(hw_trace_run(w->trace))->n_layers && hw_method_find(baselines[i])->rows != HW_ROWS_NONE)
            continue; /* attention weights, of a model that has none */
        rc = hw_explain(&a, w->trace, baselines[i], &params, err);
        if (rc == HW_OK) rc = add_attribution(w, a, err);
        hw_attribution_free(a);
    }
    return rc;
}

/* log p of the checked tokens together under a scored mask. */
static double logprob_of(const work *w, size_t mask) {
    const double *logprob = hw__masks_logprob(w->masks, mask);
    double sum = 0;
    for (size_t i = w->row_begin; i < w->row_end; i++) sum += logprob[i];
    return sum;
}

static double fall(const work *w, size_t mask) {
    return mask == NO_MASK ? NAN : logprob_of(w, w->whole) - logprob_of(w, mask);
}

/* Leave-one-out, from masks that are already scored. */
static hw_err add_leave_one_out(work *w, hw_error *err) {
    hw_err rc = add_subject(w, leave_one_out, hw__masks_n_movable(w->masks), err);
    double *scores = w->subjects[w->n_subjects - 1].scores;
    for (size_t k = 0; k < w->n_segments && rc == HW_OK; k++)
        scores[k] = fall(w, w->alone[k]) / (double)(w->row_end - w->row_begin);
    return rc;
}

/* ------------------------------------------------------------------ masks */

typedef struct item {
    double score;
    size_t segment;
} item;

static int by_descending_score(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->segment < y->segment ? -1 : 1;
}

static hw_err sort_segments(const work *w, subject *s, hw_error *err) {
    item *items = hw__alloc(w->n_segments, sizeof *items);
    if (!items) return hw__fail_memory(err, "segments by score", w->n_segments, sizeof *items);
    for (size_t k = 0; k < w->n_segments; k++) items[k] = (item){s->scores[k], k};
    qsort(items, w->n_segments, sizeof *items, by_descending_score);
    for (size_t k = 0; k < w->n_segments; k++) s->order[k] = items[k].segment;
    free(items);
    return HW_OK;
}

/* Adds the mask that keeps (or leaves out) exactly the first `n` segments of a subject's order; NO_MASK if nothing of
 * the prompt would be left, or there are fewer segments. */
static hw_err add_top(work *w, size_t *mask, const subject *s, size_t n, bool kept, hw_error *err) {
    *mask = NO_MASK;
    if (n > w->n_segments) return HW_OK;
    for (size_t k = 0; k < w->n_segments; k++) w->keep[s->order[k]] = (k < n) == kept;
    return hw__masks_leaves_some(w->masks, w->keep) ? hw__masks_add(w->masks, mask, w->keep, err) : HW_OK;
}

static hw_err plan_subject(work *w, subject *s, hw_error *err) {
    hw_err rc = sort_segments(w, s, err);
    for (size_t d = 0; d < N_DROPS && rc == HW_OK; d++) rc = add_top(w, &s->drop[d], s, drop_sizes[d], false, err);
    for (size_t b = 0; b < N_SHARES && rc == HW_OK; b++) {
        size_t n = (size_t)(shares[b] * (double)w->n_segments + 0.5); /* of 2 or more segments half is less than all */
        if (n == 0) n = 1;
        rc = add_top(w, &s->without[b], s, n, false, err);
        if (rc == HW_OK) rc = add_top(w, &s->only[b], s, n, true, err);
    }
    return rc;
}

static hw_err plan_common(work *w, bool alone, hw_error *err) {
    if (hw__masks_n_movable(w->masks) < 2)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%zu of %zu segments hold tokens that can be left out, at least 2 are needed",
                        hw__masks_n_movable(w->masks), w->n_segments);
    uint64_t stream = w->p->seed ^ MASK_STREAM;
    for (size_t k = 0; k < w->n_segments; k++) w->keep[k] = true;
    hw_err rc = alone ? hw__masks_add_without_each(w->masks, &w->whole, w->alone, err)
                      : hw__masks_add(w->masks, &w->whole, w->keep, err);
    for (size_t i = 0; i < w->p->n_ablations && rc == HW_OK; i++)
        rc = hw__masks_add_random(w->masks, &w->random[i], &stream, err);
    return rc;
}

static hw_err score_masks(work *w, hw_error *err) { return hw__masks_score(w->masks, w->p->progress, w->p->ctx, err); }

/* Plans all masks before the first pass; only leave-one-out's own order depends on passes. */
static hw_err run_passes(work *w, hw_error *err) {
    bool alone = !find_subject(w, leave_one_out);
    hw_err rc = plan_common(w, alone, err);
    for (size_t i = 0; i < w->n_subjects && rc == HW_OK; i++) rc = plan_subject(w, &w->subjects[i], err);
    if (rc == HW_OK) rc = score_masks(w, err);
    if (rc != HW_OK || !alone) return rc;
    rc = add_leave_one_out(w, err);
    if (rc == HW_OK) rc = plan_subject(w, &w->subjects[w->n_subjects - 1], err);
    return rc == HW_OK ? score_masks(w, err) : rc;
}

/* ------------------------------------------------------------------ figures */

/* Mean drop over masks [N_SHARES]; missing masks are skipped. */
static double mean_drop(const work *w, const size_t *masks) {
    double sum = 0;
    size_t n = 0;
    for (size_t b = 0; b < N_SHARES; b++) {
        if (masks[b] == NO_MASK) continue;
        sum += fall(w, masks[b]);
        n++;
    }
    return n ? sum / (double)n : NAN;
}

/* False when memory runs out; the same for the functions below. */
static bool lds(double *out, const work *w, const double *scores) {
    for (size_t i = 0; i < w->p->n_ablations; i++) {
        const bool *keep = hw__masks_keep(w->masks, w->random[i]);
        w->x[i] = 0;
        for (size_t k = 0; k < w->n_segments; k++) w->x[i] += keep[k] ? scores[k] : 0;
    }
    return hw__spearman(out, w->x, w->y, w->p->n_ablations);
}

static bool figures(hw_check_row *row, const work *w, const subject *s) {
    *row = (hw_check_row){.method = s->name, .n_passes = s->n_passes};
    for (size_t d = 0; d < N_DROPS; d++) row->drop[d] = fall(w, s->drop[d]);
    row->comprehensiveness = mean_drop(w, s->without);
    row->sufficiency = mean_drop(w, s->only);
    return lds(&row->lds, w, s->scores);
}

/* The reference for an LDS: the mean LDS of many draws of random scores, made as method random makes them, one number
 * for each checked token. One draw varies too much: 0.14 to 0.93 were seen on one prompt. The mean is above 0: random
 * scores are all positive, so their sum grows with the number of segments kept, and so do the log odds of most answers.
 * A method must do better than that. */
static bool mean_random_lds(double *out, const work *w) {
    uint64_t state = w->p->seed ^ SCORE_STREAM;
    double sum = 0;
    size_t n = 0;
    for (size_t d = 0; d < N_RANDOM; d++) {
        memset(w->scores, 0, w->n_segments * sizeof *w->scores);
        for (size_t i = w->row_begin; i < w->row_end; i++)
            for (size_t k = 0; k < w->n_segments; k++) w->scores[k] += hw__random_next(&state);
        double of;
        if (!lds(&of, w, w->scores)) return false;
        if (isnan(of)) continue;
        sum += of;
        n++;
    }
    *out = n ? sum / (double)n : NAN;
    return true;
}

static size_t first_except(const subject *s, size_t k) { return s->order[s->order[0] == k]; }

/* Judges the first choices by the cost of leaving each segment out. */
static bool judge(hw_check *c, const work *w) {
    const subject *alone = find_subject(w, leave_one_out);
    double rows = (double)(w->row_end - w->row_begin), sum = 0;
    /* The segment that the completion continues, if leaving out no other one costs more. With a chat template there is
     * no such segment: the answer starts anew. */
    int32_t last = w->groups[w->trace->run->n_prompt - 1];
    size_t ending = last >= 0 && (size_t)last == alone->order[0] ? (size_t)last : NO_SEGMENT;
    size_t best = first_except(alone, ending), n = 0;
    for (size_t k = 0; k < w->n_segments; k++) {
        if (k == ending) continue;
        sum += alone->scores[k] * rows;
        n++;
    }
    hw__evidence e = {.method = c->rows[0].method,
                      .drop = alone->scores[first_except(&w->subjects[0], ending)] * rows,
                      .best = alone->scores[best] * rows,
                      .chance = sum / (double)n,
                      .segment = best,
                      .ending = ending == NO_SEGMENT ? NAN : alone->scores[ending] * rows,
                      .lds = c->rows[0].lds};
    if (!mean_random_lds(&e.lds_random, w)) return false;
    hw__verdict(c->verdict, sizeof c->verdict, &e);
    return true;
}

/* Copies the random masks and the completion's log odds under each. */
static void copy_cuts(hw_check *c, const work *w) {
    c->n_cuts = w->p->n_ablations;
    c->n_segments = w->n_segments;
    for (size_t i = 0; i < c->n_cuts; i++) {
        memcpy(c->masks_kept + i * c->n_segments, hw__masks_keep(w->masks, w->random[i]),
               c->n_segments * sizeof *c->masks_kept);
        c->logits[i] = w->y[i] = hw__logit(logprob_of(w, w->random[i]));
    }
}

static hw_err write_check(hw_check **out, const work *w, hw_error *err) {
    hw_check *c = hw__alloc(1, sizeof *c);
    if (c) {
        c->rows = hw__alloc(w->n_subjects, sizeof *c->rows);
        c->masks_kept = hw__alloc(w->p->n_ablations, w->n_segments * sizeof *c->masks_kept);
        c->logits = hw__alloc(w->p->n_ablations, sizeof *c->logits);
    }
    if (!c || !c->rows || !c->masks_kept || !c->logits) {
        hw_check_free(c);
        return hw__fail_memory(err, "a check", w->n_subjects + w->p->n_ablations, sizeof *c->rows + w->n_segments);
    }
    c->n = w->n_subjects;
    copy_cuts(c, w);
    bool ok = true;
    for (size_t i = 0; i < c->n && ok; i++) ok = figures(&c->rows[i], w, &w->subjects[i]);
    c->base = logprob_of(w, w->whole);
    c->n_passes = hw__masked_pass_n_passes(w->masked_pass);
    if (!ok || !judge(c, w)) {
        hw_check_free(c);
        return hw__fail_memory(err, "ranks of random masks", 3 * w->p->n_ablations, sizeof(double));
    }
    *out = c;
    return HW_OK;
}

/* ------------------------------------------------------------------ from start to end */

static hw_err allocate(work *w, size_t n_given, hw_error *err) {
    size_t n = n_given + N_BASELINES + 1, n_masks = w->p->n_ablations;
    w->subjects = hw__alloc(n, sizeof *w->subjects);
    w->alone = hw__alloc(w->n_segments, sizeof *w->alone);
    w->keep = hw__alloc(w->n_segments, sizeof *w->keep);
    w->scores = hw__alloc(w->n_segments, sizeof *w->scores);
    w->random = hw__alloc(n_masks, sizeof *w->random);
    w->x = hw__alloc(n_masks, sizeof *w->x);
    w->y = hw__alloc(n_masks, sizeof *w->y);
    if (w->subjects && w->alone && w->keep && w->scores && w->random && w->x && w->y) return HW_OK;
    return hw__fail_memory(err, "a check", n + w->n_segments + 3 * n_masks, sizeof *w->subjects);
}

static void clear(work *w) {
    for (size_t i = 0; i < w->n_subjects; i++) {
        free(w->subjects[i].scores);
        free(w->subjects[i].order);
    }
    free(w->subjects);
    free(w->alone);
    free(w->keep);
    free(w->scores);
    free(w->random);
    free(w->x);
    free(w->y);
    hw__masks_free(w->masks);
    hw__masked_pass_free(w->masked_pass);
}

hw_err hw_check_new(hw_check **out, hw_model *model, const hw_trace *trace, const hw_check_subject *judged,
                    const hw_check_params *params, hw_error *err) {
    if (!model || !trace || !judged || !judged->segments || (judged->n > 0 && !judged->list))
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model, a trace, segments and attributions are needed");
    const hw_segments *segments = judged->segments;
    const hw_attribution *const *list = judged->list;
    size_t n = judged->n;
    hw_check_params p = hw_check_params_default();
    work w = {.p = &p, .trace = trace};
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_check_params", err);
    if (rc == HW_OK) rc = check_request(&w, segments, list, n, err);
    if (rc == HW_OK) rc = allocate(&w, n, err);
    if (rc == HW_OK) rc = hw__masked_pass_new(&w.masked_pass, model, trace->run, w.p->stop, w.p->ctx, err);
    if (rc == HW_OK) rc = hw__masks_new(&w.masks, w.masked_pass, w.groups, w.n_segments, err);
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = add_attribution(&w, list[i], err);
    if (rc == HW_OK) rc = add_baselines(&w, err);
    if (rc == HW_OK) rc = run_passes(&w, err);
    if (rc == HW_OK) rc = write_check(out, &w, err);
    clear(&w);
    return rc;
}

void hw_check_free(hw_check *c) {
    if (!c) return;
    free(c->rows);
    free(c->masks_kept);
    free(c->logits);
    free(c);
}

size_t hw_check_count(const hw_check *c) { return c->n; }
const hw_check_row *hw_check_at(const hw_check *c, size_t i) { return i < c->n ? &c->rows[i] : NULL; }
double hw_check_base(const hw_check *c) { return c->base; }
size_t hw_check_n_passes(const hw_check *c) { return c->n_passes; }
size_t hw_check_n_masks(const hw_check *c) { return c->n_cuts; }

const bool *hw_check_mask(const hw_check *c, size_t i, double *logit) {
    if (i >= c->n_cuts) return NULL;
    *logit = c->logits[i];
    return c->masks_kept + i * c->n_segments;
}

const char *hw_check_verdict(const hw_check *c) { return c->verdict; }
