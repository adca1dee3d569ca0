/*
 * prompt.c - splits a text at its control tokens and tokenizes the pieces between, as the engine's own tokenizer does
 * when it parses control tokens; this allows leaving those in the caller's text unparsed. Template and messages are not
 * split from each other: a tokenizer may join the last letter of one with the first of the other, and such a token
 * belongs to the message.
 */
#include "capture/prompt.h"

#include "capture/conversation.h"
#include "capture/text_remarks.h"
#include "capture/text_size.h"
#include "capture/token_spans.h"
#include "data/thinking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* State of tokenizing a text. */
typedef struct reader {
    hw_run *run; /* NULL: only ids are made */
    hw__tokens *ids;
    hw__engine *engine;
    const hw_run_params *params;
    const char *text; /* [n] */
    size_t n;
    const hw__turn *turns;   /* [n_turns] ascending: bytes that belong to the caller */
    const size_t *prompt_at; /* [n_turns] position of each of them in the run's prompt */
    size_t n_turns, turn;    /* `turn`: the first one that does not end before the current position */
    size_t prompt_end;       /* position in the run's prompt after the bytes read */
    hw_role outside;         /* role of the tokens that the tokenizer adds around the text */
    bool special;
    unsigned flags;
    hw__control unread; /* the first control token in the caller's text that was tokenized as plain text; empty: none */
} reader;

static hw_err append_ids(hw__tokens *ids, const hw__tokens *more, hw_error *err) {
    int32_t *resized = hw__realloc(ids->ids, ids->n + more->n, sizeof *resized);
    if (!resized) return hw__fail_memory(err, "the prompt's tokens", ids->n + more->n, sizeof *resized);
    if (more->n) memcpy(resized + ids->n, more->ids, more->n * sizeof *resized);
    ids->ids = resized;
    ids->n += more->n;
    return HW_OK;
}

/* ------------------------------------------------------------------ roles and ranges */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Whether bytes [begin, end) overlap the turn; an empty range: whether it lies in the turn. */
static bool touches(const hw__turn *turn, size_t begin, size_t end) {
    if (turn->begin == turn->end) return false; /* the message was trimmed away */
    if (begin == end) return turn->begin <= begin && begin <= turn->end;
    return begin < turn->end && turn->begin < end;
}

/* Sets role and range in the run's prompt from ranges in the text. */
static void place(hw_token *token, reader *r, size_t begin, size_t end) {
    while (r->turn < r->n_turns && r->turns[r->turn].end < begin) r->turn++;
    size_t first = r->turn;
    while (first < r->n_turns && begin < end && r->turns[first].end <= begin) first++;
    bool own = first < r->n_turns && touches(&r->turns[first], begin, end);
    size_t last = first;
    while (own && last + 1 < r->n_turns && r->turns[last + 1].begin < end) last++;
    if (own) {
        const hw__turn *a = &r->turns[first], *b = &r->turns[last];
        token->begin = r->prompt_at[first] + (larger(begin, a->begin) - a->begin);
        size_t end_in_b = end < b->end ? end : b->end;
        token->end = larger(token->begin, r->prompt_at[last] + (end_in_b - b->begin));
        r->prompt_end = token->end;
    } else {
        token->role = HW_ROLE_TEMPLATE;
        token->begin = token->end = r->prompt_end;
    }
}

/* Fills list[n] with the part's tokens; `arena` holds their bytes. */
static hw_err describe(hw_token *list, hw__arena *arena, const hw__tokens *part, hw__engine *engine, hw_error *err) {
    for (size_t i = 0; i < part->n; i++) {
        hw__piece piece;
        hw_err rc = engine->ops->piece(engine, &piece, part->ids[i], err);
        if (rc != HW_OK) return rc;
        const char *bytes = hw__arena_strndup(arena, piece.bytes, piece.n_bytes);
        if (!bytes) return hw__fail_memory(err, "a token's text", piece.n_bytes, 1);
        list[i] = (hw_token){.bytes = bytes,
                             .n_bytes = piece.n_bytes,
                             .id = part->ids[i],
                             .role = piece.special ? HW_ROLE_SPECIAL : HW_ROLE_PROMPT,
                             .logprob = NAN};
    }
    return HW_OK;
}

