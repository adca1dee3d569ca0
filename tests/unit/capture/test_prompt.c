/*
 * test_prompt.c - tokens of a prompt: which are the model's own, which are the text's, and of which bytes.
 */
#include "support/fake_engine.h"

#include <string.h>

/* The run of a capture of [n] bytes, to be released. */
static hw_run *run_of(const fake_params *fake, const char *prompt, size_t n, bool chat) {
    hw_run_params p = ask("", " is", 0);
    p.prompt = prompt;
    p.prompt_bytes = n;
    p.chat = chat;
    hw_trace *trace = fake_trace(fake, &p);
    hw_run *run = hw__run_retain(hw_trace_run(trace));
    hw_trace_free(trace);
    return run;
}

static void assert_token(const hw_run *run, size_t t, const char *bytes, hw_role role, size_t begin, size_t end) {
    hw_token token = hw_run_token(run, t);
    if (token.n_bytes != strlen(bytes) || memcmp(token.bytes, bytes, token.n_bytes) != 0 || token.role != role ||
        token.begin != begin || token.end != end)
        fail_msg("token %zu is \"%.*s\" %s %zu..%zu, expected \"%s\" %s %zu..%zu", t, (int)token.n_bytes, token.bytes,
                 hw_role_name(token.role), token.begin, token.end, bytes, hw_role_name(role), begin, end);
}

static void bos_is_special_and_stands_for_no_text(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "It is", 5, false);
    assert_int_equal(hw_run_n_prompt(run), 3);
    assert_token(run, 0, "<s>", HW_ROLE_SPECIAL, 0, 0);
    assert_token(run, 1, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 2, " is", HW_ROLE_PROMPT, 2, 5);
    assert_int_equal(hw_run_token(run, 0).id, FAKE_BOS);
    hw__run_release(run);
    fake.adds_bos = false;
    run = run_of(&fake, "It is", 5, false);
    assert_int_equal(hw_run_n_prompt(run), 2);
    assert_token(run, 0, "It", HW_ROLE_PROMPT, 0, 2);
    hw__run_release(run);
}

static void end_added_by_the_tokenizer_stands_behind_the_text(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.adds_end = true;
    hw_run *run = run_of(&fake, "It is", 5, false);
    assert_int_equal(hw_run_n_prompt(run), 4);
    assert_token(run, 2, " is", HW_ROLE_PROMPT, 2, 5);
    assert_token(run, 3, "</s>", HW_ROLE_SPECIAL, 5, 5);
    assert_int_equal(hw_run_n_completion(run), 1); /* nothing is put around a given completion */
    hw__run_release(run);
}

static void prompt_is_kept_byte_for_byte(void **state) {
    (void)state;
    static const char text[] = "It\0is\r\n\xFF";
    fake_params fake = fake_params_default();
    size_t n, at = 0;
    hw_run *run = run_of(&fake, text, sizeof text - 1, false);
    assert_memory_equal(hw_run_prompt(run, &n), text, sizeof text - 1);
    assert_int_equal(n, sizeof text - 1);
    for (size_t t = 1; t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        assert_int_equal(token.begin, at);
        assert_memory_equal(token.bytes, text + at, token.n_bytes);
        at = token.end;
    }
    assert_int_equal(at, n);
    hw__run_release(run);
}

static void control_tokens_in_the_text_are_text(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "<tool>", 6, false);
    assert_int_equal(hw_run_n_prompt(run), 1 + 6);
    assert_token(run, 1, "<", HW_ROLE_PROMPT, 0, 1);
    hw__run_release(run);
    run = run_of(&fake, "<s>", 3, true);
    assert_int_equal(hw_run_n_prompt(run), 6 + 3 + 9);
    assert_token(run, 6, "<", HW_ROLE_PROMPT, 0, 1);
    hw__run_release(run);
}

static void chat_template_has_a_role_of_its_own(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "It is", 5, true);
    static const char *const before[] = {"<s>", "<tool>", "u", "s", "er", "\n"};
    static const char *const after[] = {"</s>", "\n", "<tool>", "m", "o", "d", "e", "l"};
    for (size_t t = 0; t < 6; t++) assert_token(run, t, before[t], HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 6, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 7, " is", HW_ROLE_PROMPT, 2, 5);
    for (size_t t = 0; t < 8; t++) assert_token(run, 8 + t, after[t], HW_ROLE_TEMPLATE, 5, 5);
    assert_token(run, 16, "\n", HW_ROLE_TEMPLATE, 5, 5);
    assert_int_equal(hw_run_n_prompt(run), 17);
    hw__run_release(run);
}

static void bos_comes_once_where_the_template_writes_it_too(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chat_before = "<s><tool>";
    hw_run *run = run_of(&fake, "It", 2, true);
    assert_token(run, 0, "<s>", HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 1, "<tool>", HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 2, "It", HW_ROLE_PROMPT, 0, 2);
    hw__run_release(run);
    fake.adds_bos = false; /* the template's own stays */
    run = run_of(&fake, "It", 2, true);
    assert_token(run, 0, "<s>", HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 1, "<tool>", HW_ROLE_TEMPLATE, 0, 0);
    hw__run_release(run);
}

