/*
 * cite.c - `headwater cite`: an answer whose sentences cite the passages that they came from.
 *
 *     check -> read passages or spans -> trace (run the model | open) -> split prompt and answer -> explain -> cite
 *           -> save -> print
 *
 * The prompt is either the user's own, in which passages are found by their text or by splitting it, or is made of
 * passages and a question.
 */
#include "job/conversation.h"
#include "job/open_model.h"
#include "job/run_model.h"
#include "export/cite.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "job/trace_state_files.h"
#include "cli/message.h"
#include "job/output_files.h"
#include "job/passages.h"
#include "job/prompt_split.h"

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

static int choose_source(const options *o, source *from) {
    int prompts = capture_prompts(o, command_name);
    if (prompts < 0) return STATUS_USAGE;
    if (o->question && !o->passages)
        return misuse(command_name, "--question needs --passages FILE: the prompt is made of both");
    if (o->question && !*o->question) return misuse(command_name, "--question \"\": the question is empty");
    if (o->question && o->messages)
        return misuse(command_name, "--question and --messages: the question goes into the last message");
    if (o->question && prompts)
        return misuse(command_name,
                      "--question and a prompt: give one of them (--passages alone looks for passages in the prompt)");
    bool runs = prompts || o->question || model_given(o);
    if (!runs && !o->trace)
        return misuse(command_name,
                      "nothing to cite for: give -m MODEL with --passages FILE and --question TEXT or with a prompt "
                      "(-p TEXT, -f FILE or -), or --trace FILE");
    *from = runs ? FROM_MODEL : FROM_TRACE;
    if (runs && !prompts && !o->question)
        return misuse(
            command_name,
            "no prompt: give --passages FILE and --question TEXT, or -p TEXT, -f FILE, or - for standard input");
    return options_fit(o, command_name, *from) ? STATUS_DONE : STATUS_USAGE;
}

static int check_output(const options *o, source from, const char *model) {
    const char *inputs[] = {model, o->file, o->spans, o->passages, o->messages, o->chat_template, o->trace};
    enum { N_INPUTS = sizeof inputs / sizeof *inputs };
    int status = trace_state_check(o, command_name, from, inputs, N_INPUTS - 1);
    for (size_t i = 0; i < o->output.n && status == STATUS_DONE; i++) {
        const char *path = o->output.at[i];
        size_t n = strlen(path);
        if (n < 5 || strcmp(path + n - 5, ".json") != 0)
            return misuse(command_name, "-o \"%s\": citations are saved as .json", path);
        status = output_check_path(command_name, path, inputs, N_INPUTS);
        if (status == STATUS_DONE) status = output_check_path(command_name, path, o->output.at, i);
    }
    return status;
}

static int check_line(request *r, const options *o) {
    int status = choose_source(o, &r->source_kind);
    if (status == STATUS_DONE && o->passages && (o->by || o->spans))
        status = misuse(command_name, "--passages, --by and --spans all say what a passage is: give one of them");
    if (status == STATUS_DONE && o->direct && o->settings.through)
        status = misuse(command_name, "--direct and --through are opposites: give one of them");
    if (status == STATUS_DONE && GIVEN(o, method) && strchr(o->method, ','))
        status = misuse(command_name, "--method \"%s\": citations are made by one method", o->method);
    if (status == STATUS_DONE && r->source_kind == FROM_MODEL) status = capture_check(o, command_name, &r->model);
    return status == STATUS_DONE ? check_output(o, r->source_kind, r->model) : status;
}

static int request_read(request *r, const options *o) {
    *r = (request){.answer_by = o->answer_by ? o->answer_by : "sentence"};
    int status = check_line(r, o);
    if (status == STATUS_DONE) status = prompt_split_read(&r->by, o, command_name, "sentence");
    if (status == STATUS_DONE && o->passages) status = passages_read(&r->given, o->passages);
    return status;
}

/* The unit of --min-peak depends on the method: a value that is not a share needs a method whose peaks are not
 * shares. */
static int check_min_peak(const job *j) {
    const hw_citation_rule *rule = hw_citation_rule_of(j->methods[0]);
    if (rule->max_peak == 0 || j->o->min_peak <= rule->max_peak) return STATUS_DONE;
    return misuse(command_name, "--min-peak %g: a peak of %s is a share, at most %g; --method names another method",
                  j->o->min_peak, j->methods[0], rule->max_peak);
}

/* ------------------------------------------------------------------ the run */

static int run_question(job *j, request *r, hw_trace **trace) {
    input prompt;
    int status = passages_build(&prompt, &r->given, j->o->question, conversation_is_chat(j->o));
    if (status != STATUS_DONE) return status;
    status = capture_text(j, r->model, &prompt, trace);
    free(prompt.bytes);
    return status;
}

static int open_trace(job *j, hw_trace **trace) {
    hw_error err;
    if (hw_trace_open(trace, j->o->trace, &err) != HW_OK) return job_fail(j, &err);
    interrupt_catch();
    trace_state_show_rounding(j, *trace);
    return STATUS_DONE;
}

