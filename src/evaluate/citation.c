/*
 * citation.c - which passages of the prompt each part of the answer came from, as shares and as marks.
 *
 *     v[i,p]      token i from passage p: M summed over the passage's tokens; over layers sum (nats) or mean (shares)
 *     score[s,p]  mean of v over the tokens of part s; row n_parts is the whole answer
 *     share[s,p]  max(score, 0) / sum of all positive scores of the part: passages, rest, answer so far, model
 *     peak[s,p]   over the tokens of s: the largest v / unit (or the sum); the rule defines the unit
 *
 * A mean over a sentence hides the one token that came from a passage, so marks use the peak. Only the attribution and
 * the two hw_segments are read, so results without their trace can be cited too.
 */
#include "evaluate/citation.h"
#include "data/attribution.h"

#include "base/error.h"
#include "base/sized.h"
#include "methods/method.h"
#include "text/segments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hw_citation {
    const struct rule *rule;
    double min_peak;
    size_t n_parts, n_passages, n_marked;
    hw_citation_link *links;          /* [n_parts + 1, n_passages] */
    hw_citation_elsewhere *elsewhere; /* [n_parts + 1] */
    size_t *order;                    /* [n_passages] */
    float *hops;                      /* [n_parts, n_parts] share that came through each part; NULL: contributions
                                         were not followed */
};

/* Values read from the attribution, for tokens that belong to a part. */
typedef struct table {
    const hw_attribution *a;
    const int32_t *parts; /* [n_rows] part of each token, -1: none */
    size_t n_rows, n_passages;
    double *v;                        /* [n_rows, n_passages] */
    hw_citation_elsewhere *elsewhere; /* [n_rows] in the method's unit */
    double *unit;                     /* [n_rows] unit of a peak */
} table;

static double positive(double v) { return v > 0 ? v : 0; }

/* ------------------------------------------------------------------ rules */

/* Sum of the positive values of a token or a part. */
static double total_of(const double *v, size_t n, const hw_citation_elsewhere *e) {
    double total = positive(e->rest) + positive(e->answer) + positive(e->model);
    for (size_t p = 0; p < n; p++) total += positive(v[p]);
    return total;
}

static hw_err unit_total(table *t, hw_error *err) {
    (void)err;
    for (size_t i = 0; i < t->n_rows; i++)
        t->unit[i] = total_of(t->v + i * t->n_passages, t->n_passages, &t->elsewhere[i]);
    return HW_OK;
}

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The unit is the median absolute value of v, or the mean if the median is 0. */
static hw_err unit_typical(table *t, hw_error *err) {
    size_t n = 0;
    double sum = 0, *sizes = hw__alloc(t->n_rows * t->n_passages, sizeof *sizes);
    if (!sizes) return hw__fail_memory(err, "a citation", t->n_rows * t->n_passages, sizeof *sizes);
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t p = 0; t->parts[i] >= 0 && p < t->n_passages; p++)
            sum += sizes[n++] = fabs(t->v[i * t->n_passages + p]);
    qsort(sizes, n, sizeof *sizes, compare);
    double median = n ? (sizes[(n - 1) / 2] + sizes[n / 2]) / 2 : 0;
    for (size_t i = 0; i < t->n_rows; i++) t->unit[i] = median > 0 ? median : n ? sum / (double)n : 0;
    free(sizes);
    return HW_OK;
}

static hw_err unit_one(table *t, hw_error *err) {
    (void)err;
    for (size_t i = 0; i < t->n_rows; i++) t->unit[i] = 1;
    return HW_OK;
}

/* One row of the table. */
typedef struct rule {
    hw_citation_rule info;
    hw_err (*unit)(table *t, hw_error *err);
    bool sums; /* the peak is the sum over a part's tokens; else the maximum */
} rule;