/* Appends the tokens of bytes [begin, end) of the text, or, with `around`, tokens without text. */
static hw_err add_tokens(reader *r, const hw__tokens *part, size_t begin, size_t end, bool around, hw_error *err) {
    if (!r->run) return append_ids(r->ids, part, err);
    hw__arena arena = {0};
    hw_token *list = hw__alloc(part->n, sizeof *list);
    hw_err rc = list ? describe(list, &arena, part, r->engine, err)
                     : hw__fail_memory(err, "the prompt's tokens", part->n, sizeof *list);
    if (rc == HW_OK && !around) hw__find_token_spans(list, part->n, r->text + begin, end - begin);
    for (size_t i = 0; rc == HW_OK && i < part->n; i++) {
        if (around) {
            list[i].role = r->outside;
            list[i].begin = list[i].end = r->prompt_end;
        } else {
            place(&list[i], r, begin + list[i].begin, begin + list[i].end);
        }
        rc = hw__run_add_token(r->run, &list[i], err);
    }
    free(list);
    hw__arena_clear(&arena);
    return rc == HW_OK ? append_ids(r->ids, part, err) : rc;
}

/* ------------------------------------------------------------------ a text, cut at its control tokens */

static bool is_callers(const reader *r, const hw__control *c) {
    for (size_t t = r->turn; t < r->n_turns && r->turns[t].begin < c->end; t++)
        if (touches(&r->turns[t], c->begin, c->end)) return true;
    return false;
}

/* The next control token to parse; c->end is 0 if there is none. */
static hw_err next_control(hw__control *c, reader *r, size_t from, hw_error *err) {
    for (;; from = c->end) {
        hw_err rc = r->engine->ops->find_control(r->engine, c, r->text, r->n, from, err);
        if (rc != HW_OK || c->end == 0 || r->special || !is_callers(r, c)) return rc;
        if (r->unread.end == 0) r->unread = *c;
    }
}

static hw_err add_piece(reader *r, size_t begin, size_t end, hw_error *err) {
    if (begin >= end) return HW_OK;
    hw__tokens part = {0};
    const hw__text text = {r->text + begin, end - begin, r->flags & HW__TOKENIZE_CONTINUES ? "completion" : "prompt"};
    hw_err rc = hw__text_tokens(&part, r->engine, &text, r->flags, r->params, err);
    if (rc == HW_OK) rc = add_tokens(r, &part, begin, end, false, err);
    free(part.ids);
    return rc;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static hw_err add_text(reader *r, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t at = 0; rc == HW_OK && at < r->n;) {
        hw__control c;
        if ((rc = next_control(&c, r, at, err)) != HW_OK) return rc;
        bool found = c.end > 0;
        size_t end = found ? c.begin : r->n;
        while (found && c.strips_before && end > at && is_space(r->text[end - 1])) end--;
        rc = add_piece(r, at, end, err);
        if (rc == HW_OK && found) rc = add_tokens(r, &(hw__tokens){.ids = &c.id, .n = 1}, c.begin, c.end, false, err);
        at = found ? c.end : r->n;
        while (found && c.strips_after && at < r->n && is_space(r->text[at])) at++;
    }
    return rc;
}

/* Whether the template itself writes the token that the tokenizer would put first. */
static hw_err begins_with(bool *out, reader *r, int32_t id, hw_error *err) {
    hw__control c = {0};
    hw_err rc = r->n ? next_control(&c, r, 0, err) : HW_OK;
    *out = c.end > 0 && c.begin == 0 && c.id == id;
    return rc;
}

