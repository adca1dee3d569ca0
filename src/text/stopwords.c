/* stopwords.c - the list of one language, folded and sorted when it is opened: a thousand words take a millisecond. */
#include "text/stopwords.h"

#include "base/strlist.h"
#include "base/utf8.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64 }; /* UTF-16 units of a folded word; no list has a longer one */

typedef struct word {
    UChar units[LONGEST];
    int32_t n;
} word;

struct hw__stopwords {
    const UNormalizer2 *nfc;
    uint32_t fold_option;
    word *words; /* [n] folded, sorted */
    size_t n;
};

/* Writes the folded form used for comparison. False if the word is too long. */
static bool fold(word *out, const hw__stopwords *list, const UChar *from, int32_t n) {
    UErrorCode status = U_ZERO_ERROR;
    UChar folded[LONGEST];
    int32_t n_folded = u_strFoldCase(folded, LONGEST, from, n, list->fold_option, &status);
    if (U_FAILURE(status)) return false;
    for (int32_t i = 0; i < n_folded; i++)
        if (folded[i] == 0x2019) folded[i] = '\'';
    out->n = unorm2_normalize(list->nfc, folded, n_folded, out->units, LONGEST, &status);
    return U_SUCCESS(status);
}

static int compare(const void *a, const void *b) {
    const word *x = a, *y = b;
    int order = u_memcmp(x->units, y->units, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static const hw__stopword_list *find(const char *language) {
    for (size_t i = 0; i < hw__n_stopword_lists; i++)
        if (strcmp(hw__stopword_lists[i].language, language) == 0) return &hw__stopword_lists[i];
    return NULL;
}

static const char *language_name(size_t i, const void *ctx) {
    (void)ctx;
    return hw__stopword_lists[i].language;
}

static hw_err fail_unknown(const char *language, hw_error *err) {
    char known[512], quoted[32];
    hw__names names = {language_name, NULL, hw__n_stopword_lists};
    return hw__fail(err, HW_ERR_ARGUMENT, "stop words of \"%s\": there is no list; there are lists for %s",
                    hw__utf8_line(quoted, sizeof quoted, language, strlen(language)),
                    hw__join_names_by(known, sizeof known, names, " ", " "));
}

static void fill(hw__stopwords *list, const hw__stopword_list *from) {
    for (const char *at = from->words; *at;) {
        const char *end = strchr(at, '\n');
        UErrorCode status = U_ZERO_ERROR;
        UChar units[LONGEST];
        int32_t n;
        u_strFromUTF8(units, LONGEST, &n, at, (int32_t)(end - at), &status);
        if (U_SUCCESS(status) && fold(&list->words[list->n], list, units, n)) list->n++;
        at = end + 1;
    }
    qsort(list->words, list->n, sizeof *list->words, compare);
}

hw_err hw__stopwords_new(hw__stopwords **out, const char *language, hw_error *err) {
    const hw__stopword_list *from = find(language);
    if (!from) return fail_unknown(language, err);
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    if (U_FAILURE(status))
        return hw__fail(err, status == U_MEMORY_ALLOCATION_ERROR ? HW_ERR_MEMORY : HW_ERR_UNSUPPORTED,
                        "stop words: ICU reports %s", u_errorName(status));
    hw__stopwords *list = hw__alloc(1, sizeof *list);
    word *words = hw__alloc(from->n, sizeof *words);
    if (!list || !words) {
        free(list);
        free(words);
        return hw__fail_memory(err, "stop words", from->n, sizeof *words);
    }
    /* in Turkish and Azerbaijani the capital of i has a dot */
    bool turkic = strcmp(language, "tr") == 0 || strcmp(language, "az") == 0;
    uint32_t option = turkic ? U_FOLD_CASE_EXCLUDE_SPECIAL_I : U_FOLD_CASE_DEFAULT;
    *list = (hw__stopwords){.nfc = nfc, .words = words, .fold_option = option};
    fill(list, from);
    *out = list;
    return HW_OK;
}

void hw__stopwords_free(hw__stopwords *list) {
    if (!list) return;
    free(list->words);
    free(list);
}

bool hw__stopwords_has(const hw__stopwords *list, const UChar *units, int32_t n) {
    word key;
    return fold(&key, list, units, n) && bsearch(&key, list->words, list->n, sizeof key, compare) != NULL;
}