static void template_without_a_part_before_the_text(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chat_before = "";
    fake.chat_after = "\n";
    hw_run *run = run_of(&fake, "It", 2, true);
    assert_int_equal(hw_run_n_prompt(run), 3);
    assert_token(run, 0, "<s>", HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 1, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 2, "\n", HW_ROLE_TEMPLATE, 2, 2);
    hw__run_release(run);
}

static void chat_without_a_template_is_refused(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chat_before = NULL;
    hw_run_params p = ask("It", NULL, 1);
    p.chat = true;
    hw_trace *trace = NULL;
    hw_error err = {0};
    hw_err rc = fake_try(&trace, &fake, &p, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "no chat template");
}

static void space_put_before_the_text_has_no_bytes(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.puts_space = true;
    hw_run *run = run_of(&fake, "sunny day", 9, false); /* " sunny", " ", "day" */
    assert_token(run, 1, " sunny", HW_ROLE_PROMPT, 0, 5);
    assert_token(run, 2, " ", HW_ROLE_PROMPT, 5, 6);
    assert_token(run, 3, "day", HW_ROLE_PROMPT, 6, 9);
    hw__run_release(run);
    run = run_of(&fake, " sunny", 6, false); /* "  ", "sun", "ny" */
    assert_token(run, 1, "  ", HW_ROLE_PROMPT, 0, 1);
    assert_token(run, 2, "sun", HW_ROLE_PROMPT, 1, 4);
    assert_token(run, 3, "ny", HW_ROLE_PROMPT, 4, 6);
    hw__run_release(run);
    run = run_of(&fake, "x", 1, false); /* " ", "x" */
    assert_token(run, 1, " ", HW_ROLE_PROMPT, 0, 0);
    assert_token(run, 2, "x", HW_ROLE_PROMPT, 0, 1);
    hw__run_release(run);
}

static void half_characters_have_their_own_byte(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "\xC3\xA9 \xE2\x82\xAC", 6, false); /* an accent in one token, a euro sign in three */
    assert_token(run, 1, "\xC3\xA9", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 2, " ", HW_ROLE_PROMPT, 2, 3);
    assert_token(run, 3, "\xE2", HW_ROLE_PROMPT, 3, 4);
    assert_token(run, 4, "\x82", HW_ROLE_PROMPT, 4, 5);
    assert_token(run, 5, "\xAC", HW_ROLE_PROMPT, 5, 6);
    hw__run_release(run);
}

static void invalid_bytes_keep_their_place(void **state) {
    (void)state;
    static const char text[] = "It\xFFis\xE2\x82";
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, text, 7, false); /* as they are */
    assert_token(run, 2, "\xFF", HW_ROLE_PROMPT, 2, 3);
    assert_token(run, 6, "\x82", HW_ROLE_PROMPT, 6, 7);
    hw__run_release(run);
    fake.replaces_bad = true; /* as U+FFFD, whose three bytes are three tokens */
    run = run_of(&fake, text, 7, false);
    assert_int_equal(hw_run_n_prompt(run), 1 + 1 + 3 + 2 + 3 + 3);
    assert_token(run, 1, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 2, "\xEF", HW_ROLE_PROMPT, 2, 3);
    assert_token(run, 3, "\xBF", HW_ROLE_PROMPT, 3, 3);
    assert_token(run, 4, "\xBD", HW_ROLE_PROMPT, 3, 3);
    assert_token(run, 5, "i", HW_ROLE_PROMPT, 3, 4);
    assert_token(run, 7, "\xEF", HW_ROLE_PROMPT, 5, 6);
    assert_token(run, 10, "\xEF", HW_ROLE_PROMPT, 6, 7);
    assert_token(run, 12, "\xBD", HW_ROLE_PROMPT, 7, 7);
    hw__run_release(run);
}

static void rewritten_text_is_searched(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.lowers_case = true;
    hw_run *run = run_of(&fake, "Rome is A city", 14, false); /* "rome", " is", " a", " ", "city" */
    assert_token(run, 1, "rome", HW_ROLE_PROMPT, 0, 0);
    assert_token(run, 2, " is", HW_ROLE_PROMPT, 4, 7);
    assert_token(run, 3, " a", HW_ROLE_PROMPT, 7, 7);
    assert_token(run, 5, "city", HW_ROLE_PROMPT, 10, 14);
    hw__run_release(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bos_is_special_and_stands_for_no_text),
        cmocka_unit_test(end_added_by_the_tokenizer_stands_behind_the_text),
        cmocka_unit_test(prompt_is_kept_byte_for_byte),
        cmocka_unit_test(control_tokens_in_the_text_are_text),
        cmocka_unit_test(chat_template_has_a_role_of_its_own),
        cmocka_unit_test(bos_comes_once_where_the_template_writes_it_too),
        cmocka_unit_test(template_without_a_part_before_the_text),
        cmocka_unit_test(chat_without_a_template_is_refused),
        cmocka_unit_test(space_put_before_the_text_has_no_bytes),
        cmocka_unit_test(half_characters_have_their_own_byte),
        cmocka_unit_test(invalid_bytes_keep_their_place),
        cmocka_unit_test(rewritten_text_is_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