/* The text with the tokens that the model adds: BOS before it, and for some models EOS after it. */
static hw_err add_whole(reader *r, hw_error *err) {
    hw__tokens around = {0};
    hw_err rc = r->engine->ops->tokenize(r->engine, &around, "", 0, HW__TOKENIZE_BOS, err);
    if (rc != HW_OK) return rc;
    size_t n_before = around.n && r->engine->ops->describe(r->engine)->adds_bos;
    hw__tokens before = {around.ids, n_before}, behind = {around.ids + n_before, around.n - n_before};
    bool doubled = false;
    if (n_before) rc = begins_with(&doubled, r, around.ids[0], err);
    if (doubled) before.n = 0;
    if (rc == HW_OK) rc = add_tokens(r, &before, 0, 0, true, err);
    if (rc == HW_OK) rc = add_text(r, err);
    r->prompt_end = r->run->prompt_bytes;
    if (rc == HW_OK) rc = add_tokens(r, &behind, 0, 0, true, err);
    free(around.ids);
    return rc;
}

static hw_err remark_unread(const reader *r, const char *what, hw_error *err) {
    if (!r->run || r->unread.end == 0) return HW_OK;
    return hw__remark_control(r->run, what, (hw_span){.name = r->text, .begin = r->unread.begin, .end = r->unread.end},
                              err);
}

/* ------------------------------------------------------------------ prompts */

static hw_err read_plain(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *p, hw_error *err) {
    const hw__turn whole = {.begin = 0, .end = p->prompt_bytes};
    const size_t at = 0;
    hw__text text = {p->prompt, p->prompt_bytes, "prompt"};
    hw_err rc = hw__text_check(engine, &text, p, err);
    if (rc == HW_OK) rc = hw__run_set_prompt(run, p->prompt, p->prompt_bytes, err);
    if (rc != HW_OK) return rc;
    reader r = {.run = run, .ids = ids, .engine = engine, .params = p, .text = p->prompt, .n = p->prompt_bytes};
    r.turns = &whole;
    r.prompt_at = &at;
    r.n_turns = 1;
    r.outside = HW_ROLE_SPECIAL;
    r.special = p->special;
    rc = add_whole(&r, err);
    return rc == HW_OK ? remark_unread(&r, "prompt", err) : rc;
}

/* Orders the messages as the template writes them; one without content stays after the message before it. */
static void order_messages(size_t *order, const hw__conversation *c, const hw__chat *chat) {
    size_t n = 0;
    for (size_t t = 0; t < c->n_turns; t++) order[n++] = c->turns[t].message;
    for (size_t i = 0; i < chat->n_messages; i++) {
        if (chat->messages[i].content_bytes) continue;
        size_t at = 0;
        for (size_t k = 0; k < n; k++)
            if (i > 0 && order[k] == i - 1) at = k + 1;
        memmove(order + at + 1, order + at, (n - at) * sizeof *order);
        order[at] = i;
        n++;
    }
}

/* Sets the run's prompt: the contents in that order, with a blank line between two; `spans` [n_messages] are their
 * ranges. */
static hw_err join_contents(hw_run *run, hw_span *spans, const size_t *order, const hw__chat *chat, hw_error *err) {
    static const char between[] = "\n\n";
    size_t n = 0;
    for (size_t k = 0; k < chat->n_messages; k++)
        if (!hw__add(&n, n, chat->messages[order[k]].content_bytes) || !hw__add(&n, n, sizeof between))
            return hw__fail_memory(err, "the prompt", SIZE_MAX, 1);
    char *text = hw__alloc(n, 1);
    if (!text) return hw__fail_memory(err, "the prompt", n, 1);
    size_t at = 0;
    for (size_t k = 0; k < chat->n_messages; k++) {
        const hw_message *m = &chat->messages[order[k]];
        if (at && m->content_bytes) {
            memcpy(text + at, between, sizeof between - 1);
            at += sizeof between - 1;
        }
        spans[k] = (hw_span){.name = m->role, .begin = at, .end = at + m->content_bytes};
        if (m->content_bytes) memcpy(text + at, m->content, m->content_bytes);
        at += m->content_bytes;
    }
    hw_err rc = hw__run_set_prompt(run, text, at, err);
    free(text);
    return rc == HW_OK ? hw__run_set_messages(run, spans, chat->n_messages, err) : rc;
}

