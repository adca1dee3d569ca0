/* logit_contrast.c - finds the single token with a given text. */
#include "capture/logit_contrast.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTED = 8, LINE = 40 };

static bool reads_so(const hw__piece *piece, const char *text, size_t n) {
    return piece->n_bytes == n && memcmp(piece->bytes, text, n) == 0;
}

/* Returns the last match, because a vocabulary may begin with byte tokens that duplicate characters. */
static hw_err search(int32_t *id, hw__engine *engine, const char *text, size_t n, hw_error *err) {
    hw__piece piece;
    hw_err rc = HW_OK;
    *id = engine->ops->describe(engine)->n_vocab;
    while (rc == HW_OK && --*id >= 0) {
        rc = engine->ops->piece(engine, &piece, *id, err);
        if (rc == HW_OK && reads_so(&piece, text, n)) break;
    }
    return rc;
}

/* "against "New York": ... is 2 tokens: "New", " York"" */
static hw_err fail_listing(const hw__tokens *tokens, hw__engine *engine, const char *text, size_t n, hw_error *err) {
    char line[LINE], list[MAX_LISTED * (LINE + 4) + 8] = "";
    size_t at = 0;
    for (size_t i = 0; i < tokens->n && i < MAX_LISTED; i++) {
        hw__piece piece;
        hw_err rc = engine->ops->piece(engine, &piece, tokens->ids[i], err);
        if (rc != HW_OK) return rc;
        at += (size_t)snprintf(list + at, sizeof list - at, "%s\"%s\"", i ? ", " : "",
                               hw__utf8_line(line, sizeof line, piece.bytes, piece.n_bytes));
    }
    if (tokens->n > MAX_LISTED) snprintf(list + at, sizeof list - at, " ...");
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "against \"%s\": it must read exactly as one token of the model does, and is read as %zu: %s",
                    hw__utf8_line(line, sizeof line, text, n), tokens->n, list);
}

static hw_err find(int32_t *id, hw__engine *engine, const char *text, size_t n, hw_error *err) {
    hw__tokens tokens;
    hw__piece piece;
    hw_err rc = engine->ops->tokenize(engine, &tokens, text, n, HW__TOKENIZE_CONTINUES, err);
    if (rc != HW_OK) return rc;
    bool one = false;
    if (tokens.n == 1) rc = engine->ops->piece(engine, &piece, *id = tokens.ids[0], err);
    if (rc == HW_OK) one = tokens.n == 1 && reads_so(&piece, text, n);
    if (rc == HW_OK && !one) rc = search(id, engine, text, n, err);
    if (rc == HW_OK && *id < 0) rc = fail_listing(&tokens, engine, text, n, err);
    free(tokens.ids);
    return rc;
}

hw_err hw__against_read(hw__against *out, const char *text, hw__engine *engine, hw_error *err) {
    static const char *const words[] = {
        [HW__AGAINST_MEAN] = "mean", [HW__AGAINST_DISTRIBUTION] = "distribution", [HW__AGAINST_SECOND] = "second"};
    hw__against v = {.kind = text ? HW__AGAINST_TOKEN : HW__AGAINST_MEAN, .id = -1};
    for (int i = 0; text && i < HW__AGAINST_TOKEN; i++)
        if (strcmp(text, words[i]) == 0) v.kind = (hw__against_kind)i;
    if (v.kind == HW__AGAINST_TOKEN) {
        const char *token = text + (*text == '=');
        if (!*token)
            return hw__fail(err, HW_ERR_ARGUMENT,
                            "against \"%s\": mean, distribution, second or a token's text is needed", text);
        hw_err rc = find(&v.id, engine, token, strlen(token), err);
        if (rc != HW_OK) return rc;
    }
    *out = v;
    return HW_OK;
}

size_t hw__against_others(const hw__against *v) {
    return v->kind == HW__AGAINST_MEAN ? 0 : v->kind == HW__AGAINST_DISTRIBUTION ? HW__MAX_OTHERS : 1;
}

static int32_t other_of(const hw__against *v, const hw_token *token) {
    if (v->kind == HW__AGAINST_TOKEN) return v->id;
    for (int32_t i = 0; i < token->n_alternatives; i++)
        if (token->alternatives[i].id != token->id) return token->alternatives[i].id;
    return token->id; /* a vocabulary of one token: there is no other token */
}

hw_err hw__against_take(hw__contrast *out, const hw__against *v, const hw_token *token, hw__engine *engine, size_t row,
                        hw_error *err) {
    out->own = 1;
    out->n = hw__against_others(v) > 0;
    if (v->kind != HW__AGAINST_DISTRIBUTION) {
        if (out->n) out->ids[0] = other_of(v, token);
        if (out->n) out->weights[0] = 1;
        return HW_OK;
    }
    int n = hw__likeliest_others(out, HW__MAX_OTHERS, engine->ops->logits(engine, row),
                                 (size_t)engine->ops->describe(engine)->n_vocab, token->id);
    if (n < 0) return hw__fail(err, HW_ERR_ENGINE, "the model's logits for token %d are not numbers", token->id);
    out->n = (size_t)n;
    return HW_OK;
}
