/*
 * conversation.c - the conversation is rendered twice: unchanged, and with a marker instead of each message. The second
 * text shows the template's own parts and the order of the messages; the first must consist of the same parts with the
 * messages, whole or trimmed, between them. If the template writes other parts for other texts, a message is searched
 * by itself, and accepted only if it occurs exactly once. Anything ambiguous is an error: no byte is assigned to a
 * message by guess.
 */
#include "capture/conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A marker: "headwater" + salt + "m" + message + "end", letters and digits only, so that no template trims or escapes
 * it. */
enum { MARK_BYTES = 64, MAX_SALT = 1000 };

typedef struct range {
    const char *bytes;
    size_t n;
} range;

/* State of the search. */
typedef struct search {
    const hw__chat *chat;
    hw__written real, marked;
    char (*marks)[MARK_BYTES]; /* [n_messages] */
    hw__turn *turns;           /* [n_turns] first in the marked text, then in the real one */
    size_t n_turns;
} search;

static range content_of(const search *s, size_t turn) {
    const hw_message *m = &s->chat->messages[s->turns[turn].message];
    return (range){m->content, m->content_bytes};
}

static const char *find(range text, size_t from, range part) {
    if (from > text.n || part.n == 0) return NULL;
    for (const char *at = text.bytes + from, *end = text.bytes + text.n; (size_t)(end - at) >= part.n; at++) {
        at = memchr(at, part.bytes[0], (size_t)(end - at) - part.n + 1);
        if (!at) return NULL;
        if (memcmp(at, part.bytes, part.n) == 0) return at;
    }
    return NULL;
}

static range range_of(const hw__written *text) { return (range){text->bytes, text->n}; }

static bool starts_with(range text, size_t at, range part) {
    return at <= text.n && text.n - at >= part.n && (part.n == 0 || memcmp(text.bytes + at, part.bytes, part.n) == 0);
}

static hw_err refuse(const search *s, size_t message, const char *what, hw_error *err) {
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "the chat template %s message %zu (%s): which tokens are its own cannot be determined", what,
                    message + 1, s->chat->messages[message].role);
}

/* ------------------------------------------------------------------ marks */

static bool occurs(const search *s, const char *word) {
    range part = {word, strlen(word)};
    if (find(range_of(&s->real), 0, part)) return true;
    for (size_t i = 0; i < s->chat->n_messages; i++)
        if (find((range){s->chat->messages[i].content, s->chat->messages[i].content_bytes}, 0, part)) return true;
    return false;
}

static hw_err make_marks(search *s, hw_error *err) {
    char stem[MARK_BYTES];
    int salt = 0;
    do {
        snprintf(stem, sizeof stem, "headwater%03dm", salt);
    } while (++salt < MAX_SALT && occurs(s, stem));
    if (salt == MAX_SALT)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "the messages hold every mark that would show where they stand");
    for (size_t i = 0; i < s->chat->n_messages; i++)
        snprintf(s->marks[i], MARK_BYTES, "headwater%03dm%zuend", salt - 1, i);
    return HW_OK;
}

static hw_err write_marked(search *s, hw__engine *engine, hw_error *err) {
    hw_message *messages = hw__alloc(s->chat->n_messages, sizeof *messages);
    if (!messages) return hw__fail_memory(err, "a conversation", s->chat->n_messages, sizeof *messages);
    for (size_t i = 0; i < s->chat->n_messages; i++) {
        messages[i] = s->chat->messages[i];
        if (messages[i].content_bytes == 0) continue;
        messages[i].content = s->marks[i];
        messages[i].content_bytes = strlen(s->marks[i]);
    }
    hw__chat chat = *s->chat;
    chat.messages = messages;
    hw_err rc = engine->ops->render(engine, &s->marked, &chat, err);
    free(messages);
    return rc;
}

