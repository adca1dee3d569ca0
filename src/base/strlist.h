/*
 * strlist.h - lists of names: joined for a message, searched, and the one that was meant where a word is none of them.
 *
 * A list is a function, so that any table is one without a copy of its names.
 */
#ifndef HW_BASE_STRLIST_H
#define HW_BASE_STRLIST_H

#include <stddef.h>

typedef struct hw__names {
    const char *(*at)(size_t i, const void *ctx); /* NULL: no name at this place */
    const void *ctx;
    size_t n;
} hw__names;

/* The words of an array [n]. */
hw__names hw__names_of(const char *const *words, size_t n);

/* "a, b, c" into out [capacity], cut where it is too long. Returns out. */
char *hw__join_names(char *out, size_t capacity, hw__names names);
/* The same with other text between two names, and before the last. */
char *hw__join_names_by(char *out, size_t capacity, hw__names names, const char *between, const char *last);

/* The name that is nearest to `word` by edits, NULL where none is near. */
const char *hw__nearest_name(const char *word, hw__names names);

/* What follows `"WORD": ` in every message about a name that a list lacks, into out [capacity]: "there is none of that name, did you
 * mean rollout?; there are rollout, flow". Returns out. */
char *hw__unknown_name(char *out, size_t capacity, const char *word, hw__names names);

#endif