/* Sets prompt and messages of the run; prompt_at [n_turns]: position of each turn's bytes in the prompt. */
static hw_err set_messages(hw_run *run, size_t *prompt_at, const hw__conversation *c, const hw__chat *chat,
                           hw_error *err) {
    size_t *order = hw__alloc(chat->n_messages, sizeof *order);
    hw_span *spans = hw__alloc(chat->n_messages, sizeof *spans);
    hw_err rc = HW_ERR_MEMORY;
    if (order && spans) {
        order_messages(order, c, chat);
        rc = join_contents(run, spans, order, chat, err);
    } else {
        hw__fail_memory(err, "a conversation", chat->n_messages, sizeof *spans);
    }
    for (size_t t = 0, k = 0; rc == HW_OK && t < c->n_turns; t++, k++) {
        while (order[k] != c->turns[t].message) k++;
        prompt_at[t] = spans[k].begin + c->turns[t].offset;
    }
    free(order);
    free(spans);
    return rc;
}

static hw_err read_written(reader *r, const hw__conversation *c, const hw__chat *chat, hw_error *err) {
    size_t *prompt_at = hw__alloc(c->n_turns, sizeof *prompt_at);
    if (!prompt_at) return hw__fail_memory(err, "a conversation", c->n_turns, sizeof *prompt_at);
    hw_err rc = set_messages(r->run, prompt_at, c, chat, err);
    r->text = c->text.bytes;
    r->n = c->text.n;
    r->turns = c->turns;
    r->n_turns = c->n_turns;
    r->prompt_at = prompt_at;
    r->outside = HW_ROLE_TEMPLATE;
    if (rc == HW_OK) rc = add_whole(r, err);
    if (rc == HW_OK) rc = remark_unread(r, "prompt", err);
    free(prompt_at);
    return rc;
}

static hw_err read_chat(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *p, hw_error *err) {
    const hw_message own = {.role = "user", .content = p->prompt, .content_bytes = p->prompt_bytes};
    const hw__chat chat = {.messages = p->n_messages ? p->messages : &own,
                           .n_messages = p->n_messages ? p->n_messages : 1,
                           .source = p->chat_template,
                           .thinking = p->thinking,
                           .stop = p->stop,
                           .stop_ctx = p->ctx};
    hw__conversation c;
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < chat.n_messages; i++) {
        hw__text text = {chat.messages[i].content, chat.messages[i].content_bytes, "message"};
        rc = hw__text_check(engine, &text, p, err);
    }
    if (rc == HW_OK) rc = hw__conversation_new(&c, engine, &chat, err);
    if (rc != HW_OK) return rc;
    reader r = {.run = run, .ids = ids, .engine = engine, .params = p, .special = p->special};
    hw__text written = {c.text.bytes, c.text.n, "conversation"};
    rc = hw__text_check(engine, &written, p, err);
    if (rc == HW_OK) rc = read_written(&r, &c, &chat, err);
    hw__conversation_clear(&c);
    return rc;
}

hw_err hw__prompt_tokens(hw_run *run, hw__tokens *ids, hw__engine *engine, const hw_run_params *params, hw_error *err) {
    hw_err rc = params->chat || params->n_messages ? read_chat(run, ids, engine, params, err)
                                                   : read_plain(run, ids, engine, params, err);
    if (rc == HW_OK) rc = hw__thinking_roles(run, err);
    return rc == HW_OK ? hw__remark_text(run, "prompt", run->prompt, run->prompt_bytes, err) : rc;
}

