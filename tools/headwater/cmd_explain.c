/*
 * cmd_explain.c - `headwater explain`: from a model and a prompt, a saved trace, or exported attention.
 *
 *     check -> trace (run the model | open | import) -> save the trace -> explain -> save results -> view
 *
 * Whatever is wrong with the command line is found before the model loads. Files are saved before the view is drawn.
 */
#include "command.h"
#include "input.h"
#include "interrupt.h"
#include "job.h"
#include "message.h"
#include "model.h"
#include "output.h"
#include "show.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char command_name[] = "explain";

/* What the callbacks of a run see. */
typedef struct listener {
    job *j;
    stream text;
    bool started;
} listener;

/* ------------------------------------------------------------------ what to explain */

static const char *standard_input(const options *o) {
    return o->arguments.n ? o->arguments.at[0] : NULL;
}

/* Finds the source; STATUS_DONE, or the status to exit with. */
static int choose_source(const options *o, source *from) {
    for (size_t i = 0; i < o->arguments.n; i++)
        if (strcmp(o->arguments.at[i], "-") != 0 || i > 0)
            return misuse(command_name, "\"%s\": the prompt goes into -p TEXT or -f FILE, or is - for standard input",
                          o->arguments.at[i]);
    int prompts = (o->prompt != NULL) + (o->file != NULL) + (standard_input(o) != NULL);
    if (prompts > 1) return misuse(command_name, "more than one prompt: give one of -p, -f and -");
    if (o->attention) {
        *from = FROM_ATTENTION;
    } else if (prompts || GIVEN(o, model)) {
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
        return misuse(command_name, "a prompt does not go with --attention: its tokens are already there");
    return options_fit(o, command_name, *from) ? STATUS_DONE : STATUS_USAGE;
}

static int check_model(const options *o, const char **model) {
    *model = model_path(o, command_name);
    if (!*model) return STATUS_USAGE;
    if (o->completion && !*o->completion)
        return misuse(command_name, "--completion \"\": there is nothing in it to explain");
    if (o->completion && GIVEN(o, generate))
        return misuse(command_name, "-n does not go with --completion: nothing is generated");
    return STATUS_DONE;
}

static int check_files(const options *o, source from, const char *model) {
    const char *inputs[] = {from == FROM_MODEL ? model : NULL, o->attention, o->file, o->trace};
    int status = output_check(o, command_name, inputs, sizeof inputs / sizeof *inputs);
    if (status != STATUS_DONE || from == FROM_TRACE || !o->trace) return status;
    return output_check_path(command_name, o->trace, inputs, 3);
}

/* ------------------------------------------------------------------ running a model */

static void take_token(void *ctx, const hw_token *token) {
    listener *l = ctx;
    progress_erase(&l->j->bar);
    if (!l->started) show_title(&l->j->t, "Completion");
    l->started = true;
    stream_write(&l->text, token->bytes, token->n_bytes);
}

static void take_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    listener *l = ctx;
    progress_show(&l->j->bar, stage, done, total);
}

/* No more tokens either where nobody reads them any more. */
static bool stop_run(void *ctx) {
    (void)ctx;
    return interrupt_seen() || ferror(stdout);
}

static hw_err capture(hw_trace **trace, const input *prompt, listener *l, hw_error *err) {
    const options *o = l->j->o;
    hw_run_params params = hw_run_params_default();
    params.prompt = prompt->bytes;
    params.prompt_bytes = prompt->n;
    params.completion = o->completion;
    params.completion_bytes = o->completion ? strlen(o->completion) : 0;
    params.n_generate = (size_t)o->generate;
    params.chat = o->chat;
    params.temperature = (float)o->temp;
    params.top_k = (int32_t)o->top_k;
    params.top_p = (float)o->top_p;
    params.seed = (uint32_t)o->seed;
    params.fuse = o->fuse;
    params.signals = job_signals(l->j);
    params.on_token = take_token;
    params.progress = take_progress;
    params.stop = stop_run;
    params.ctx = l;
    hw_err rc = hw_trace_capture(trace, l->j->model, &params, err);
    progress_erase(&l->j->bar);
    if (l->started) stream_end(&l->text);
    return rc;
}

static int run_model(job *j, const char *path, const input *prompt, hw_trace **trace) {
    listener l = {.j = j, .text = {.out = j->t.out}};
    hw_error err;
    interrupt_catch();
    if (model_open(&j->model, j->o, path, &j->bar, &err) != HW_OK) return job_fail(j, &err);
    return capture(trace, prompt, &l, &err) == HW_OK ? STATUS_DONE : job_fail(j, &err);
}

