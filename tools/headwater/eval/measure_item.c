/*
 * measure_item.c - measures one item.
 *
 *     capture -> right or wrong, which tokens -> segments -> explain by every method -> check -> evidence -> JSON
 */
#include "eval/measure_item.h"

#include "base/json.h"
#include "base/utf8.h"
#include "cli/clock.h"
#include "cli/error_kinds.h"
#include "export/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* State of one item; everything it points to is freed together. */
typedef struct work {
    const eval_plan *plan;
    const eval_item *item;
    hw_trace *trace;
    const hw_run *run;
    hw_segments *segments;
    size_t n_segments;
    bool *evidence;                     /* [n_segments] has evidence */
    size_t n_evidence;                  /* number of such segments */
    size_t begin, end;                  /* completion tokens to explain */
    int right;                          /* 1: right, 0: wrong, -1: unknown */
    hw_attribution *made[MAX_VARIANTS]; /* [methods->n] NULL: the method failed ... */
    hw_error why[MAX_VARIANTS];         /* ... and why */
    size_t n_made;                      /* number of methods that did not fail */
    int flips[MAX_VARIANTS][2];         /* without the first and the first three: 1: another answer; -1: unknown */
    hw_check *check;                    /* of the methods that did not fail; NULL: not requested */
    double began;
} work;

static hw_err fail_memory(hw_error *err) {
    *err = (hw_error){.code = HW_ERR_MEMORY, .msg = "no memory for the result of an item"};
    return HW_ERR_MEMORY;
}

/* ------------------------------------------------------------------ the answer */

enum { MAX_ANSWER = 4096 };

/* Folds the case of text [n] and removes white space at its start; false if it is too long. */
static bool fold(char *out, const char *text, size_t n) {
    int32_t i = 0, at = 0;
    UChar32 c = ' ';
    while (i < (int32_t)n) {
        U8_NEXT((const uint8_t *)text, i, (int32_t)n, c);
        if (c >= 0 && !u_isUWhiteSpace(c)) break;
        at = i;
    }
    UErrorCode status = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("", U_FOLD_CASE_DEFAULT, &status);
    ucasemap_utf8FoldCase(map, out, MAX_ANSWER, text + at, (int32_t)n - at, &status);
    ucasemap_close(map);
    return U_SUCCESS(status) && status != U_STRING_NOT_TERMINATED_WARNING;
}

static bool begins_with(const char *given, const char *answer) {
    char wanted[MAX_ANSWER];
    if (!fold(wanted, answer, strlen(answer))) return false;
    size_t length = strlen(wanted);
    while (length && wanted[length - 1] == ' ') length--;
    return strncmp(given, wanted, length) == 0;
}

/* Whether a completion gives one of the item's answers. */
static bool answers(const char *completion, size_t n, const eval_item *item) {
    char given[MAX_ANSWER];
    bool found = false;
    if (!fold(given, completion, n)) return false;
    for (size_t i = 0; i < item->n_answers && !found; i++) found = begins_with(given, item->answers[i]);
    return found;
}

/* Position of the answer's text: white space before it belongs to its first token. */
static size_t answer_begin(const work *w, const char *completion, size_t n) {
    const char *after = w->item->after;
    size_t length = after ? strlen(after) : 0;
    for (size_t i = 0; after && i + length <= n; i++)
        if (memcmp(completion + i, after, length) == 0) return i + length;
    return after ? n : 0;
}

/* Selects the completion tokens of an answer that begins at byte `begin` of the completion [n_bytes]; white space alone
 * is no answer. A right answer ends with its own words: text that the model adds is not explained. */
static void select_answer(work *w, const char *completion, size_t n_bytes, size_t begin) {
    size_t n = hw_run_n_completion(w->run), m = hw_run_n_prompt(w->run), i = 0;
    while (begin < n_bytes && strchr(" \n\t", completion[begin])) begin++;
    while (i + 1 < n && hw_run_token(w->run, m + i).end <= begin) i++;
    w->begin = i;
    for (; i < n && w->right == 1; i++) {
        size_t end = hw_run_token(w->run, m + i).end;
        if (!answers(completion + begin, end > begin ? end - begin : 0, w->item)) continue;
        w->end = i + 1;
        return;
    }
}