enum { RULE_SHARE, RULE_RATIO, RULE_DROP, RULE_WEIGHT, N_RULES };
static const rule rules[N_RULES] = {
    [RULE_SHARE] =
        {{"share", "logit",
          "all that raised the logits of the answer's tokens: the passages, the rest of the prompt, the answer so far, "
          "and the model itself",
          "the largest such share of one token", 0.25, 1, true},
         unit_total,
         false},
    [RULE_RATIO] =
        {{"ratio", "rollout, attention, contribution, uniform, random: methods that give shares of a row",
          "the rows of the answer's tokens, in which the rest of the prompt and the answer so far have shares, too",
          "the largest value of one token, as a multiple of the median over all tokens and passages", 4, 0, false},
         unit_typical,
         false},
    [RULE_DROP] = {{"fall", "leave-one-out", "what leaving out each of the passages costs, added up",
                    "what the log probability of the sentence loses without the passage, in nats", 2, 0, false},
                   unit_one,
                   true},
    [RULE_WEIGHT] = {{"weight", "ablation", "the weights of all passages in a regression on random halves of them",
                      "the weights of the passage for the log odds of the sentence's tokens, added up, in nats", 2, 0,
                      false},
                     unit_one,
                     true},
};

size_t hw_citation_rule_count(void) { return N_RULES; }
const hw_citation_rule *hw_citation_rule_at(size_t i) { return i < N_RULES ? &rules[i].info : NULL; }

/* `balanced`: the attribution has balances, which divide a logit among its sources. */
static const rule *choose_rule(const hw_method_info *method, bool balanced) {
    bool regression = strcmp(method->name, hw__method_ablation.info.name) == 0;
    return &rules[balanced                           ? RULE_SHARE
                  : method->traits & HW_GIVES_SHARES ? RULE_RATIO
                  : regression                       ? RULE_WEIGHT
                                                     : RULE_DROP];
}

const hw_citation_rule *hw_citation_rule_of(const char *name) {
    const hw_method_info *method = hw_method_find(name);
    return method ? &choose_rule(method, hw_method_signals(name, NULL) & 1u << HW_SIGNAL_LOGIT)->info : NULL;
}

/* ------------------------------------------------------------------ reading the attribution */

static double limited(double v) { return isnan(v) ? 0 : fmax(-1e6, fmin(v, 1e6)); }

/* Shares of a row that was followed through the answer; in nats if the method gives nats: a token then weighs as much
 * as the contribution that raised it. */
static void follow_row(table *t, size_t i) {
    const hw_through *row = &t->a->through[i];
    double weight = row->raised;
    for (size_t p = 0; p < t->n_passages; p++) t->v[i * t->n_passages + p] *= weight;
    hw_citation_elsewhere *e = &t->elsewhere[i];
    e->rest *= weight;
    e->model = row->model * weight;
    e->through = (1 - row->prompt_direct - row->model_direct) * weight;
}

/* Row i of v, and what lies outside the passages. `scale`: 1 / L for means over layers. */
static void read_row(table *t, size_t i, const int32_t *groups, double scale) {
    const hw_attribution *a = t->a;
    double outside = 0, *v = t->v + i * t->n_passages;
    for (size_t l = 0; l < a->n_layers; l++) outside += a->outside[i * a->n_layers + l];
    for (size_t k = 0; k < a->n_columns; k++) {
        const float *of = a->values + (i * a->n_columns + k) * a->n_layers;
        int32_t p = a->groups ? (int32_t)k : groups[k];
        for (size_t l = 0; l < a->n_layers; l++) *(p >= 0 ? &v[p] : &outside) += of[l];
    }
    for (size_t p = 0; p < t->n_passages; p++) v[p] = limited(v[p] * scale);
    t->elsewhere[i].rest = limited(outside * scale);
    if (a->through) follow_row(t, i);
    if (a->through || !a->balance) return;
    const hw_balance *b = &a->balance[i];
    t->elsewhere[i].answer = limited(b->completion);
    t->elsewhere[i].rest = limited(outside * scale - b->completion);
    t->elsewhere[i].model = limited(b->mlp + b->embedding + b->bias);
}

static void table_clear(table *t) {
    free(t->v);
    free(t->elsewhere);
    free(t->unit);
}

static hw_err table_new(table *t, const hw_attribution *a, const hw_segments *passages, const hw_segments *answer,
                        hw_error *err) {
    *t = (table){.a = a, .parts = answer->groups, .n_rows = a->n_rows, .n_passages = passages->n};
    size_t cells;
    if (hw__mul(&cells, t->n_rows, t->n_passages)) t->v = hw__alloc(cells, sizeof *t->v);
    t->elsewhere = hw__alloc(t->n_rows, sizeof *t->elsewhere);
    t->unit = hw__alloc(t->n_rows, sizeof *t->unit);
    if (!t->v || !t->elsewhere || !t->unit) {
        table_clear(t);
        return hw__fail_memory(err, "a citation", t->n_rows, t->n_passages * sizeof *t->v);
    }
    bool shares = hw_method_active_traits(hw_method_find(a->method), &a->params) & HW_GIVES_SHARES;
    double scale = shares ? 1 / (double)a->n_layers : 1;
    for (size_t i = 0; i < t->n_rows; i++) read_row(t, i, passages->groups, scale);
    return HW_OK;
}

