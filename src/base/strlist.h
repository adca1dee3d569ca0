/*
 * strlist.h - lists of names: joins them for a message, searches them, and finds the nearest name to an unknown word.
 *
 * A list is a function, so that any table can be used as a list without copying its names.
 */
#ifndef HW_BASE_STRLIST_H
#define HW_BASE_STRLIST_H

#include <stddef.h>

typedef struct hw__names {
    const char *(*at)(size_t i, const void *ctx); /* NULL: there is no name at this index */
    const void *ctx;
    size_t n;
} hw__names;

/* A list of the words of an array [n]. */
hw__names hw__names_of(const char *const *words, size_t n);

/* Writes "a, b, c" to out [capacity], truncated if it does not fit. Returns out. */
char *hw__join_names(char *out, size_t capacity, hw__names names);
/* The same with other text between two names, and before the last one. */
char *hw__join_names_by(char *out, size_t capacity, hw__names names, const char *between, const char *last);

/* The name with the smallest edit distance to `word`; NULL if no name is close. */
const char *hw__nearest_name(const char *word, hw__names names);

/* Writes the text that follows `"WORD": ` in a message about an unknown name to out [capacity]: "unknown name, did you
 * mean rollout?; accepted: rollout, flow". Returns out. */
char *hw__unknown_name(char *out, size_t capacity, const char *word, hw__names names);

#endif
