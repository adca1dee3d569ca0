/* run_model.c - runs the prompt given by the options on the model given by the options. */
#include "job/run_model.h"

#include "base/error.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "job/conversation.h"
#include "job/memory_limit.h"
#include "job/open_model.h"
#include "job/trace_state_files.h"
#include "terminal/attribution_view.h"

#include <stdlib.h>
#include <string.h>

/* Context of the callbacks of a run. */
typedef struct listener {
    job *j;
    const conversation *chat;
    const hw_run_params *params;
    stream text;
    bool started;
} listener;

static const char *standard_input(const options *o) { return o->arguments.n ? o->arguments.at[0] : NULL; }

hw_err capture_prompts(bool *given, const options *o, hw_error *err) {
    for (size_t i = 0; i < o->arguments.n; i++)
        if (i > 0 || strcmp(o->arguments.at[i], "-") != 0)
            return usage_error(err, "\"%s\": the prompt is given with -p TEXT or -f FILE, or is - for standard input",
                               o->arguments.at[i]);
    int n = (o->prompt != NULL) + (o->file != NULL) + (standard_input(o) != NULL) + (o->messages != NULL);
    if (n > 1) return usage_error(err, "more than one prompt: give one of -p, -f, --messages and -");
    *given = n > 0;
    return HW_OK;
}

hw_err capture_check(const options *o, const char **model, hw_error *err) {
    hw_err rc = model_path(model, o, err);
    if (rc != HW_OK) return rc;
    if (o->completion && !*o->completion)
        return usage_error(err, "--completion \"\": there is nothing in it to explain");
    if (o->completion && GIVEN(o, run.n_generate))
        return usage_error(err, "-n cannot be combined with --completion: nothing is generated");
    return conversation_check(o, err);
}

static void take_token(void *ctx, const hw_run *run, size_t i) {
    listener *l = ctx;
    hw_token token = hw_run_token(run, i);
    if (l->j->no_token_output) return;
    progress_erase(&l->j->bar);
    if (!l->started) show_title(&l->j->t, "Completion");
    l->started = true;
    show_token(&l->j->t, &l->text, &token);
}

static void take_progress(void *ctx, hw_stage stage, size_t done, size_t total) {
    listener *l = ctx;
    progress_show(&l->j->bar, stage, done, total);
}

static hw_err take_estimate(void *ctx, const hw_estimate *estimate, hw_error *err) {
    listener *l = ctx;
    return memory_check(l->j, l->params, estimate, err);
}

/* Also stops generating if standard output was closed. */
static bool stop_run(void *ctx) {
    (void)ctx;
    return interrupt_seen() || ferror(stdout);
}

static hw_run_params run_params(const input *prompt, const hw_trace *prefix, listener *l) {
    const options *o = l->j->o;
    hw_run_params params = o->run;
    params.prompt = prompt->bytes;
    params.prompt_bytes = prompt->n;
    params.completion = o->completion;
    params.completion_bytes = o->completion ? strlen(o->completion) : 0;
    conversation_apply(&params, l->chat, o);
    params.prefix = prefix;
    params.explainer = l->j->explainer;
    params.saves_state = o->state != NULL;
    params.on_estimate = take_estimate;
    params.on_token = take_token;
    params.progress = take_progress;
    params.stop = stop_run;
    params.ctx = l;
    return params;
}

static hw_err capture(hw_trace **trace, const input *prompt, const hw_trace *prefix, listener *l, hw_error *err) {
    job *j = l->j;
    job_choose_methods(j);
    hw_err rc = job_explainer(&j->explainer, j, j->methods, j->n_methods, j->split, err);
    if (rc != HW_OK) return rc;
    hw_run_params params = run_params(prompt, prefix, l);
    l->params = &params;
    rc = hw_trace_capture(trace, j->model, &params, err);
    progress_erase(&j->bar);
    if (l->started) stream_end(&l->text);
    if (rc != HW_OK) return rc;
    const hw_run *run = hw_trace_run(*trace);
    for (size_t i = 0; !j->o->quiet && i < hw_run_n_remarks(run); i++) message("%s", hw_run_remark(run, i));
    return HW_OK;
}

static hw_err read_prompt(const options *o, input *prompt, hw_error *err) {
    const char *path = o->file ? o->file : standard_input(o);
    *prompt = (input){.n = 0};
    hw_err rc = path ? input_read(prompt, "prompt", path, err) : HW_OK;
    if (rc != HW_OK) return rc;
    if (!path) {
        prompt->n = strlen(o->prompt);
        prompt->bytes = malloc(prompt->n + 1);
        if (!prompt->bytes) return hw__fail(err, HW_ERR_MEMORY, "no memory for the prompt");
        memcpy(prompt->bytes, o->prompt, prompt->n + 1);
    }
    if (prompt->n) return HW_OK;
    free(prompt->bytes);
    return hw__fail(err, HW_ERR_ARGUMENT, "the prompt is empty: there is nothing to trace back to");
}

/* Runs a prompt, or with `chat` a conversation around it. */
static hw_err capture_chat(job *j, const char *path, const input *prompt, const conversation *chat, hw_trace **trace,
                           hw_error *err) {
    listener l = {.j = j, .chat = chat, .text = {.out = j->t.out}};
    interrupt_catch();
    hw_err rc = model_open(&j->model, j->o, path, &j->bar, err);
    if (rc != HW_OK) return rc;
    hw_trace *prefix;
    rc = trace_state_open(j, &prefix, err);
    if (rc == HW_OK) rc = capture(trace, prompt, prefix, &l, err);
    hw_trace_free(prefix);
    return rc;
}

hw_err capture_text(job *j, const char *path, const input *prompt, hw_trace **trace, hw_error *err) {
    conversation chat;
    hw_err rc = conversation_read(&chat, j->o, prompt, err);
    if (rc == HW_OK) rc = capture_chat(j, path, prompt, &chat, trace, err);
    conversation_free(&chat);
    return rc;
}

hw_err capture_run(job *j, const char *model, hw_trace **trace, hw_error *err) {
    input prompt = {.n = 0};
    hw_err rc = j->o->messages ? HW_OK : read_prompt(j->o, &prompt, err);
    if (rc != HW_OK) return rc;
    rc = capture_text(j, model, &prompt, trace, err);
    free(prompt.bytes);
    return rc;
}