/* ------------------------------------------------------------------ parts of the answer */

static hw_citation_link *link_at(const hw_citation *c, size_t part, size_t p) {
    return &c->links[part * c->n_passages + p];
}

/* Adds token i to a part's sums; `share_out` turns them into means. */
static void add_token(hw_citation *c, size_t part, const table *t, size_t i) {
    for (size_t p = 0; p < c->n_passages; p++) link_at(c, part, p)->score += t->v[i * t->n_passages + p];
    hw_citation_elsewhere *sum = &c->elsewhere[part], *e = &t->elsewhere[i];
    sum->rest += e->rest;
    sum->answer += e->answer;
    sum->model += e->model;
    sum->through += e->through;
}

/* Adds the share of token i that came directly from each part of the answer, times the contribution that raised it. */
static void add_hops(hw_citation *c, const table *t, size_t i) {
    float *row = c->hops + (size_t)t->parts[i] * c->n_parts;
    for (size_t k = 0; k < i; k++)
        if (t->parts[k] >= 0) row[t->parts[k]] += (float)(hw_attribution_hop(t->a, i, k) * t->a->through[i].raised);
}

/* Turns sums over `n` tokens into means, and means into shares. */
static void share_out(hw_citation *c, size_t part, double n) {
    hw_citation_elsewhere *e = &c->elsewhere[part];
    double total = positive(e->rest) + positive(e->answer) + positive(e->model);
    for (size_t p = 0; p < c->n_passages; p++) total += positive(link_at(c, part, p)->score);
    double unit = total > 0 ? total : 1;
    for (size_t from = 0; c->hops && part < c->n_parts && from < c->n_parts; from++)
        c->hops[part * c->n_parts + from] = (float)(c->hops[part * c->n_parts + from] / unit);
    for (size_t p = 0; p < c->n_passages; p++) {
        hw_citation_link *link = link_at(c, part, p);
        link->share = positive(link->score) / unit;
        link->score /= n > 0 ? n : 1;
    }
    *e = (hw_citation_elsewhere){positive(e->rest) / unit, positive(e->answer) / unit, positive(e->model) / unit,
                                 positive(e->through) / unit};
}

static hw_err add_parts(hw_citation *c, const table *t, hw_error *err) {
    size_t *n = hw__alloc(c->n_parts + 1, sizeof *n);
    if (!n) return hw__fail_memory(err, "a citation", c->n_parts + 1, sizeof *n);
    for (size_t i = 0; i < t->n_rows; i++) {
        if (t->parts[i] < 0) continue;
        if (c->hops) add_hops(c, t, i);
        size_t both[] = {(size_t)t->parts[i], c->n_parts};
        for (size_t k = 0; k < 2; k++) {
            add_token(c, both[k], t, i);
            n[both[k]]++;
        }
    }
    for (size_t s = 0; s <= c->n_parts; s++) share_out(c, s, (double)n[s]);
    free(n);
    return HW_OK;
}

/* ------------------------------------------------------------------ peaks and marks */

/* Value of token i for a passage, in the rule's unit. */
static double value_of(const table *t, size_t i, size_t p) {
    return t->unit[i] > 0 ? t->v[i * t->n_passages + p] / t->unit[i] : 0;
}

enum { NO_TOKEN = -1 };

static void find_peaks(hw_citation *c, const table *t) {
    for (size_t k = 0; k < c->n_parts * c->n_passages; k++) c->links[k].peak_token = (size_t)NO_TOKEN;
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t p = 0; t->parts[i] >= 0 && p < c->n_passages; p++) {
            hw_citation_link *link = link_at(c, (size_t)t->parts[i], p);
            double value = value_of(t, i, p);
            bool first = link->peak_token == (size_t)NO_TOKEN;
            if (first || value > value_of(t, link->peak_token, p)) link->peak_token = i;
            link->peak = c->rule->sums ? link->peak + value : value_of(t, link->peak_token, p);
        }
    }
    for (size_t k = 0; k < c->n_parts * c->n_passages; k++) {
        hw_citation_link *link = &c->links[k];
        link->peak = positive(link->peak);
        if (link->peak_token == (size_t)NO_TOKEN) link->peak_token = 0;
    }
}

