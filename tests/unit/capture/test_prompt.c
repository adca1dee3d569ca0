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

/* The run of a conversation, to be released. */
static hw_run *run_of_messages(const fake_params *fake, const hw_message *messages, size_t n) {
    hw_run_params p = ask("", " is", 0);
    p.prompt = NULL;
    p.messages = messages;
    p.n_messages = n;
    hw_trace *trace = fake_trace(fake, &p);
    hw_run *run = hw__run_retain(hw_trace_run(trace));
    hw_trace_free(trace);
    return run;
}

#define SAID(who, text)                                                                                                \
    { .role = (who), .content = (text), .content_bytes = sizeof(text) - 1 }

static void messages_are_joined_and_keep_their_roles(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chat_before = "<tool>";
    fake.chat_after = "</s>";
    const hw_message said[] = {SAID("system", "It"), SAID("assistant", ""), SAID("user", "Rome is")};
    hw_run *run = run_of_messages(&fake, said, 3);
    size_t n;
    const char *prompt = hw_run_prompt(run, &n);
    assert_int_equal(n, 11);
    assert_memory_equal(prompt, "It\n\nRome is", 11);
    const hw_span *messages = hw_run_messages(run, &n);
    static const hw_span expected[] = {{"system", 0, 2}, {"assistant", 2, 2}, {"user", 4, 11}};
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(messages[i].name, expected[i].name);
        assert_int_equal(messages[i].begin, expected[i].begin);
        assert_int_equal(messages[i].end, expected[i].end);
    }
    assert_token(run, 2, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 3, "</s>", HW_ROLE_TEMPLATE, 2, 2);
    assert_token(run, 6, "<tool>", HW_ROLE_TEMPLATE, 2, 2);
    assert_token(run, 7, "Rome", HW_ROLE_PROMPT, 4, 8);
    assert_token(run, 8, " is", HW_ROLE_PROMPT, 8, 11);
    hw__run_release(run);
}

static void a_trimmed_message_keeps_the_ranges_of_what_is_left(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.chat_trims = true;
    hw_run *run = run_of(&fake, "\n It is ", 8, true);
    size_t n;
    hw_run_prompt(run, &n);
    assert_int_equal(n, 8);
    assert_token(run, 6, "It", HW_ROLE_PROMPT, 2, 4);
    assert_token(run, 7, " is", HW_ROLE_PROMPT, 4, 7);
    assert_token(run, 8, "</s>", HW_ROLE_TEMPLATE, 7, 7);
    hw__run_release(run);
}

/* "user\n" and "\nIt" are read as "user", "\n\n", "It" as the tokenizer reads the whole: the joint token is the
 * message's. */
static void a_token_that_holds_template_and_message_is_the_messages(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "\nIt", 3, true);
    assert_token(run, 4, "er", HW_ROLE_TEMPLATE, 0, 0);
    assert_token(run, 5, "\n\n", HW_ROLE_PROMPT, 0, 1);
    assert_token(run, 6, "It", HW_ROLE_PROMPT, 1, 3);
    hw__run_release(run);
}

static void control_tokens_are_read_where_asked_for(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run_params p = ask("It<tool> is", "<tool> a", 0);
    p.special = true;
    hw_trace *trace = fake_trace(&fake, &p);
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(hw_run_n_prompt(run), 4);
    assert_token(run, 2, "<tool>", HW_ROLE_SPECIAL, 2, 8);
    assert_token(run, 3, " is", HW_ROLE_PROMPT, 8, 11);
    assert_int_equal(hw_run_n_completion(run), 2);
    assert_token(run, 4, "<tool>", HW_ROLE_COMPLETION, 0, 6);
    assert_int_equal(hw_run_n_remarks(run), 0);
    hw_trace_free(trace);
}

static void assert_remark(const hw_run *run, size_t i, const char *part) {
    if (i >= hw_run_n_remarks(run)) fail_msg("no remark %zu: \"%s\" is expected", i, part);
    if (!strstr(hw_run_remark(run, i), part)) fail_msg("remark \"%s\" lacks \"%s\"", hw_run_remark(run, i), part);
}