static hw_err judge_answer(work *w, hw_error *err) {
    size_t n;
    const char *completion = hw_run_completion(w->run, &n);
    size_t begin = answer_begin(w, completion, n);
    w->right = w->item->n_answers ? answers(completion + begin, n - begin, w->item) : -1;
    w->begin = 0;
    w->end = hw_run_n_completion(w->run);
    if (w->item->token) return hw_run_select(&w->begin, &w->end, w->run, w->item->token, err);
    if (w->right == 1) select_answer(w, completion, n, begin);
    return HW_OK;
}

static hw_err capture(work *w, hw_error *err) {
    hw_explainer *explainer = NULL;
    hw_run_params params = w->plan->run;
    params.prompt = w->item->prompt;
    params.prompt_bytes = w->item->prompt_bytes;
    params.completion = w->item->completion;
    params.completion_bytes = w->item->completion_bytes;
    params.stop = w->plan->stop;
    /* a check computes its own baselines, from all rows */
    hw_err rc =
        variants_explainer(&explainer, w->plan->methods, w->plan->n_ablations ? HW_KEEP_ROWS : HW_KEEP_METHODS, err);
    params.explainer = explainer;
    if (rc == HW_OK) rc = hw_trace_capture(&w->trace, w->plan->model, &params, err);
    hw_explainer_free(explainer);
    if (rc != HW_OK) return rc;
    w->run = hw_trace_run(w->trace);
    if (hw_run_finish_reason(w->run) == HW_STOP_CANCELLED) {
        *err = (hw_error){.code = HW_ERR_CANCELLED, .msg = "stopped while an answer was generated"};
        return HW_ERR_CANCELLED;
    }
    return judge_answer(w, err);
}

/* ------------------------------------------------------------------ segments and evidence */

static hw_err mark_evidence(work *w, hw_error *err) {
    w->n_segments = hw_segments_count(w->segments);
    w->evidence = calloc(w->n_segments + 1, sizeof *w->evidence);
    if (!w->evidence) return fail_memory(err);
    for (size_t s = 0; s < w->n_segments; s++) {
        const hw_span *a = hw_segments_at(w->segments, s), *b = w->item->evidence;
        for (size_t i = 0; i < w->item->n_evidence && !w->evidence[s]; i++)
            w->evidence[s] = a->begin < b[i].end && b[i].begin < a->end;
        w->n_evidence += w->evidence[s];
    }
    return HW_OK;
}

static hw_err split_prompt(work *w, hw_error *err) {
    const char *by = w->plan->by, *spans = w->item->spans;
    hw_err rc;
    if (!by && spans) {
        rc = hw_segments_from_json(&w->segments, w->run, HW_SIDE_PROMPT, spans, strlen(spans), err);
    } else {
        rc = hw_segments_new(&w->segments, w->run, HW_SIDE_PROMPT, by ? by : "sentence", err);
    }
    return rc == HW_OK ? mark_evidence(w, err) : rc;
}

/* ------------------------------------------------------------------ explaining */

/* Every item draws its own masks and random scores; the same ones for all items would correlate their errors. */
static uint64_t seed_of(const work *w) { return w->plan->seed + w->item->index; }

/* Removes the tokens that a variant hides from `groups` [n]. A view of any ungrouped explanation can compute them. */
static hw_err hide_tokens(const work *w, const variant *v, int32_t *groups, size_t n, hw_error *err) {
    hw_attribution *plain = NULL;
    hw_view *view = NULL;
    hw_view_params params = hw_view_params_default();
    params.hide = v->hide;
    hw_err rc = hw_explain(&plain, w->trace, "random", NULL, err);
    if (rc == HW_OK) rc = hw_view_new(&view, plain, &params, err);
    for (size_t t = 0; rc == HW_OK && t < n; t++)
        if (hw_view_is_hidden(view, t)) groups[t] = -1;
    hw_view_free(view);
    hw_attribution_free(plain);
    return rc;
}

