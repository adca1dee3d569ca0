/* test_stopwords.c - whole words that are on a language's list, however a tokenizer cuts them. */
#include "support/fixture.h"
#include "text/filter.h"
#include "text/stopwords.h"

#include <unicode/ustring.h>

#include <string.h>

enum { MAX_TOKENS = 32 };

/* Tokens are written "*The| sky"; the star marks those that must be hidden. */
static void assert_hides(const char *list, const char *tokens) {
    const char *words[MAX_TOKENS] = {0};
    char bytes[512];
    bool want[MAX_TOKENS], hidden[MAX_TOKENS] = {false};
    size_t n = 0, used = 0;
    for (const char *at = tokens; *at; n++) {
        want[n] = *at == '*';
        at += want[n];
        size_t len = strcspn(at, "|");
        words[n] = memcpy(bytes + used, at, len);
        bytes[used + len] = 0;
        used += len + 1;
        at += len + (at[len] == '|');
    }
    hw_run *run = make_run(1, words, n, NULL, 0);
    hw_error err = {0};
    if (hw__filter_tokens(hidden, n, run, list, &err) != HW_OK) fail_msg("%s: %s", list, err.msg);
    for (size_t t = 0; t < n; t++)
        if (hidden[t] != want[t])
            fail_msg("%s, \"%s\": token %zu \"%s\" is %s", list, tokens, t, words[t], hidden[t] ? "hidden" : "shown");
    hw__run_release(run);
}

static void words_are_judged_whole(void **state) {
    (void)state;
    assert_hides("stopwords", "*The| sky|* is| blue");
    assert_hides("stopwords", "*Th|*ere|* w|*ere| the|ories| is|lands"); /* parts of other words are none */
    assert_hides("stopwords", "*THE| Sky");
    assert_hides("stopwords", "*the|.| |\n|*and| the sky|*  of|* by.|,"); /* one of two is not a stop word: shown */
    assert_hides("stopwords", "*of| cour|se| th\xFF|e|* the\xFF");
}

static void apostrophes_join_and_separate(void **state) {
    (void)state;
    assert_hides("stopwords", "*I|* don|*'|*t| know");
    assert_hides("stopwords", "*don|*\xE2\x80\x99|*t| go");
    assert_hides("stopwords", "Anna|*'s| dog");
    assert_hides("stopwords", "Anna|'|*s| dog"); /* the apostrophe alone is punctuation */
    assert_hides("stopwords:fr", "*l'|homme|* qu|'|*il| voit|* dans|* l|\xE2\x80\x99|eau");
}

static void languages_have_their_own(void **state) {
    (void)state;
    assert_hides("stopwords:en", "die| Katze");
    /* composed and not */
    assert_hides("stopwords:de", "*Die| Katze|* und|* der| Hund|* \xC3\xBC|*ber|* u\xCC\x88|*ber");
    assert_hides("stopwords:tr", "*\xC4\xB0\xC3\xA7in| ev"); /* the capital of Turkish i */
    assert_hides("stopwords:ru",                             /* in halves */
                 "*\xD0\xAF| \xD0\xBB\xD1\x8E\xD0\xB1\xD0\xBB\xD1\x8E|* \xD1|*\x82\xD0\xB5\xD0\xB1\xD1\x8F");
    /* 我们 | 吃 | 苹果 */
    assert_hides("stopwords:zh", "*\xE6\x88|*\x91\xE4\xBB|*\xAC|\xE5\x90\x83|\xE8\x8B\xB9\xE6\x9E\x9C");
    assert_hides("stopwords:ja", "\xE9\x9B\xA8|*\xE3\x81\x8C|\xE9\x99\x8D\xE3\x82\x8B"); /* 雨 | が | 降る */
    assert_hides("stopwords,stopwords:de", "*The| Katze|* und");
}

static void english_list_keeps_to_function_words(void **state) {
    (void)state;
    assert_hides("stopwords", "fire| research| year| computer| world| three| home| problem| work| microsoft");
}

