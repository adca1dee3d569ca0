/*
 * confirmation.c - hw_confirmation: measures the passages that a citation ranks first with a few forward passes.
 *
 *     the first q passages -> each left out -> those with a small effect, in pairs -> drops by part; the others scaled
 *
 * Leaving out a passage has no effect if another passage contains the same information. So those of the first passages
 * whose absence costs less than log 2 are also left out in pairs; if a pair costs more than its members, each is
 * reported as the other's stand-in.
 */
#include "evaluate/citation.h"

#include "base/error.h"
#include "base/sized.h"
#include "methods/method.h"
#include "occlusion/keep_masks.h"
#include "text/segments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIRMED = 32 };
static const double CHEAP = 0.69314718055994531; /* log 2: half as likely */
static const size_t NO_PASSAGE = SIZE_MAX;

struct hw_confirmation {
    size_t n_parts, n_passages, n_passes;
    double *drops;    /* [n_parts + 1, n_passages] nats; the last row is the whole answer */
    bool *measured;   /* [n_passages] */
    size_t *stand_in; /* [n_passages] the passage with the same information; NO_PASSAGE: none */
};

/* State of one confirmation. */
typedef struct confirming {
    hw_confirmation *c;
    const hw_citation *citation;
    const int32_t *parts; /* [n] part of each completion token */
    size_t n_tokens;
    hw__masks *masks;
    bool *keep; /* [n_passages] scratch */
    size_t first[MAX_CONFIRMED], n_first, whole, alone[MAX_CONFIRMED];
    hw_confirm_params p;
} confirming;

void hw_confirm_params_init(hw_confirm_params *params, size_t size) {
    const hw_confirm_params defaults = {.size = sizeof defaults, .n_passages = 3};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

static double *drop_at(const hw_confirmation *c, size_t part, size_t passage) {
    return &c->drops[part * c->n_passages + passage];
}

/* Drop in log probability of part `part` (n_parts: all parts) under a mask. */
static double drop_under(const confirming *w, size_t mask, size_t part) {
    const double *all = hw__masks_logprob(w->masks, w->whole), *rest = hw__masks_logprob(w->masks, mask);
    double sum = 0;
    for (size_t i = 0; i < w->n_tokens; i++) {
        bool counts = part == w->c->n_parts ? w->parts[i] >= 0 : w->parts[i] == (int32_t)part;
        if (counts) sum += all[i] - rest[i];
    }
    return sum;
}

static hw_err add_without(confirming *w, size_t *mask, size_t a, size_t b, hw_error *err) {
    for (size_t p = 0; p < w->c->n_passages; p++) w->keep[p] = p != a && p != b;
    return hw__masks_add(w->masks, mask, w->keep, err);
}

/* Selects the first passages that can be left out, in the citation's order. */
static void choose_first(confirming *w) {
    const size_t *order = hw_citation_order(w->citation, NULL);
    for (size_t i = 0; i < w->c->n_passages && w->n_first < w->p.n_passages; i++)
        if (hw__masks_movable(w->masks, order[i])) w->first[w->n_first++] = order[i];
}

static hw_err score(confirming *w, hw_error *err) { return hw__masks_score(w->masks, w->p.progress, w->p.ctx, err); }

static hw_err measure_alone(confirming *w, hw_error *err) {
    hw_err rc = add_without(w, &w->whole, NO_PASSAGE, NO_PASSAGE, err);
    for (size_t i = 0; i < w->n_first && rc == HW_OK; i++)
        rc = add_without(w, &w->alone[i], w->first[i], NO_PASSAGE, err);
    if (rc == HW_OK) rc = score(w, err);
    for (size_t i = 0; i < w->n_first && rc == HW_OK; i++) {
        w->c->measured[w->first[i]] = true;
        for (size_t s = 0; s <= w->c->n_parts; s++) *drop_at(w->c, s, w->first[i]) = drop_under(w, w->alone[i], s);
    }
    return rc;
}

/* Two passages that stand in for each other each get half of their joint cost. */
static void share_cost(confirming *w, size_t a, size_t b, size_t mask) {
    hw_confirmation *c = w->c;
    double both = drop_under(w, mask, c->n_parts);
    if (both < CHEAP || both < *drop_at(c, c->n_parts, a) + *drop_at(c, c->n_parts, b) + CHEAP) return;
    c->stand_in[a] = b;
    c->stand_in[b] = a;
    for (size_t s = 0; s <= c->n_parts; s++) *drop_at(c, s, a) = *drop_at(c, s, b) = drop_under(w, mask, s) / 2;
}

static bool is_cheap(const confirming *w, size_t i) {
    return w->c->stand_in[w->first[i]] == NO_PASSAGE && *drop_at(w->c, w->c->n_parts, w->first[i]) < CHEAP;
}

static hw_err measure_pairs(confirming *w, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < w->n_first; i++) {
        for (size_t j = i + 1; j < w->n_first && is_cheap(w, i) && rc == HW_OK; j++) {
            size_t mask;
            if (!is_cheap(w, j)) continue;
            rc = add_without(w, &mask, w->first[i], w->first[j], err);
            if (rc == HW_OK) rc = score(w, err);
            if (rc == HW_OK) share_cost(w, w->first[i], w->first[j], mask);
        }
    }
    return rc;
}

