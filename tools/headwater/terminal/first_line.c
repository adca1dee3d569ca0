/*
 * first_line.c - the first line of a view: the sources of the selected tokens, in words.
 *
 *     ·Lisbon: 44 % from ·Lisbon in sentence 3, 12 % from the rest of the prompt, 41 % the model itself.
 *
 * Shares of the positive contributions to the logits, each token by its own. Only for methods whose parts are complete:
 * `logit`, and methods followed through the completion.
 */
#include "cli/safe_text.h"
#include "terminal/prose.h"
#include "terminal/view_parts.h"

#include <stdlib.h>
#include <string.h>

/* In the method's unit, summed over the selected rows. */
typedef struct parts {
    double *columns; /* [n_columns] */
    double rest, answer, model;
} parts;

static double positive(double v) { return v > 0 ? v : 0; }

static double sum_of(const float *values, size_t n) {
    double sum = 0;
    for (size_t l = 0; l < n; l++) sum += values[l];
    return sum;
}

/* Adds the shares of row i, times the contribution that raised the token. */
static void add_followed(parts *to, const picture *p, size_t i) {
    const hw_through *row = &hw_attribution_through_rows(p->a)[i];
    size_t C = hw_attribution_n_columns(p->a), L = hw_attribution_n_layers(p->a);
    double unit = row->raised / (double)L;
    for (size_t k = 0; k < C; k++)
        to->columns[k] += positive(unit * sum_of(hw_attribution_values(p->a) + (i * C + k) * L, L));
    to->rest += positive(unit * sum_of(hw_attribution_outside(p->a) + i * L, L));
    to->model += row->raised * row->model;
}

/* Adds row i in nats. The embedding of the previous token counts for that token. */
static void add_direct(parts *to, const picture *p, size_t i) {
    const hw_balance *b = &hw_attribution_balance(p->a)[i];
    size_t C = hw_attribution_n_columns(p->a), L = hw_attribution_n_layers(p->a);
    bool first = hw_attribution_first_token(p->a) + i == hw_run_n_prompt(p->run);
    for (size_t k = 0; k < C; k++) to->columns[k] += positive(sum_of(hw_attribution_values(p->a) + (i * C + k) * L, L));
    double outside = sum_of(hw_attribution_outside(p->a) + i * L, L);
    to->rest += positive(outside - b->completion + (first ? b->embedding : 0));
    to->answer += positive(b->completion + (first ? 0 : b->embedding));
    to->model += positive(b->mlp + b->bias);
}

/* The column of what is in no span, which is part of "the rest of the prompt" here. */
static bool is_outside(const picture *p, size_t column) {
    const char *const *names = hw_attribution_params(p->a).group_names;
    return names && column + 1 == hw_attribution_n_columns(p->a) && strcmp(names[column], "(outside the spans)") == 0;
}

/* The strongest column that is not hidden; false if no column has a part. */
static bool strongest(size_t *best, const parts *of, const picture *p) {
    bool any = false;
    for (size_t k = 0; k < hw_attribution_n_columns(p->a); k++) {
        if (of->columns[k] <= 0 || hw_view_is_hidden(p->view, k) || is_outside(p, k)) continue;
        if (any && of->columns[k] <= of->columns[*best]) continue;
        *best = k;
        any = true;
    }
    return any;
}

/* " in sentence 3", counted from 1; "" for segments, which are longer, and for tokens in no sentence. */
static label place_of(const picture *p, size_t column) {
    hw_segments *sentences;
    size_t n;
    label place = {.utf8 = ""};
    if (picture_is_grouped(p) || hw_segments_new(&sentences, p->run, HW_SIDE_PROMPT, "sentence", NULL) != HW_OK)
        return place;
    const int32_t *groups = hw_segments_groups(sentences, &n);
    if (column < n && groups[column] >= 0 && hw_segments_count(sentences) > 1)
        snprintf(place.utf8, sizeof place.utf8, " in sentence %d", (int)groups[column] + 1);
    hw_segments_free(sentences);
    return place;
}

typedef struct sentence {
    char text[2048];
} sentence;

static void append(sentence *to, const char *a, const char *b, const char *c) {
    size_t n = strlen(to->text);
    snprintf(to->text + n, sizeof to->text - n, "%s%s%s", a, b, c);
}

/* Appends "·Lisbon: " or "·Lisbon and not ·Porto: ", or the number of tokens. */
static void append_subject(sentence *to, const picture *p) {
    size_t n = p->row_end - p->row_begin;
    size_t token = hw_attribution_first_token(p->a) + p->row_begin;
    char count[40];
    snprintf(count, sizeof count, "These %zu tokens", n);
    append(to, n == 1 ? picture_token(p->run, token, p->t->width / 3).utf8 : count, "", "");
    if (picture_against_token(p)) append(to, " and not ", picture_against(p, p->t->width / 3).utf8, "");
    append(to, ": ", "", "");
}

static sentence describe(const picture *p, const parts *of, double total) {
    sentence s = {""};
    size_t best = 0;
    bool any = strongest(&best, of, p);
    double first = any ? of->columns[best] : 0, prompt = of->rest;
    for (size_t k = 0; k < hw_attribution_n_columns(p->a); k++) prompt += of->columns[k];
    const struct {
        double part;
        const char *what;
    } others[] = {{prompt - first, any ? " from the rest of the prompt" : " from the prompt"},
                  {of->answer, " from the answer so far"},
                  {of->model, " the model itself"}};
    append_subject(&s, p);
    if (any) append(&s, text_percent(first / total).text, " from ", picture_label(p, best, p->t->width / 3).utf8);
    if (any) append(&s, place_of(p, best).utf8, "", "");
    for (size_t i = 0, n = any; i < sizeof others / sizeof *others; i++) {
        if (others[i].part / total < 0.005) continue;
        append(&s, n++ ? ", " : "", text_percent(others[i].part / total).text, others[i].what);
    }
    append(&s, ".", "", "");
    return s;
}

bool first_line_print(const picture *p) {
    const hw_through *followed = hw_attribution_through_rows(p->a);
    bool whole = followed || hw_attribution_balance(p->a);
    bool one_sided = picture_against_token(p) && !followed; /* what raised the other token would be missing */
    if (!whole || one_sided || hw_attribution_params(p->a).columns != HW_COLUMNS_PROMPT) return true;
    parts sums = {.columns = calloc(hw_attribution_n_columns(p->a) + 1, sizeof *sums.columns)};
    if (!sums.columns) return false;
    for (size_t i = p->row_begin; i < p->row_end; i++) (followed ? add_followed : add_direct)(&sums, p, i);
    double total = sums.rest + sums.answer + sums.model;
    for (size_t k = 0; k < hw_attribution_n_columns(p->a); k++) total += sums.columns[k];
    if (total > 0) {
        prose_print(p->t, describe(p, &sums, total).text, terminal_bold);
        putc('\n', p->t->out);
    }
    free(sums.columns);
    return true;
}
