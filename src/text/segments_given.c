/* segments_given.c - segments given by the caller: passages, fields of a form. Count, order and names are kept. */
#include "base/json.h"
#include "base/utf8.h"
#include "text/segments.h"

#include <unicode/utf8.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes `spans[2] "Doc B"`, for messages. */
static const char *label(char out[96], const hw_span *spans, size_t i) {
    char name[64];
    const char *given = spans[i].name ? spans[i].name : "";
    hw__utf8_line(name, sizeof name, given, strlen(given));
    snprintf(out, 96, *name ? "spans[%zu] \"%s\"" : "spans[%zu]", i, name);
    return out;
}

static hw_err check_span(const hw_span *spans, size_t i, size_t limit, const char *units, const char *side,
                         hw_error *err) {
    char me[96], other[96];
    const hw_span *s = &spans[i], *before = s - 1;
    label(me, spans, i);
    if (s->end > limit)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s is %zu to %zu, but the %s has %zu %s", me, s->begin, s->end, side,
                        limit, units);
    if (s->begin >= s->end)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s is %zu to %zu: empty; its end must be behind its begin", me, s->begin,
                        s->end);
    if (i == 0 || s->begin >= before->end) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "%s (%zu to %zu) %s %s (%zu to %zu): spans must rise and not overlap", me,
                    s->begin, s->end, s->end > before->begin ? "overlaps" : "lies before", label(other, spans, i - 1),
                    before->begin, before->end);
}

/* Ranges must be ascending, must not overlap, and must lie in a text of `limit` units ("bytes"). */
static hw_err check_spans(const hw_span *spans, size_t n, size_t limit, const char *units, const char *side,
                          hw_error *err) {
    if (n == 0) return hw__fail(err, HW_ERR_ARGUMENT, "no spans given: at least 1 is needed");
    if (n > INT32_MAX) return hw__fail(err, HW_ERR_ARGUMENT, "%zu spans: at most %d are accepted", n, INT32_MAX);
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < n; i++) rc = check_span(spans, i, limit, units, side, err);
    return rc;
}

static hw_err copy_spans(hw_segments *s, const hw_span *spans, hw_error *err) {
    for (size_t i = 0; i < s->n; i++) {
        s->spans[i] = spans[i];
        s->spans[i].name = hw__arena_strdup(&s->arena, spans[i].name);
        if (!s->spans[i].name) return hw__fail_memory(err, "a span's name", 1, 1);
    }
    return HW_OK;
}

/* Makes segments from checked spans, in bytes. */
static hw_err build(hw_segments **out, const hw__side *side, const hw_span *spans, size_t n, hw_error *err) {
    hw_segments *s;
    hw_err rc = hw__segments_new(&s, side, n, err);
    if (rc != HW_OK) return rc;
    if ((rc = copy_spans(s, spans, err)) != HW_OK || (rc = hw__segments_assign(s, side, err)) != HW_OK) {
        hw_segments_free(s);
        return rc;
    }
    *out = s;
    return HW_OK;
}

hw_err hw_segments_from_spans(hw_segments **out, const hw_run *run, hw_side which, const hw_span *spans, size_t n,
                              hw_error *err) {
    if (!run || (n > 0 && !spans)) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run and spans are needed");
    hw__side side;
    hw_err rc = hw__side_of(&side, run, which, err);
    if (rc == HW_OK) rc = check_spans(spans, n, side.n_bytes, "bytes", side.name, err);
    return rc == HW_OK ? build(out, &side, spans, n, err) : rc;
}

/* ------------------------------------------------------------------ JSON */

/* Byte at which the character after the one at `at` begins. Invalid UTF-8 counts like U+FFFD. */
static size_t next_char(const hw__side *side, size_t at) {
    int32_t i = 0, left = side->n_bytes - at < 4 ? (int32_t)(side->n_bytes - at) : 4;
    UChar32 c;
    U8_NEXT((const uint8_t *)side->text + at, i, left, c);
    (void)c;
    return at + (size_t)i;
}

static size_t count_chars(const hw__side *side) {
    size_t n = 0;
    for (size_t at = 0; at < side->n_bytes; at = next_char(side, at)) n++;
    return n;
}

/* Converts ascending span offsets from characters to bytes. */
static void to_bytes(hw_span *spans, size_t n, const hw__side *side) {
    size_t at = 0, chars = 0;
    for (size_t i = 0; i < n; i++) {
        for (; chars < spans[i].begin; chars++) at = next_char(side, at);
        size_t begin = at;
        for (; chars < spans[i].end; chars++) at = next_char(side, at);
        spans[i] = (hw_span){.name = spans[i].name, .begin = begin, .end = at};
    }
}

/* The name is borrowed from `entry`. */
static hw_err read_span(hw_span *out, const json_t *entry, hw_error *err) {
    int64_t begin, end;
    const char *name = "";
    if (!json_is_object(entry)) return hw__fail(err, HW_ERR_FORMAT, "must be an object with \"begin\" and \"end\"");
    hw_err rc = hw__json_int(&begin, entry, "begin", 0, INT32_MAX, err);
    if (rc == HW_OK) rc = hw__json_int(&end, entry, "end", 0, INT32_MAX, err);
    if (rc == HW_OK && json_object_get(entry, "name")) rc = hw__json_word(&name, entry, "name", err);
    if (rc == HW_OK) *out = (hw_span){.name = name, .begin = (size_t)begin, .end = (size_t)end};
    return rc;
}

static hw_err read_spans(hw_span *spans, const json_t *list, hw_error *err) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        hw_err rc = read_span(&spans[i], json_array_get(list, i), err);
        if (rc != HW_OK) return hw__fail_in(err, rc, "spans[%zu]", i);
    }
    return HW_OK;
}

static hw_err from_list(hw_segments **out, const hw__side *side, const json_t *list, hw_error *err) {
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return hw__fail(err, HW_ERR_FORMAT, "spans must be a JSON list of objects with \"begin\" and \"end\"");
    hw_span *spans = hw__alloc(n, sizeof *spans);
    if (!spans) return hw__fail_memory(err, "spans", n, sizeof *spans);
    hw_err rc = read_spans(spans, list, err);
    if (rc == HW_OK) rc = check_spans(spans, n, count_chars(side), "characters", side->name, err);
    if (rc == HW_OK) {
        to_bytes(spans, n, side);
        rc = build(out, side, spans, n, err);
    }
    free(spans);
    return rc;
}

hw_err hw_segments_from_json(hw_segments **out, const hw_run *run, hw_side which, const char *json, size_t n_bytes,
                             hw_error *err) {
    if (!run || !json) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: a run and JSON text are needed");
    hw__side side;
    json_t *list;
    hw_err rc = hw__side_of(&side, run, which, err);
    if (rc == HW_OK) rc = hw__json_parse(&list, json, n_bytes, err);
    if (rc != HW_OK) return rc;
    rc = from_list(out, &side, list, err);
    json_decref(list);
    return rc;
}
