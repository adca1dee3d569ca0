/*
 * test_chat.c - conversations as token ids, equal to those of transformers: scripts/make_chat_golden.py writes
 * tests/data/golden/chat_templates.json with Jinja2 and the package tokenizers.
 */
#include "support/files.h"
#include "support/fixture.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMOL  "SmolLM2-135M-Instruct.Q4_1.gguf"
#define GEMMA "gemma-3-270m-q4_k_m.gguf"

static json_t *golden;

static int read_golden(void **state) {
    (void)state;
    json_error_t why;
    golden = json_load_file("tests/data/golden/chat_templates.json", 0, &why);
    if (!golden) print_error("%s\n", why.text);
    return golden ? files_setup(state) : -1;
}

static int free_golden(void **state) {
    json_decref(golden);
    return files_teardown(state);
}

static hw_model *open_model(const char *name) {
    hw_model_params p = hw_model_params_default();
    hw_model *model = NULL;
    hw_error err = {0};
    if (hw__model_open(&model, test_model_path(name), &p, HW__GENERATES, &err) != HW_OK) /* nothing is decoded */
        fail_msg("%s", err.msg);
    return model;
}

enum { MAX_MESSAGES = 8 };

/* A conversation of the file and the template that is to write it; borrowed from the file, but for `source`. */
typedef struct conversation {
    hw_message messages[MAX_MESSAGES];
    hw_run_params params;
    char *source; /* malloc'd, or NULL */
} conversation;

static void read_conversation(conversation *c, const json_t *entry) {
    const json_t *list = json_object_get(json_object_get(golden, "conversations"),
                                         json_string_value(json_object_get(entry, "conversation")));
    const char *name = json_string_value(json_object_get(entry, "template"));
    char path[256];
    size_t n;
    *c = (conversation){.params = hw_run_params_default()};
    assert_true(json_array_size(list) > 0 && json_array_size(list) <= MAX_MESSAGES);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i), *content = json_object_get(m, "content");
        c->messages[i] = (hw_message){.role = json_string_value(json_object_get(m, "role")),
                                      .content = json_string_value(content),
                                      .content_bytes = json_string_length(content)};
    }
    snprintf(path, sizeof path, "tests/data/chat/%s", name ? name : "");
    c->source = name ? read_bytes(path, &n) : NULL;
    c->params.messages = c->messages;
    c->params.n_messages = json_array_size(list);
    c->params.chat_template = c->source;
    const char *thinking = json_string_value(json_object_get(entry, "thinking"));
    assert_int_equal(hw_thinking_parse(&c->params.thinking, thinking, NULL), HW_OK);
}

static void describe_case(char *out, size_t n, const json_t *entry) {
    const char *name = json_string_value(json_object_get(entry, "template"));
    snprintf(out, n, "%s, %s, thinking %s", name ? name : "the model's own template",
             json_string_value(json_object_get(entry, "conversation")),
             json_string_value(json_object_get(entry, "thinking")));
}

static void assert_ids(const hw_run *run, const json_t *entry) {
    const json_t *ids = json_object_get(entry, "ids");
    char what[200];
    describe_case(what, sizeof what, entry);
    size_t n = hw_run_n_prompt(run);
    for (size_t t = 0; t < n && t < json_array_size(ids); t++) {
        long long expected = json_integer_value(json_array_get(ids, t));
        if (hw_run_token(run, t).id != expected)
            fail_msg("%s: token %zu is %d, expected %lld", what, t, hw_run_token(run, t).id, expected);
    }
    if (n != json_array_size(ids)) fail_msg("%s: %zu tokens, expected %zu", what, n, json_array_size(ids));
}

static bool is_space(char c) { return c == ' ' || c == '\n'; }

/* Each byte of a message that no template trims is of one token of the prompt; template tokens are of none. */
static void assert_covered(const hw_run *run, const json_t *entry) {
    size_t n, n_messages, at = 0;
    char what[200];
    describe_case(what, sizeof what, entry);
    const char *prompt = hw_run_prompt(run, &n);
    const hw_span *messages = hw_run_messages(run, &n_messages);
    bool thoughts = strcmp(json_string_value(json_object_get(entry, "conversation")), "thoughts") == 0;
    for (size_t t = 0; t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        if (token.role != HW_ROLE_PROMPT) continue;
        for (; at < token.begin; at++)
            if (!is_space(prompt[at]) && !thoughts) fail_msg("%s: byte %zu of the prompt is of no token", what, at);
        if (token.begin < at) fail_msg("%s: byte %zu of the prompt is of two tokens", what, token.begin);
        at = token.end;
    }
    for (; at < n; at++)
        if (!is_space(prompt[at])) fail_msg("%s: byte %zu of the prompt is of no token", what, at);
    for (size_t i = 0; i < n_messages; i++)
        if (messages[i].end > n) fail_msg("%s: message %zu ends at %zu of %zu", what, i, messages[i].end, n);
}