/* Words do not run on through them, and tokens behind the last one asked for take no part. */
static void control_tokens_are_no_words(void **state) {
    (void)state;
    static const char *const words[] = {"the", "the", "ory", "the", "the", "ories"};
    static const bool want[] = {false, true, false, false, true, false};
    hw_run *run = make_run(1, words, 6, NULL, 0);
    run->tokens[0].role = HW_ROLE_SPECIAL;
    run->tokens[3].role = HW_ROLE_TEMPLATE;
    bool hidden[6] = {false};
    run->tokens[2].bytes = " ory"; /* a word of its own */
    run->tokens[2].n_bytes = 4;
    assert_int_equal(hw__filter_tokens(hidden, 5, run, "stopwords", NULL), HW_OK);
    assert_memory_equal(hidden, want, sizeof want);
    memset(hidden, 0, sizeof hidden);
    assert_int_equal(hw__filter_tokens(hidden, 6, run, "stopwords", NULL), HW_OK);
    assert_false(hidden[4]); /* "theories" now */
    hw__run_release(run);
}

static void every_list_holds_its_words(void **state) {
    (void)state;
    assert_true(hw__n_stopword_lists >= 20);
    for (size_t i = 0; i < hw__n_stopword_lists; i++) {
        const hw__stopword_list *from = &hw__stopword_lists[i];
        hw__stopwords *list;
        assert_int_equal(hw__stopwords_new(&list, from->language, NULL), HW_OK);
        size_t n = 0;
        for (const char *at = from->words, *end; *at; at = end + 1, n++) {
            end = strchr(at, '\n');
            UErrorCode status = U_ZERO_ERROR;
            UChar word[128];
            int32_t n_word;
            u_strFromUTF8(word, 128, &n_word, at, (int32_t)(end - at), &status);
            if (U_FAILURE(status) || !hw__stopwords_has(list, word, n_word))
                fail_msg("%s: \"%.*s\"", from->language, (int)(end - at), at);
        }
        assert_int_equal(n, from->n);
        assert_true(n > 10);
        static const UChar none[] = {'q', 'z', 'q', 'z', 'q'};
        assert_false(hw__stopwords_has(list, none, 5));
        assert_false(hw__stopwords_has(list, none, 0));
        if (i > 0) assert_true(strcmp(hw__stopword_lists[i - 1].language, from->language) < 0);
        hw__stopwords_free(list);
    }
    hw__stopwords_free(NULL);
}

static void long_words_are_on_no_list(void **state) {
    (void)state;
    UChar word[1000];
    for (size_t i = 0; i < 1000; i++) word[i] = 'a';
    hw__stopwords *list;
    assert_int_equal(hw__stopwords_new(&list, "en", NULL), HW_OK);
    assert_true(hw__stopwords_has(list, word, 1));
    for (int32_t n = 2; n <= 1000; n++) assert_false(hw__stopwords_has(list, word, n));
    hw__stopwords_free(list);
}

static void unknown_languages_list_those_there_are(void **state) {
    (void)state;
    static const char *const lists[] = {"stopwords:xx", "stopwords:", "stopwords:EN", "stopwords:english",
                                        "first,stopwords:e"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        hw_error err = {0};
        hw_err rc = hw__filter_tokens(NULL, 0, NULL, lists[i], &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, "there is no list; there are lists for af ar az bg bn ");
        assert_non_null(strstr(err.msg, " en "));
        assert_non_null(strstr(err.msg, " zh zu")); /* none is cut off */
    }
    assert_int_equal(hw__filter_tokens(NULL, 0, NULL, "stopwords:de,stopwords", NULL), HW_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_judged_whole),      cmocka_unit_test(apostrophes_join_and_separate),
        cmocka_unit_test(languages_have_their_own),    cmocka_unit_test(english_list_keeps_to_function_words),
        cmocka_unit_test(control_tokens_are_no_words), cmocka_unit_test(every_list_holds_its_words),
        cmocka_unit_test(long_words_are_on_no_list),   cmocka_unit_test(unknown_languages_list_those_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
