/* test_request.c - what requests may hold: every refusal names the field, its value, and what is accepted. */
#include "support/fixture.h"

#include "serve/protocol/request.h"

#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static json_t *parsed(const char *body) {
    hw_error err;
    json_t *json = request_parse(body, strlen(body), &err);
    if (!json) fail_msg("%s: %s", body, err.msg);
    return json;
}

static void bodies_must_be_json_objects(void **state) {
    (void)state;
    static const char *const bad[] = {"", "[]", "7", "{", "{\"a\":1,\"a\":2}", "{}x", "\xFF"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        hw_error err;
        assert_null(request_parse(bad[i], strlen(bad[i]), &err));
        assert_int_equal(err.code, ERR_BAD_JSON);
    }
}

static void refused_requests_name_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *body, *part;
    } bad[] = {
        {"{}", "\"prompt\" is missing"},
        {"{\"prompt\":\"\"}", "\"prompt\" is empty"},
        {"{\"prompt\":7}", "\"prompt\" must be a string"},
        {"{\"prompt\":\"a\",\"promt\":1}", "\"promt\" is not a field of the request"},
        {"{\"prompt\":\"a\",\"options\":7}", "\"options\" must be an object"},
        {"{\"prompt\":\"a\",\"options\":{\"n_generate\":0}}",
         "\"n_generate\" is 0: must be a whole number from 1 to 1000000"},
        {"{\"prompt\":\"a\",\"options\":{\"n_generate\":1.5}}", "\"n_generate\" is 1.5"},
        {"{\"prompt\":\"a\",\"options\":{\"temperature\":\"hot\"}}", "\"temperature\" must be a number from 0 to 100"},
        {"{\"prompt\":\"a\",\"options\":{\"chat\":1}}", "\"chat\" must be true or false"},
        {"{\"prompt\":\"a\",\"options\":{\"thinking\":\"maybe\"}}", "\"thinking\" must be one of default, on, off"},
        {"{\"prompt\":\"a\",\"options\":{\"thinking\":\"on\"}}", "go with \"chat\" or \"messages\""},
        {"{\"prompt\":\"a\",\"options\":{\"fuse\":\"max\"}}", "\"fuse\" is not a field of options"},
        {"{\"prompt\":\"a\",\"settings\":{\"fuse\":\"median\"}}", "\"fuse\" must be one of mean, max, min"},
        {"{\"prompt\":\"a\",\"settings\":{\"residual\":2}}", "\"residual\" is 2: must be a number from 0 to 1"},
        {"{\"prompt\":\"a\",\"methods\":[]}", "\"methods\" must be a list of 1 to"},
        {"{\"prompt\":\"a\",\"methods\":[\"rolout\"]}", "did you mean rollout?"},
        {"{\"prompt\":\"a\",\"methods\":[\"logit\",\"logit\"]}", "names logit twice"},
        {"{\"prompt\":\"a\",\"settings\":{\"by\":\"verse\"}}", "\"by\" is \"verse\""},
        {"{\"prompt\":\"a\",\"settings\":{\"by\":\"passage\"}}", "there are no \"spans\""},
        {"{\"prompt\":\"a\",\"spans\":[{\"begin\":0,\"end\":2}]}", "passage 0"},
        {"{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}",
         "cannot be combined with \"messages\""},
        {"{\"messages\":[{\"role\":\"user\"}]}", "\"content\" must be there"},
        {"{\"prompt\":\"a\",\"completion\":\"b\",\"options\":{\"n_generate\":2}}",
         "cannot be combined with \"completion\""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        hw_error err = {.msg = ""};
        explain_request r;
        json_t *json = parsed(bad[i].body);
        assert_false(request_explain(&r, json, &err));
        assert_int_equal(err.code, HW_ERR_ARGUMENT);
        if (!strstr(err.msg, bad[i].part)) fail_msg("%s: %s", bad[i].body, err.msg);
        json_decref(json);
    }
}

static void what_is_not_given_has_its_default(void **state) {
    (void)state;
    explain_request r;
    hw_error err;
    json_t *json = parsed("{\"prompt\":\"a\\u0000b\"}");
    assert_true(request_explain(&r, json, &err));
    hw_run_params usual = hw_run_params_default();
    for (size_t i = 0; i < hw_run_option_count(); i++)
        assert_close(hw_setting_value(&r.run, hw_run_option_at(i)), hw_setting_value(&usual, hw_run_option_at(i)), 0);
    assert_int_equal(r.prompt.n, 3); /* NUL is a byte of the prompt */
    assert_int_equal(r.choice.n, 0);
    json_decref(json);
}

static void what_is_given_is_read(void **state) {
    (void)state;
    explain_request r;
    hw_error err;
    json_t *json = parsed(
        "{\"prompt\":\"one two\",\"name\":\"n\",\"options\":{\"n_generate\":3,\"temperature\":1.5,\"seed\":4294967295,"
        "\"chat\":true},\"methods\":[\"rollout\",\"logit\"],\"settings\":{\"fuse\":\"max\",\"residual\":0.25,"
        "\"by\":\"passage\"},\"spans\":[{\"name\":\"A\",\"begin\":0,\"end\":3}]}");
    if (!request_explain(&r, json, &err)) fail_msg("%s", err.msg);
    assert_int_equal(r.run.n_generate, 3);
    assert_close(r.run.temperature, 1.5, 0);
    assert_true(r.run.seed == 4294967295u && r.run.chat && r.run.fuse == HW_FUSE_MAX);
    assert_close(r.choice.params.residual, 0.25, 0);
    assert_int_equal(r.choice.n, 2);
    assert_string_equal(r.choice.methods[1], "logit");
    assert_string_equal(r.choice.by, "passage");
    json_decref(json);
}

static void a_preview_is_the_last_message(void **state) {
    (void)state;
    explain_request r;
    hw_error err;
    json_t *json = parsed("{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
                          "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}");
    if (!request_explain(&r, json, &err)) fail_msg("%s", err.msg);
    span_of_text preview = request_preview(&r);
    assert_int_equal(preview.n, 3);
    assert_memory_equal(preview.bytes, "a\nb", 3);
    json_decref(json);
}

static void checks_and_names_have_limits_too(void **state) {
    (void)state;
    hw_error err;
    check_request check;
    span_of_text name;
    json_t *json = parsed("{\"ablations\":1}");
    assert_false(request_check(&check, json, &err));
    assert_non_null(strstr(err.msg, "\"ablations\" is 1: must be a whole number from 2"));
    json_decref(json);
    json = parsed("{\"tokens\":[2,2]}");
    assert_false(request_check(&check, json, &err));
    json_decref(json);
    json = parsed("{}");
    assert_true(request_check(&check, json, &err));
    assert_int_equal(check.ablations, 64);
    assert_false(request_name(&name, json, &err));
    assert_non_null(strstr(err.msg, "\"name\" is missing"));
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_must_be_json_objects),       cmocka_unit_test(refused_requests_name_what_is_wrong),
        cmocka_unit_test(what_is_not_given_has_its_default), cmocka_unit_test(what_is_given_is_read),
        cmocka_unit_test(a_preview_is_the_last_message),     cmocka_unit_test(checks_and_names_have_limits_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
