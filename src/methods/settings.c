/* settings.c - the table, and values as numbers and as text. */
#include "methods/settings.h"

#include "base/error.h"
#include "base/strlist.h"
#include "data/enum_names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct setting {
    hw_setting_info info;
    size_t offset, size; /* of the field in hw_method_params */
} setting;

#define FIELD(field) .offset = offsetof(hw_method_params, field), .size = sizeof((hw_method_params *)0)->field
#define WORDS(list)  .type = HW_SETTING_WORD, .words = list

/* In the order in which they are listed and shown. */
static const setting rows[] = {
    {{.name = "row", .option = "row", .label = "Row", WORDS(hw__row_words), .uses = HW_USES_ROW,
      .help = "explain by the position that chose the token, or by the token's own position",
      .shown = HW_SHOWN_ALWAYS, .before = "row ", .after = ""},
     FIELD(row)},
    {{.name = "discard", .option = "discard", .label = "Discard", .type = HW_SETTING_NUMBER, .max = 1, .below_max = true,
      .uses = HW_USES_DISCARD, .optional = true,
      .help = "of rollout and flow: leave out this share of each row's weights, the lowest",
      .before = "lowest ", .after = " discarded"},
     FIELD(discard)},
    {{.name = "remove_sink", .option = "remove-sink", .label = "Remove sink", .type = HW_SETTING_FLAG,
      .uses = HW_USES_REMOVE_SINK, .optional = true,
      .help = "of rollout and flow: attention to token 0 counts as none, in every layer",
      .before = "sink removed", .after = ""},
     FIELD(remove_sink)},
    {{.name = "residual", .option = "residual", .label = "Residual", .type = HW_SETTING_NUMBER, .max = 1,
      .default_value = 0.5, .uses = HW_USES_RESIDUAL,
      .help = "of rollout and flow: weight of the residual stream against attention: one number, or what the run shows of "
              "each token and layer",
      .shown = HW_SHOWN_WHERE_USED, .before = "residual ", .after = ""},
     FIELD(residual)},
    {{.name = "residual_measured", .option = "residual", .option_word = "measured", .label = "Residual as measured",
      .type = HW_SETTING_FLAG, .uses = HW_USES_RESIDUAL, .optional = true,
      .help = "in place of `residual` what attention changed in the stream of each token and layer",
      .before = "residual measured", .after = ""},
     FIELD(residual_measured)},
    {{.name = "direction", .option = "direction", .label = "Direction", WORDS(hw__direction_words),
      .uses = HW_USES_DIRECTION, .help = "of rollout: compose layers from the embeddings up, or from the top down",
      .shown = HW_SHOWN_WHERE_USED, .before = "direction ", .after = ""},
     FIELD(direction)},
    {{.name = "measure", .option = "measure", .label = "Measure", WORDS(hw__measure_words), .uses = HW_USES_MEASURE,
      .help = "of contribution: how its size is measured",
      .shown = HW_SHOWN_WHERE_USED, .before = "measure ", .after = ""},
     FIELD(measure)},
    {{.name = "aggregate", .option = "aggregate", .label = "Over layers", WORDS(hw__aggregate_words),
      .uses = HW_USES_AGGREGATE, .optional = true,
      .help = "of contribution: each layer by itself, or layers composed as rollout composes attention",
      .before = "aggregate ", .after = ""},
     FIELD(aggregate)},
    {{.name = "columns", .option = "columns", WORDS(hw__columns_words),
      .help = "attribute to the prompt's tokens, or to the completion's too", .before = "columns ", .after = ""},
     FIELD(columns)},
    {{.name = "through", .option = "through", .label = "Through the answer", .type = HW_SETTING_FLAG,
      .uses = HW_USES_THROUGH, .optional = true, .sparse = true,
      .help = "follow what came from the completion's own tokens, each by its own row, back to the prompt",
      .before = "through the completion", .after = ""},
     FIELD(through)},
    {{.name = "seed", .type = HW_SETTING_WHOLE, .max = 4294967295.0, .json_text = true,
      .uses = HW_USES_SEED, .help = "the same seed gives the same random numbers", .before = "seed ", .after = ""},
     FIELD(seed)},
    {{.name = "n_ablations", .type = HW_SETTING_WHOLE, .min = 2, .max = 100000, .default_value = 64,
      .uses = HW_USES_MODEL, .help = "random masks of ablation, one forward pass each", .before = "", .after = " ablations"},
     FIELD(n_ablations)},
#ifdef HW_MADE_UP_SETTING /* tests/unit/program/test_settings.c: a row that exists there alone, on a field that has one */
    {{.name = "made_up", .option = "made-up", .label = "Made up", .type = HW_SETTING_NUMBER, .max = 1, .below_max = true,
      .uses = HW_USES_DISCARD, .optional = true, .help = "a setting that only a test has",
      .before = "made up ", .after = ""},
     FIELD(discard)},
#endif
};
enum { N_ROWS = sizeof rows / sizeof *rows };
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "whole numbers are read and written as 64 bits");