static int compare_turns(const void *a, const void *b) {
    const hw__turn *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Finds the messages in the marked text. */
static hw_err find_marks(search *s, hw_error *err) {
    range text = range_of(&s->marked);
    for (size_t i = 0; i < s->chat->n_messages; i++) {
        range mark = {s->marks[i], strlen(s->marks[i])};
        if (s->chat->messages[i].content_bytes == 0) continue;
        const char *at = find(text, 0, mark);
        if (!at) return refuse(s, i, "leaves out", err);
        size_t begin = (size_t)(at - text.bytes);
        if (find(text, begin + 1, mark)) return refuse(s, i, "repeats", err);
        s->turns[s->n_turns++] = (hw__turn){.message = i, .begin = begin, .end = begin + mark.n};
    }
    qsort(s->turns, s->n_turns, sizeof *s->turns, compare_turns);
    return HW_OK;
}

/* ------------------------------------------------------------------ messages in the real text */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static range trim(range text, bool front, bool back) {
    while (front && text.n && is_space(text.bytes[0])) text.bytes++, text.n--;
    while (back && text.n && is_space(text.bytes[text.n - 1])) text.n--;
    return text;
}

/* The template's part after turn t of the marked text, or before the first. */
static range part_after(const search *s, size_t t) {
    size_t begin = s->turns[t].end, end = t + 1 < s->n_turns ? s->turns[t + 1].begin : s->marked.n;
    return (range){s->marked.bytes + begin, end - begin};
}

/* Whether the template's part is at `at`; the last part must end the text. */
static bool part_fits(const search *s, size_t t, size_t at) {
    range part = part_after(s, t), text = range_of(&s->real);
    return starts_with(text, at, part) && (t + 1 < s->n_turns || at + part.n == text.n);
}

/* Matches the message, unchanged or trimmed on either side, at `at`. */
static bool place_whole(hw__turn *out, const search *s, size_t t, size_t at) {
    range whole = content_of(s, t);
    for (int sides = 0; sides < 4; sides++) {
        range x = trim(whole, sides & 2, sides & 1);
        if (!starts_with(range_of(&s->real), at, x) || !part_fits(s, t, at + x.n)) continue;
        *out = (hw__turn){s->turns[t].message, at, at + x.n, (size_t)(x.bytes - whole.bytes)};
        return true;
    }
    return false;
}

/* Matches the longest piece of the message at `at`, up to a position where the template's next part begins: templates
 * often leave out what a model thought. */
static bool place_piece(hw__turn *out, const search *s, size_t t, size_t at) {
    range whole = content_of(s, t), text = range_of(&s->real), part = part_after(s, t);
    bool found = false;
    for (size_t end = at + 1; part.n && end <= text.n && end - at <= whole.n; end++) {
        if (!part_fits(s, t, end)) continue;
        const char *piece = find(whole, 0, (range){text.bytes + at, end - at});
        if (!piece) break;
        *out = (hw__turn){s->turns[t].message, at, end, (size_t)(piece - whole.bytes)};
        found = true;
    }
    return found;
}

/* Matches every message between the parts found in the marked text. */
static bool place_between(hw__turn *out, const search *s) {
    range before = {s->marked.bytes, s->n_turns ? s->turns[0].begin : s->marked.n};
    size_t at = before.n;
    if (!starts_with(range_of(&s->real), 0, before)) return false;
    for (size_t t = 0; t < s->n_turns; t++) {
        if (!place_whole(&out[t], s, t, at) && !place_piece(&out[t], s, t, at)) return false;
        at = out[t].end + part_after(s, t).n;
    }
    return s->n_turns > 0 || before.n == s->real.n;
}

/* Matches each message, trimmed, if it occurs once in the whole text and after the previous one. */
static hw_err place_alone(hw__turn *out, const search *s, hw_error *err) {
    range text = range_of(&s->real);
    size_t from = 0;
    for (size_t t = 0; t < s->n_turns; t++) {
        range whole = content_of(s, t), x = trim(whole, true, true);
        const char *at = find(text, 0, x);
        size_t begin = at ? (size_t)(at - text.bytes) : from;
        if (x.n && (!at || begin < from)) return refuse(s, s->turns[t].message, "rewrites", err);
        if (x.n && find(text, begin + 1, x)) return refuse(s, s->turns[t].message, "repeats", err);
        out[t] = (hw__turn){s->turns[t].message, begin, begin + x.n, (size_t)(x.bytes - whole.bytes)};
        from = begin + x.n;
    }
    return HW_OK;
}

static hw_err place(search *s, hw_error *err) {
    hw__turn *placed = hw__alloc(s->n_turns, sizeof *placed);
    if (!placed) return hw__fail_memory(err, "a conversation", s->n_turns, sizeof *placed);
    hw_err rc = place_between(placed, s) ? HW_OK : place_alone(placed, s, err);
    free(s->turns);
    s->turns = placed;
    return rc;
}

/* ------------------------------------------------------------------ */

/* A template that does not support thinking gives the same text with and without. */
static hw_err check_thinking(const search *s, hw__engine *engine, hw_error *err) {
    if (s->chat->thinking == HW_THINKING_DEFAULT) return HW_OK;
    hw__chat other = *s->chat;
    hw__written text;
    other.thinking = other.thinking == HW_THINKING_ON ? HW_THINKING_OFF : HW_THINKING_ON;
    hw_err rc = engine->ops->render(engine, &text, &other, err);
    if (rc != HW_OK) return rc;
    bool same = text.n == s->real.n && memcmp(text.bytes, s->real.bytes, text.n) == 0;
    free(text.bytes);
    return same ? hw__fail(err, HW_ERR_UNSUPPORTED,
                           "thinking %s: the chat template writes the same with thinking on and off",
                           hw_thinking_name(s->chat->thinking))
                : HW_OK;
}

hw_err hw__conversation_new(hw__conversation *out, hw__engine *engine, const hw__chat *chat, hw_error *err) {
    search s = {.chat = chat};
    s.marks = hw__alloc(chat->n_messages, sizeof *s.marks);
    s.turns = hw__alloc(chat->n_messages, sizeof *s.turns);
    hw_err rc = s.marks && s.turns ? engine->ops->render(engine, &s.real, chat, err)
                                   : hw__fail_memory(err, "a conversation", chat->n_messages, sizeof *s.marks);
    if (rc == HW_OK) rc = check_thinking(&s, engine, err);
    if (rc == HW_OK) rc = make_marks(&s, err);
    if (rc == HW_OK) rc = write_marked(&s, engine, err);
    if (rc == HW_OK) rc = find_marks(&s, err);
    if (rc == HW_OK) rc = place(&s, err);
    free(s.marks);
    free(s.marked.bytes);
    hw__conversation made = {.text = s.real, .turns = s.turns, .n_turns = s.n_turns};
    if (rc == HW_OK)
        *out = made;
    else
        hw__conversation_clear(&made);
    return rc;
}

void hw__conversation_clear(hw__conversation *conversation) {
    free(conversation->text.bytes);
    free(conversation->turns);
}
