/*
 * check.c - `headwater check`: tests an explanation by running the model without the segments that it ranks high.
 *
 *     check the command line -> run the model -> split the prompt -> explain -> test -> save -> table and verdict
 *
 * The folder headwater/commands/: one file for each command of the program.
 */
#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "export/check_json.h"
#include "job/output_files.h"
#include "job/prompt_split.h"
#include "job/run_model.h"
#include "terminal/attribution_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char command_name[] = "check";

/* ------------------------------------------------------------------ before the model loads */

static hw_err check_output(const options *o, const char *model, hw_error *err) {
    const char *inputs[] = {model, o->file, o->spans, o->messages, o->chat_template};
    return output_check_json(o, "a check is", inputs, sizeof inputs / sizeof *inputs, err);
}

static hw_err check_line(const options *o, const char **model, hw_error *err) {
    bool given = false;
    hw_err rc = capture_prompts(&given, o, err);
    if (rc == HW_OK && !given) rc = usage_error(err, "no prompt: give -p TEXT, -f FILE, or - for standard input");
    if (rc == HW_OK) rc = capture_check(o, model, err);
    return rc == HW_OK ? check_output(o, *model, err) : rc;
}

/* ------------------------------------------------------------------ printing */

static void print_figure(FILE *out, double v, int width, int decimals) {
    if (isnan(v)) {
        fprintf(out, "%*s", width, "-");
    } else {
        fprintf(out, "%*.*f", width, decimals, v);
    }
}

static void print_table(const terminal *t, const hw_check *check) {
    FILE *out = t->out;
    terminal_dim(t);
    fprintf(out, "  %-14s%8s%8s%8s%8s%8s%7s%8s", "method", "drop@1", "drop@3", "drop@5", "compr.", "suff.", "LDS",
            "passes");
    terminal_plain(t);
    putc('\n', out);
    for (size_t i = 0; i < hw_check_count(check); i++) {
        const hw_check_row *r = hw_check_at(check, i);
        fprintf(out, "  %-14s", r->method);
        for (size_t d = 0; d < 3; d++) print_figure(out, r->drop[d], 8, 2);
        print_figure(out, r->comprehensiveness, 8, 2);
        print_figure(out, r->sufficiency, 8, 2);
        print_figure(out, r->lds, 7, 2);
        fprintf(out, "%8zu\n", r->n_passes);
    }
}

static void print_legend(const terminal *t) {
    static const char *const lines[] = {
        "drop@k  nats that the answer loses without the k top segments; higher is better, e^nats times less likely",
        "compr.  the same without the top 1, 5, 10, 20, 50 %, mean; suff.: with only those, lower is better",
        "LDS     rank agreement of scores and answer over random cuts of the prompt; 1 is best",
        "passes  forward passes that the method itself needs; - : a figure that does not exist here",
        "random  one draw of random scores; the last line compares with the average over all choices and many draws",
    };
    terminal_dim(t);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) fprintf(t->out, "  %s\n", lines[i]);
    terminal_plain(t);
}

/* Prints the text of the segment that the first method ranks highest. */
static hw_err print_top(job *j, const check_facts *f, hw_error *err) {
    hw_view_params params = hw_view_params_default();
    hw_view *view;
    size_t top, n;
    params.row_begin = f->row_begin;
    params.row_end = f->row_end;
    hw_err rc = hw_view_new(&view, j->made[0], &params, err);
    if (rc != HW_OK) return rc;
    if (hw_view_top(view, &top, 1) == 1) {
        const hw_span *span = hw_segments_at(f->segments, top);
        const char *bytes = hw_run_prompt(f->run, &n) + span->begin;
        for (n = span->end - span->begin; n > 0 && strchr(" \n", bytes[n - 1]); n--) {
        } /* as one line without white space at line ends */
        label text = text_label(bytes, n, j->t.width > 60 ? j->t.width - 40 : 20);
        fprintf(j->t.out, "Top segment of %s: %zu: %s\n", j->methods[0], top, text.utf8);
    }
    hw_view_free(view);
    return HW_OK;
}

static hw_err print_check(job *j, const check_facts *f, hw_error *err) {
    const terminal *t = &j->t;
    putc('\n', t->out);
    terminal_bold(t);
    fprintf(t->out, "Check");
    terminal_plain(t);
    size_t n = f->row_end - f->row_begin;
    fprintf(t->out, " over %zu segments (%s), %zu token%s, log probability %.2f nats\n", hw_segments_count(f->segments),
            f->by ? f->by : "given spans", n, n == 1 ? "" : "s", hw_check_base(f->check));
    print_table(t, f->check);
    print_legend(t);
    putc('\n', t->out);
    hw_err rc = print_top(j, f, err);
    if (rc != HW_OK) return rc;
    terminal_bold(t);
    text_puts(t->out, hw_check_verdict(f->check));
    terminal_plain(t);
    fprintf(t->out, "\n%zu forward passes in all, equal ones run once\n", hw_check_n_passes(f->check));
    return HW_OK;
}

/* ------------------------------------------------------------------ checking */

