/*
 * memory_limit.c - compares the memory estimate of a run with --memory, and prints a remark if it is large.
 *
 * Suggestions are computed like the run itself: each change is estimated, and the first two that fit are printed.
 */
#include "job/memory_limit.h"

#include "cli/message.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "1.20 GB", powers of 1024 as the option reads them, with `more` additional decimals. */
static const char *exact_text(char out[32], uint64_t bytes, int more) {
    double mib = (double)bytes / (1 << 20);
    bool small = mib < 1024;
    snprintf(out, 32, "%.*f %s", (small ? 0 : 2) + more, small ? mib : mib / 1024, small ? "MB" : "GB");
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
    hw_plan plan;
    const char *method;
    char text[96]; /* the options that the user would have to give */
} trial;

static bool fits(const job *j, trial *t, hw_estimate *e) {
    t->plan.run = &t->run;
    return hw_run_estimate(e, j->model, &t->plan, NULL) == HW_OK && e->total <= j->o->run.memory;
}

/* One row per change: false if it does not apply. */
static bool by_sentence(const job *j, trial *t) {
    t->plan.by = "sentence";
    if (j->passing) t->run.rows = HW_ROWS_INTEREST; /* the prompt's rows are streamed */
    snprintf(t->text, sizeof t->text, "--by sentence");
    return !j->o->by && !j->o->spans;
}

/* Whether logit could replace the methods of the run. */
static bool logit_alone(const job *j, trial *t) {
    if (j->n_methods == 1 || *hw_method_problem(hw_method_find("logit"), hw_model_describe(j->model))) return false;
    t->method = "logit";
    t->plan.methods = &t->method;
    t->plan.n_methods = 1;
    t->run.signals = hw_method_signals("logit", t->plan.params);
    if (j->passing) t->run.rows = hw_method_find("logit")->rows;
    snprintf(t->text, sizeof t->text, "--method logit");
    return true;
}

static bool fewer_tokens(const job *j, trial *t) {
    hw_estimate e;
    if (t->run.completion) return false;
    for (t->run.n_generate /= 2; t->run.n_generate > 0; t->run.n_generate /= 2)
        if (fits(j, t, &e)) break;
    snprintf(t->text, sizeof t->text, "-n %zu", t->run.n_generate);
    return t->run.n_generate > 0;
}

/* The longest prefix of the prompt that fits, by bisection; cut at any byte. */
static bool shorter_prompt(const job *j, trial *t) {
    size_t least = 0, most = t->run.prompt_bytes, n_tokens = 0;
    hw_estimate e;
    while (most - least > 1 + t->run.prompt_bytes / 64) {
        t->run.prompt_bytes = least + (most - least) / 2;
        if (fits(j, t, &e)) {
            least = t->run.prompt_bytes;
            n_tokens = e.n_prompt;
        } else {
            most = t->run.prompt_bytes;
        }
    }
    t->run.prompt_bytes = least;
    snprintf(t->text, sizeof t->text, "a prompt of at most %zu tokens", n_tokens);
    return n_tokens > 0;
}

/* Used if a shorter prompt alone would have to be much shorter. */
static bool shorter_for_logit(const job *j, trial *t) {
    if (!logit_alone(j, t) || !shorter_prompt(j, t)) return false;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, " with --method logit");
    return true;
}

static bool (*const changes[])(const job *, trial *) = {by_sentence, logit_alone, fewer_tokens, shorter_prompt,
                                                        shorter_for_logit};
enum { N_CHANGES = sizeof changes / sizeof *changes, MOST_NAMED = 2 };

/* "--method logit (412 MB) or -n 8 (498 MB)"; "" if nothing fits. */
static void list_changes(char *out, size_t room, const job *j, const trial *from) {
    size_t at = 0, n = 0;
    out[0] = 0;
    for (size_t i = 0; i < N_CHANGES && n < MOST_NAMED && at < room; i++) {
        char size[32];
        hw_estimate e;
        trial t = *from;
        if (!changes[i](j, &t) || !fits(j, &t, &e)) continue;
        at += (size_t)snprintf(out + at, room - at, "%s%s (%s)", n++ ? " or " : "", t.text, size_text(size, e.total));
    }
}

static int refuse(const job *j, const trial *t, const hw_estimate *e) {
    char total[32], limit[32], rows[32], methods[32], list[320];
    list_changes(list, sizeof list, j, t);
    differing_texts(total, limit, e->total, j->o->run.memory);
    return fail("this run would take %s, --memory is %s: %zu tokens take %s as a trace and %s to explain%s%s", total,
                limit, e->n_tokens, size_text(rows, e->rows), size_text(methods, e->methods),
                *list ? "; what would fit: " : "; no shorter prompt would fit either", list);
}

int memory_check(job *j, const hw_run_params *run) {
    static const uint64_t much_bytes = (uint64_t)1 << 30;
    static const double long_s = 10;
    hw_method_params params = job_params(j);
    hw_estimate e;
    hw_error err;
    trial t = {.run = *run, .plan = hw_plan_default()};
    t.plan.run = run;
    t.plan.methods = j->methods;
    t.plan.n_methods = j->n_methods;
    t.plan.params = &params;
    t.plan.by = j->o->by;
    t.plan.saves_state = j->o->state != NULL;
    if (hw_run_estimate(&e, j->model, &t.plan, &err) != HW_OK) return job_fail(j, &err);
    if (j->o->run.memory && e.total > j->o->run.memory) return refuse(j, &t, &e);
    bool much = e.total > much_bytes || e.seconds > long_s;
    char total[32];
    if (!j->o->quiet && (j->o->verbose || (much && terminal_has_live_stderr()))) /* like progress, for a waiting user */
        message("about %s and %.0f s for %zu tokens of prompt, of which the trace %.0f %%", size_text(total, e.total),
                e.seconds, e.n_prompt, 100.0 * (double)e.rows / (double)e.total);
    return STATUS_DONE;
}
