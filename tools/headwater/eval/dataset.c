/* dataset.c - reads data sets; each error names the line and what is accepted. */
#include "eval/dataset.h"

#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "cli/input.h"
#include "cli/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reports why a line is not an item; used as `return refuse(...)`. */
static bool refuse(hw_error *err, const char *key, const char *accepted) {
    snprintf(err->msg, sizeof err->msg, "\"%s\" must be %s", key, accepted);
    return false;
}

static bool refuse_memory(hw_error *err) {
    snprintf(err->msg, sizeof err->msg, "no memory for it");
    return false;
}

/* ------------------------------------------------------------------ code points and bytes */

/* Byte offset of code point `at` in valid UTF-8 [n]; false if there are fewer code points. */
static bool byte_of(size_t *out, const char *text, size_t n, json_int_t at) {
    size_t i = 0;
    for (; at > 0 && i < n; at--) {
        i++;
        while (i < n && ((unsigned char)text[i] & 0xc0) == 0x80) i++; /* continuation bytes */
    }
    *out = i;
    return at == 0;
}

/* Reads a pair [begin, end] or an object with both. */
static bool read_range(const json_t *v, json_int_t *begin, json_int_t *end) {
    const json_t *b = json_is_array(v) ? json_array_get(v, 0) : json_object_get(v, "begin");
    const json_t *e = json_is_array(v) ? json_array_get(v, 1) : json_object_get(v, "end");
    if (json_is_array(v) && json_array_size(v) != 2) return false;
    if (!json_is_integer(b) || !json_is_integer(e)) return false;
    *begin = json_integer_value(b);
    *end = json_integer_value(e);
    return *begin >= 0 && *begin < *end;
}

static bool read_evidence(eval_item *item, const json_t *list, hw_error *err) {
    static const char accepted[] = "a list of [begin, end] within the prompt, in code points";
    if (!list) return true;
    if (!json_is_array(list)) return refuse(err, "evidence", accepted);
    item->evidence = calloc(json_array_size(list) + 1, sizeof *item->evidence);
    if (!item->evidence) return refuse_memory(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t begin, end;
        hw_span *to = &item->evidence[item->n_evidence++];
        if (!read_range(json_array_get(list, i), &begin, &end) ||
            !byte_of(&to->begin, item->prompt, item->prompt_bytes, begin) ||
            !byte_of(&to->end, item->prompt, item->prompt_bytes, end))
            return refuse(err, "evidence", accepted);
    }
    return true;
}

/* Converts pairs to the objects that the library reads, which also checks the ranges. */
static bool read_spans(eval_item *item, const json_t *list, hw_error *err) {
    static const char accepted[] = "a list of [begin, end] or {\"name\", \"begin\", \"end\"}";
    if (!list) return true;
    if (!json_is_array(list)) return refuse(err, "spans", accepted);
    json_t *made = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t begin, end;
        const json_t *v = json_array_get(list, i), *name = json_object_get(v, "name");
        if (!read_range(v, &begin, &end) || (name && !json_is_string(name))) {
            json_decref(made);
            return refuse(err, "spans", accepted);
        }
        made = hw__json_append(made, json_pack("{s:s, s:I, s:I}", "name", name ? json_string_value(name) : "", "begin",
                                               begin, "end", end));
    }
    item->spans = made ? hw__json_dump(made, JSON_COMPACT) : NULL;
    json_decref(made);
    return item->spans || refuse_memory(err);
}

/* ------------------------------------------------------------------ one line */

/* Reads a non-empty text; `n` is nullable, and then the text must not contain NUL. A missing key leaves NULL. */
static bool read_text(const char **out, size_t *n, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!v) return true;
    size_t length = json_string_length(v);
    if (!json_is_string(v) || length == 0) return refuse(err, key, "a text that is not empty");
    if (!n && strlen(json_string_value(v)) != length) return refuse(err, key, "a text without NUL");
    *out = json_string_value(v);
    if (n) *n = length;
    return true;
}

/* One text, or a list of texts. */
static bool read_answers(eval_item *item, const json_t *v, hw_error *err) {
    static const char accepted[] = "a text that is not empty, or a list of such texts";
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (!v) return true;
    if (n == 0) return refuse(err, "answer", accepted);
    item->answers = calloc(n, sizeof *item->answers);
    if (!item->answers) return refuse_memory(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
        if (json_string_length(one) == 0) return refuse(err, "answer", accepted);
        if (strlen(json_string_value(one)) != json_string_length(one)) return refuse(err, "answer", "without NUL");
        item->answers[item->n_answers++] = json_string_value(one);
    }
    return true;
}

static bool read_id(eval_item *item, size_t number, hw_error *err) {
    const char *id = NULL;
    char made[32];
    if (!read_text(&id, NULL, item->json, "name", err) || !read_text(&id, NULL, item->json, "id", err)) return false;
    snprintf(made, sizeof made, "line-%zu", number);
    if (!id) id = made;
    item->id = malloc(strlen(id) + 1);
    if (!item->id) return refuse_memory(err);
    strcpy(item->id, id);
    return true;
}

