/* setting_json.c - see setting_json.h. Text that is not UTF-8 is also stored exactly under KEY_bytes. */
#include "formats/setting_json.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hw__setting *row_of(const hw_setting_info *s) { return (const hw__setting *)(const void *)s; }

static bool is_float(const hw_setting_info *s) { return row_of(s)->size == sizeof(float); }

static const char *hex_key(char *out, size_t capacity, const hw_setting_info *s) {
    snprintf(out, capacity, "%s_bytes", s->name);
    return out;
}

/* ------------------------------------------------------------------ writing */

static json_t *value_to_json(const void *params, const hw_setting_info *s) {
    char text[64];
    double v = hw_setting_value(params, s);
    if (s->type == HW_SETTING_FLAG) return json_boolean(v != 0);
    if (s->type == HW_SETTING_NUMBER) return is_float(s) ? hw__json_float((float)v) : hw__json_double(v);
    if (s->type == HW_SETTING_WHOLE && !s->json_text) {
        uint64_t whole = hw__setting_whole(params, s);
        return json_integer(whole > INT64_MAX ? INT64_MAX : (json_int_t)whole);
    }
    return json_string(hw_setting_text(text, sizeof text, params, s));
}

bool hw__setting_put_json(json_t *object, const void *params, const hw_setting_info *s) {
    char key[64];
    if (s->transient || (s->sparse && hw__setting_is_default(params, s))) return true;
    if (s->type != HW_SETTING_TEXT) return json_object_set_new(object, s->name, value_to_json(params, s)) == 0;
    const char *text = *hw__setting_at((void *)params, s);
    return hw__json_put_text(object, s->name, hex_key(key, sizeof key, s), text ? text : "", text ? strlen(text) : 0);
}

/* ------------------------------------------------------------------ reading */

static hw_err get_number(void *params, const hw_setting_info *s, const json_t *object, hw_error *err) {
    double v;
    hw_err rc = hw__json_real(&v, object, s->name, err);
    if (rc != HW_OK) return rc;
    if (!row_of(s)->any_in_files) return hw_setting_set(params, s, v, err);
    if (is_float(s) && !isfinite((float)v))
        return hw__fail(err, HW_ERR_FORMAT, "\"%s\" is %g: a number in float's range is needed", s->name, v);
    hw__setting_put(params, s, v);
    return HW_OK;
}

/* Digits of a 64-bit number. */
static hw_err get_digits(void *params, const hw_setting_info *s, const json_t *object, hw_error *err) {
    const char *text;
    hw_err rc = hw__json_word(&text, object, s->name, err);
    if (rc != HW_OK) return rc;
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return hw__fail(err, HW_ERR_ARGUMENT, "must be decimal digits, at most 18446744073709551615");
    hw__setting_put_whole(params, s, v);
    return HW_OK;
}

static hw_err get_whole(void *params, const hw_setting_info *s, const json_t *object, hw_error *err) {
    int64_t v, max = row_of(s)->size == sizeof(int32_t) ? INT32_MAX : INT64_MAX;
    if (s->json_text) return get_digits(params, s, object, err);
    bool any = row_of(s)->any_in_files;
    hw_err rc = hw__json_int(&v, object, s->name, any ? 0 : (int64_t)s->min, any ? max : (int64_t)s->max, err);
    if (rc == HW_OK) hw__setting_put_whole(params, s, (uint64_t)v);
    return rc;
}

static hw_err get_text(void *params, const hw_setting_info *s, const json_t *object, hw__arena *arena, hw_error *err) {
    char key[64], *text;
    size_t n;
    hw_err rc = hw__json_text(&text, &n, object, s->name, hex_key(key, sizeof key, s), err);
    if (rc != HW_OK) return rc;
    if (strlen(text) != n)
        rc = hw__fail(err, HW_ERR_FORMAT, "\"%s\" must be a string without NUL", s->name);
    else if (!(*hw__setting_at(params, s) = hw__arena_strndup(arena, text, n)))
        rc = hw__fail_memory(err, s->name, n, 1);
    free(text);
    return rc;
}

static hw_err get_value(void *params, const hw_setting_info *s, const json_t *object, hw__arena *arena, hw_error *err) {
    const char *word;
    bool flag;
    hw_err rc;
    switch (s->type) {
    case HW_SETTING_FLAG:
        rc = hw__json_bool(&flag, object, s->name, err);
        return rc == HW_OK ? hw_setting_set(params, s, flag, err) : rc;
    case HW_SETTING_NUMBER: return get_number(params, s, object, err);
    case HW_SETTING_WHOLE: return get_whole(params, s, object, err);
    case HW_SETTING_WORD:
        rc = hw__json_word(&word, object, s->name, err);
        return rc == HW_OK ? hw_setting_read(params, s, word, err) : rc;
    case HW_SETTING_TEXT: return get_text(params, s, object, arena, err);
    }
    return HW_OK;
}

hw_err hw__setting_get_json(void *params, const hw_setting_info *s, const json_t *object, hw__arena *arena,
                            hw_error *err) {
    if (s->transient || (s->optional && !json_object_get(object, s->name))) return HW_OK;
    hw_err rc = get_value(params, s, object, arena, err);
    return rc == HW_ERR_ARGUMENT ? hw__fail_in(err, HW_ERR_FORMAT, "setting \"%s\"", s->name) : rc;
}
