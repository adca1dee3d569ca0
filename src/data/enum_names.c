/*
 * enum_names.c - the names of every enum value that a user can type or a file can hold: fuse, row, direction, columns,
 * measure, aggregate, precision, role, rows, stop, thinking.
 *
 * One list of names per enum, indexed by its value; name functions and parsers read the same list.
 */
#include "data/enum_names.h"

#include "base/error.h"
#include "base/strlist.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list)-1) /* the last entry is NULL */

const char *const hw__fuse_words[] = {"mean", "max", "min", NULL};
const char *const hw__row_words[] = {"predictor", "own", NULL};
const char *const hw__direction_words[] = {"input", "output", NULL};
const char *const hw__columns_words[] = {"prompt", "all", NULL};
const char *const hw__measure_words[] = {"projection", "norm", "proximity1", "proximity2", NULL};
static const char *const hw__signal_words[] = {
    "projection",     "norm",     "proximity1",     "proximity2",     "logit", "residual",
    "all_projection", "all_norm", "all_proximity1", "all_proximity2", NULL};
const char *const hw__aggregate_words[] = {"mean", "rollout", NULL};
static const char *const hw__role_words[] = {"prompt", "completion", "special", "template", "thinking", NULL};
static const char *const hw__precision_words[] = {"f32", "f16", NULL};
static const char *const hw__rows_words[] = {"all", "interest", "none", NULL};
const char *const hw__thinking_words[] = {"default", "on", "off", NULL};
static const char *const hw__stop_words[] = {"length", "end", "given", "cancelled", NULL};

static hw_err parse(int *out, const char *const *words, size_t n, const char *what, const char *word, hw_error *err) {
    for (size_t i = 0; word && i < n; i++) {
        if (strcmp(words[i], word) == 0) {
            *out = (int)i;
            return HW_OK;
        }
    }
    char list[128];
    return hw__fail(err, HW_ERR_ARGUMENT, "%s \"%s\": must be one of %s", what, word ? word : "",
                    hw__join_names(list, sizeof list, hw__names_of(words, n)));
}

#define NAME(type, list)                                                                                               \
    const char *hw_##type##_name(hw_##type v) { return (size_t)v < COUNT(list) ? list[v] : "?"; }
#define PARSER(prefix, type, list, what)                                                                               \
    hw_err prefix##type##_parse(hw_##type *out, const char *word, hw_error *err) {                                     \
        int v = 0;                                                                                                     \
        hw_err rc = parse(&v, list, COUNT(list), what, word, err);                                                     \
        if (rc == HW_OK) *out = (hw_##type)v;                                                                          \
        return rc;                                                                                                     \
    }

NAME(fuse, hw__fuse_words)
NAME(row_convention, hw__row_words)
NAME(direction, hw__direction_words)
NAME(columns, hw__columns_words)
NAME(measure, hw__measure_words)
NAME(signal, hw__signal_words)
NAME(aggregate, hw__aggregate_words)
NAME(precision, hw__precision_words)
NAME(role, hw__role_words)
NAME(stop, hw__stop_words)
NAME(row_retention, hw__rows_words)
NAME(thinking, hw__thinking_words)
PARSER(hw_, fuse, hw__fuse_words, "fuse")
PARSER(hw_, row_convention, hw__row_words, "row")
PARSER(hw_, direction, hw__direction_words, "direction")
PARSER(hw_, columns, hw__columns_words, "columns")
PARSER(hw_, measure, hw__measure_words, "measure")
PARSER(hw_, aggregate, hw__aggregate_words, "aggregate")
PARSER(hw_, precision, hw__precision_words, "precision")
PARSER(hw_, thinking, hw__thinking_words, "thinking")
PARSER(hw__, role, hw__role_words, "role") /* found in files only; users never type these */
PARSER(hw__, row_retention, hw__rows_words, "rows")
PARSER(hw__, stop, hw__stop_words, "stop")

hw_err hw__source_kind_parse(hw_source_kind *out, const char *word, hw_error *err) {
    const char *words[HW_N_SOURCE_KINDS];
    int v = 0;
    for (int i = 0; i < HW_N_SOURCE_KINDS; i++) words[i] = hw_source_kind_name((hw_source_kind)i);
    hw_err rc = parse(&v, words, HW_N_SOURCE_KINDS, "source kind", word, err);
    if (rc == HW_OK) *out = (hw_source_kind)v;
    return rc;
}