static hw_err check_messages(const hw_run_params *p, hw_error *err) {
    size_t n_bytes = 0;
    if (p->prompt || p->prompt_bytes)
        return hw__fail(err, HW_ERR_ARGUMENT, "a prompt beside messages: the prompt goes into a message of its own");
    for (size_t i = 0; i < p->n_messages; i++) {
        const hw_message *m = &p->messages[i];
        if (!m->role || !*m->role || (!m->content && m->content_bytes))
            return hw__fail(err, HW_ERR_ARGUMENT, "message %zu: a role and a content are needed", i + 1);
        if (!hw__add(&n_bytes, n_bytes, m->content_bytes))
            return hw__fail(err, HW_ERR_ARGUMENT, "message %zu: the messages are too long", i + 1);
    }
    return n_bytes ? HW_OK
                   : hw__fail(err, HW_ERR_ARGUMENT, "the messages are empty: there is nothing to trace back to");
}

hw_err hw__prompt_check(const hw_run_params *params, hw_error *err) {
    bool chat = params->chat || params->n_messages;
    if ((unsigned)params->thinking > HW_THINKING_OFF)
        return hw__fail(err, HW_ERR_ARGUMENT, "thinking %d: default, on or off", (int)params->thinking);
    if (!chat && (params->chat_template || params->thinking != HW_THINKING_DEFAULT))
        return hw__fail(err, HW_ERR_ARGUMENT, "a chat template and thinking go with a chat, and none is asked for");
    if (params->n_messages && !params->messages)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu messages at NULL", params->n_messages);
    if (params->n_begun && !params->begun)
        return hw__fail(err, HW_ERR_ARGUMENT, "%zu ids of a completion at NULL", params->n_begun);
    if (params->n_begun && params->completion)
        return hw__fail(err, HW_ERR_ARGUMENT, "a completion is given whole, or begun by ids, but not both");
    if (params->n_messages) return check_messages(params, err);
    if (params->prompt_bytes && !params->prompt)
        return hw__fail(err, HW_ERR_ARGUMENT, "a prompt of %zu bytes at NULL", params->prompt_bytes);
    if (params->prompt_bytes == 0)
        return hw__fail(err, HW_ERR_ARGUMENT, "the prompt is empty: there is nothing to trace back to");
    return HW_OK;
}

/* ------------------------------------------------------------------ completions */

static hw_err begun_tokens(hw__tokens *ids, const hw__engine *engine, const hw_run_params *params, hw_error *err) {
    int32_t n_vocab = engine->ops->describe(engine)->n_vocab;
    for (size_t i = 0; i < params->n_begun; i++)
        if (params->begun[i] < 0 || params->begun[i] >= n_vocab)
            return hw__fail(err, HW_ERR_ARGUMENT, "token %zu of the completion has the id %d: the model has 0 to %d", i,
                            (int)params->begun[i], (int)n_vocab - 1);
    ids->ids = params->n_begun ? calloc(params->n_begun, sizeof *ids->ids) : NULL;
    if (params->n_begun && !ids->ids) return hw__fail(err, HW_ERR_MEMORY, "out of memory: %zu tokens", params->n_begun);
    if (params->n_begun) memcpy(ids->ids, params->begun, params->n_begun * sizeof *ids->ids);
    ids->n = params->n_begun;
    return HW_OK;
}

hw_err hw__completion_tokens(hw__tokens *ids, hw_run *run, hw__engine *engine, const hw_run_params *params,
                             hw_error *err) {
    if (!params->completion) return begun_tokens(ids, engine, params, err);
    const hw__turn whole = {.begin = 0, .end = params->completion_bytes};
    const size_t at = 0;
    reader r = {.ids = ids, .engine = engine, .params = params, .text = params->completion};
    r.n = params->completion_bytes;
    r.turns = &whole;
    r.prompt_at = &at;
    r.n_turns = 1;
    r.special = params->special;
    r.flags = HW__TOKENIZE_CONTINUES;
    hw__text text = {params->completion, params->completion_bytes, "completion"};
    hw_err rc = hw__text_check(engine, &text, params, err);
    if (rc == HW_OK) rc = add_text(&r, err);
    if (rc != HW_OK || !run) return rc;
    r.run = run;
    rc = remark_unread(&r, "completion", err);
    if (rc == HW_OK) rc = hw__remark_text(run, "completion", params->completion, params->completion_bytes, err);
    return rc;
}
