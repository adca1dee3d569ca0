/*
 * cite.c - `headwater cite`: an answer whose sentences cite the passages that they came from.
 *
 *     check -> read passages or spans -> trace (run the model | open) -> split prompt and answer -> explain -> cite
 *           -> save -> print
 *
 * The prompt is either the user's own, in which passages are found by their text or by splitting it, or is made of
 * passages and a question.
 */
#include "export/cite.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "job/conversation.h"
#include "job/open_model.h"
#include "job/output_files.h"
#include "job/passages.h"
#include "job/prompt_split.h"
#include "job/run_model.h"
#include "job/trace_state_files.h"

#include <stdlib.h>
#include <string.h>

static const char command_name[] = "cite";

/* The request, read before any work is done. */
typedef struct request {
    source source_kind;
    const char *model; /* path; NULL if no model runs */
    prompt_split by;
    passages given; /* n 0: none */
    const char *answer_by;
} request;

/* ------------------------------------------------------------------ before the model loads */

static hw_err choose_source(const options *o, source *from, hw_error *err) {
    bool prompts = false;
    hw_err rc = capture_prompts(&prompts, o, err);
    if (rc != HW_OK) return rc;
    if (o->question && !o->passages)
        return usage_error(err, "--question needs --passages FILE: the prompt is made of both");
    if (o->question && !*o->question) return usage_error(err, "--question \"\": the question is empty");
    if (o->question && o->messages)
        return usage_error(err, "--question and --messages: the question goes into the last message");
    if (o->question && prompts)
        return usage_error(
            err, "--question and a prompt: give one of them (--passages alone looks for passages in the prompt)");
    bool runs = prompts || o->question || model_given(o);
    if (!runs && !o->trace)
        return usage_error(
            err, "nothing to cite for: give -m MODEL with --passages FILE and --question TEXT or with a prompt "
                 "(-p TEXT, -f FILE or -), or --trace FILE");
    *from = runs ? FROM_MODEL : FROM_TRACE;
    if (runs && !prompts && !o->question)
        return usage_error(
            err, "no prompt: give --passages FILE and --question TEXT, or -p TEXT, -f FILE, or - for standard input");
    return options_fit(o, *from, err);
}

static hw_err check_output(const options *o, source from, const char *model, hw_error *err) {
    const char *inputs[] = {model, o->file, o->spans, o->passages, o->messages, o->chat_template, o->trace};
    enum { N_INPUTS = sizeof inputs / sizeof *inputs };
    hw_err rc = trace_state_check(o, from, inputs, N_INPUTS - 1, err);
    return rc == HW_OK ? output_check_json(o, "citations are", inputs, N_INPUTS, err) : rc;
}

static hw_err check_line(request *r, const options *o, hw_error *err) {
    hw_err rc = choose_source(o, &r->source_kind, err);
    if (rc == HW_OK && o->passages && (o->by || o->spans))
        rc = usage_error(err, "--passages, --by and --spans all say what a passage is: give one of them");
    if (rc == HW_OK && o->direct && o->settings.through)
        rc = usage_error(err, "--direct and --through are opposites: give one of them");
    if (rc == HW_OK && GIVEN(o, method) && strchr(o->method, ','))
        rc = usage_error(err, "--method \"%s\": citations are made by one method", o->method);
    if (rc == HW_OK && r->source_kind == FROM_MODEL) rc = capture_check(o, &r->model, err);
    return rc == HW_OK ? check_output(o, r->source_kind, r->model, err) : rc;
}

static hw_err request_read(request *r, const options *o, hw_error *err) {
    *r = (request){.answer_by = o->answer_by ? o->answer_by : "sentence"};
    hw_err rc = check_line(r, o, err);
    if (rc == HW_OK) rc = prompt_split_read(&r->by, o, "sentence", err);
    if (rc == HW_OK && o->passages) rc = passages_read(&r->given, o->passages, err);
    return rc;
}

/* The unit of --min-peak depends on the method: a value that is not a share needs a method whose peaks are not
 * shares. */