static hw_err explain_one(work *w, size_t i, hw_error *err) {
    const variant *v = &w->plan->methods->at[i];
    size_t n;
    const int32_t *whole = hw_segments_groups(w->segments, &n);
    int32_t *groups = malloc((n + 1) * sizeof *groups);
    if (!groups) return fail_memory(err);
    memcpy(groups, whole, n * sizeof *groups);
    hw_method_params params = v->params;
    params.groups = groups;
    params.n_groups = w->n_segments;
    params.model = w->plan->model;
    params.n_ablations = w->plan->n_ablations ? w->plan->n_ablations : params.n_ablations;
    params.seed = seed_of(w);
    params.stop = w->plan->stop;
    hw_err rc = v->hide ? hide_tokens(w, v, groups, n, err) : HW_OK;
    if (rc == HW_OK) rc = hw_explain(&w->made[i], w->trace, v->method, &params, err);
    free(groups);
    return rc;
}

/* A method that fails (flow for a long prompt) does not affect the others. */
static hw_err explain_all(work *w, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < w->plan->methods->n; i++) {
        hw_err one = explain_one(w, i, &w->why[i]);
        if (one == HW_OK) w->n_made++;
        if (one != HW_OK && rc == HW_OK) *err = w->why[i];
        if (one != HW_OK) rc = one;
        if (error_ends_run(one)) return one;
    }
    return w->n_made ? HW_OK : rc;
}

static hw_err check(work *w, hw_error *err) {
    if (w->plan->n_ablations == 0) return HW_OK;
    const hw_attribution *list[MAX_VARIANTS];
    size_t n = 0;
    for (size_t i = 0; i < w->plan->methods->n; i++)
        if (w->made[i]) list[n++] = w->made[i];
    hw_check_params params = hw_check_params_default();
    params.row_begin = w->begin;
    params.row_end = w->end;
    params.n_ablations = w->plan->n_ablations;
    params.seed = seed_of(w);
    params.stop = w->plan->stop;
    return hw_check_new(&w->check, w->plan->model, w->trace, &(hw_check_subject){w->segments, list, n}, &params, err);
}

/* ------------------------------------------------------------------ written again */

/* Whether a completion that was generated again gives the item's answer. */
static bool still_answers(const work *w, const rewritten *r) {
    if (!w->item->n_answers) return r->stands;
    size_t begin = answer_begin(w, r->text, r->n_bytes);
    return answers(r->text + begin, r->n_bytes - begin, w->item);
}

/* Only items that are answered right: a wrong answer has nothing to lose. */
static hw_err write_again(work *w, hw_error *err) {
    rewritten_list list = {.n = 0};
    size_t of[MAX_VARIANTS], n = 0;
    const hw_attribution *made[MAX_VARIANTS];
    memset(w->flips, -1, sizeof w->flips);
    if (!w->plan->rewrite || w->right == 0) return HW_OK;
    for (size_t i = 0; i < w->plan->methods->n; i++)
        if (w->made[i]) {
            of[n] = i;
            made[n++] = w->made[i];
        }
    rewrite_subject subject = {.model = w->plan->model,
                               .run = w->run,
                               .segments = w->segments,
                               .list = made,
                               .n = n,
                               .row_begin = w->begin,
                               .row_end = w->end,
                               .stop = w->plan->stop};
    hw_err rc = rewrite_all(&list, &subject, err);
    for (size_t i = 0; i < list.n && rc == HW_OK; i++)
        w->flips[of[list.at[i].index]][list.at[i].n_without > 1] = !still_answers(w, &list.at[i]);
    rewritten_list_free(&list);
    return rc;
}

/* ------------------------------------------------------------------ the result */

static json_t *number(double v) { return v - v == 0 ? json_real(v) : json_null(); /* null for NaN and infinity */ }