size_t hw_setting_count(void) { return N_ROWS; }
const hw_setting_info *hw_setting_at(size_t i) { return i < N_ROWS ? &rows[i].info : NULL; }

const hw_setting_info *hw_setting_find(const char *name) {
    for (size_t i = 0; name && i < N_ROWS; i++)
        if (strcmp(rows[i].info.name, name) == 0) return &rows[i].info;
    return NULL;
}

static const setting *row_of(const hw_setting_info *info) { return (const setting *)(const void *)info; }

/* ------------------------------------------------------------------ numbers */

static void put(hw_method_params *p, const setting *s, double value) {
    void *field = (char *)p + s->offset;
    switch (s->info.type) {
    case HW_SETTING_FLAG: *(bool *)field = value != 0; break;
    case HW_SETTING_NUMBER: *(double *)field = value; break;
    case HW_SETTING_WHOLE: *(uint64_t *)field = (uint64_t)value; break;
    case HW_SETTING_WORD: *(int *)field = (int)value; break;
    }
}

double hw_setting_value(const hw_method_params *p, const hw_setting_info *info) {
    const void *field = (const char *)p + row_of(info)->offset;
    switch (info->type) {
    case HW_SETTING_FLAG: return *(const bool *)field;
    case HW_SETTING_NUMBER: return *(const double *)field;
    case HW_SETTING_WHOLE: return (double)*(const uint64_t *)field;
    case HW_SETTING_WORD: return *(const int *)field;
    }
    return 0;
}

hw_method_params hw_method_params_default(void) {
    hw_method_params p = {.size = sizeof p};
    for (size_t i = 0; i < N_ROWS; i++) put(&p, &rows[i], rows[i].info.default_value);
    return p;
}

static size_t count_words(const hw_setting_info *info) {
    size_t n = 0;
    while (info->words[n]) n++;
    return n;
}

static bool is_within(const hw_setting_info *info, double v) {
    return v >= info->min && (info->below_max ? v < info->max : v <= info->max); /* false for NaN */
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
    }
    return out;
}

static hw_err refuse(const hw_setting_info *info, hw_error *err) {
    char accepts[240];
    return hw__fail(err, HW_ERR_ARGUMENT, "must be %s", hw_setting_accepts(accepts, sizeof accepts, info));
}

hw_err hw_setting_set(hw_method_params *p, const hw_setting_info *info, double value, hw_error *err) {
    if (!p || !info) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params and a setting are needed");
    bool fits = info->type == HW_SETTING_FLAG ||
                (info->type == HW_SETTING_WORD ? value >= 0 && value < (double)count_words(info) : is_within(info, value));
    if (!fits) return refuse(info, err);
    put(p, row_of(info), value);
    return HW_OK;
}

