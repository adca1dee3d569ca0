/*
 * enum_names.c - the words of every choice that a user can name: fuse, row, direction, columns, measure, aggregate, precision, role,
 * rows, stop, thinking.
 *
 * One list of words per enum, indexed by its value; names and parsers read the same list.
 */
#include "data/enum_names.h"

#include "base/error.h"
#include "base/strlist.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const fuse_words[] = {"mean", "max", "min"};
static const char *const row_words[] = {"predictor", "own"};
static const char *const direction_words[] = {"input", "output"};
static const char *const columns_words[] = {"prompt", "all"};
static const char *const measure_words[] = {"projection", "norm", "proximity1", "proximity2"};
static const char *const signal_words[] = {"projection",     "norm",          "proximity1",     "proximity2",
                                           "logit",          "residual",      "all_projection", "all_norm",
                                           "all_proximity1", "all_proximity2"};
static const char *const aggregate_words[] = {"mean", "rollout"};
static const char *const role_words[] = {"prompt", "completion", "special", "template"};
static const char *const precision_words[] = {"f32", "f16"};
static const char *const rows_words[] = {"all", "interest", "none"};
static const char *const thinking_words[] = {"default", "on", "off"};
static const char *const stop_words[] = {"length", "end", "given", "cancelled"};

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

#define WORDS(type)                                                                                                    \
    const char *hw_##type##_name(hw_##type v) { return (size_t)v < COUNT(type##_words) ? type##_words[v] : "?"; }
#define PARSER(prefix, type)                                                                                           \
    hw_err prefix##type##_parse(hw_##type *out, const char *word, hw_error *err) {                                     \
        int v = 0;                                                                                                     \
        hw_err rc = parse(&v, type##_words, COUNT(type##_words), #type, word, err);                                    \
        if (rc == HW_OK) *out = (hw_##type)v;                                                                          \
        return rc;                                                                                                     \
    }

WORDS(fuse)
WORDS(row)
WORDS(direction)
WORDS(columns)
WORDS(measure)
WORDS(signal)
WORDS(aggregate)
WORDS(precision)
WORDS(role)
WORDS(stop)
WORDS(rows)
WORDS(thinking)
PARSER(hw_, fuse)
PARSER(hw_, row)
PARSER(hw_, direction)
PARSER(hw_, columns)
PARSER(hw_, measure)
PARSER(hw_, aggregate)
PARSER(hw_, precision)
PARSER(hw_, thinking)
PARSER(hw__, role) /* only files carry these: read back, never typed */
PARSER(hw__, rows)
PARSER(hw__, stop)
