/* summary_table.c - groups result lines, and computes means with bootstrap intervals. */
#include "eval/summary_table.h"

#include "base/error.h"
#include "base/json.h"
#include "base/splitmix64.h"
#include "cli/message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const eval_metric eval_metrics[EVAL_METRICS] = {
    {"hit1", "hit@1", "the first segment holds evidence", true, false, 0},
    {"mrr", "MRR", "1 / rank of the first segment that holds evidence", true, false, 0},
    {"recallk", "recall@k", "share of the k segments with evidence among the first k", true, false, 0},
    {"recall10", "recall@10%", "share of the evidence among the first tenth", true, false, 0},
    {"lds", "LDS", "Spearman of summed scores and logit p over random masks", false, false, 0},
    {"passes", "passes", "forward passes beside the run's own", false, true, 0},
    {"flip1", "flip@1", "another answer is generated without the first segment (--rewrite)", true, false, 2},
    {"flip3", "flip@3", "without the first three", true, false, 2},
    {"drop1", "drop@1", "fall of log p without the first segment, in nats", false, false, 1},
    {"drop3", "drop@3", "without the first three", false, false, 1},
    {"drop5", "drop@5", "without the first five", false, false, 1},
    {"comprehensiveness", "compreh.", "mean fall without the first 1, 5, 10, 20, 50 %", false, false, 1},
    {"sufficiency", "suffic.", "mean fall with only those; lower is better", false, false, 1},
};

/* ------------------------------------------------------------------ bootstrap */

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double resampled_mean(const double *x, size_t n, uint64_t *state) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[(size_t)(((hw__random_bits(state) >> 32) * n) >> 32)];
    return sum / (double)n;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The quantile `p` of sorted values, interpolated linearly. */
