/* passages.c - retrieved passages: a JSON list of {"name", "text"}, made into a prompt or found in one. */
#include "job/passages.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/input.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a passage in a prompt: [name, ": ",] text. */
typedef struct piece {
    const char *name, *text;
    size_t n_name, n_text; /* n_name 0: text only */
} piece;

static const char separator[] = ": ", blank_line[] = "\n\n";
enum { N_SEPARATOR = sizeof separator - 1 };

static piece piece_of(const passages *p, size_t i) {
    const json_t *entry = json_array_get(p->json, i), *text = json_object_get(entry, "text");
    const char *name = json_string_value(json_object_get(entry, "name"));
    return (piece){name ? name : "", json_string_value(text), name ? strlen(name) : 0, json_string_length(text)};
}

/* ------------------------------------------------------------------ reading */

static hw_err check_entry(const char *path, size_t i, const json_t *entry, hw_error *err) {
    const json_t *name = json_object_get(entry, "name"), *text = json_object_get(entry, "text");
    if (!json_is_object(entry))
        return hw__fail(err, HW_ERR_FORMAT, "passages %s: [%zu] must be an object with \"text\"", path, i);
    if (!json_is_string(text) || json_string_length(text) == 0)
        return hw__fail(err, HW_ERR_FORMAT, "passages %s: [%zu]: \"text\" must be there and be text that is not empty",
                        path, i);
    if (name && !json_is_null(name) &&
        (!json_is_string(name) || strlen(json_string_value(name)) != json_string_length(name)))
        return hw__fail(err, HW_ERR_FORMAT, "passages %s: [%zu]: \"name\" must be text without a NUL", path, i);
    return HW_OK;
}

static hw_err check_list(const char *path, const json_t *list, hw_error *err) {
    if (!json_is_array(list) || json_array_size(list) == 0)
        return hw__fail(err, HW_ERR_FORMAT,
                        "passages %s: must be a JSON list with at least one {\"name\": ..., \"text\": ...}", path);
    hw_err rc = HW_OK;
    for (size_t i = 0; i < json_array_size(list) && rc == HW_OK; i++)
        rc = check_entry(path, i, json_array_get(list, i), err);
    return rc;
}

hw_err passages_read(passages *p, const char *path, hw_error *err) {
    *p = (passages){.n = 0};
    input file;
    hw_err rc = input_read(&file, "passages", path, err);
    if (rc != HW_OK) return rc;
    json_error_t why;
    bool no_memory;
    p->json = hw__json_read(file.bytes, file.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why);
    free(file.bytes);
    if (no_memory) return hw__fail(err, HW_ERR_MEMORY, "passages %s: no memory for them", path);
    if (!p->json)
        return hw__fail(err, HW_ERR_FORMAT, "passages %s: no valid JSON: line %d: %s", path, why.line, why.text);
    rc = check_list(path, p->json, err);
    if (rc != HW_OK) return rc;
    p->n = json_array_size(p->json);
    p->spans = calloc(p->n, sizeof *p->spans);
    return p->spans ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for %zu passages", p->n);
}

void passages_free(passages *p) {
    json_decref(p->json);
    free(p->spans);
}

/* ------------------------------------------------------------------ making a prompt */

/* Appends to a text whose capacity was computed before. */
static void put(input *prompt, const char *bytes, size_t n) {
    memcpy(prompt->bytes + prompt->n, bytes, n);
    prompt->n += n;
}

static void put_piece(input *prompt, hw_span *span, const piece *e) {
    *span = (hw_span){.name = e->name, .begin = prompt->n};
    put(prompt, e->name, e->n_name);
    if (e->n_name) put(prompt, separator, N_SEPARATOR);
    put(prompt, e->text, e->n_text);
    span->end = prompt->n;
    put(prompt, blank_line, strlen(blank_line));
}

hw_err passages_build(input *prompt, passages *p, const char *question, bool chat, hw_error *err) {
    static const char ask[] = "Question: ";
    const char *end = chat ? "" : "\nAnswer:";
    size_t capacity = sizeof ask + strlen(question) + strlen(end);
    for (size_t i = 0; i < p->n; i++) { /* cannot overflow: the texts are in memory already */
        piece e = piece_of(p, i);
        capacity += e.n_name + e.n_text + N_SEPARATOR + sizeof blank_line;
    }
    *prompt = (input){.bytes = malloc(capacity)};
    if (!prompt->bytes) return hw__fail(err, HW_ERR_MEMORY, "no memory for a prompt of %zu passages", p->n);
    for (size_t i = 0; i < p->n; i++) {
        piece e = piece_of(p, i);
        put_piece(prompt, &p->spans[i], &e);
    }
    put(prompt, ask, strlen(ask));
    put(prompt, question, strlen(question));
    put(prompt, end, strlen(end));
    return HW_OK;
}

