/*
 * explain.c - `headwater explain`: from a model and a prompt, a saved trace, or exported attention.
 *
 *     check -> trace (run the model | open | import) -> save the trace -> explain -> save results -> view
 *
 * Errors on the command line are reported before the model loads. Files are saved before the view is printed.
 */
#include "job/run_model.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "job/trace_state_files.h"
#include "cli/message.h"
#include "job/open_model.h"
#include "job/output_files.h"
#include "job/prompt_split.h"
#include "terminal/attribution_view.h"

static const char command_name[] = "explain";

/* ------------------------------------------------------------------ what to explain */

/* Determines the source; STATUS_DONE, or the exit status. */
static int choose_source(const options *o, source *from) {
    int prompts = capture_prompts(o, command_name);
    if (prompts < 0) return STATUS_USAGE;
    if (o->attention) {
        *from = FROM_ATTENTION;
    } else if (prompts || model_given(o)) {
        *from = FROM_MODEL;
    } else if (o->trace) {
        *from = FROM_TRACE;
    } else {
        return misuse(command_name, "nothing to explain: give -m MODEL and a prompt (-p TEXT, -f FILE or -), or "
                                    "--trace FILE, or --attention FILE");
    }
    if (*from == FROM_MODEL && !prompts)
        return misuse(command_name, "no prompt: give -p TEXT, -f FILE, or - for standard input%s",
                      o->trace ? " (to explain from a saved trace leave out -m)" : "");
    if (*from == FROM_ATTENTION && prompts)
        return misuse(command_name, "a prompt cannot be combined with --attention: the tokens are given");
    return options_fit(o, command_name, *from) ? STATUS_DONE : STATUS_USAGE;
}

static int check_files(const options *o, source from, const char *model) {
    const char *inputs[] = {from == FROM_MODEL ? model : NULL, o->attention,     o->file, o->messages,
                            o->chat_template,                  o->trace};
    int status = output_check(o, command_name, inputs, sizeof inputs / sizeof *inputs, OUTPUT_ANY);
    return status == STATUS_DONE ? trace_state_check(o, command_name, from, inputs, 5) : status;
}

/* ------------------------------------------------------------------ from a trace on */

static int open_trace(job *j, source from, hw_trace **trace) {
    hw_error err;
    hw_err rc = from == FROM_TRACE ? hw_trace_open(trace, j->o->trace, &err)
                                   : hw_trace_import(trace, j->o->attention, j->o->run.fuse, &err);
    if (rc != HW_OK) return job_fail(j, &err);
    interrupt_catch();
    show_completion(&j->t, hw_trace_run(*trace));
    trace_state_show_rounding(j, *trace);
    return STATUS_DONE;
}

static int explain_columns(job *j, const hw_trace *trace, bool stoppable) {
    int status = job_explain(j, trace, stoppable);
    return status == STATUS_DONE ? job_finish_made(j) : status;
}

static int explain_trace(job *j, source from, const hw_trace *trace) {
    const hw_run *run = hw_trace_run(trace);
    bool interrupted = from == FROM_MODEL && interrupt_seen(); /* Ctrl-C stops a generation but not the command */
    show_run(&j->t, run);
    if (interrupted && !j->o->quiet) message("interrupted: explaining the tokens so far; Ctrl-C again ends at once");
    int saved_file = trace_state_save(j, from, trace);
    int status = job_status(j, explain_columns(j, trace, !interrupted));
    if (status == STATUS_DONE) status = saved_file;
    return interrupted ? STATUS_INTERRUPTED : status;
}

/* Rows are streamed unless a trace is saved; rows from a state are not. */
static bool rows_pass(const options *o, source from) { return from == FROM_MODEL && !o->trace && !o->state; }

static int explain(job *j, source from, const prompt_split *by, const char *model) {
    hw_trace *trace = NULL;
    hw_keep unsaved = rows_pass(j->o, from) ? HW_KEEP_RESULTS : HW_KEEP_METHODS;
    j->keep = j->o->trace ? HW_KEEP_ROWS : unsaved; /* a saved trace can be used with any columns */
    j->split = prompt_split_is_given(by) ? by : NULL;
    j->whole = true;
    int status = from == FROM_MODEL ? capture_run(j, model, &trace) : open_trace(j, from, &trace);
    if (status == STATUS_DONE) status = explain_trace(j, from, trace);
    hw_trace_free(trace);
    return status;
}

/* Streams as many rows at a time as one forward pass has. */
static options with_passes(const options *o, source from) {
    options own = *o;
    if (rows_pass(o, from) && (o->by || o->spans) && own.ubatch == 0) own.ubatch = PASSING_UBATCH;
    return own;
}

static int run(const options *o) {
    source from = FROM_MODEL;
    const char *model = NULL;
    int status = choose_source(o, &from);
    if (status == STATUS_DONE && from == FROM_MODEL) status = capture_check(o, command_name, &model);
    if (status == STATUS_DONE) status = check_files(o, from, model);
    if (status != STATUS_DONE) return status;
    job j;
    prompt_split by;
    const options own = with_passes(o, from);
    status = prompt_split_read(&by, o, command_name, NULL);
    if (status == STATUS_DONE && (o->by || o->spans) && o->settings.columns == HW_COLUMNS_ALL)
        status = misuse(command_name, "--by and --spans cut the prompt: they cannot be combined with --columns all");
    if (status == STATUS_DONE) {
        status = job_prepare(&j, &own, command_name);
        if (status == STATUS_DONE) status = explain(&j, from, &by, model);
        job_free(&j);
    }
    prompt_split_free(&by);
    return status;
}

static const char *const usage[] = {"-m MODEL (-p TEXT | -f FILE | -) [options]", "--trace FILE [options]",
                                    "--attention FILE.safetensors [options]", NULL};
static const example examples[] = {
    {"where does each token of the answer come from?",
     "headwater explain -m model.gguf -p \"My name is Abdul, I am from\" -n 8"},
    {"the token \"sunny\" only, with token 0 and white space out of the view",
     "headwater explain -m model.gguf -f prompt.txt --token sunny --hide first,whitespace"},
    {"sentence by sentence: which sentences of the prompt does each one of the answer come from?",
     "headwater explain -m model.gguf -f prompt.txt --method logit --by sentence --answer-by sentence"},
    {"a given completion, kept as a table and as one file that explains again without the model",
     "headwater explain -m model.gguf -p \"2 + 2 =\" --completion \" 4\" -o sum.csv --trace sum.trace.safetensors"},
    {"again from that file, as the note's figures show it",
     "headwater explain --trace sum.trace.safetensors --preset note"},
    {NULL, NULL},
};

const command command_explain = {
    .name = command_name,
    .bit = IN_EXPLAIN,
    .summary = "attribute a completion to the tokens of its prompt",
    .usage = usage,
    .about = "Runs a model on a prompt, or opens a saved run, and shows which prompt tokens the completion is "
             "attributed to: the mean over all its tokens, or the tokens of --token. The methods measure different "
             "things; docs/research/faithfulness.md compares them, `headwater check` tests them on a prompt, and "
             "`headwater cite` summarises by sentences and passages. Results are written to standard output and to "
             "the -o files, messages to standard error. Ctrl-C during generation ends the completion, and its tokens "
             "so far are explained.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FORMATS | LIST_FIGURES | LIST_PRESETS,
    .run = run,
};
