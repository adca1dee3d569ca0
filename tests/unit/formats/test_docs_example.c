/* test_docs_example.c - the examples of docs/reference/formats.md are what is written and read. */
#include "base/json.h"
#include "data/attribution.h"
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* What stands in the fenced block that begins with ```INFO, malloc'd. */
static char *doc_block(const char *info) {
    size_t n;
    char open[64], *text = read_bytes("docs/reference/formats.md", &n);
    snprintf(open, sizeof open, "\n```%s\n", info);
    char *begin = strstr(text, open), *end = begin ? strstr(begin + strlen(open), "\n```") : NULL;
    if (!end) fail_msg("docs/reference/formats.md has no block ```%s", info);
    begin += strlen(open);
    size_t length = (size_t)(end - begin) + 1;
    char *block = calloc(length + 1, 1);
    assert_non_null(block);
    memcpy(block, begin, length);
    free(text);
    return block;
}

static json_t *doc_json(const char *info) {
    char *block = doc_block(info);
    json_error_t why;
    json_t *json = json_loads(block, JSON_REJECT_DUPLICATES, &why);
    if (!json) fail_msg("```%s: line %d: %s", info, why.line, why.text);
    free(block);
    return json;
}

/* The header of a safetensors file, its metadata `run` and `attribution` as objects in place of text. */
static json_t *header_of(const char *path) {
    static const char *const texts[] = {"run", "attribution"};
    size_t n;
    char *bytes = read_bytes(path, &n);
    json_t *header = json_loadb(bytes + 8, (unsigned char)bytes[0] + 256u * (unsigned char)bytes[1], 0, NULL);
    assert_non_null(header);
    json_t *metadata = json_object_get(header, "__metadata__");
    for (size_t i = 0; i < COUNT(texts); i++) {
        const char *text = json_string_value(json_object_get(metadata, texts[i]));
        if (text) json_object_set_new(metadata, texts[i], json_loads(text, 0, NULL));
    }
    free(bytes);
    return header;
}

static void assert_same_json(const json_t *got, const json_t *documented) {
    if (json_equal(got, documented)) return;
    char *text = json_dumps(got, JSON_INDENT(2));
    print_error("docs/reference/formats.md says otherwise than:\n%s\n", text);
    free(text);
    fail();
}

/* "run" in a documented header stands for the run that the document shows once. */
static void fill_run(json_t *header) {
    json_t *result = doc_json("json result");
    json_t *metadata = json_object_get(header, "__metadata__");
    assert_string_equal(json_string_value(json_object_get(metadata, "run")), "...");
    assert_int_equal(json_object_set(metadata, "run", json_object_get(result, "run")), 0);
    json_decref(result);
}

static void documented_json_is_what_is_written_and_read(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    json_t *documented = doc_json("json result");
    must_save(a, temp_path("a.json"), true);
    json_t *written = json_load_file(temp_path("a.json"), 0, NULL);
    assert_same_json(written, documented);
    char *block = doc_block("json result");
    write_bytes(temp_path("doc.json"), block, strlen(block));
    hw_result *result = must_open(temp_path("doc.json"));
    assert_same_attribution(a, hw_result_at(result, 0));
    hw_result_free(result);
    free(block);
    json_decref(written);
    json_decref(documented);
    hw_attribution_free(a);
    temp_clear();
}