/* Hash of the item with sorted keys and without white space: it does not depend on the form of the line. */
static bool read_sha256(eval_item *item, hw_error *err) {
    char *text = hw__json_dump(item->json, JSON_COMPACT | JSON_SORT_KEYS);
    hw__sha256 hash;
    if (!text) return refuse_memory(err);
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, text, strlen(text));
    hw__sha256_hex(&hash, item->sha256);
    free(text);
    return true;
}

static bool read_fields(eval_item *item, size_t number, hw_error *err) {
    const json_t *o = item->json;
    if (!json_is_object(o)) {
        snprintf(err->msg, sizeof err->msg, "not an object {...}");
        return false;
    }
    if (!read_text(&item->prompt, &item->prompt_bytes, o, "prompt", err)) return false;
    if (!item->prompt) return refuse(err, "prompt", "there, a text that is not empty");
    item->tags = json_object_get(o, "tags");
    if (item->tags && !json_is_object(item->tags)) return refuse(err, "tags", "an object");
    return read_text(&item->completion, &item->completion_bytes, o, "completion", err) &&
           read_answers(item, json_object_get(o, "answer"), err) && read_text(&item->token, NULL, o, "token", err) &&
           read_text(&item->after, NULL, o, "after", err) && read_evidence(item, json_object_get(o, "evidence"), err) &&
           read_spans(item, json_object_get(o, "spans"), err) && read_id(item, number, err) && read_sha256(item, err);
}

/* Frees everything except what identifies the item. */
static void free_texts(eval_item *item) {
    free(item->spans);
    free(item->evidence);
    free(item->answers);
    json_decref(item->json);
}

static void free_item(eval_item *item) {
    free_texts(item);
    free(item->id);
}

static bool read_line(eval_item *out, const char *line, size_t n, size_t number, hw_error *err) {
    json_error_t why;
    bool no_memory;
    eval_item item = {.json = hw__json_read(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why)};
    if (no_memory) return refuse_memory(err);
    if (!item.json) {
        snprintf(err->msg, sizeof err->msg, "no valid JSON: %s", why.text);
        return false;
    }
    if (!read_fields(&item, number, err)) {
        free_item(&item);
        return false;
    }
    *out = item;
    return true;
}

/* ------------------------------------------------------------------ the set */

bool eval_part_has(const eval_part *part, size_t index) {
    return part->n_shards && index % part->n_shards == part->shard;
}

const eval_item *eval_set_find(const eval_set *set, const char *id) {
    const json_t *place = json_object_get(set->places, id);
    return place ? &set->at[json_integer_value(place)] : NULL;
}

static void forget_texts(eval_item *item) {
    free_texts(item);
    eval_item kept = {.id = item->id, .index = item->index};
    memcpy(kept.sha256, item->sha256, sizeof kept.sha256);
    *item = kept;
}

static bool add_item(eval_set *set, eval_item *item, hw_error *err) {
    if (eval_set_find(set, item->id)) {
        snprintf(err->msg, sizeof err->msg, "an item before it has the same id, %.200s", item->id);
        return false;
    }
    eval_item *resized = realloc(set->at, (set->n + 1) * sizeof *resized);
    if (!resized) return refuse_memory(err);
    set->at = resized;
    if (json_object_set_new(set->places, item->id, json_integer((json_int_t)set->n)) != 0) return refuse_memory(err);
    set->at[set->n++] = *item;
    return true;
}

static void take_line(eval_set *set, const eval_part *part, const char *line, size_t n, size_t number, size_t index) {
    hw_error err;
    eval_item item;
    bool read = read_line(&item, line, n, number, &err);
    if (read) item.index = index;
    if (read && !eval_part_has(part, index)) forget_texts(&item);
    if (read && add_item(set, &item, &err)) return;
    if (read) free_item(&item);
    set->n_bad++;
    message("%s line %zu is left out: %s", set->path, number, err.msg);
}

/* Bytes of a byte order mark, which is not part of the first line. */
static size_t mark_bytes(const char *line, size_t number) {
    static const char mark[] = "\xef\xbb\xbf";
    return number == 1 && strncmp(line, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;
}

hw_err eval_set_read(eval_set *out, const char *path, size_t limit, const eval_part *part, hw_error *err) {
    *out = (eval_set){.path = path, .places = json_object()};
    if (!out->places) return hw__fail(err, HW_ERR_MEMORY, "no memory for the data set");
    FILE *file = input_open(path);
    if (!file) return hw__fail(err, HW_ERR_IO, "data set %s: %s", path, input_open_reason());
    char *line = NULL;
    size_t capacity = 0, number = 0, index = 0;
    ssize_t n;
    while ((!limit || out->n < limit) && (n = getline(&line, &capacity, file)) >= 0) {
        size_t mark = mark_bytes(line, ++number), length = (size_t)n - mark;
        if (strspn(line + mark, " \t\r\n") == length) continue;
        take_line(out, part, line + mark, length, number, index++);
    }
    bool broken = n < 0 && !feof(file); /* a read error, or memory ran out for a line */
    free(line);
    fclose(file);
    if (broken) return hw__fail(err, HW_ERR_IO, "data set %s: it could not be read to its end", path);
    return out->n ? HW_OK : hw__fail(err, HW_ERR_FORMAT, "data set %s: it holds no item", path);
}

void eval_set_free(eval_set *set) {
    for (size_t i = 0; i < set->n; i++) free_item(&set->at[i]);
    free(set->at);
    json_decref(set->places);
}
