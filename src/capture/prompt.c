/* prompt.c - a prompt is up to three parts (template before, the user's text, template after), each tokenized on its own. */
#include "capture/prompt.h"

#include "capture/text_size.h"
#include "capture/token_spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static hw_err append_ids(hw__tokens *ids, const hw__tokens *more, hw_error *err) {
    int32_t *grown = hw__realloc(ids->ids, ids->n + more->n, sizeof *grown);
    if (!grown) return hw__fail_memory(err, "the prompt's tokens", ids->n + more->n, sizeof *grown);
    if (more->n) memcpy(grown + ids->n, more->ids, more->n * sizeof *grown);
    ids->ids = grown;
    ids->n += more->n;
    return HW_OK;
}

/* Fills list[n] with text, role and range of the part's tokens; `pieces` keeps their bytes. */
static hw_err describe_part(hw_token *list, hw__pool *pieces, const hw__tokens *part, hw__engine *engine, hw_role role,
                            hw_error *err) {
    for (size_t i = 0; i < part->n; i++) {
        hw__piece piece;
        hw_err rc = engine->ops->piece(engine, &piece, part->ids[i], err);
        if (rc != HW_OK) return rc;
        const char *bytes = hw__pool_strndup(pieces, piece.bytes, piece.n_bytes);
        if (!bytes) return hw__fail_memory(err, "the prompt's tokens", part->n, piece.n_bytes);
        bool special = role == HW_ROLE_PROMPT && piece.special;
        list[i] = (hw_token){.bytes = bytes,
                             .n_bytes = piece.n_bytes,
                             .id = part->ids[i],
                             .role = special ? HW_ROLE_SPECIAL : role,
                             .logprob = NAN};
    }
    return HW_OK;
}

/* Byte ranges for the tokens between the special ones that the tokenizer put before and after the text. */
static void place_part(hw_token *list, size_t n, const char *text, size_t n_text) {
    size_t first = 0, last = n;
    while (first < n && list[first].role == HW_ROLE_SPECIAL) first++;
    while (last > first && list[last - 1].role == HW_ROLE_SPECIAL) last--;
    hw__align(list + first, last - first, text, n_text);
    for (size_t i = last; i < n; i++) list[i].begin = list[i].end = n_text;
}

static hw_err add_part(hw_run *run, hw__tokens *ids, hw__engine *engine, const char *text, size_t n_text, hw_role role,
                       unsigned flags, hw_error *err) {
    hw__tokens part = {0};
    hw_err rc = engine->ops->tokenize(engine, &part, text, n_text, flags, err);
    if (rc != HW_OK) return rc;
    hw__pool pieces = {0};
    hw_token *list = hw__alloc(part.n, sizeof *list);
    if (!list) {
        rc = hw__fail_memory(err, "the prompt's tokens", part.n, sizeof *list);
        goto out;
    }
    if ((rc = describe_part(list, &pieces, &part, engine, role, err)) != HW_OK) goto out;
    if (role == HW_ROLE_PROMPT) place_part(list, part.n, text, n_text);
    for (size_t i = 0; i < part.n; i++) {
        if (role == HW_ROLE_TEMPLATE) list[i].begin = list[i].end = ids->n == 0 ? 0 : run->prompt_bytes;
        if ((rc = hw__run_add_token(run, &list[i], err)) != HW_OK) goto out;
    }
    rc = append_ids(ids, &part, err);
out:
    free(list);
    hw__pool_clear(&pieces);
    free(part.ids);
    return rc;
}

static hw_err add_chat(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err) {
    char *before = NULL, *after = NULL;
    hw_err rc = engine->ops->chat(engine, &before, &after, err);
    if (rc != HW_OK) return rc;
    unsigned flags = HW__TOKENIZE_SPECIAL;
    /* BOS once: not where the template writes it itself. The engine's tokenizer adds it only if the model wants it. */
    hw__tokens with = {0}, without = {0};
    rc = engine->ops->tokenize(engine, &with, before, strlen(before), flags | HW__TOKENIZE_BOS, err);
    if (rc == HW_OK) rc = engine->ops->tokenize(engine, &without, before, strlen(before), flags, err);
    bool doubled = rc == HW_OK && with.n > without.n && without.n > 0 && with.ids[0] == without.ids[0];
    free(with.ids);
    free(without.ids);
    if (rc == HW_OK)
        rc = add_part(run, ids, engine, before, strlen(before), HW_ROLE_TEMPLATE,
                      doubled ? flags : flags | HW__TOKENIZE_BOS, err);
    if (rc == HW_OK) rc = add_part(run, ids, engine, params->prompt, params->prompt_bytes, HW_ROLE_PROMPT, 0, err);
    if (rc == HW_OK) rc = add_part(run, ids, engine, after, strlen(after), HW_ROLE_TEMPLATE, flags, err);
    free(before);
    free(after);
    return rc;
}

hw_err hw__prompt_tokens(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err) {
    hw__text text = {params->prompt, params->prompt_bytes, "prompt"};
    hw_err rc = hw__text_check(engine, &text, params, err);
    if (rc == HW_OK) rc = hw__run_set_prompt(run, params->prompt, params->prompt_bytes, err);
    if (rc != HW_OK) return rc;
    if (params->chat) return add_chat(run, ids, engine, params, err);
    return add_part(run, ids, engine, params->prompt, params->prompt_bytes, HW_ROLE_PROMPT, HW__TOKENIZE_BOS, err);
}