/* Deflated text under "data", which another zlib may write otherwise, becomes the bytes that it stands for, in hex. */
static void inflate_data(json_t *packed) {
    const json_t *data = json_object_get(packed, "data");
    unsigned char deflated[256], bytes[256];
    char hex[2 * sizeof bytes + 1] = "";
    int n = EVP_DecodeBlock(deflated, (const unsigned char *)json_string_value(data), (int)json_string_length(data));
    uLongf n_bytes = sizeof bytes;
    assert_true(n > 0);
    assert_int_equal(uncompress(bytes, &n_bytes, deflated, (uLong)n), Z_OK);
    for (size_t i = 0; i < n_bytes; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    json_object_set_new(packed, "data", json_string(hex));
}

static void inflate_run(json_t *run) {
    json_t *packed = json_object_get(json_array_get(json_object_get(run, "attributions"), 0), "packed");
    inflate_data(json_object_get(packed, "matrix"));
    inflate_data(json_object_get(packed, "mean"));
}

static void documented_document_is_what_is_made(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    const hw_attribution *list = a;
    char *text = NULL;
    assert_int_equal(hw_document_json(&text, a->run, NULL, &list, 1, NULL), HW_OK);
    json_t *written = json_loads(text, 0, NULL), *documented = doc_json("json document"),
           *result = doc_json("json result"), *run = json_array_get(json_object_get(documented, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(documented, "format")), "headwater-document");
    assert_string_equal(json_string_value(json_object_get(run, "run")), "...");
    assert_int_equal(json_object_set(run, "run", json_object_get(result, "run")), 0);
    inflate_run(written);
    inflate_run(run);
    assert_same_json(written, run);
    json_decref(result);
    free(text);
    json_decref(written);
    json_decref(documented);
    hw_attribution_free(a);
}

static void documented_headers_are_what_is_written(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    hw_trace *trace = worked_trace();
    static const struct {
        const char *info, *name;
    } cases[] = {{"json trace", "t"}, {"json attribution", "a.safetensors"}};
    must_save(a, temp_path("a.safetensors"), false);
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *documented = doc_json(cases[i].info), *written = header_of(temp_path(cases[i].name));
        fill_run(documented);
        assert_same_json(written, documented);
        json_decref(documented);
        json_decref(written);
    }
    hw_trace_free(trace);
    hw_attribution_free(a);
    temp_clear();
}

static void documented_csv_is_what_is_written(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.csv"), false);
    size_t n, at = 0;
    char *block = doc_block("csv"), *written = read_bytes(temp_path("a.csv"), &n);
    for (size_t i = 0; i < n; i++)
        if (written[i] != '\r') written[at++] = written[i]; /* the document has its own line ends */
    written[at] = 0;
    assert_string_equal(written, block);
    free(block);
    free(written);
    hw_attribution_free(a);
    temp_clear();
}

/* The documented header of an export, the worked attention behind it, opens and gives the documented rollout. */
static void documented_attention_opens_and_explains(void **state) {
    (void)state;
    static const float attention[18] = {1, 0, 0, 0.6f,  0.4f,  0, 0.5f, 0.3f, 0.2f,
                                        1, 0, 0, 0.25f, 0.75f, 0, 0.1f, 0.7f, 0.2f};
    char *header = doc_block("json attention");
    hw_trace *trace = NULL;
    hw_error err = {0};
    write_container(temp_path("x"), header, attention, sizeof attention);
    assert_int_equal(kind_of(temp_path("x")), HW_FILE_ATTENTION);
    if (hw_trace_import(&trace, temp_path("x"), HW_FUSE_MEAN, &err) != HW_OK) fail_msg("%s", err.msg);
    hw_method_params params = hw_method_params_default();
    params.row = HW_ROW_OWN;
    hw_attribution *computed = explain(trace, &params), *documented = worked_attribution();
    for (size_t i = 0; i < 4; i++) assert_close(computed->values[i], documented->values[i], 1e-7);
    for (size_t l = 0; l < 2; l++) assert_close(outside(computed, 0, l), outside(documented, 0, l), 1e-7);
    assert_string_equal(hw_run_prompt(computed->run, NULL), "The cat");
    hw_attribution_free(computed);
    hw_attribution_free(documented);
    hw_trace_free(trace);
    free(header);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_json_is_what_is_written_and_read),
        cmocka_unit_test(documented_document_is_what_is_made),
        cmocka_unit_test(documented_headers_are_what_is_written),
        cmocka_unit_test(documented_csv_is_what_is_written),
        cmocka_unit_test(documented_attention_opens_and_explains),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