static int read_prompt(const options *o, input *prompt) {
    const char *path = o->file ? o->file : standard_input(o);
    *prompt = (input){.n = 0};
    if (path && !input_read(prompt, path)) return STATUS_FAILED;
    if (!path) {
        prompt->n = strlen(o->prompt);
        prompt->bytes = malloc(prompt->n + 1);
        if (!prompt->bytes) return fail("no memory for the prompt");
        memcpy(prompt->bytes, o->prompt, prompt->n + 1);
    }
    if (prompt->n) return STATUS_DONE;
    free(prompt->bytes);
    return fail("the prompt is empty: there is nothing to trace back to");
}

static int trace_of_model(job *j, const char *model, hw_trace **trace) {
    input prompt;
    int status = read_prompt(j->o, &prompt);
    if (status != STATUS_DONE) return status;
    status = run_model(j, model, &prompt, trace);
    free(prompt.bytes);
    return status;
}

/* ------------------------------------------------------------------ from a trace on */

static int open_trace(job *j, source from, hw_trace **trace) {
    hw_error err;
    hw_err rc = from == FROM_TRACE ? hw_trace_open(trace, j->o->trace, &err)
                                   : hw_trace_import(trace, j->o->attention, j->o->fuse, &err);
    if (rc != HW_OK) return job_fail(j, &err);
    interrupt_catch();
    show_completion(&j->t, hw_trace_run(*trace));
    return STATUS_DONE;
}

static int explain_trace(job *j, source from, const hw_trace *trace) {
    const hw_run *run = hw_trace_run(trace);
    bool cut = from == FROM_MODEL && interrupt_seen(); /* of all work only a generation outlives Ctrl-C */
    show_run(&j->t, run);
    if (cut && !j->o->quiet) message("interrupted: explaining the tokens so far; Ctrl-C again ends at once");
    int saved = STATUS_DONE;
    if (from != FROM_TRACE && j->o->trace) {
        hw_error err;
        if (hw_trace_save(trace, j->o->trace, &err) != HW_OK) saved = job_fail(j, &err);
    }
    int status = job_explain(j, trace, !cut);
    if (status == STATUS_DONE) status = job_finish_made(j);
    if (status == STATUS_DONE) status = saved;
    return cut ? STATUS_INTERRUPTED : status;
}

static int explain(job *j, source from, const char *model) {
    hw_trace *trace = NULL;
    int status = from == FROM_MODEL ? trace_of_model(j, model, &trace) : open_trace(j, from, &trace);
    if (status == STATUS_DONE) status = explain_trace(j, from, trace);
    hw_trace_free(trace);
    return status;
}

static int run(const options *o) {
    source from = FROM_MODEL;
    const char *model = NULL;
    int status = choose_source(o, &from);
    if (status == STATUS_DONE && from == FROM_MODEL) status = check_model(o, &model);
    if (status == STATUS_DONE) status = check_files(o, from, model);
    if (status != STATUS_DONE) return status;
    job j;
    status = job_prepare(&j, o, command_name);
    if (status == STATUS_DONE) status = explain(&j, from, model);
    job_free(&j);
    return status;
}

static const char *const usage[] = {"-m MODEL (-p TEXT | -f FILE | -) [options]", "--trace FILE [options]",
                                    "--attention FILE.safetensors [options]", NULL};
static const example examples[] = {
    {"where does each token of the answer come from?",
     "headwater explain -m model.gguf -p \"My name is Abdul, I am from\" -n 8"},
    {"the token \"sunny\" only, with token 0 and white space out of the view",
     "headwater explain -m model.gguf -f prompt.txt --token sunny --hide first,whitespace"},
    {"a given completion, kept as a table and as one file that explains again without the model",
     "headwater explain -m model.gguf -p \"2 + 2 =\" --completion \" 4\" -o sum.csv --trace sum.trace.safetensors"},
    {"again from that file, as the note's figures show it",
     "headwater explain --trace sum.trace.safetensors --preset note"},
    {NULL, NULL},
};

const command command_explain = {
    .name = command_name,
    .bit = IN_EXPLAIN,
    .summary = "trace a completion back to its prompt",
    .usage = usage,
    .about = "Runs a model on a prompt, or opens a run that was saved, and shows which prompt tokens each token of the "
             "completion comes from. Results go to standard output and to the -o files; all else to standard error. "
             "Ctrl-C while tokens are generated keeps and explains those that are there.",
    .examples = examples,
    .lists = LIST_METHODS | LIST_FILTERS | LIST_FORMATS | LIST_PRESETS,
    .run = run,
};