/* The link of the whole answer is that of its strongest part. */
static void mark(hw_citation *c) {
    for (size_t p = 0; p < c->n_passages; p++) {
        hw_citation_link *whole = link_at(c, c->n_parts, p);
        for (size_t s = 0; s < c->n_parts; s++) {
            hw_citation_link *link = link_at(c, s, p);
            link->marked = link->peak >= c->min_peak;
            whole->marked = whole->marked || link->marked;
            if (s > 0 && link->peak <= whole->peak) continue;
            whole->peak = link->peak;
            whole->peak_token = link->peak_token;
        }
    }
}

static bool comes_before(const hw_citation *c, size_t a, size_t b) {
    const hw_citation_link *x = link_at(c, c->n_parts, a), *y = link_at(c, c->n_parts, b);
    if (x->marked != y->marked) return x->marked;
    return x->share != y->share ? x->share > y->share : a < b;
}

static void put_in_order(hw_citation *c) {
    c->n_marked = 0;
    for (size_t p = 0; p < c->n_passages; p++) {
        size_t at = p;
        for (; at > 0 && comes_before(c, p, c->order[at - 1]); at--) c->order[at] = c->order[at - 1];
        c->order[at] = p;
        c->n_marked += link_at(c, c->n_parts, p)->marked;
    }
}

/* ------------------------------------------------------------------ public */

void hw_citation_params_init(hw_citation_params *params, size_t size) {
    const hw_citation_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

static hw_err check_groups(const hw_attribution *a, const hw_segments *passages, hw_error *err) {
    if (!a->groups || (a->n_columns == passages->n &&
                       memcmp(a->groups, passages->groups, passages->n_tokens * sizeof *a->groups) == 0))
        return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "the columns are %zu groups, not the %zu passages: explain by tokens or by these passages",
                    a->n_columns, passages->n);
}

static hw_err check(const hw_attribution *a, const hw_segments *passages, const hw_segments *answer, double min_peak,
                    hw_error *err) {
    size_t m = a->run->n_prompt, n = hw_run_n_completion(a->run);
    if (!(min_peak >= 0) || isinf(min_peak))
        return hw__fail(err, HW_ERR_ARGUMENT, "min_peak %g: must be 0 (the rule's default) or positive", min_peak);
    if (n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "the run has no completion to cite passages for");
    if (a->params.columns != HW_COLUMNS_PROMPT)
        return hw__fail(err, HW_ERR_ARGUMENT, "columns all: passages are cited from columns of the prompt only");
    if (passages->n_tokens != m)
        return hw__fail(err, HW_ERR_ARGUMENT, "passages of %zu tokens, the prompt has %zu: cut the prompt of this run",
                        passages->n_tokens, m);
    if (answer->n_tokens != n || a->n_rows > n || a->first_token != m)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "parts of %zu tokens and %zu rows from token %zu on: the completion has %zu tokens from "
                        "token %zu on",
                        answer->n_tokens, a->n_rows, a->first_token, n, m);
    return check_groups(a, passages, err);
}

static hw_err check_max_peak(const hw_citation_rule *by, double min_peak, hw_error *err) {
    if (by->max_peak == 0 || min_peak <= by->max_peak) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "min_peak %g: peaks of the rule %s are at most %g", min_peak, by->name,
                    by->max_peak);
}

static hw_err allocate(hw_citation *c, bool followed, hw_error *err) {
    size_t cells, hops;
    if (followed && hw__mul(&hops, c->n_parts, c->n_parts)) c->hops = hw__alloc(hops, sizeof *c->hops);
    if (followed && !c->hops) return hw__fail_memory(err, "hops between parts", c->n_parts, c->n_parts);
    if (!hw__mul(&cells, c->n_parts + 1, c->n_passages))
        return hw__fail_memory(err, "a citation", c->n_parts, c->n_passages);
    c->links = hw__alloc(cells, sizeof *c->links);
    c->elsewhere = hw__alloc(c->n_parts + 1, sizeof *c->elsewhere);
    c->order = hw__alloc(c->n_passages, sizeof *c->order);
    if (c->links && c->elsewhere && c->order) return HW_OK;
    return hw__fail_memory(err, "a citation", cells, sizeof *c->links);
}