/* Ranks of the evidence among all segments by descending score; `order` [n_segments] is scratch. */
static json_t *put_evidence(json_t *to, const work *w, const hw_view *view, size_t *order) {
    size_t n = hw_view_top(view, order, w->n_segments), share = (w->n_segments + 9) / 10, best = 0, found = 0,
           among_k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!w->evidence[order[i]]) continue;
        if (!best) best = i + 1;
        found += i < share;
        among_k += i < w->n_evidence;
    }
    to = hw__json_set(to, "hit1", json_integer(best == 1));
    to = hw__json_set(to, "mrr", number(best ? 1.0 / (double)best : 0));
    to = hw__json_set(to, "recallk", number((double)among_k / (double)w->n_evidence));
    return hw__json_set(to, "recall10", number((double)found / (double)w->n_evidence));
}

static json_t *put_check(json_t *to, const hw_check_row *row) {
    static const char *const drops[] = {"drop1", "drop3", "drop5"};
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) to = hw__json_set(to, drops[i], number(row->drop[i]));
    to = hw__json_set(to, "comprehensiveness", number(row->comprehensiveness));
    to = hw__json_set(to, "sufficiency", number(row->sufficiency));
    return hw__json_set(to, "lds", number(row->lds));
}

static json_t *put_flips(json_t *to, const int *flips) {
    static const char *const keys[] = {"flip1", "flip3"};
    for (size_t i = 0; i < 2; i++)
        if (flips[i] >= 0) to = hw__json_set(to, keys[i], json_integer(flips[i]));
    return to;
}

static json_t *scores_json(const hw_view *view) {
    json_t *list = json_array();
    const float *scores = hw_view_scores(view);
    for (size_t k = 0; k < hw_view_n_columns(view); k++) list = hw__json_append(list, number(scores[k]));
    return list;
}

/* The layers of a variant. "last" is full depth: for composition from the top down that is the first layer. */
static hw_err choose_layers(size_t *begin, size_t *end, const variant *v, const hw_attribution *a, hw_error *err) {
    size_t n = hw_attribution_n_layers(a);
    *begin = 0;
    *end = n;
    if (!v->layers || n == 1) return HW_OK;
    if (strcmp(v->layers, "last") != 0) return hw_attribution_select_layers(begin, end, a, v->layers, err);
    if (v->params.direction == HW_DIRECTION_INPUT) *begin = n - 1;
    *end = *begin + 1;
    return HW_OK;
}

/* Findings about explanation `i`, row `row` of the check. The check uses means of M over all layers, so it does not
 * apply to a selection of layers or a lift. */
static hw_err put_method(json_t *list, const work *w, size_t i, size_t row, size_t *order, hw_error *err) {
    const variant *v = &w->plan->methods->at[i];
    hw_view_params params = hw_view_params_default();
    params.row_begin = w->begin;
    params.row_end = w->end;
    params.lift = v->lift;
    hw_view *view;
    hw_err rc = choose_layers(&params.layer_begin, &params.layer_end, v, w->made[i], err);
    if (rc == HW_OK) rc = hw_view_new(&view, w->made[i], &params, err);
    if (rc != HW_OK) return rc;
    json_t *to = json_object();
    to = hw__json_set(to, "method", json_string(v->label));
    if (w->n_evidence) to = put_evidence(to, w, view, order);
    if (w->check && !v->layers && !v->lift) to = put_check(to, hw_check_at(w->check, row));
    to = put_flips(to, w->flips[i]);
    to = hw__json_set(to, "passes", json_integer((json_int_t)hw_attribution_n_passes(w->made[i])));
    to = hw__json_set(to, "scores", scores_json(view));
    hw_view_free(view);
    return json_array_append_new(list, to) == 0 ? HW_OK : fail_memory(err);
}

static hw_err put_reason(json_t *list, const work *w, size_t i, hw_error *err) {
    json_t *to = json_pack("{s:s, s:s}", "method", w->plan->methods->at[i].label, "error", w->why[i].msg);
    return json_array_append_new(list, to) == 0 ? HW_OK : fail_memory(err);
}