/* Smallest measured cost among the passages whose share of a part is at least `share`: a passage that the citation
 * ranks lower does not get more. Never below 0. */
static double min_measured_above(const confirming *w, size_t part, double share) {
    double min_cost = INFINITY;
    for (size_t i = 0; i < w->n_first; i++)
        if (hw_citation_at(w->citation, part, w->first[i]).share >= share)
            min_cost = fmin(min_cost, fmax(*drop_at(w->c, part, w->first[i]), 0));
    return min_cost;
}

/* Scales the passages that were not measured: what one unit of a citation's share of a part is worth in nats, according
 * to the measured passages. */
static void scale_others(confirming *w, size_t part) {
    double drops = 0, scores = 0;
    for (size_t i = 0; i < w->n_first; i++) {
        double share = hw_citation_at(w->citation, part, w->first[i]).share;
        drops += share > 0 ? *drop_at(w->c, part, w->first[i]) : 0;
        scores += share;
    }
    double unit = scores > 0 && drops > 0 ? drops / scores : 0;
    for (size_t p = 0; p < w->c->n_passages; p++) {
        double share = hw_citation_at(w->citation, part, p).share;
        if (!w->c->measured[p]) *drop_at(w->c, part, p) = fmin(unit * share, min_measured_above(w, part, share));
    }
}

static hw_err confirm(confirming *w, hw_error *err) {
    choose_first(w);
    hw_err rc = measure_alone(w, err);
    if (rc == HW_OK) rc = measure_pairs(w, err);
    for (size_t s = 0; s <= w->c->n_parts && rc == HW_OK; s++) scale_others(w, s);
    return rc;
}

static hw_err check(const hw_trace *trace, const hw_citation *citation, const hw_segments *passages,
                    const hw_segments *answer, const hw_confirm_params *p, hw_error *err) {
    const hw_run *run = trace->run;
    if (p->n_passages < 1 || p->n_passages > MAX_CONFIRMED)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu passages to confirm: 1 to %d are accepted", p->n_passages,
                        MAX_CONFIRMED);
    if (passages->n != hw_citation_n_passages(citation) || answer->n != hw_citation_n_parts(citation) ||
        passages->n_tokens != run->n_prompt || answer->n_tokens != hw_run_n_completion(run))
        return hw__fail(err, HW_ERR_ARGUMENT, "passages and parts are not those that were cited");
    return HW_OK;
}