static hw_err fill(hw_citation *c, table *t, hw_error *err) {
    hw_err rc = c->rule->unit(t, err);
    if (rc == HW_OK) rc = add_parts(c, t, err);
    if (rc != HW_OK) return rc;
    find_peaks(c, t);
    mark(c);
    put_in_order(c);
    return HW_OK;
}

hw_err hw_citation_new(hw_citation **out, const hw_attribution *a, const hw_segments *passages,
                       const hw_segments *answer, const hw_citation_params *params, hw_error *err) {
    if (!a || !passages || !answer)
        return hw__fail(err, HW_ERR_ARGUMENT, "NULL: an attribution, passages and parts of the answer are needed");
    hw_citation_params p = hw_citation_params_default();
    const rule *used = choose_rule(hw_method_find(a->method), a->balance);
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_citation_params", err);
    if (rc == HW_OK) rc = check(a, passages, answer, p.min_peak, err);
    if (rc == HW_OK) rc = check_max_peak(&used->info, p.min_peak, err);
    if (rc != HW_OK) return rc;
    hw_citation *c = hw__alloc(1, sizeof *c);
    if (!c) return hw__fail_memory(err, "a citation", 1, sizeof *c);
    *c = (hw_citation){.rule = used, .n_parts = answer->n, .n_passages = passages->n};
    c->min_peak = p.min_peak > 0 ? p.min_peak : c->rule->info.min_peak;
    table t = {0};
    rc = allocate(c, a->through, err);
    if (rc == HW_OK) rc = table_new(&t, a, passages, answer, err);
    if (rc == HW_OK) {
        rc = fill(c, &t, err);
        table_clear(&t);
    }
    if (rc == HW_OK)
        *out = c;
    else
        hw_citation_free(c);
    return rc;
}

void hw_citation_free(hw_citation *c) {
    if (!c) return;
    free(c->links);
    free(c->elsewhere);
    free(c->order);
    free(c->hops);
    free(c);
}

double hw_citation_hop(const hw_citation *c, size_t part, size_t from) {
    return c->hops ? (double)c->hops[part * c->n_parts + from] : 0;
}

double hw_citation_main_share(const hw_citation *c, size_t part, size_t passage) {
    double highest = 0, sum = 0, share = link_at(c, part, passage)->share;
    for (size_t p = 0; p < c->n_passages; p++) highest = fmax(highest, link_at(c, part, p)->share);
    for (size_t p = 0; p < c->n_passages; p++)
        if (link_at(c, part, p)->share >= HW_MAIN_SHARE * highest) sum += link_at(c, part, p)->share;
    return sum > 0 && share >= HW_MAIN_SHARE * highest ? share / sum : 0;
}

size_t hw_citation_n_parts(const hw_citation *c) { return c->n_parts; }
size_t hw_citation_n_passages(const hw_citation *c) { return c->n_passages; }

void hw_citation_link_copy(hw_citation_link *out, size_t size, const hw_citation *c, size_t part, size_t passage) {
    hw__sized_copy(out, size, link_at(c, part, passage), sizeof *out);
}

void hw_citation_elsewhere_copy(hw_citation_elsewhere *out, size_t size, const hw_citation *c, size_t part) {
    hw__sized_copy(out, size, &c->elsewhere[part], sizeof *out);
}

const hw_citation_rule *hw_citation_rule_used(const hw_citation *c) { return &c->rule->info; }
double hw_citation_min_peak(const hw_citation *c) { return c->min_peak; }

void hw__citation_set_mark(hw_citation *c, size_t part, size_t passage, bool marked) {
    link_at(c, part, passage)->marked = marked;
}

void hw__citation_marks_changed(hw_citation *c) {
    for (size_t p = 0; p < c->n_passages; p++) {
        hw_citation_link *whole = link_at(c, c->n_parts, p);
        whole->marked = false;
        for (size_t s = 0; s < c->n_parts; s++) whole->marked = whole->marked || link_at(c, s, p)->marked;
    }
    put_in_order(c);
}

const size_t *hw_citation_order(const hw_citation *c, size_t *n_marked) {
    if (n_marked) *n_marked = c->n_marked;
    return c->order;
}
