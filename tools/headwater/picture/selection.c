/*
 * selection.c - one attribution with a selection of rows, layers and a filter, and the scale for drawing it.
 *
 * The scale ranges from 0 to the largest shown value, ignoring two kinds of tokens: token 0, the attention sink of
 * causal models, and the explained position, whose own residual stream contributes to every row. With segments the
 * ignored one is that of BOS and the chat template. These values are so large that nothing else would be visible; the
 * legend names those beyond the scale.
 */
#include "picture/selection.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

size_t picture_first_selectable(const hw_run *run) { return hw_run_n_completion(run) ? hw_run_n_prompt(run) : 0; }

static hw_err select_rows(picture *p, const char *token, hw_error *err) {
    p->row_begin = 0;
    p->row_end = hw_attribution_n_rows(p->a);
    if (!token) return HW_OK;
    size_t begin, end;
    hw_err rc = hw_run_select(&begin, &end, p->run, token, err);
    if (rc != HW_OK) return rc;
    size_t base = picture_first_selectable(p->run), first = hw_attribution_first_token(p->a);
    if (base + begin < first || base + end - first > p->row_end) {
        return hw__fail(err, HW_ERR_ARGUMENT, "token \"%.60s\": this result explains tokens %zu to %zu only", token,
                        first - base, first - base + p->row_end - 1);
    }
    p->row_begin = base + begin - first;
    p->row_end = base + end - first;
    return HW_OK;
}

static hw_err select_layers(picture *p, const char *layers, hw_error *err) {
    p->layer_begin = 0;
    p->layer_end = hw_attribution_n_layers(p->a);
    return layers ? hw_attribution_select_layers(&p->layer_begin, &p->layer_end, p->a, layers, err) : HW_OK;
}

bool picture_is_grouped(const picture *p) { return hw_attribution_params(p->a).groups != NULL; }

static double size_of(double v) { return v < 0 ? -v : v; }

/* Whether a segment has no text of the user: BOS and the chat template, which contain token 0. */
static bool is_scaffold(const picture *p, size_t column) {
    const int32_t *groups = hw_attribution_params(p->a).groups;
    bool any = false;
    for (size_t t = 0, n = picture_n_tokens(p); t < n; t++) {
        if (groups[t] != (int32_t)column) continue;
        hw_role role = hw_run_token(p->run, t).role;
        if (role != HW_ROLE_SPECIAL && role != HW_ROLE_TEMPLATE) return false;
        any = true;
    }
    return any;
}

bool picture_is_structural(const picture *p, size_t column) {
    if (picture_is_grouped(p)) return is_scaffold(p, column);
    bool predictor = hw_attribution_params(p->a).row == HW_ROW_PREDICTOR && hw_run_n_completion(p->run) > 0;
    size_t first = hw_attribution_first_token(p->a) - predictor;
    return column == 0 || (column >= first + p->row_begin && column < first + p->row_end);
}

static void choose_scale(picture *p) {
    const float *scores = hw_view_scores(p->view);
    double structural = 0, max = 0, min = 0;
    for (size_t k = 0; k < hw_view_n_columns(p->view); k++) {
        if (hw_view_is_hidden(p->view, k)) continue;
        double *of = picture_is_structural(p, k) ? &structural : &max;
        if (size_of(scores[k]) > *of) *of = size_of(scores[k]);
        if (scores[k] < min) min = scores[k];
    }
    p->scale = max > 0 ? max : structural > 0 ? structural : 1;
    p->negative = -min >= p->scale * p->t->faint;
}

hw_err picture_fill(picture *p, hw_error *err) {
    hw_err rc = select_layers(p, p->select.layers, err);
    if (rc != HW_OK) return rc;
    hw_view_params params = hw_view_params_default();
    params.row_begin = p->row_begin;
    params.row_end = p->row_end;
    params.layer_begin = p->layer_begin;
    params.layer_end = p->layer_end;
    params.hide = p->select.hide;
    params.keep = p->select.keep;
    params.normalise = p->select.normalise;
    params.lift = p->select.lift;
    rc = hw_view_new(&p->view, p->a, &params, err);
    if (rc == HW_OK) choose_scale(p);
    return rc;
}

