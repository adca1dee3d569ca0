/* setting.c - setting values as numbers and as text. */
#include "data/setting.h"

#include "base/error.h"
#include "base/sized.h"
#include "base/strlist.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "whole numbers have 4 or 8 bytes");

static const hw__setting *row_of(const hw_setting_info *info) { return (const hw__setting *)(const void *)info; }

static void *field_of(void *params, const hw_setting_info *info) { return (char *)params + row_of(info)->offset; }

/* Whether the caller's struct has the field: a program built before the row was added has not. */
static bool has_field(const void *params, const hw_setting_info *info) {
    return hw__params_have(params, row_of(info)->offset, row_of(info)->size);
}

static hw_err refuse_field(const hw_setting_info *info, hw_error *err) {
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "%s: this program was built with an earlier version of the library, whose params lack it",
                    info->name);
}

static bool is_short(const hw_setting_info *info) { return row_of(info)->size == sizeof(uint32_t); }

/* ------------------------------------------------------------------ numbers */

uint64_t hw__setting_whole(const void *params, const hw_setting_info *info) {
    const void *field = field_of((void *)params, info);
    return is_short(info) ? *(const uint32_t *)field : *(const uint64_t *)field;
}

void hw__setting_put_whole(void *params, const hw_setting_info *info, uint64_t value) {
    void *field = field_of(params, info);
    if (is_short(info))
        *(uint32_t *)field = (uint32_t)value;
    else
        *(uint64_t *)field = value;
}

const char **hw__setting_at(void *params, const hw_setting_info *info) { return field_of(params, info); }

void hw__setting_put(void *params, const hw_setting_info *info, double value) {
    void *field = field_of(params, info);
    switch (info->type) {
    case HW_SETTING_FLAG: *(bool *)field = value != 0; break;
    case HW_SETTING_NUMBER:
        if (is_short(info))
            *(float *)field = (float)value;
        else
            *(double *)field = value;
        break;
    case HW_SETTING_WHOLE: hw__setting_put_whole(params, info, (uint64_t)value); break;
    case HW_SETTING_WORD: *(int *)field = (int)value; break;
    case HW_SETTING_TEXT: *(const char **)field = NULL; break;
    }
}

double hw_setting_value(const void *params, const hw_setting_info *info) {
    if (!has_field(params, info)) return info->default_value;
    const void *field = field_of((void *)params, info);
    switch (info->type) {
    case HW_SETTING_FLAG: return *(const bool *)field;
    case HW_SETTING_NUMBER: return is_short(info) ? (double)*(const float *)field : *(const double *)field;
    case HW_SETTING_WHOLE:
        if (is_short(info) && info->max <= INT32_MAX) return *(const int32_t *)field;
        return (double)hw__setting_whole(params, info);
    case HW_SETTING_WORD: return *(const int *)field;
    case HW_SETTING_TEXT: return *(const char *const *)field && **(const char *const *)field;
    }
    return 0;
}

bool hw__setting_is_default(const void *params, const hw_setting_info *info) {
    return hw_setting_value(params, info) == info->default_value;
}

static size_t count_words(const hw_setting_info *info) {
    size_t n = 0;
    while (info->words[n]) n++;
    return n;
}

/* Bounds, rounded to the type of the field. */
static double rounded(const hw_setting_info *info, double v) {
    return info->type == HW_SETTING_NUMBER && is_short(info) ? (double)(float)v : v;
}

/* Whether a number is within the row's range; false for NaN. */
static bool is_within(const hw_setting_info *info, double v) {
    if (info->type == HW_SETTING_FLAG) return true;
    if (info->type == HW_SETTING_WORD) return v >= 0 && v < (double)count_words(info);
    double min = rounded(info, info->min), max = rounded(info, info->max);
    v = rounded(info, v);
    return v >= min && (info->below_max ? v < max : v <= max);
}

static bool fits_length(const hw_setting_info *info, const char *text) {
    size_t n = strlen(text);
    return (double)n >= info->min && (info->max == 0 || (double)n <= info->max);
}

char *hw_setting_accepts(char *out, size_t capacity, const hw_setting_info *info) {
    char list[200];
    switch (info->type) {
    case HW_SETTING_FLAG: snprintf(out, capacity, "true or false"); break;
    case HW_SETTING_NUMBER:
        snprintf(out, capacity, "a number from %g to %s%g", info->min, info->below_max ? "below " : "", info->max);
        break;
    case HW_SETTING_WHOLE: snprintf(out, capacity, "a whole number from %.0f to %.0f", info->min, info->max); break;
    case HW_SETTING_WORD:
        snprintf(out, capacity, "one of %s",
                 hw__join_names(list, sizeof list, hw__names_of(info->words, count_words(info))));
        break;
    case HW_SETTING_TEXT:
        if (info->max > 0)
            snprintf(out, capacity, "text of %.0f to %.0f bytes without NUL", info->min, info->max);
        else
            snprintf(out, capacity, "text without NUL%s", info->min > 0 ? ", and not empty" : "");
    }
    return out;
}

