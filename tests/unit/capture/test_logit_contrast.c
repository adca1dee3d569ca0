/* test_logit_contrast.c - the one token that a text names, on the fake engine; what its logits give is in
 * model/test_logit_contrast.c. */
#include "capture/logit_contrast.h"
#include "support/fake_engine.h"

#include <string.h>

static hw_err read_text(hw__against *out, const fake_params *fake, const char *text, hw_error *err) {
    hw_model *model = fake_model(fake);
    hw_err rc = hw__against_read(out, text, model->engine, err);
    hw_model_close(model);
    return rc;
}

static void a_text_is_the_token_that_reads_so(void **state) {
    (void)state;
    static const struct {
        const char *text, *token;
    } cases[] = {
        {" Rome", " Rome"}, {"Rome", "Rome"}, {"=Rome", "Rome"}, {"x", "x"},
        {"==", "="},        {"\n\n", "\n\n"}, {"</s>", "</s>"}, /* the control token: why did it go on? */
    };
    fake_params fake = fake_params_default();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw__against v = {.kind = HW__AGAINST_SECOND};
        hw_error err = {0};
        if (read_text(&v, &fake, cases[i].text, &err) != HW_OK) fail_msg("\"%s\": %s", cases[i].text, err.msg);
        assert_int_equal(v.id, fake_id(cases[i].token));
        assert_int_equal(v.kind, HW__AGAINST_TOKEN);
    }
}

/* A tokenizer that puts a space before every text makes " Rome" of "Rome": the vocabulary has both. */
static void the_tokenizer_s_own_doing_does_not_count(void **state) {
    (void)state;
    hw__against v;
    hw_error err = {0};
    fake_params fake = fake_params_default();
    fake.puts_space = true;
    assert_int_equal(read_text(&v, &fake, "Rome", &err), HW_OK);
    assert_int_equal(v.id, fake_id("Rome"));
    assert_int_equal(read_text(&v, &fake, " Rome", &err), HW_OK);
    assert_int_equal(v.id, fake_id(" Rome"));
    assert_error(&err, read_text(&v, &fake, " Paris", &err), HW_ERR_ARGUMENT, "is read as 6: \" \", \"P\", \"a\"");
}

static void what_is_no_one_token_is_listed(void **state) {
    (void)state;
    hw__against v = {.id = 77};
    hw_error err = {0};
    fake_params fake = fake_params_default();
    assert_error(&err, read_text(&v, &fake, " Rome is", &err), HW_ERR_ARGUMENT,
                 "against \" Rome is\": it must read exactly as one token of the model does, and is read as 2: \" "
                 "Rome\", \" is\"");
    assert_error(&err, read_text(&v, &fake, "0123456789", &err), HW_ERR_ARGUMENT, "is read as 10: \"0\", ");
    assert_non_null(strstr(err.msg, "\"7\" ..."));
    assert_error(&err, read_text(&v, &fake, "\xE2\x82\xAC", &err), HW_ERR_ARGUMENT, "is read as 3: ");
    assert_error(&err, read_text(&v, &fake, "", &err), HW_ERR_ARGUMENT,
                 "against \"\": mean, distribution, second or a token's text");
    assert_error(&err, read_text(&v, &fake, "=", &err), HW_ERR_ARGUMENT,
                 "against \"=\": mean, distribution, second or a token's text");
    fake.failure = FAKE_TOKENIZE;
    assert_error(&err, read_text(&v, &fake, " Rome", &err), HW_ERR_ENGINE, "the fake tokenizer fails");
    assert_int_equal(v.id, 77); /* written only on success */
}

static void second_is_the_likeliest_other_one(void **state) {
    (void)state;
    static const hw_alternative best[] = {{.id = 4}, {.id = 9}, {.id = 2}};
    fake_params fake = fake_params_default();
    static const struct { int32_t id, n, other; } cases[] = {{4, 3, 9}, {9, 3, 4}, {1, 3, 4}, {4, 1, 4}};
    hw__against v;
    int32_t id;
    double weight;
    hw__contrast c = {.ids = &id, .weights = &weight};
    assert_int_equal(read_text(&v, &fake, "second", NULL), HW_OK);
    assert_int_equal(hw__against_others(&v), 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_token token = {.id = cases[i].id, .n_alternatives = cases[i].n, .alternatives = best};
        assert_int_equal(hw__against_take(&c, &v, &token, NULL, 0, NULL), HW_OK);
        assert_int_equal(id, cases[i].other);
        assert_true(c.own == 1 && c.n == 1 && weight == 1);
    }
}

static void the_mean_is_no_token(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw__against v;
    hw__contrast c = {0};
    for (int named = 0; named < 2; named++) {
        assert_int_equal(read_text(&v, &fake, named ? "mean" : NULL, NULL), HW_OK);
        assert_int_equal(hw__against_others(&v), 0);
        assert_int_equal(hw__against_take(&c, &v, &(hw_token){.id = 4}, NULL, 0, NULL), HW_OK);
        assert_true(c.own == 1 && c.n == 0);
    }
}

/* "second" as a text is not in this vocabulary, and so it is refused rather than taken for the word. */
static void an_equals_sign_makes_a_text_of_the_word(void **state) {
    (void)state;
    hw__against v;
    hw_error err = {0};
    fake_params fake = fake_params_default();
    assert_error(&err, read_text(&v, &fake, "=second", &err), HW_ERR_ARGUMENT, "against \"second\": it must read");
}

static void against_without_logits_is_refused(void **state) {
    (void)state;
    hw_trace *trace = NULL;
    hw_error err = {0};
    fake_params fake = fake_params_default();
    hw_run_params run = ask("It is", " sunny", 0);
    run.against = "second";
    assert_error(&err, fake_try(&trace, &fake, &run, &err), HW_ERR_ARGUMENT, "no method of the explainer reads them");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_the_token_that_reads_so),
        cmocka_unit_test(the_tokenizer_s_own_doing_does_not_count),
        cmocka_unit_test(what_is_no_one_token_is_listed),
        cmocka_unit_test(second_is_the_likeliest_other_one),
        cmocka_unit_test(the_mean_is_no_token),
        cmocka_unit_test(an_equals_sign_makes_a_text_of_the_word),
        cmocka_unit_test(against_without_logits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