static hw_err check_min_peak(const job *j, hw_error *err) {
    const hw_citation_rule *rule = hw_citation_rule_of(j->methods[0]);
    if (rule->max_peak == 0 || j->o->min_peak <= rule->max_peak) return HW_OK;
    return usage_error(err, "--min-peak %g: a peak of %s is a share, at most %g; --method names another method",
                       j->o->min_peak, j->methods[0], rule->max_peak);
}

/* ------------------------------------------------------------------ the run */

static hw_err run_question(job *j, request *r, hw_trace **trace, hw_error *err) {
    input prompt;
    hw_err rc = passages_build(&prompt, &r->given, j->o->question, conversation_is_chat(j->o), err);
    if (rc != HW_OK) return rc;
    rc = capture_text(j, r->model, &prompt, trace, err);
    free(prompt.bytes);
    return rc;
}

static hw_err open_trace(job *j, hw_trace **trace, hw_error *err) {
    hw_err rc = hw_trace_open(trace, j->o->trace, err);
    if (rc != HW_OK) return rc;
    interrupt_catch();
    trace_state_show_rounding(j, *trace);
    return HW_OK;
}

static hw_err get_trace(job *j, request *r, hw_trace **trace, hw_error *err) {
    if (r->source_kind == FROM_TRACE) return open_trace(j, trace, err);
    return j->o->question ? run_question(j, r, trace, err) : capture_run(j, r->model, trace, err);
}

/* ------------------------------------------------------------------ citing */

/* In a chat the prompt made of passages and question is the last message. */
static void move_passages(passages *p, const hw_run *run) {
    size_t n;
    const hw_span *messages = hw_run_messages(run, &n);
    for (size_t i = 0; n && i < p->n; i++) {
        p->spans[i].begin += messages[n - 1].begin;
        p->spans[i].end += messages[n - 1].begin;
    }
}

/* The passages that were given, as segments; without any the job has split the prompt itself. */
static hw_err split_passages(hw_segments **out, request *r, job *j, const hw_run *run, hw_error *err) {
    if (!r->given.n) return HW_OK;
    hw_err rc = HW_OK;
    if (j->o->question)
        move_passages(&r->given, run);
    else
        rc = passages_find(&r->given, run, err);
    if (rc != HW_OK) return rc;
    rc = hw_segments_from_spans(out, run, HW_SIDE_PROMPT, r->given.spans, r->given.n, err);
    if (rc != HW_OK) return rc;
    job_group(j, *out);
    return HW_OK;
}

static hw_err cite(hw_citation **out, job *j, const cite_facts *f, hw_error *err) {
    hw_citation_params params = hw_citation_params_default();
    params.min_peak = j->o->min_peak;
    hw_err rc = hw_citation_new(out, f->a, f->passages, f->answer, &params, err);
    if (rc != HW_OK) return rc;
    return HW_OK;
}

/* Measures the first passages by running the model without them. */
static hw_err confirm(hw_confirmation **out, job *j, const hw_trace *trace, const cite_facts *f, hw_error *err) {
    hw_confirm_params params = hw_confirm_params_default();
    if (j->o->confirm == 0) return HW_OK;
    params.n_passages = (size_t)j->o->confirm;
    params.progress = progress_show;
    params.stop = interrupt_stop;
    params.ctx = &j->bar;
    hw_err rc =
        hw_confirmation_new(out, j->model, trace, &(hw_cited){f->citation, f->passages, f->answer}, &params, err);
    progress_erase(&j->bar);
    return rc;
}

static hw_err save(const options *o, const cite_facts *f) {
    hw_error err;
    hw_err rc = HW_OK;
    for (size_t i = 0; i < o->output.n; i++)
        if (cite_save(f, o->output.at[i], &err) != HW_OK) rc = error_report(&err);
    return rc;
}

