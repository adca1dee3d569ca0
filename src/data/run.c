/* run.c - builds, shares and reads a run; run_select.c selects completion tokens by index or text. */
#include "data/run.h"

#include "base/error.h"
#include "base/sized.h"
#include "data/run_options.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A model that names no sources has its attention layers. */
static bool copy_sources(hw_model_info *to, const hw_model_info *from, hw__arena *arena) {
    size_t n = (size_t)(from->n_sources > 0 ? from->n_sources : from->n_layers > 0 ? from->n_layers : 0);
    hw_source *sources = hw__arena_alloc(arena, n, sizeof *sources);
    if (!sources) return false;
    for (size_t s = 0; s < n; s++)
        sources[s] =
            from->n_sources > 0 ? from->sources[s] : (hw_source){from->layers[s], (int32_t)s, HW_SOURCE_ATTENTION};
    to->sources = sources;
    to->n_sources = (int32_t)n;
    return true;
}

/* Copies the info with its strings and lists into the arena. */
static bool copy_model(hw_model_info *to, const hw_model_info *from, hw__arena *arena) {
    *to = *from;
    const char **strings[] = {&to->path,     &to->engine,           &to->engine_version,  &to->architecture,
                              &to->name,     &to->quantisation,     &to->metadata_sha256, &to->sample_sha256,
                              &to->device,   &to->problem,          &to->values_problem,  &to->readout_problem,
                              &to->adapters, &to->recurrent_problem};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (!(*strings[i] = hw__arena_strdup(arena, *strings[i] ? *strings[i] : ""))) return false;
    size_t n = from->n_layers > 0 ? (size_t)from->n_layers : 0;
    int32_t *layers = hw__arena_alloc(arena, n, sizeof *layers);
    if (!layers) return false;
    if (n) memcpy(layers, from->layers, n * sizeof *layers);
    to->layers = layers;
    return copy_sources(to, from, arena);
}

static const char *or_empty(const char *text) { return text ? text : ""; }

bool hw__same_model(const hw_model_info *a, const hw_model_info *b) {
    const char *x = or_empty(a->sample_sha256), *y = or_empty(b->sample_sha256);
    return strcmp(or_empty(a->metadata_sha256), or_empty(b->metadata_sha256)) == 0 && (!*x || !*y || strcmp(x, y) == 0);
}

hw_err hw__run_new(hw_run **out, const hw_model_info *model, const hw__run_options *options, hw_error *err) {
    hw_run *run = hw__alloc(1, sizeof *run);
    if (!run) return hw__fail_memory(err, "a run", 1, sizeof *run);
    atomic_init(&run->refs, 1);
    run->options = *options;
    run->causal = true;
    run->recurrent_share = NAN;
    run->prompt = "";
    if (!hw__run_options_copy(&run->options.run, &options->run, &run->arena) ||
        !copy_model(&run->model, model, &run->arena)) {
        hw__run_release(run);
        return hw__fail_memory(err, "a run's model description", 1, 4096);
    }
    *out = run;
    return HW_OK;
}

hw_run *hw__run_retain(const hw_run *run) {
    hw_run *shared = (hw_run *)run; /* only the reference count changes, atomically */
    atomic_fetch_add(&shared->refs, 1);
    return shared;
}

void hw_run_free(hw_run *run) { hw__run_release(run); }

void hw__run_release(hw_run *run) {
    if (!run || atomic_fetch_sub(&run->refs, 1) != 1) return;
    hw__arena_clear(&run->arena);
    free(run->completion);
    free(run->tokens);
    free(run);
}

hw_err hw__run_set_prompt(hw_run *run, const char *bytes, size_t n, hw_error *err) {
    const char *copy = hw__arena_strndup(&run->arena, bytes, n);
    if (!copy) return hw__fail_memory(err, "the prompt", n, 1);
    run->prompt = copy;
    run->prompt_bytes = n;
    return HW_OK;
}

hw_err hw__run_join_prompt(hw_run *run, hw_error *err) {
    size_t n = run->n_prompt ? run->tokens[run->n_prompt - 1].end : 0;
    char *text = hw__arena_alloc(&run->arena, n + 1, 1);
    if (!text) return hw__fail_memory(err, "the prompt", n, 1);
    for (size_t t = 0; t < run->n_prompt; t++)
        if (run->tokens[t].n_bytes) memcpy(text + run->tokens[t].begin, run->tokens[t].bytes, run->tokens[t].n_bytes);
    text[n] = 0;
    run->prompt = text;
    run->prompt_bytes = n;
    return HW_OK;
}

hw_err hw__run_set_messages(hw_run *run, const hw_span *messages, size_t n, hw_error *err) {
    hw_span *copy = hw__arena_alloc(&run->arena, n, sizeof *copy);
    if (!copy) return hw__fail_memory(err, "the messages", n, sizeof *copy);
    for (size_t i = 0, end = 0; i < n; end = messages[i++].end) {
        if (messages[i].begin < end || messages[i].end < messages[i].begin || messages[i].end > run->prompt_bytes)
            return hw__fail(err, HW_ERR_FORMAT, "message %zu is bytes %zu to %zu: they must rise, in a prompt of %zu",
                            i, messages[i].begin, messages[i].end, run->prompt_bytes);
        copy[i] = messages[i];
        if (!(copy[i].name = hw__arena_strdup(&run->arena, messages[i].name)))
            return hw__fail_memory(err, "the messages", n, sizeof *copy);
    }
    run->messages = copy;
    run->n_messages = n;
    return HW_OK;
}

