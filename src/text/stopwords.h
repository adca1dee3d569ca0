/*
 * stopwords.h - lists of the commonest words of many languages, and a test whether a word is on a list.
 *
 * The lists are data of other projects (THIRD_PARTY.md); scripts/make_stopwords.py turns them into the table below when
 * the library is built.
 */
#ifndef HW_TEXT_STOPWORDS_H
#define HW_TEXT_STOPWORDS_H

#include "base/error.h"

#include <unicode/utypes.h>

/* The list of one language, generated. */
typedef struct hw__stopword_list {
    const char *language; /* "en": ISO 639-1 */
    const char *words;    /* UTF-8, a newline after each word */
    size_t n;
} hw__stopword_list;

extern const hw__stopword_list hw__stopword_lists[]; /* sorted by language */
extern const size_t hw__n_stopword_lists;

typedef struct hw__stopwords hw__stopwords;

/* Error ARGUMENT lists the available languages. */
hw_err hw__stopwords_new(hw__stopwords **out, const char *language, hw_error *err);
void hw__stopwords_free(hw__stopwords *list);
/* Whether word [n], UTF-16, is on the list, ignoring case, the kind of apostrophe and the composition of accents. */
bool hw__stopwords_has(const hw__stopwords *list, const UChar *word, int32_t n);

#endif
