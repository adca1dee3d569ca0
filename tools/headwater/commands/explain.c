/*
 * explain.c - `headwater explain`: from a model and a prompt, a saved trace, or exported attention.
 *
 *     check -> trace (run the model | open | import) -> save the trace -> explain -> save results -> view
 *
 * Errors on the command line are reported before the model loads. Files are saved before the view is printed.
 */
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "job/open_model.h"
#include "job/output_files.h"
#include "job/prompt_split.h"
#include "job/run_model.h"
#include "job/trace_state_files.h"
#include "terminal/attribution_view.h"

static const char command_name[] = "explain";

/* ------------------------------------------------------------------ what to explain */

static hw_err choose_source(const options *o, source *from, hw_error *err) {
    bool prompts = false;
    hw_err rc = capture_prompts(&prompts, o, err);
    if (rc != HW_OK) return rc;
    if (o->attention) {
        *from = FROM_ATTENTION;
    } else if (prompts || model_given(o)) {
        *from = FROM_MODEL;
    } else if (o->trace) {
        *from = FROM_TRACE;
    } else {
        return usage_error(err, "nothing to explain: give -m MODEL and a prompt (-p TEXT, -f FILE or -), or "
                                "--trace FILE, or --attention FILE");
    }
    if (*from == FROM_MODEL && !prompts)
        return usage_error(err, "no prompt: give -p TEXT, -f FILE, or - for standard input%s",
                           o->trace ? " (to explain from a saved trace leave out -m)" : "");
    if (*from == FROM_ATTENTION && prompts)
        return usage_error(err, "a prompt cannot be combined with --attention: the tokens are given");
    return options_fit(o, *from, err);
}

static hw_err check_files(const options *o, source from, const char *model, hw_error *err) {
    const char *inputs[] = {
        from == FROM_MODEL ? model : NULL, o->attention, o->file, o->messages, o->chat_template, o->trace};
    hw_err rc = output_check(o, inputs, sizeof inputs / sizeof *inputs, OUTPUT_ANY, err);
    return rc == HW_OK ? trace_state_check(o, from, inputs, 5, err) : rc;
}

/* ------------------------------------------------------------------ from a trace on */

static hw_err open_trace(job *j, source from, hw_trace **trace, hw_error *err) {
    hw_err rc = from == FROM_TRACE ? hw_trace_open(trace, j->o->trace, err)
                                   : hw_trace_import(trace, j->o->attention, j->o->run.fuse, err);
    if (rc != HW_OK) return rc;
    interrupt_catch();
    show_completion(&j->t, hw_trace_run(*trace));
    trace_state_show_rounding(j, *trace);
    return HW_OK;
}

static hw_err explain_trace(job *j, source from, const hw_trace *trace, hw_error *err) {
    const hw_run *run = hw_trace_run(trace);
    bool interrupted = from == FROM_MODEL && interrupt_seen(); /* Ctrl-C stops a generation but not the command */
    show_run(&j->t, run);
    if (interrupted && !j->o->quiet) message("interrupted: explaining the tokens so far; Ctrl-C again ends at once");
    hw_err saved_file = trace_state_save(j, from, trace);
    hw_err rc = job_explain(j, trace, !interrupted, err);
    if (rc == HW_OK) rc = job_finish_made(j, err);
    if (rc == HW_OK) rc = job_result(j, saved_file);
    return rc == HW_OK && interrupted ? (hw_err)ERR_INTERRUPTED : rc;
}

/* Rows are streamed unless a trace is saved; rows from a state are not. */
static bool rows_pass(const options *o, source from) { return from == FROM_MODEL && !o->trace && !o->state; }

static hw_err explain(job *j, source from, const prompt_split *by, const char *model, hw_error *err) {
    hw_trace *trace = NULL;
    hw_keep unsaved = rows_pass(j->o, from) ? HW_KEEP_RESULTS : HW_KEEP_METHODS;
    j->keep = j->o->trace ? HW_KEEP_ROWS : unsaved; /* a saved trace can be used with any columns */
    j->split = prompt_split_is_given(by) ? by : NULL;
    j->whole = true;
    hw_err rc = from == FROM_MODEL ? capture_run(j, model, &trace, err) : open_trace(j, from, &trace, err);
    if (rc == HW_OK) rc = explain_trace(j, from, trace, err);
    hw_trace_free(trace);
    return rc;
}

/* Streams as many rows at a time as one forward pass has. */
static options with_passes(const options *o, source from) {
    options own = *o;
    if (rows_pass(o, from) && (o->by || o->spans) && own.ubatch == 0) own.ubatch = PASSING_UBATCH;
    return own;
}

static hw_err run(const options *o, hw_error *err) {
    source from = FROM_MODEL;
    const char *model = NULL;
    hw_err rc = choose_source(o, &from, err);
    if (rc == HW_OK && from == FROM_MODEL) rc = capture_check(o, &model, err);
    if (rc == HW_OK) rc = check_files(o, from, model, err);
    if (rc != HW_OK) return rc;
    job j;
    prompt_split by;
    const options own = with_passes(o, from);
    rc = prompt_split_read(&by, o, NULL, err);
    if (rc == HW_OK && (o->by || o->spans) && o->settings.columns == HW_COLUMNS_ALL)
        rc = usage_error(err, "--by and --spans split the prompt: they cannot be combined with --columns all");
    if (rc == HW_OK) {
        rc = job_prepare(&j, &own, err);
        if (rc == HW_OK) rc = explain(&j, from, &by, model, err);
        job_free(&j);
    }
    prompt_split_free(&by);
    return rc;
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