hw_err picture_new(picture *p, const terminal *t, const hw_attribution *a, const selection_params *select,
                   hw_error *err) {
    *p = (picture){.t = t, .a = a, .run = hw_attribution_run(a), .select = *select};
    hw_err rc = select_rows(p, select->token, err);
    return rc == HW_OK ? picture_fill(p, err) : rc;
}

size_t picture_n_tokens(const picture *p) {
    bool all = hw_attribution_params(p->a).columns == HW_COLUMNS_ALL;
    return all ? hw_run_n_tokens(p->run) : hw_run_n_prompt(p->run);
}

bool picture_column(const picture *p, size_t token, size_t *column) {
    const int32_t *groups = hw_attribution_params(p->a).groups;
    if (groups && groups[token] < 0) return false;
    *column = groups ? (size_t)groups[token] : token;
    return *column < hw_view_n_columns(p->view);
}

/* A label of a text of n bytes, as much as was written; it may contain NUL. */
static label label_of(const char *text, size_t n, size_t capacity, int width) {
    return text_label(text, n < capacity ? n : strlen(text), width);
}

label picture_token(const hw_run *run, size_t i, int width) {
    char text[512];
    return label_of(text, hw_run_token_text(text, sizeof text, run, i), sizeof text, width);
}

label picture_label(const picture *p, size_t column, int width) {
    const char *const *names = hw_attribution_params(p->a).group_names;
    const int32_t *groups = hw_attribution_params(p->a).groups;
    char text[512];
    if (names && *names[column]) return text_label(names[column], strlen(names[column]), width);
    if (!picture_is_grouped(p)) return picture_token(p->run, column, width);
    size_t n = hw_run_group_text(text, sizeof text, p->run, groups, picture_n_tokens(p), (int32_t)column);
    return label_of(text, n, sizeof text, width);
}

void picture_free(picture *p) { hw_view_free(p->view); }

unsigned picture_traits(const picture *p) {
    const hw_method_info *info = hw_method_find(hw_attribution_method(p->a));
    const hw_method_params params = hw_attribution_params(p->a);
    return info ? hw_method_active_traits(info, &params) : 0;
}

double picture_through_thinking(const hw_attribution *a, size_t first, size_t end) {
    const hw_through *rows = hw_attribution_through_rows(a);
    const hw_run *run = hw_attribution_run(a);
    size_t m = hw_run_n_prompt(run), before = hw_attribution_first_token(a) - m;
    double thinking = 0, all = 0;
    for (size_t i = first; i < end; i++) {
        all += rows[i].raised;
        for (size_t k = 0; k < before + i; k++)
            if (hw_run_token(run, m + k).role == HW_ROLE_THINKING)
                thinking += rows[i].raised * hw_attribution_hop(a, i, k);
    }
    return all > 0 ? thinking / all : 0;
}

bool picture_against_token(const picture *p) {
    const char *text = hw_run_against(p->run);
    return *text && strcmp(text, "mean") != 0 && strcmp(text, "distribution") != 0;
}

label picture_against(const picture *p, int width) {
    static const char each[] = "each step's likeliest other token", expected[] = "the model's distribution";
    const char *text = hw_run_against(p->run);
    if (!picture_against_token(p)) return text_label(expected, sizeof expected - 1, (int)sizeof expected);
    if (strcmp(text, "second") != 0) return text_label(text + (*text == '='), strlen(text) - (*text == '='), width);
    if (p->row_end - p->row_begin > 1) return text_label(each, sizeof each - 1, (int)sizeof each);
    hw_token t = hw_run_token(p->run, hw_attribution_first_token(p->a) + p->row_begin);
    int32_t i = t.n_alternatives > 1 && t.alternatives[0].id == t.id;
    return t.n_alternatives ? text_label(t.alternatives[i].bytes, t.alternatives[i].n_bytes, width)
                            : (label){.utf8 = "unknown"};
}