static void texts_that_are_not_what_they_seem_are_remarked_on(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    hw_run *run = run_of(&fake, "It is\n", 6, false);
    assert_int_equal(hw_run_n_remarks(run), 0);
    hw__run_release(run);
    static const char odd[] = "\xEF\xBB\xBFIt\0is\r\n<tool>\xC3";
    run = run_of(&fake, odd, sizeof odd - 1, false);
    assert_int_equal(hw_run_n_remarks(run), 5);
    assert_remark(run, 0, "<tool>, read as text");
    assert_remark(run, 1, "byte order mark, at byte 0");
    assert_remark(run, 2, "not UTF-8: byte 16 ");
    assert_remark(run, 3, "NUL character, at byte 5");
    assert_remark(run, 4, "CRLF, the first at byte 8");
    hw__run_release(run);
    run = run_of(&fake, "<tool>", 6, true); /* the template's own do not count */
    assert_int_equal(hw_run_n_remarks(run), 1);
    hw__run_release(run);
    fake.lowers_case = true;
    hw_run_params p = ask("It", " Rome", 0);
    hw_trace *trace = fake_trace(&fake, &p);
    assert_remark(hw_trace_run(trace), 0, "changed the given completion, from byte 1 on");
    hw_trace_free(trace);
}

static void a_completion_gets_no_space_before_it(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    fake.puts_space = true;
    hw_run_params p = ask("sunny", " a", 0);
    hw_trace *trace = fake_trace(&fake, &p);
    size_t n;
    const char *completion = hw_run_completion(hw_trace_run(trace), &n);
    assert_int_equal(n, 2);
    assert_memory_equal(completion, " a", 2);
    hw_trace_free(trace);
}

static hw_err try_messages(const fake_params *fake, hw_run_params *p, hw_error *err) {
    hw_trace *trace = NULL;
    hw_err rc = fake_try(&trace, fake, p, err);
    hw_trace_free(trace);
    return rc;
}

static void conversations_that_cannot_be_are_refused(void **state) {
    (void)state;
    fake_params fake = fake_params_default();
    const hw_message said[] = {SAID("user", "It")}, nobody[] = {SAID("", "It")}, empty[] = {SAID("user", "")};
    hw_error err = {0};
    hw_run_params p = ask("It", NULL, 1);
    p.messages = said;
    p.n_messages = 1;
    assert_error(&err, try_messages(&fake, &p, &err), HW_ERR_ARGUMENT, "a prompt beside messages");
    p.prompt = NULL;
    p.prompt_bytes = 0;
    p.messages = nobody;
    assert_error(&err, try_messages(&fake, &p, &err), HW_ERR_ARGUMENT, "message 1: a role");
    p.messages = empty;
    assert_error(&err, try_messages(&fake, &p, &err), HW_ERR_ARGUMENT, "the messages are empty");
    p.messages = said;
    p.thinking = HW_THINKING_ON;
    assert_error(&err, try_messages(&fake, &p, &err), HW_ERR_UNSUPPORTED, "the same with thinking on and off");
    p.chat_template = "x";
    assert_int_equal(try_messages(&fake, &p, &err), HW_OK);
    p = ask("It", NULL, 1);
    p.chat_template = "x";
    assert_error(&err, try_messages(&fake, &p, &err), HW_ERR_ARGUMENT, "go with a chat");
    fake.chat_after = ""; /* a template that writes a mark beside another: still each where it belongs */
    fake.chat_before = "";
    const hw_message two[] = {SAID("user", "It"), SAID("user", "It")};
    hw_run *run = run_of_messages(&fake, two, 2);
    assert_token(run, 1, "It", HW_ROLE_PROMPT, 0, 2);
    assert_token(run, 2, "It", HW_ROLE_PROMPT, 4, 6);
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
        cmocka_unit_test(messages_are_joined_and_keep_their_roles),
        cmocka_unit_test(a_trimmed_message_keeps_the_ranges_of_what_is_left),
        cmocka_unit_test(a_token_that_holds_template_and_message_is_the_messages),
        cmocka_unit_test(control_tokens_are_read_where_asked_for),
        cmocka_unit_test(texts_that_are_not_what_they_seem_are_remarked_on),
        cmocka_unit_test(a_completion_gets_no_space_before_it),
        cmocka_unit_test(conversations_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