/* ------------------------------------------------------------------ finding them in a prompt */

static bool starts_with(const char *at, size_t n, const char *part, size_t n_part) {
    return n >= n_part && memcmp(at, part, n_part) == 0;
}

/* Length of the piece if it is at `at`, else 0. */
static size_t match(const char *at, size_t n, const piece *e) {
    size_t before = e->n_name ? e->n_name + N_SEPARATOR : 0;
    if (!starts_with(at, n, e->name, e->n_name)) return 0;
    if (e->n_name && !starts_with(at + e->n_name, n - e->n_name, separator, N_SEPARATOR)) return 0;
    return starts_with(at + before, n - before, e->text, e->n_text) ? before + e->n_text : 0;
}

typedef struct prompt_text {
    const char *bytes;
    size_t n;
} prompt_text;

/* The passage whose range overlaps [begin, end); p->n: none. */
static size_t taken_by(const passages *p, size_t begin, size_t end) {
    size_t i = 0;
    while (i < p->n && !(p->spans[i].begin < end && begin < p->spans[i].end)) i++;
    return i;
}

/* The first position not covered by another passage. False: *rival covers every one, or is p->n if the text does not
 * occur. */
static bool place(size_t *rival, const passages *p, size_t i, const piece *e, const prompt_text *prompt) {
    for (size_t at = 0; at < prompt->n; at++) {
        size_t length = match(prompt->bytes + at, prompt->n - at, e);
        if (!length) continue;
        size_t other = taken_by(p, at, at + length);
        if (other == p->n) {
            p->spans[i] = (hw_span){.name = piece_of(p, i).name, .begin = at, .end = at + length};
            return true;
        }
        *rival = other;
    }
    return false;
}

static int compare_spans(const void *a, const void *b) {
    const hw_span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Longer passages are placed first, so that the result does not depend on the order of the list if one contains
 * another. */
static bool goes_before(const passages *p, size_t a, size_t b) {
    piece x = piece_of(p, a), y = piece_of(p, b);
    if (x.n_text != y.n_text) return x.n_text > y.n_text;
    int order = memcmp(x.text, y.text, x.n_text);
    return order ? order < 0 : a < b;
}

static void order_by_length(size_t *order, const passages *p) {
    for (size_t i = 0; i < p->n; i++) {
        size_t at = i;
        for (; at > 0 && goes_before(p, i, order[at - 1]); at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

static bool has_crlf(const char *text, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        if (text[i] == '\r' && text[i + 1] == '\n') return true;
    return false;
}

static hw_err refuse_place(const passages *p, size_t i, size_t rival, const prompt_text *prompt, hw_error *err) {
    piece e = piece_of(p, i), other = rival < p->n ? piece_of(p, rival) : e;
    bool named = e.n_name > 0, rival_named = other.n_name > 0;
    if (rival < p->n)
        return hw__fail(
            err, HW_ERR_FORMAT,
            "passage %zu%s%s%s stands in the prompt only where passage %zu%s%s%s does: passages may not overlap", i,
            named ? " \"" : "", e.name, named ? "\"" : "", rival, rival_named ? " \"" : "", other.name,
            rival_named ? "\"" : "");
    bool other_lines =
        memchr(e.text, '\n', e.n_text) && has_crlf(e.text, e.n_text) != has_crlf(prompt->bytes, prompt->n);
    return hw__fail(err, HW_ERR_FORMAT,
                    "passage %zu%s%s%s is not in the prompt: its text must stand there byte for byte%s", i,
                    named ? " \"" : "", e.name, named ? "\"" : "",
                    other_lines ? " (lines end in CRLF in one of the two, and in LF in the other)" : "");
}

hw_err passages_find(passages *p, const hw_run *run, hw_error *err) {
    prompt_text prompt;
    prompt.bytes = hw_run_prompt(run, &prompt.n);
    size_t *order = calloc(p->n, sizeof *order);
    if (!order) return hw__fail(err, HW_ERR_MEMORY, "no memory for %zu passages", p->n);
    hw_err rc = HW_OK;
    order_by_length(order, p);
    for (size_t k = 0; k < p->n && rc == HW_OK; k++) {
        size_t i = order[k], rival = p->n;
        piece named = piece_of(p, i), plain = named;
        plain.n_name = 0;
        if (!place(&rival, p, i, &named, &prompt) && !place(&rival, p, i, &plain, &prompt))
            rc = refuse_place(p, i, rival, &prompt, err);
    }
    free(order);
    if (rc == HW_OK) qsort(p->spans, p->n, sizeof *p->spans, compare_spans);
    return rc;
}