static hw_err cite_trace(job *j, request *r, const hw_trace *trace, bool stoppable, hw_error *err) {
    hw_segments *from = NULL, *answer = NULL;
    hw_citation *citation = NULL;
    hw_confirmation *confirmation = NULL;
    cite_facts f = {
        .run = hw_trace_run(trace), .by = r->given.n || j->o->spans ? NULL : r->by.by, .answer_by = r->answer_by};
    hw_err rc = split_passages(&from, r, j, f.run, err);
    if (rc == HW_OK) rc = hw_segments_new(&answer, f.run, HW_SIDE_COMPLETION, r->answer_by, err);
    if (rc == HW_OK) rc = job_explain(j, trace, stoppable, err);
    f.passages = from ? from : hw_explainer_segments(j->explainer);
    f.answer = answer;
    f.a = j->made[0];
    if (rc == HW_OK) rc = cite(&citation, j, &f, err);
    f.citation = citation;
    if (rc == HW_OK) rc = confirm(&confirmation, j, trace, &f, err);
    f.confirmation = confirmation;
    if (confirmation) hw_citation_confirm(citation, confirmation);
    if (rc == HW_OK) {
        rc = save(j->o, &f);
        cite_print(&j->t, &f);
    }
    hw_confirmation_free(confirmation);
    hw_citation_free(citation);
    hw_segments_free(answer);
    hw_segments_free(from);
    return rc;
}

static hw_err run_job(job *j, request *r, hw_error *err) {
    hw_trace *trace = NULL;
    j->keep = j->o->trace ? HW_KEEP_ROWS : HW_KEEP_METHODS;
    j->split = r->given.n ? NULL : &r->by;
    hw_err rc = get_trace(j, r, &trace, err);
    if (rc == HW_OK) {
        bool interrupted =
            r->source_kind == FROM_MODEL && interrupt_seen(); /* Ctrl-C stops a generation but not the command */
        if (interrupted && !j->o->quiet)
            message("interrupted: citing for the tokens so far; Ctrl-C again ends at once");
        hw_err saved_file = trace_state_save(j, r->source_kind, trace);
        rc = cite_trace(j, r, trace, !interrupted, err);
        if (rc == HW_OK) rc = interrupted ? (hw_err)ERR_INTERRUPTED : saved_file;
    }
    hw_trace_free(trace);
    return rc;
}

static hw_err run(const options *o, hw_error *err) {
    request r;
    job j;
    hw_err rc = request_read(&r, o, err);
    if (rc == HW_OK) {
        rc = job_prepare(&j, o, err);
        j.no_token_output = j.one_method = true;
        j.through = !o->direct && rc == HW_OK && hw_citation_rule_of(j.methods[0])->through;
        if (rc == HW_OK) rc = check_min_peak(&j, err);
        if (rc == HW_OK) rc = run_job(&j, &r, err);
        job_free(&j);
    }
    prompt_split_free(&r.by);
    passages_free(&r.given);
    return rc;
}

static const char *const usage[] = {"-m MODEL --passages FILE --question TEXT [options]",
                                    "-m MODEL (-p TEXT | -f FILE | -) [--passages FILE | --spans FILE] [options]",
                                    "--trace FILE [--passages FILE | --spans FILE] [options]", NULL};
static const example examples[] = {
    {"retrieved passages and a question: an answer with its sources",
     "headwater cite -m model.gguf --passages passages.json --question \"Where is the key?\" --chat"},
    {"a prompt that contains the passages; citations saved as JSON",
     "headwater cite -m model.gguf -f prompt.txt --passages passages.json -o citations.json"},
    {"which paragraphs of a page is a given answer based on?",
     "headwater cite -m model.gguf -f page.txt --by paragraph --completion \" In 1893.\""},
    {"measured by leaving out each passage: slower, one forward pass per passage",
     "headwater cite -m model.gguf -f prompt.txt --passages passages.json --method leave-one-out"},
    {NULL, NULL},
};

const command command_cite = {
    .name = command_name,
    .bit = IN_CITE,
    .summary = "generate an answer that cites the passages it is based on",
    .usage = usage,
    .about = "Runs a model on passages and a question or on a given prompt, or opens a saved run, and prints the "
             "answer with citations such as [1][2] after each sentence; then the shares of the passages, of the rest "
             "of the prompt and of the model, and the cited passages in descending order. Without --passages, the "
             "sentences of the prompt (or the segments of --by or --spans) are the passages. A share is the part of "
             "everything that raised the logits of the answer's tokens. A passage is cited if its peak, its share of "
             "a single token, reaches the minimum, because one word of a sentence may be all that a passage "
             "contributes. If no passage reaches it, none is cited. Citations show what the model used, not whether "
             "it is true.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_RULES,
    .run = run,
};