static double quantile(const double *sorted, size_t n, double p) {
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* All cells with the same number of items use the same resamples, so that methods are compared on the same items. */
static eval_cell make_cell(const double *x, size_t n, uint64_t seed) {
    if (n == 0) return (eval_cell){0, NAN, NAN, NAN};
    double means[EVAL_RESAMPLES];
    for (size_t r = 0; r < EVAL_RESAMPLES; r++) means[r] = resampled_mean(x, n, &seed);
    qsort(means, EVAL_RESAMPLES, sizeof *means, compare_doubles);
    return (eval_cell){.n = n,
                       .mean = mean_of(x, n),
                       .low = quantile(means, EVAL_RESAMPLES, 0.025),
                       .high = quantile(means, EVAL_RESAMPLES, 0.975)};
}

/* ------------------------------------------------------------------ lines, sorted and without repeats */

static const char *text_of(const json_t *line, const char *key) {
    const char *text = json_string_value(json_object_get(line, key));
    return text ? text : "";
}

static const json_t *model_of(const json_t *line) {
    return json_object_get(json_object_get(line, "settings"), "model");
}

static int compare_lines(const void *a, const void *b) {
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    json_int_t i = json_integer_value(json_object_get(x, "index")), j = json_integer_value(json_object_get(y, "index"));
    if (i != j) return i < j ? -1 : 1;
    int order = strcmp(text_of(x, "id"), text_of(y, "id"));
    return order ? order : strcmp(text_of(model_of(x), "name"), text_of(model_of(y), "name"));
}

/* The lines [*n] in the order of their data set, regardless of shard and run; malloc'd. */
static const json_t **sort_lines(const json_t *lines, size_t *n) {
    size_t all = json_array_size(lines), kept = 0;
    const json_t **list = malloc((all + 1) * sizeof *list);
    if (!list) return NULL;
    for (size_t i = 0; i < all; i++) list[i] = json_array_get(lines, i);
    qsort(list, all, sizeof *list, compare_lines);
    for (size_t i = 0; i < all; i++)
        if (!kept || compare_lines(&list[kept - 1], &list[i]) != 0) list[kept++] = list[i];
    if (kept < all) message("%zu results are there twice and count once", all - kept);
    *n = kept;
    return list;
}

/* Results can be averaged if their settings are equal; grouped by model, models may differ. */
static hw_err check_alike(const json_t *a, const json_t *b, bool by_model, hw_error *err) {
    const json_t *old = json_object_get(a, "settings"), *now = json_object_get(b, "settings");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        if (by_model && strcmp(key, "model") == 0) continue;
        const json_t *other = json_object_get(old, key);
        if (eval_setting_same(other, value)) continue;
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "results of items %s and %s were made with different settings (%s): make a table of each",
                        text_of(a, "id"), text_of(b, "id"), key);
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ groups */

/* The value by which a line is grouped; NULL if it has no such tag. */
static const json_t *tag_of(const json_t *line, const char *group_by) {
    bool by_model = strcmp(group_by, "model") == 0;
    return by_model ? json_object_get(model_of(line), "name")
                    : json_object_get(json_object_get(line, "tags"), group_by);
}

/* A tag's value as text; malloc'd, NULL when memory runs out. */
static char *tag_text(const json_t *tag) {
    if (!json_is_string(tag)) return hw__json_dump(tag, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    char *name = malloc(json_string_length(tag) + 1);
    if (name) strcpy(name, json_string_value(tag));
    return name;
}

static int compare_names(const char *a, const char *b) {
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    bool numbers = end_a != a && !*end_a && end_b != b && !*end_b;
    if (numbers && x != y) return x < y ? -1 : 1;
    return strcmp(a, b);
}

/* The group with that name, inserted in order if it is new; takes the name. NULL when memory runs out. */
static eval_group *find_group(eval_table *t, char *name) {
    size_t at = 0;
    while (at < t->n_groups && name && compare_names(t->groups[at].name, name) < 0) at++;
    if (at < t->n_groups && (!name || strcmp(t->groups[at].name, name) == 0)) {
        free(name);
        return &t->groups[at];
    }
    eval_group *resized = realloc(t->groups, (t->n_groups + 1) * sizeof *resized);
    if (!resized) {
        free(name);
        return NULL;
    }
    t->groups = resized;
    memmove(resized + at + 1, resized + at, (t->n_groups - at) * sizeof *resized);
    t->n_groups++;
    resized[at] = (eval_group){.name = name};
    return &resized[at];
}

/* *out <- whether the line belongs to the group. False when memory runs out. */
static bool belongs(bool *out, const json_t *line, const eval_group *g, const char *group_by) {
    *out = true;
    if (!group_by) return true;
    char *name = tag_text(tag_of(line, group_by));
    *out = name && strcmp(name, g->name) == 0;
    free(name);
    return name != NULL;
}

/* ------------------------------------------------------------------ cells */

/* Collects the figures [*n] of one cell. */
static void gather(double *x, size_t *n, const json_t *const *lines, size_t n_lines, size_t method,
                   const eval_metric *m) {
    *n = 0;
    for (size_t i = 0; i < n_lines; i++) {
        if (m->of_evidence && json_is_false(json_object_get(lines[i], "right"))) continue;
        const json_t *of = json_array_get(json_object_get(lines[i], "methods"), method);
        const json_t *v = json_object_get(of, m->key);
        if (json_is_number(v)) x[(*n)++] = json_number_value(v);
    }
}

static void count_items(eval_group *g, const json_t *const *lines, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const json_t *right = json_object_get(lines[i], "right");
        g->n_items++;
        g->n_failed += json_object_get(lines[i], "error") != NULL;
        g->n_judged += json_is_boolean(right);
        g->n_right += json_is_true(right);
    }
}

static bool fill_methods(eval_group *g, const json_t *const *lines, size_t n, uint64_t seed) {
    const json_t *methods = NULL;
    for (size_t i = 0; i < n && !methods; i++) methods = json_object_get(lines[i], "methods");
    g->n_methods = json_array_size(methods);
    g->methods = calloc(g->n_methods + 1, sizeof *g->methods);
    double *x = malloc((n + 1) * sizeof *x);
    for (size_t k = 0; g->methods && x && k < g->n_methods; k++) {
        g->methods[k].label = text_of(json_array_get(methods, k), "method");
        for (size_t c = 0; c < EVAL_METRICS; c++) {
            size_t count;
            gather(x, &count, lines, n, k, &eval_metrics[c]);
            g->methods[k].cells[c] = make_cell(x, count, seed);
        }
    }
    bool ok = g->methods && x;
    free(x);
    return ok;
}

static bool fill_group(eval_group *g, const json_t *const *lines, size_t n, const char *group_by, uint64_t seed) {
    const json_t **mine = malloc((n + 1) * sizeof *mine);
    bool ok = mine != NULL;
    size_t n_mine = 0;
    for (size_t i = 0; ok && i < n; i++) {
        bool is_mine;
        ok = belongs(&is_mine, lines[i], g, group_by);
        if (ok && is_mine) mine[n_mine++] = lines[i];
    }
    if (ok) count_items(g, mine, n_mine);
    ok = ok && fill_methods(g, mine, n_mine, seed);
    free(mine);
    return ok;
}

/* ------------------------------------------------------------------ the table */

static hw_err make_groups(eval_table *t, const json_t *const *lines, size_t n, hw_error *err) {
    bool by_model = t->group_by && strcmp(t->group_by, "model") == 0;
    const json_t *first = n ? lines[0] : NULL;
    for (size_t i = 0; i < n; i++) {
        hw_err rc = check_alike(first, lines[i], by_model, err);
        if (rc != HW_OK) return rc;
        json_t *settings = json_object_get(lines[i], "settings");
        if (eval_settings_fuller(json_object_get(first, "settings"), settings) == settings) first = lines[i];
        const json_t *tag = t->group_by ? tag_of(lines[i], t->group_by) : NULL;
        if (t->group_by && !tag)
            return hw__fail(err, HW_ERR_ARGUMENT, "--group-by %s: item %s has no such tag", t->group_by,
                            text_of(lines[i], "id"));
        char *name = tag ? tag_text(tag) : NULL;
        if ((tag && !name) || !find_group(t, name)) return hw__fail(err, HW_ERR_MEMORY, "no memory for the table");
    }
    return HW_OK;
}

hw_err eval_table_new(eval_table *out, const json_t *lines, const char *group_by, uint64_t seed, hw_error *err) {
    *out = (eval_table){.group_by = group_by};
    size_t n;
    const json_t **list = sort_lines(lines, &n);
    if (!list) return hw__fail(err, HW_ERR_MEMORY, "no memory for the table");
    hw_err rc =
        n ? make_groups(out, list, n, err) : hw__fail(err, HW_ERR_ARGUMENT, "there are no results to make a table of");
    for (size_t g = 0; g < out->n_groups && rc == HW_OK; g++)
        if (!fill_group(&out->groups[g], list, n, group_by, seed))
            rc = hw__fail(err, HW_ERR_MEMORY, "no memory for the table");
    free(list);
    return rc;
}

void eval_table_free(eval_table *table) {
    for (size_t g = 0; g < table->n_groups; g++) {
        free(table->groups[g].name);
        free(table->groups[g].methods);
    }
    free(table->groups);
}
