/*
 * memory_limit.c - compares the memory estimate of a run with --memory, and prints a remark if it is large.
 *
 * Suggestions are computed like the run itself: each change is estimated, and the first two that fit are printed.
 */
#include "job/memory_limit.h"

#include "base/error.h"
#include "cli/message.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "1.20 GB", powers of 1024 as the option reads them, with `more` additional decimals. */
static const char *exact_text(char out[32], uint64_t bytes, int more) {
    static const struct {
        const char *unit;
        int shift, decimals;
    } units[] = {{"GB", 30, 2}, {"MB", 20, 0}, {"kB", 10, 0}, {"B", 0, 0}};
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof *units && bytes >> units[i].shift == 0) i++;
    snprintf(out, 32, "%.*f %s", units[i].shift ? units[i].decimals + more : 0,
             (double)bytes / (double)(1 << units[i].shift), units[i].unit);
    return out;
}

static const char *size_text(char out[32], uint64_t bytes) { return exact_text(out, bytes, 0); }

/* Both, with enough decimals to differ. */
static void differing_texts(char a[32], char b[32], uint64_t bytes_a, uint64_t bytes_b) {
    for (int more = 0; more < 8; more++)
        if (strcmp(exact_text(a, bytes_a, more), exact_text(b, bytes_b, more)) != 0) return;
}

/* A run and its methods, which a change makes smaller. */
typedef struct trial {
    hw_run_params run;
    const char *const *methods; /* [n_methods] */
    size_t n_methods;
    const prompt_split *split;
    char text[96]; /* the options that the user would have to give */
} trial;

static bool fits(job *j, const trial *t, hw_estimate *e) {
    hw_run_params run = t->run;
    run.explainer = NULL;
    bool ok = job_explainer(&run.explainer, j, t->methods, t->n_methods, t->split, NULL) == HW_OK &&
              hw_run_estimate(e, sizeof *e, j->model, &run, NULL) == HW_OK && e->total <= j->o->run.memory;
    hw_explainer_free(run.explainer);
    return ok;
}

/* One row per change: false if it does not apply. */
static bool by_sentence(job *j, trial *t) {
    static const prompt_split sentences = {.by = "sentence"};
    t->split = &sentences;
    snprintf(t->text, sizeof t->text, "--by sentence");
    return !j->split;
}

/* Whether logit could replace the methods of the run. */
static bool logit_alone(job *j, trial *t) {
    static const char *const logit[] = {"logit"};
    if (j->n_methods == 1 || *hw_method_problem(hw_method_find(*logit), hw_model_describe(j->model))) return false;
    t->methods = logit;
    t->n_methods = 1;
    snprintf(t->text, sizeof t->text, "--method logit");
    return true;
}

static bool fewer_tokens(job *j, trial *t) {
    hw_estimate e;
    if (t->run.completion) return false;
    for (t->run.n_generate /= 2; t->run.n_generate > 0; t->run.n_generate /= 2)
        if (fits(j, t, &e)) break;
    snprintf(t->text, sizeof t->text, "-n %zu", t->run.n_generate);
    return t->run.n_generate > 0;
}

/* The longest prefix of the prompt that fits, by bisection; cut at any byte. */
static bool shorter_prompt(job *j, trial *t) {
    size_t min = 0, max = t->run.prompt_bytes, n_tokens = 0;
    hw_estimate e;
    while (max - min > 1 + t->run.prompt_bytes / 64) {
        t->run.prompt_bytes = min + (max - min) / 2;
        if (fits(j, t, &e)) {
            min = t->run.prompt_bytes;
            n_tokens = e.n_prompt;
        } else {
            max = t->run.prompt_bytes;
        }
    }
    t->run.prompt_bytes = min;
    snprintf(t->text, sizeof t->text, "a prompt of at most %zu tokens", n_tokens);
    return n_tokens > 0;
}

/* Used if a shorter prompt alone would have to be much shorter. */
static bool shorter_for_logit(job *j, trial *t) {
    if (!logit_alone(j, t) || !shorter_prompt(j, t)) return false;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, " with --method logit");
    return true;
}

static bool (*const changes[])(job *, trial *) = {by_sentence, logit_alone, fewer_tokens, shorter_prompt,
                                                  shorter_for_logit};
enum { N_CHANGES = sizeof changes / sizeof *changes, MAX_NAMED = 2 };

/* "--method logit (412 MB) or -n 8 (498 MB)"; "" if nothing fits. */
static void list_changes(char *out, size_t capacity, job *j, const trial *from) {
    size_t at = 0, n = 0;
    out[0] = 0;
    for (size_t i = 0; i < N_CHANGES && n < MAX_NAMED && at < capacity; i++) {
        char size[32];
        hw_estimate e;
        trial t = *from;
        if (!changes[i](j, &t) || !fits(j, &t, &e)) continue;
        at +=
            (size_t)snprintf(out + at, capacity - at, "%s%s (%s)", n++ ? " or " : "", t.text, size_text(size, e.total));
    }
}

static hw_err refuse(job *j, const trial *t, const hw_estimate *e, hw_error *err) {
    char total[32], limit[32], rows[32], methods[32], list[320];
    list_changes(list, sizeof list, j, t);
    differing_texts(total, limit, e->total, j->o->run.memory);
    return hw__fail(err, HW_ERR_MEMORY,
                    "this run would take %s, --memory is %s: %zu tokens take %s as a trace and %s to explain%s%s",
                    total, limit, e->n_tokens, size_text(rows, e->rows), size_text(methods, e->methods),
                    *list ? "; what would fit: " : "; no shorter prompt would fit either", list);
}

hw_err memory_check(job *j, const hw_run_params *run, const hw_estimate *e, hw_error *err) {
    static const uint64_t much_bytes = (uint64_t)1 << 30;
    static const double long_s = 10;
    trial t = {.run = *run, .methods = j->methods, .n_methods = j->n_methods, .split = j->split};
    if (j->o->run.memory && e->total > j->o->run.memory) return refuse(j, &t, e, err);
    bool much = e->total > much_bytes || e->seconds > long_s;
    char total[32];
    if (!j->o->quiet && (j->o->verbose || (much && terminal_has_live_stderr()))) /* like progress, for a waiting user */
        message("about %s and %.0f s for %zu tokens of prompt, of which the trace %.0f %%", size_text(total, e->total),
                e->seconds, e->n_prompt, 100.0 * (double)e->rows / (double)e->total);
    return HW_OK;
}