static hw_err refuse(const hw_setting_info *info, hw_error *err) {
    char accepts[240];
    return hw__fail(err, HW_ERR_ARGUMENT, "must be %s", hw_setting_accepts(accepts, sizeof accepts, info));
}

hw_err hw__setting_check(const void *params, const hw_setting_info *info, hw_error *err) {
    char accepts[240];
    const char *text = info->type == HW_SETTING_TEXT ? *hw__setting_at((void *)params, info) : NULL;
    double v = hw_setting_value(params, info);
    if (info->type == HW_SETTING_TEXT ? !text || fits_length(info, text) : is_within(info, v)) return HW_OK;
    hw_setting_accepts(accepts, sizeof accepts, info);
    if (text) return hw__fail(err, HW_ERR_ARGUMENT, "%s: must be %s", info->name, accepts);
    if (info->type == HW_SETTING_WHOLE)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s is %.0f: must be %s", info->name, v, accepts);
    return hw__fail(err, HW_ERR_ARGUMENT, "%s is %g: must be %s", info->name, v, accepts);
}

hw_err hw_setting_set(void *params, const hw_setting_info *info, double value, hw_error *err) {
    if (!params || !info) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params and a setting are needed");
    if (info->type == HW_SETTING_TEXT || !is_within(info, value)) return refuse(info, err);
    if (!has_field(params, info)) return refuse_field(info, err);
    hw__setting_put(params, info, value);
    return HW_OK;
}

/* ------------------------------------------------------------------ text */

char *hw_setting_text(char *out, size_t capacity, const void *params, const hw_setting_info *info) {
    double v = hw_setting_value(params, info);
    bool has = has_field(params, info);
    switch (info->type) {
    case HW_SETTING_FLAG: snprintf(out, capacity, "%s", v != 0 ? "true" : "false"); break;
    case HW_SETTING_NUMBER: snprintf(out, capacity, "%g", v); break;
    case HW_SETTING_WHOLE:
        snprintf(out, capacity, "%" PRIu64, has ? hw__setting_whole(params, info) : (uint64_t)v);
        break;
    case HW_SETTING_WORD: snprintf(out, capacity, "%s", info->words[(size_t)v]); break;
    case HW_SETTING_TEXT: snprintf(out, capacity, "%s", v != 0 ? *hw__setting_at((void *)params, info) : ""); break;
    }
    return out;
}

/* Parses digits, within the row's range. */
static hw_err read_whole(void *params, const hw_setting_info *info, const char *text, hw_error *err) {
    enum { MAX_DIGITS = 20 };
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    uint64_t v = strtoull(text, NULL, 10);
    if (digits == 0 || digits > MAX_DIGITS || text[digits] || errno || !is_within(info, (double)v))
        return refuse(info, err);
    hw__setting_put_whole(params, info, v);
    return HW_OK;
}

static hw_err read_number(void *params, const hw_setting_info *info, const char *text, hw_error *err) {
    /* strtod also accepts hex, inf and nan */
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return refuse(info, err);
    char *end;
    double v = strtod(text, &end);
    return *end ? refuse(info, err) : hw_setting_set(params, info, v, err);
}

hw_err hw_setting_read(void *params, const hw_setting_info *info, const char *text, hw_error *err) {
    if (!params || !info || !text) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params, a setting and text are needed");
    if (!has_field(params, info)) return refuse_field(info, err);
    switch (info->type) {
    case HW_SETTING_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return refuse(info, err);
        return hw_setting_set(params, info, text[0] == 't', err);
    case HW_SETTING_NUMBER: return read_number(params, info, text, err);
    case HW_SETTING_WHOLE: return read_whole(params, info, text, err);
    case HW_SETTING_WORD:
        for (size_t i = 0; info->words[i]; i++)
            if (strcmp(info->words[i], text) == 0) return hw_setting_set(params, info, (double)i, err);
        return refuse(info, err);
    case HW_SETTING_TEXT:
        if (!fits_length(info, text)) return refuse(info, err);
        *hw__setting_at(params, info) = text;
        return HW_OK;
    }
    return refuse(info, err);
}