static hw_err allocate(hw_confirmation *c, const hw_citation *citation, hw_error *err) {
    size_t cells;
    c->n_parts = hw_citation_n_parts(citation);
    c->n_passages = hw_citation_n_passages(citation);
    if (hw__mul(&cells, c->n_parts + 1, c->n_passages)) c->drops = hw__alloc(cells, sizeof *c->drops);
    c->measured = hw__alloc(c->n_passages, sizeof *c->measured);
    c->stand_in = hw__alloc(c->n_passages, sizeof *c->stand_in);
    if (!c->drops || !c->measured || !c->stand_in)
        return hw__fail_memory(err, "a confirmation", c->n_parts + 1, c->n_passages * sizeof *c->drops);
    for (size_t p = 0; p < c->n_passages; p++) c->stand_in[p] = NO_PASSAGE;
    return HW_OK;
}

hw_err hw_confirmation_new(hw_confirmation **out, hw_model *model, const hw_trace *trace, const hw_cited *cited,
                           const hw_confirm_params *params, hw_error *err) {
    if (!model || !trace || !cited || !cited->citation || !cited->passages || !cited->answer)
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a model, a trace, a citation and its segments are needed");
    const hw_citation *citation = cited->citation;
    const hw_segments *passages = cited->passages, *answer = cited->answer;
    confirming w = {.citation = citation, .parts = answer->groups, .n_tokens = answer->n_tokens};
    hw__masked_pass *masked_pass = NULL;
    w.p = hw_confirm_params_default();
    hw_err rc = hw__params_read(&w.p, sizeof w.p, params, "hw_confirm_params", err);
    if (rc == HW_OK) rc = check(trace, citation, passages, answer, &w.p, err);
    if (rc != HW_OK) return rc;
    w.c = hw__alloc(1, sizeof *w.c);
    w.keep = hw__alloc(passages->n, sizeof *w.keep);
    rc = w.c && w.keep ? allocate(w.c, citation, err) : hw__fail_memory(err, "a confirmation", passages->n, 1);
    if (rc == HW_OK) rc = hw__masked_pass_new(&masked_pass, model, trace->run, w.p.stop, w.p.ctx, err);
    if (rc == HW_OK) rc = hw__masks_new(&w.masks, masked_pass, passages->groups, passages->n, err);
    if (rc == HW_OK) rc = confirm(&w, err);
    if (rc == HW_OK) w.c->n_passes = hw__masked_pass_n_passes(masked_pass);
    hw__masks_free(w.masks);
    hw__masked_pass_free(masked_pass);
    free(w.keep);
    if (rc == HW_OK)
        *out = w.c;
    else
        hw_confirmation_free(w.c);
    return rc;
}

void hw_confirmation_free(hw_confirmation *c) {
    if (!c) return;
    free(c->drops);
    free(c->measured);
    free(c->stand_in);
    free(c);
}

double hw_confirmation_drop(const hw_confirmation *c, size_t part, size_t passage) {
    return *drop_at(c, part, passage);
}
bool hw_confirmation_measured(const hw_confirmation *c, size_t passage) { return c->measured[passage]; }
size_t hw_confirmation_n_passes(const hw_confirmation *c) { return c->n_passes; }

bool hw_confirmation_stand_in(const hw_confirmation *c, size_t passage, size_t *other) {
    if (c->stand_in[passage] == NO_PASSAGE) return false;
    *other = c->stand_in[passage];
    return true;
}

void hw_citation_confirm(hw_citation *citation, const hw_confirmation *confirmed) {
    for (size_t p = 0; p < confirmed->n_passages; p++) {
        double both = confirmed->stand_in[p] == NO_PASSAGE ? 1 : 2; /* each has half of what both cost */
        for (size_t s = 0; s < confirmed->n_parts && confirmed->measured[p]; s++)
            hw__citation_set_mark(citation, s, p, both * *drop_at(confirmed, s, p) >= HW_CONFIRMED_FALL);
    }
    hw__citation_marks_changed(citation);
}
