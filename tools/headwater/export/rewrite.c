/* rewrite.c - leaves out what a method ranks first, and looks for the answer in what the model then writes. */
#include "export/rewrite.h"

#include "base/error.h"
#include "cli/error_kinds.h"

#include <stdlib.h>
#include <string.h>

static hw_err fail_memory(hw_error *err) {
    error_set(err, HW_ERR_MEMORY, "no memory to write the completion again");
    return HW_ERR_MEMORY;
}

/* ------------------------------------------------------------------ the answer */

static bool is_word(char c) {
    unsigned char u = (unsigned char)c;
    return u >= 0x80 || (u >= '0' && u <= '9') || (u >= 'A' && u <= 'Z') || (u >= 'a' && u <= 'z');
}

/* Whether text [n] contains the answer [n_answer] as a whole, not as part of a longer word or number. */
static bool contains(const char *text, size_t n, const char *answer, size_t n_answer) {
    if (n_answer == 0) return true;
    for (size_t i = 0; i + n_answer <= n; i++) {
        if (memcmp(text + i, answer, n_answer) != 0) continue;
        bool before = i > 0 && is_word(answer[0]) && is_word(text[i - 1]);
        bool after = i + n_answer < n && is_word(answer[n_answer - 1]) && is_word(text[i + n_answer]);
        if (!before && !after) return true;
    }
    return false;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/* The text of the answer's tokens without white space around it: [*n]. */
static const char *answer_of(const rewrite_subject *of, size_t *n) {
    size_t m = hw_run_n_prompt(of->run), begin = hw_run_token(of->run, m + of->row_begin).begin,
           end = hw_run_token(of->run, m + of->row_end - 1).end;
    const char *text = hw_run_completion(of->run, NULL);
    while (begin < end && is_space(text[begin])) begin++;
    while (end > begin && is_space(text[end - 1])) end--;
    *n = end - begin;
    return text + begin;
}

/* Whether the answer, without the white space around it, is in the text as whole words. */
static bool answer_stands(const rewrite_subject *of, const char *text, size_t n) {
    size_t n_answer;
    const char *answer = answer_of(of, &n_answer);
    return contains(text, n, answer, n_answer);
}

/* ------------------------------------------------------------------ writing again */

static int compare_places(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Sets the segments that the attribution ranks first. */
static hw_err choose(rewritten *r, const rewrite_subject *of, hw_error *err) {
    hw_view_params params = hw_view_params_default();
    hw_view *view;
    params.row_begin = of->row_begin;
    params.row_end = of->row_end;
    hw_err rc = hw_view_new(&view, of->list[r->index], &params, err);
    if (rc != HW_OK) return rc;
    r->n_without = hw_view_top(view, r->without, r->n_without);
    qsort(r->without, r->n_without, sizeof *r->without, compare_places);
    hw_view_free(view);
    return HW_OK;
}

static hw_err copy_text(rewritten *to, const rewritten *from, hw_error *err) {
    to->text = hw__strndup(from->text, from->n_bytes);
    if (!to->text) return fail_memory(err);
    to->n_bytes = from->n_bytes;
    return HW_OK;
}

static hw_err generate(rewritten *r, const rewrite_subject *of, hw_error *err) {
    bool *without = calloc(hw_segments_count(of->segments) + 1, sizeof *without);
    if (!without) return fail_memory(err);
    for (size_t i = 0; i < r->n_without; i++) without[r->without[i]] = true;
    hw_omission omission = {.segments = of->segments, .without = without, .stop = of->stop, .ctx = of->ctx};
    hw_err rc = hw_run_rewrite(&r->text, &r->n_bytes, of->model, of->run, omission, err);
    free(without);
    return rc;
}

static hw_err add(rewritten_list *list, const rewrite_subject *of, rewritten next, hw_error *err) {
    const rewritten *same = NULL;
    hw_err rc = choose(&next, of, err);
    for (size_t i = 0; rc == HW_OK && i < list->n && !same; i++) {
        const rewritten *r = &list->at[i];
        if (r->n_without == next.n_without && !memcmp(r->without, next.without, r->n_without * sizeof *r->without))
            same = r;
    }
    if (rc == HW_OK) rc = same ? copy_text(&next, same, err) : generate(&next, of, err);
    if (rc != HW_OK) return rc;
    next.stands = answer_stands(of, next.text, next.n_bytes);
    list->at[list->n++] = next;
    return HW_OK;
}

hw_err rewrite_all(rewritten_list *list, const rewrite_subject *of, hw_error *err) {
    static const size_t sizes[] = {1, MAX_LEFT_OUT};
    enum { N_SIZES = sizeof sizes / sizeof *sizes };
    hw_err rc = HW_OK;
    for (size_t i = 0; i < of->n * N_SIZES && rc == HW_OK && list->n < MAX_REWRITTEN; i++) {
        rewritten next = {.index = i / N_SIZES, .n_without = sizes[i % N_SIZES]};
        next.method = hw_attribution_method(of->list[next.index]);
        if (next.n_without < hw_segments_count(of->segments)) rc = add(list, of, next, err);
    }
    return rc;
}

void rewritten_list_free(rewritten_list *list) {
    for (size_t i = 0; i < list->n; i++) free(list->at[i].text);
    list->n = 0;
}