hw_err hw__settings_check(const hw_method_params *p, hw_error *err) {
    hw_method_params copy = *p;
    for (size_t i = 0; i < N_ROWS; i++) {
        const hw_setting_info *info = &rows[i].info;
        double v = hw_setting_value(p, info);
        if (info->type == HW_SETTING_WHOLE || hw_setting_set(&copy, info, v, err) == HW_OK) continue;
        char what[80];
        snprintf(what, sizeof what, "%s is %g", info->name, v);
        return hw__fail_in(err, HW_ERR_ARGUMENT, "%s", what);
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ text */

char *hw_setting_text(char *out, size_t capacity, const hw_method_params *p, const hw_setting_info *info) {
    const void *field = (const char *)p + row_of(info)->offset;
    double v = hw_setting_value(p, info);
    switch (info->type) {
    case HW_SETTING_FLAG: snprintf(out, capacity, "%s", v != 0 ? "true" : "false"); break;
    case HW_SETTING_NUMBER: snprintf(out, capacity, "%g", v); break;
    case HW_SETTING_WHOLE: snprintf(out, capacity, "%" PRIu64, *(const uint64_t *)field); break;
    case HW_SETTING_WORD: snprintf(out, capacity, "%s", info->words[(size_t)v]); break;
    }
    return out;
}

/* 64 bits, which a double does not hold; in files the full range. */
static hw_err read_whole(uint64_t *out, const char *text, hw_error *err) {
    enum { MAX_DIGITS = 20 };
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    uint64_t v = strtoull(text, NULL, 10);
    if (digits == 0 || digits > MAX_DIGITS || text[digits] || errno)
        return hw__fail(err, HW_ERR_ARGUMENT, "must be decimal digits, at most 18446744073709551615");
    *out = v;
    return HW_OK;
}

static hw_err read_number(hw_method_params *p, const hw_setting_info *info, const char *text, hw_error *err) {
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return refuse(info, err); /* strtod also takes hex, inf and nan */
    char *end;
    double v = strtod(text, &end);
    return *end ? refuse(info, err) : hw_setting_set(p, info, v, err);
}

hw_err hw_setting_read(hw_method_params *p, const hw_setting_info *info, const char *text, hw_error *err) {
    if (!p || !info || !text) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params, a setting and text are needed");
    switch (info->type) {
    case HW_SETTING_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return refuse(info, err);
        return hw_setting_set(p, info, text[0] == 't', err);
    case HW_SETTING_NUMBER: return read_number(p, info, text, err);
    case HW_SETTING_WHOLE: return read_whole((uint64_t *)(void *)((char *)p + row_of(info)->offset), text, err);
    case HW_SETTING_WORD:
        for (size_t i = 0; info->words[i]; i++)
            if (strcmp(info->words[i], text) == 0) return hw_setting_set(p, info, (double)i, err);
        return refuse(info, err);
    }
    return refuse(info, err);
}

/* ------------------------------------------------------------------ as an option */

hw_err hw_setting_read_option(hw_method_params *p, const char *option, const char *text, hw_error *err) {
    if (!p || !option) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params and an option are needed");
    const setting *main = NULL;
    bool taken = false;
    for (size_t i = 0; i < N_ROWS; i++) {
        const hw_setting_info *info = &rows[i].info;
        if (!info->option || strcmp(info->option, option) != 0) continue;
        if (!info->option_word) {
            main = &rows[i];
            continue;
        }
        bool is_it = text && strcmp(text, info->option_word) == 0;
        put(p, &rows[i], is_it);
        taken = taken || is_it;
    }
    if (!main) return hw__fail(err, HW_ERR_ARGUMENT, "there is no setting of that name");
    if (taken) return HW_OK;
    hw_err rc = hw_setting_read(p, &main->info, text ? text : "true", err);
    for (size_t i = 0; rc != HW_OK && i < N_ROWS; i++) /* "must be a number from 0 to 1, or measured" */
        if (rows[i].info.option_word && strcmp(rows[i].info.option, option) == 0) {
            char accepts[240];
            hw_setting_accepts(accepts, sizeof accepts, &main->info);
            hw__fail(err, rc, "must be %s, or %s", accepts, rows[i].info.option_word);
        }
    return rc;
}