hw_err hw__run_add_remark(hw_run *run, const char *sentence, hw_error *err) {
    if (run->n_remarks == HW__MAX_REMARKS) return HW_OK;
    const char *copy = hw__arena_strdup(&run->arena, sentence);
    if (!copy) return hw__fail_memory(err, "a remark", strlen(sentence), 1);
    run->remarks[run->n_remarks++] = copy;
    return HW_OK;
}

static bool reserve_token(hw_run *run) {
    if (run->n_tokens < run->capacity) return true;
    size_t capacity = run->capacity ? run->capacity * 2 : 64;
    hw_token *tokens = hw__realloc(run->tokens, capacity, sizeof *tokens);
    if (!tokens) return false;
    run->tokens = tokens;
    run->capacity = capacity;
    return true;
}

static bool append_completion(hw_run *run, const char *bytes, size_t n) {
    size_t total;
    if (!hw__add(&total, run->completion_bytes, n)) return false;
    char *grown = hw__realloc(run->completion, total, 1);
    if (!grown) return false;
    if (n) memcpy(grown + run->completion_bytes, bytes, n);
    run->completion = grown;
    run->completion_bytes = total;
    return true;
}

static bool copy_token(hw_token *to, const hw_token *from, hw__arena *arena) {
    *to = *from;
    if (!(to->bytes = hw__arena_strndup(arena, from->bytes, from->n_bytes))) return false;
    size_t n = (size_t)from->n_alternatives;
    hw_alternative *list = hw__arena_alloc(arena, n, sizeof *list);
    if (!list) return false;
    for (size_t i = 0; i < n; i++) {
        list[i] = from->alternatives[i];
        if (!(list[i].bytes = hw__arena_strndup(arena, list[i].bytes, list[i].n_bytes))) return false;
    }
    to->alternatives = list;
    return true;
}

hw_err hw__run_add_token(hw_run *run, const hw_token *token, hw_error *err) {
    assert(token->n_alternatives >= 0 && token->n_alternatives <= HW_N_ALTERNATIVES);
    hw_token copy;
    if (!reserve_token(run) || !copy_token(&copy, token, &run->arena))
        return hw__fail_memory(err, "a token", 1, sizeof copy);
    if (token->role == HW_ROLE_COMPLETION) {
        copy.begin = run->completion_bytes;
        if (!append_completion(run, token->bytes, token->n_bytes))
            return hw__fail_memory(err, "the completion", run->completion_bytes, 1);
        copy.end = run->completion_bytes;
    } else {
        assert(run->n_prompt == run->n_tokens);
        run->n_prompt++;
    }
    run->tokens[run->n_tokens++] = copy;
    return HW_OK;
}

size_t hw_run_n_tokens(const hw_run *run) { return run->n_tokens; }
size_t hw_run_n_prompt(const hw_run *run) { return run->n_prompt; }
size_t hw_run_n_completion(const hw_run *run) { return run->n_tokens - run->n_prompt; }

void hw_run_token_copy(hw_token *out, size_t size, const hw_run *run, size_t i) {
    assert(i < run->n_tokens);
    hw__sized_copy(out, size, &run->tokens[i], sizeof run->tokens[i]);
}

const char *hw_run_prompt(const hw_run *run, size_t *n_bytes) {
    if (n_bytes) *n_bytes = run->prompt_bytes;
    return run->prompt;
}

const char *hw_run_completion(const hw_run *run, size_t *n_bytes) {
    if (n_bytes) *n_bytes = run->completion_bytes;
    return run->completion ? run->completion : "";
}

double hw_run_recurrent_share(const hw_run *run) { return run->recurrent_share; }
size_t hw_run_n_reused(const hw_run *run) { return run->n_reused; }
const hw_model_info *hw_run_model(const hw_run *run) { return &run->model; }
hw_fuse hw_run_fuse(const hw_run *run) { return run->options.run.fuse; }
hw_stop hw_run_finish_reason(const hw_run *run) { return run->stop; }
bool hw_run_is_causal(const hw_run *run) { return run->causal; }
bool hw__run_against_token(const hw_run *run) {
    const char *text = hw_run_against(run);
    return *text && strcmp(text, "mean") != 0 && strcmp(text, "distribution") != 0;
}
const char *hw_run_against(const hw_run *run) { return or_empty(run->options.run.against); }

size_t hw_run_n_remarks(const hw_run *run) { return run->n_remarks; }

const char *hw_run_remark(const hw_run *run, size_t i) {
    assert(i < run->n_remarks);
    return run->remarks[i];
}

const hw_span *hw_run_messages(const hw_run *run, size_t *n) {
    *n = run->n_messages;
    return run->messages;
}
