/* passages.c - retrieved passages: a JSON list of {"name", "text"}, made into a prompt or found in one. */
#include "job/passages.h"

#include "cli/message.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a passage in a prompt: [name, ": ",] text. */
typedef struct piece {
    const char *name, *text;
    size_t n_name, n_text; /* n_name 0: text alone */
} piece;

static const char separator[] = ": ", blank_line[] = "\n\n";
enum { N_SEPARATOR = sizeof separator - 1 };

static piece piece_of(const passages *p, size_t i) {
    const json_t *entry = json_array_get(p->json, i), *text = json_object_get(entry, "text");
    const char *name = json_string_value(json_object_get(entry, "name"));
    return (piece){name ? name : "", json_string_value(text), name ? strlen(name) : 0, json_string_length(text)};
}

/* ------------------------------------------------------------------ reading */

static int check_entry(const char *path, size_t i, const json_t *entry) {
    const json_t *name = json_object_get(entry, "name"), *text = json_object_get(entry, "text");
    if (!json_is_object(entry)) return fail("passages %s: [%zu] must be an object with \"text\"", path, i);
    if (!json_is_string(text) || json_string_length(text) == 0)
        return fail("passages %s: [%zu]: \"text\" must be there and be text that is not empty", path, i);
    if (name && !json_is_null(name) &&
        (!json_is_string(name) || strlen(json_string_value(name)) != json_string_length(name)))
        return fail("passages %s: [%zu]: \"name\" must be text without a NUL", path, i);
    return STATUS_DONE;
}

static int check_list(const char *path, const json_t *list) {
    if (!json_is_array(list) || json_array_size(list) == 0)
        return fail("passages %s: must be a JSON list with at least one {\"name\": ..., \"text\": ...}", path);
    int status = STATUS_DONE;
    for (size_t i = 0; i < json_array_size(list) && status == STATUS_DONE; i++)
        status = check_entry(path, i, json_array_get(list, i));
    return status;
}

int passages_read(passages *p, const char *path) {
    *p = (passages){.n = 0};
    input file;
    if (!input_read(&file, "passages", path)) return STATUS_FAILED;
    json_error_t why;
    bool no_memory;
    p->json = hw__json_read(file.bytes, file.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why);
    free(file.bytes);
    if (no_memory) return fail("passages %s: no memory for them", path);
    if (!p->json) return fail("passages %s: no valid JSON: line %d: %s", path, why.line, why.text);
    int status = check_list(path, p->json);
    if (status != STATUS_DONE) return status;
    p->n = json_array_size(p->json);
    p->spans = calloc(p->n, sizeof *p->spans);
    return p->spans ? STATUS_DONE : fail("no memory for %zu passages", p->n);
}

void passages_free(passages *p) {
    json_decref(p->json);
    free(p->spans);
}

/* ------------------------------------------------------------------ making a prompt */

/* Grows a text whose room was counted before. */
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

int passages_build(input *prompt, passages *p, const char *question, bool chat) {
    static const char ask[] = "Question: ";
    const char *end = chat ? "" : "\nAnswer:";
    size_t room = sizeof ask + strlen(question) + strlen(end);
    for (size_t i = 0; i < p->n; i++) { /* what lies in memory already: the sum cannot overflow */
        piece e = piece_of(p, i);
        room += e.n_name + e.n_text + N_SEPARATOR + sizeof blank_line;
    }
    *prompt = (input){.bytes = malloc(room)};
    if (!prompt->bytes) return fail("no memory for a prompt of %zu passages", p->n);
    for (size_t i = 0; i < p->n; i++) {
        piece e = piece_of(p, i);
        put_piece(prompt, &p->spans[i], &e);
    }
    put(prompt, ask, strlen(ask));
    put(prompt, question, strlen(question));
    put(prompt, end, strlen(end));
    return STATUS_DONE;
}

/* ------------------------------------------------------------------ finding them in a prompt */

static bool starts_with(const char *at, size_t n, const char *part, size_t n_part) {
    return n >= n_part && memcmp(at, part, n_part) == 0;
}

/* Length of the piece if it stands at `at`, else 0. */
static size_t match(const char *at, size_t n, const piece *e) {
    size_t before = e->n_name ? e->n_name + N_SEPARATOR : 0;
    if (!starts_with(at, n, e->name, e->n_name)) return 0;
    if (e->n_name && !starts_with(at + e->n_name, n - e->n_name, separator, N_SEPARATOR)) return 0;
    return starts_with(at + before, n - before, e->text, e->n_text) ? before + e->n_text : 0;
}

static bool overlaps(const hw_span *spans, size_t n, size_t begin, size_t end) {
    for (size_t i = 0; i < n; i++)
        if (spans[i].begin < end && begin < spans[i].end) return true;
    return false;
}

/* The first place that no earlier passage has taken. */
static bool place(hw_span *out, const passages *p, size_t i, const piece *e, const char *prompt, size_t n) {
    for (size_t at = 0; at < n; at++) {
        size_t length = match(prompt + at, n - at, e);
        if (!length || overlaps(p->spans, i, at, at + length)) continue;
        *out = (hw_span){.name = piece_of(p, i).name, .begin = at, .end = at + length};
        return true;
    }
    return false;
}

static int compare_spans(const void *a, const void *b) {
    const hw_span *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

int passages_find(passages *p, const char *prompt, size_t n) {
    for (size_t i = 0; i < p->n; i++) {
        piece named = piece_of(p, i), plain = named;
        plain.n_name = 0;
        if (place(&p->spans[i], p, i, &named, prompt, n) || place(&p->spans[i], p, i, &plain, prompt, n)) continue;
        return fail("passage %zu%s%s%s is not in the prompt: its text must stand there byte for byte", i,
                    named.n_name ? " \"" : "", named.name, named.n_name ? "\"" : "");
    }
    qsort(p->spans, p->n, sizeof *p->spans, compare_spans);
    return STATUS_DONE;
}