static hw_err select_rows(job *j, check_facts *f, hw_error *err) {
    f->row_end = hw_run_n_completion(f->run);
    if (!j->o->token) return HW_OK;
    return hw_run_select(&f->row_begin, &f->row_end, f->run, j->o->token, err);
}

static hw_err judge(job *j, const hw_trace *trace, check_facts *f, hw_check **check, hw_error *err) {
    hw_check_params params = hw_check_params_default();
    params.row_begin = f->row_begin;
    params.row_end = f->row_end;
    params.n_ablations = f->n_ablations = (size_t)j->o->ablations;
    params.seed = f->seed = j->o->run.seed;
    params.progress = progress_show;
    params.stop = interrupt_stop;
    params.ctx = &j->bar;
    hw_err rc =
        hw_check_new(check, j->model, trace,
                     &(hw_check_subject){f->segments, (const hw_attribution *const *)j->made, j->n_made}, &params, err);
    progress_erase(&j->bar);
    f->check = *check;
    return rc;
}

/* ------------------------------------------------------------------ written again */

static hw_err write_again(job *j, check_facts *f, rewritten_list *list, hw_error *err) {
    rewrite_subject subject = {.model = j->model,
                               .run = f->run,
                               .segments = f->segments,
                               .list = (const hw_attribution *const *)j->made,
                               .n = j->n_made,
                               .row_begin = f->row_begin,
                               .row_end = f->row_end,
                               .stop = interrupt_stop};
    if (!j->o->rewrite) return HW_OK;
    f->again = list;
    return rewrite_all(list, &subject, err);
}

static void print_again(const terminal *t, const rewritten_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        const rewritten *r = &list->at[i];
        fprintf(t->out, "  %-14s without its first %zu: the answer %s; it writes: %s\n", r->method, r->n_without,
                r->stands ? "stands" : "falls",
                text_label(r->text, r->n_bytes, t->width > 100 ? t->width - 60 : 40).utf8);
    }
}

static hw_err save(const options *o, const check_facts *f) {
    hw_error err;
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n; i++)
        if (check_save(f, o->output.at[i], &err) != HW_OK) rc = error_report(&err);
    return rc;
}

static hw_err check_trace(job *j, const prompt_split *c, const hw_trace *trace, hw_error *err) {
    check_facts facts = {.run = hw_trace_run(trace), .by = j->o->spans ? NULL : c->by};
    hw_check *check = NULL;
    rewritten_list again = {.n = 0};
    if (interrupt_seen()) return hw__fail(err, HW_ERR_CANCELLED, "interrupted");
    show_run(&j->t, facts.run);
    hw_err rc = select_rows(j, &facts, err);
    if (rc == HW_OK) rc = job_explain(j, trace, true, err);
    facts.segments = hw_explainer_segments(j->explainer);
    if (rc == HW_OK) rc = judge(j, trace, &facts, &check, err);
    if (rc == HW_OK) rc = write_again(j, &facts, &again, err);
    if (rc == HW_OK) {
        hw_err printed = print_check(j, &facts, err);
        rc = save(j->o, &facts);
        if (printed != HW_OK) rc = printed;
        if (again.n) fputs("\nGenerated again, greedily, without the top segments of a method:\n", j->t.out);
        print_again(&j->t, &again);
    }
    rewritten_list_free(&again);
    hw_check_free(check);
    return job_result(j, rc);
}

static hw_err run(const options *o, hw_error *err) {
    prompt_split c;
    const char *model = NULL;
    hw_err rc = prompt_split_read(&c, o, "sentence", err);
    if (rc == HW_OK) rc = check_line(o, &model, err);
    if (rc == HW_OK) {
        job j;
        hw_trace *trace = NULL;
        rc = job_prepare(&j, o, err);
        j.split = &c;
        if (rc == HW_OK) rc = capture_run(&j, model, &trace, err);
        if (rc == HW_OK) rc = check_trace(&j, &c, trace, err);
        hw_trace_free(trace);
        job_free(&j);
    }
    prompt_split_free(&c);
    return rc;
}

static const char *const usage[] = {"-m MODEL (-p TEXT | -f FILE | -) [options]", NULL};
static const example examples[] = {
    {"does logit name the sentence that the answer comes from?", "headwater check -m model.gguf -f facts.txt -n 4"},
    {"two methods on the same random cuts, paragraph by paragraph, of one token of a given answer",
     "headwater check -m model.gguf -f page.txt --completion \" In 1893.\" --token 1 --by paragraph --method "
     "rollout,logit"},
    {"retrieved passages by their place in the prompt, kept as a file",
     "headwater check -m model.gguf -f prompt.txt --spans passages.json -o check.json"},
    {NULL, NULL},
};

const command command_check = {
    .name = command_name,
    .bit = IN_CHECK,
    .summary = "test an explanation by running the model without its top segments",
    .usage = usage,
    .about =
        "Runs a model on a prompt, explains its completion, and then runs the model without the segments that the "
        "explanation ranks highest, with only those, and with random masks. Baselines are random scores, position "
        "alone, attention, and leave-one-out, which tests every segment. The last lines give a verdict on the first "
        "method. Segments are sentences unless --by or --spans is given; each costs at least one forward pass.",
    .examples = examples,
    .lists = LIST_METHODS,
    .run = run,
};