static hw_err methods_json(json_t **out, const work *w, hw_error *err) {
    json_t *list = json_array();
    size_t *order = calloc(w->n_segments + 1, sizeof *order), row = 0;
    hw_err rc = list && order ? HW_OK : fail_memory(err);
    for (size_t i = 0; i < w->plan->methods->n && rc == HW_OK; i++)
        rc = w->made[i] ? put_method(list, w, i, row++, order, err) : put_reason(list, w, i, err);
    free(order);
    if (rc != HW_OK) {
        json_decref(list);
        return rc;
    }
    *out = list;
    return HW_OK;
}

static json_t *evidence_json(const work *w) {
    json_t *list = json_array();
    for (size_t s = 0; s < w->n_segments; s++)
        if (w->evidence[s]) list = hw__json_append(list, json_integer((json_int_t)s));
    return list;
}

/* ["0110...", logit] of each random mask: 1 for a segment that was kept. */
static json_t *cuts_json(const hw_check *check, size_t n_segments) {
    json_t *list = json_array();
    char *digits = malloc(n_segments + 1);
    for (size_t i = 0; digits && i < hw_check_n_masks(check); i++) {
        double logit;
        const bool *keep = hw_check_mask(check, i, &logit);
        for (size_t k = 0; k < n_segments; k++) digits[k] = keep[k] ? '1' : '0';
        list = hw__json_append(list, json_pack("[s#, f]", digits, (int)n_segments, logit));
    }
    if (!digits) {
        json_decref(list);
        return NULL;
    }
    free(digits);
    return list;
}

/* NULL when memory runs out. */
static json_t *remarks_json(const hw_run *run) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < hw_run_n_remarks(run); i++) {
        if (json_array_append_new(list, json_string(hw_run_remark(run, i))) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

static hw_err report(json_t **out, const work *w, hw_error *err) {
    json_t *methods = NULL, *to = json_object();
    hw_err rc = methods_json(&methods, w, err);
    if (rc != HW_OK) {
        json_decref(to);
        return rc;
    }
    size_t n;
    const char *completion = hw_run_completion(w->run, &n);
    to = hw__json_set(to, "completion", hw__json_front(completion, n));
    to = hw__json_set(to, "right", w->right < 0 ? json_null() : json_boolean(w->right));
    to = hw__json_set(to, "prompt_tokens", json_integer((json_int_t)hw_run_n_prompt(w->run)));
    if (hw_run_n_remarks(w->run)) to = hw__json_set(to, "remarks", remarks_json(w->run));
    to = hw__json_set(to, "explained", json_pack("[I, I]", (json_int_t)w->begin, (json_int_t)w->end));
    to = hw__json_set(to, "segments", json_integer((json_int_t)w->n_segments));
    to = hw__json_set(to, "evidence", evidence_json(w));
    to = hw__json_set(to, "base", w->check ? number(hw_check_base(w->check)) : json_null());
    to = hw__json_set(to, "passes", json_integer(w->check ? (json_int_t)hw_check_n_passes(w->check) : 0));
    if (w->check) to = hw__json_set(to, "cuts", cuts_json(w->check, w->n_segments));
    to = hw__json_set(to, "seconds", number(clock_seconds() - w->began));
    to = hw__json_set(to, "methods", methods);
    if (!to) return fail_memory(err);
    *out = to;
    return HW_OK;
}

static void free_work(work *w) {
    hw_check_free(w->check);
    for (size_t i = 0; i < w->plan->methods->n; i++) hw_attribution_free(w->made[i]);
    free(w->evidence);
    hw_segments_free(w->segments);
    hw_trace_free(w->trace);
}

hw_err eval_run(json_t **out, const eval_plan *plan, const eval_item *item, hw_error *err) {
    work w = {.plan = plan, .item = item, .began = clock_seconds()};
    hw_err rc = capture(&w, err);
    if (rc == HW_OK) rc = split_prompt(&w, err);
    if (rc == HW_OK) rc = explain_all(&w, err);
    if (rc == HW_OK) rc = check(&w, err);
    if (rc == HW_OK) rc = write_again(&w, err);
    if (rc == HW_OK) rc = report(out, &w, err);
    free_work(&w);
    return rc;
}