static int get_trace(job *j, request *r, hw_trace **trace) {
    if (r->source_kind == FROM_TRACE) return open_trace(j, trace);
    return j->o->question ? run_question(j, r, trace) : capture_run(j, r->model, trace);
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
static int split_passages(hw_segments **out, request *r, job *j, const hw_run *run) {
    hw_error err;
    if (!r->given.n) return STATUS_DONE;
    int status = STATUS_DONE;
    if (j->o->question)
        move_passages(&r->given, run);
    else
        status = passages_find(&r->given, run);
    if (status != STATUS_DONE) return status;
    if (hw_segments_from_spans(out, run, HW_SIDE_PROMPT, r->given.spans, r->given.n, &err) != HW_OK)
        return job_fail(j, &err);
    job_group(j, *out);
    return STATUS_DONE;
}

static int cite(hw_citation **out, job *j, const cite_facts *f) {
    hw_citation_params params = hw_citation_params_default();
    hw_error err;
    params.min_peak = j->o->min_peak;
    if (hw_citation_new(out, f->a, f->passages, f->answer, &params, &err) != HW_OK) return job_fail(j, &err);
    return STATUS_DONE;
}

/* Measures the first passages by running the model without them. */
static int confirm(hw_confirmation **out, job *j, const hw_trace *trace, const cite_facts *f) {
    hw_confirm_params params = hw_confirm_params_default();
    hw_error err;
    if (j->o->confirm == 0) return STATUS_DONE;
    params.n_passages = (size_t)j->o->confirm;
    params.progress = progress_show;
    params.stop = interrupt_stop;
    params.ctx = &j->bar;
    hw_err rc =
        hw_confirmation_new(out, j->model, trace, &(hw_cited){f->citation, f->passages, f->answer}, &params, &err);
    progress_erase(&j->bar);
    return rc == HW_OK ? STATUS_DONE : job_fail(j, &err);
}

static int save(const options *o, const cite_facts *f) {
    int status = STATUS_DONE;
    for (size_t i = 0; i < o->output.n; i++)
        if (!cite_save(f, o->output.at[i])) status = STATUS_FAILED;
    return status;
}

static int cite_trace(job *j, request *r, const hw_trace *trace, bool stoppable) {
    hw_segments *from = NULL, *answer = NULL;
    hw_citation *citation = NULL;
    hw_confirmation *confirmation = NULL;
    hw_error err;
    cite_facts f = {
        .run = hw_trace_run(trace), .by = r->given.n || j->o->spans ? NULL : r->by.by, .answer_by = r->answer_by};
    int status = split_passages(&from, r, j, f.run);
    if (status == STATUS_DONE && hw_segments_new(&answer, f.run, HW_SIDE_COMPLETION, r->answer_by, &err) != HW_OK)
        status = job_fail(j, &err);
    if (status == STATUS_DONE) status = job_explain(j, trace, stoppable);
    f.passages = from ? from : hw_explainer_segments(j->explainer);
    f.answer = answer;
    f.a = j->made[0];
    if (status == STATUS_DONE) status = cite(&citation, j, &f);
    f.citation = citation;
    if (status == STATUS_DONE) status = confirm(&confirmation, j, trace, &f);
    f.confirmation = confirmation;
    if (status == STATUS_DONE) {
        status = save(j->o, &f);
        cite_print(&j->t, &f);
    }
    hw_confirmation_free(confirmation);
    hw_citation_free(citation);
    hw_segments_free(answer);
    hw_segments_free(from);
    return status;
}

static int run_job(job *j, request *r) {
    hw_trace *trace = NULL;
    j->keep = j->o->trace ? HW_KEEP_ROWS : HW_KEEP_METHODS;
    j->split = r->given.n ? NULL : &r->by;
    int status = get_trace(j, r, &trace);
    if (status == STATUS_DONE) {
        bool interrupted =
            r->source_kind == FROM_MODEL && interrupt_seen(); /* Ctrl-C stops a generation but not the command */
        if (interrupted && !j->o->quiet)
            message("interrupted: citing for the tokens so far; Ctrl-C again ends at once");
        int saved_file = trace_state_save(j, r->source_kind, trace);
        status = cite_trace(j, r, trace, !interrupted);
        if (status == STATUS_DONE) status = interrupted ? STATUS_INTERRUPTED : saved_file;
    }
    hw_trace_free(trace);
    return status;
}

static int run(const options *o) {
    request r;
    job j;
    int status = request_read(&r, o);
    if (status == STATUS_DONE) {
        status = job_prepare(&j, o, command_name);
        j.no_token_output = j.one_method = true;
        j.through = !o->direct && status == STATUS_DONE && hw_citation_rule_of(j.methods[0])->through;
        if (status == STATUS_DONE) status = check_min_peak(&j);
        if (status == STATUS_DONE) status = run_job(&j, &r);
        job_free(&j);
    }
    prompt_split_free(&r.by);
    passages_free(&r.given);
    return status;
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
