/* trace_import.c - turns exported attention into a trace: replays the import engine into a capture. */
#include "capture/capture.h"
#include "data/thinking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static hw_err add_tokens(hw_run *run, const hw__import_info *info, hw_error *err) {
    for (size_t t = 0; t < info->n_tokens; t++) {
        const char *text = info->texts ? info->texts[t] : "";
        hw_token token = {.bytes = text,
                          .n_bytes = strlen(text),
                          .id = -1,
                          .role = t < info->n_prompt ? HW_ROLE_PROMPT : HW_ROLE_COMPLETION,
                          .logprob = NAN};
        if (t < info->n_prompt) { /* an import's prompt is its joined tokens */
            token.begin = t > 0 ? run->tokens[t - 1].end : 0;
            token.end = token.begin + token.n_bytes;
        }
        hw_err rc = hw__run_add_token(run, &token, err);
        if (rc != HW_OK) return rc;
    }
    return hw__thinking_roles(run, err);
}

static hw_err replay(hw_trace *trace, hw__engine *engine, hw_error *err) {
    size_t n_tokens = trace->run->n_tokens;
    hw__capture capture = {.trace = trace, .sinks = trace->run->model.has_sinks};
    hw__sink sink = hw__capture_sink(&capture);
    hw_err rc = engine->ops->begin(engine, n_tokens, NULL, NULL, err);
    return rc == HW_OK ? engine->ops->decode(engine, (hw__token_batch){NULL, n_tokens, 0, n_tokens}, &sink, err) : rc;
}

static hw_err import(hw_trace **out, hw__input from, hw_fuse fuse, hw_error *err) {
    hw__engine *engine;
    hw_err rc = hw__engine_import_open(&engine, from, err);
    if (rc != HW_OK) return rc;
    const hw__import_info *info = hw__engine_import_info(engine);
    hw__run_options options = {.run = {.fuse = fuse, .top_p = 1}};
    hw_run *run = NULL;
    hw_trace *trace = NULL;
    rc = hw__run_new(&run, engine->ops->describe(engine), &options, err);
    if (rc != HW_OK) goto out;
    run->causal = info->causal;
    run->stop = HW_STOP_GIVEN;
    if ((rc = add_tokens(run, info, err)) != HW_OK || (rc = hw__run_join_prompt(run, err)) != HW_OK) goto out;
    if ((rc = hw__trace_new(&trace, run, info->n_tokens, err)) != HW_OK) goto out;
    run = NULL; /* owned by the trace now */
    if ((rc = replay(trace, engine, err)) != HW_OK) goto out;
    *out = trace;
    trace = NULL;
out:
    hw_trace_free(trace);
    hw__run_release(run);
    engine->ops->close(engine);
    return rc;
}

hw_err hw_trace_import(hw_trace **out, const char *path, hw_fuse fuse, hw_error *err) {
    return import(out, (hw__input){.path = path}, fuse, err);
}

hw_err hw_trace_import_bytes(hw_trace **out, const void *bytes, size_t n_bytes, hw_fuse fuse, hw_error *err) {
    return import(out, hw__input_bytes(bytes, n_bytes), fuse, err);
}