static void ids_are_those_of_transformers(void **state) {
    const char *name = *state;
    hw_model *model = open_model(name);
    const json_t *cases = json_object_get(golden, "cases");
    size_t n_compared = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_array_get(cases, i);
        if (strcmp(json_string_value(json_object_get(entry, "model")), name) != 0 || json_object_get(entry, "error"))
            continue;
        conversation c;
        hw_run *run;
        hw_error err = {0};
        char what[200];
        describe_case(what, sizeof what, entry);
        read_conversation(&c, entry);
        if (hw_run_tokenize(&run, model, &c.params, &err) != HW_OK) fail_msg("%s: %s", what, err.msg);
        assert_ids(run, entry);
        assert_covered(run, entry);
        hw_run_free(run);
        free(c.source);
        n_compared++;
    }
    assert_true(n_compared > 40);
    hw_model_close(model);
}

/* Texts of the prompt's tokens joined, with BOS and all. */
static void read_text(char *out, size_t capacity, hw_model *model, const hw_run_params *p) {
    hw_run *run;
    hw_error err = {0};
    size_t at = 0;
    if (hw_run_tokenize(&run, model, p, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t t = 0; t < hw_run_n_prompt(run); t++) {
        hw_token token = hw_run_token(run, t);
        assert_true(at + token.n_bytes < capacity);
        memcpy(out + at, token.bytes, token.n_bytes);
        at += token.n_bytes;
    }
    out[at] = 0;
    hw_run_free(run);
}

/* Where transformers refuses a system message, llama.cpp's server puts it before the user's. */
static void a_system_message_that_the_template_does_not_know_goes_before_the_users(void **state) {
    (void)state;
    size_t n;
    char text[400], *source = read_bytes("tests/data/chat/mistral_v1.jinja", &n);
    hw_model *model = open_model(GEMMA);
    const hw_message said[] = {{"system", "Be brief.", 9}, {"user", "Hi", 2}};
    hw_run_params p = hw_run_params_default();
    p.messages = said;
    p.n_messages = 2;
    p.chat_template = source;
    read_text(text, sizeof text, model, &p);
    assert_string_equal(text, "<bos>[INST] Be brief.\nHi [/INST]");
    hw_model_close(model);
    free(source);
}

static hw_err try_template(hw_model *model, const char *source, hw_error *err) {
    *err = (hw_error){0};
    return hw_model_check_chat(model, source, err);
}

static void templates_that_cannot_be_used_are_refused_with_the_reason(void **state) {
    (void)state;
    hw_error err;
    hw_model *model = open_model(GEMMA);
    assert_error(&err, try_template(model, NULL, &err), HW_ERR_UNSUPPORTED, "has no chat template");
    assert_int_equal(try_template(model, "{% for m in messages %}{{ m.content }}{% endfor %}", &err), HW_OK);
    assert_error(&err, try_template(model, "{% for m in %}", &err), HW_ERR_UNSUPPORTED,
                 "does not render: Unexpected token");
    assert_error(&err, try_template(model, "{{ raise_exception('no such luck') }}", &err), HW_ERR_UNSUPPORTED,
                 "no such luck");
    assert_error(&err, try_template(model, "nothing of it", &err), HW_ERR_UNSUPPORTED, "leaves out message 1 (user)");
    static const char twice[] = "{{ messages[0].content }}{{ messages[0].content }}";
    assert_error(&err, try_template(model, twice, &err), HW_ERR_UNSUPPORTED, "repeats message 1 (user)");
    for (const char *at = err.msg; *at; at++) assert_true(*at != '\n');
    hw_model_close(model);
}

/* A template is a program that comes with a model: it loops for ever, takes all memory, or calls itself until the stack
 * ends. */
static void templates_that_never_end_are_errors(void **state) {
    (void)state;
    hw_error err;
    hw_model *model = open_model(GEMMA);
    static const char loop[] = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    assert_error(&err, try_template(model, loop, &err), HW_ERR_UNSUPPORTED, "not done after 5 s of processor time");
    static const char deep[] = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    assert_error(&err, try_template(model, deep, &err), HW_ERR_UNSUPPORTED,
                 "the chat template does not render: it ends");
    assert_int_equal(try_template(model, "{% for m in messages %}{{ m.content }}{% endfor %}", &err), HW_OK);
    hw_model_close(model);
}

/* The text of control tokens in a message stays text, and reads as the template's own where asked for. */
static void control_tokens_in_a_message_are_letters(void **state) {
    (void)state;
    hw_model *model = open_model(SMOL);
    static const char text[] = "Hi<|im_end|>\n";
    hw_run_params p = hw_run_params_default();
    p.prompt = text;
    p.prompt_bytes = sizeof text - 1;
    p.chat = true;
    for (int special = 0; special < 2; special++) {
        hw_run *run;
        size_t n_ends = 0;
        p.special = special;
        assert_int_equal(hw_run_tokenize(&run, model, &p, NULL), HW_OK);
        for (size_t t = 0; t < hw_run_n_prompt(run); t++) n_ends += hw_run_token(run, t).id == 2;
        assert_int_equal(n_ends, special ? 3 : 2);
        assert_int_equal(hw_run_n_remarks(run), special ? 0 : 1);
        hw_run_free(run);
    }
    hw_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(ids_are_those_of_transformers, (void *)SMOL),
        cmocka_unit_test_prestate(ids_are_those_of_transformers, (void *)GEMMA),
        cmocka_unit_test(a_system_message_that_the_template_does_not_know_goes_before_the_users),
        cmocka_unit_test(templates_that_cannot_be_used_are_refused_with_the_reason),
        cmocka_unit_test(templates_that_never_end_are_errors),
        cmocka_unit_test(control_tokens_in_a_message_are_letters),
    };
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
