/* Documents: numbers decode to within half a step, means exactly; segments and filters are the library's own; size. */
#include "base/json.h"
#include "support/sample.h"
#include "text/filter.h"
#include "text/segments.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ------------------------------------------------------------------ reading */

static json_t *parse(char *text) {
    json_t *json = NULL;
    hw_error err = {0};
    if (hw__json_parse(&json, text, strlen(text), &err) != HW_OK) fail_msg("%s", err.msg);
    free(text);
    return json;
}

static json_t *document(const hw_run *run, const hw_segments *passages, const hw_attribution *a) {
    char *text = NULL;
    hw_error err = {0};
    if (hw_document_json(&text, run, passages, &a, a ? 1 : 0, &err) != HW_OK) fail_msg("%s", err.msg);
    return parse(text);
}

/* Bytes of base64, malloc'd. */
static unsigned char *unbase64(const json_t *string, size_t *n) {
    assert_true(json_is_string(string));
    size_t length = json_string_length(string);
    const char *text = json_string_value(string);
    unsigned char *out = malloc(length + 1);
    assert_int_equal(length % 4, 0);
    assert_non_null(out);
    int got = length ? EVP_DecodeBlock(out, (const unsigned char *)text, (int)length) : 0;
    assert_true(got >= 0);
    *n = (size_t)got - (length && text[length - 1] == '=') - (length && text[length - 2] == '=');
    return out;
}

/* `data` inflated to exactly `n` bytes, malloc'd. */
static unsigned char *inflated(const json_t *packed, size_t n) {
    size_t n_in;
    unsigned char *in = unbase64(json_object_get(packed, "data"), &n_in), *out = malloc(n + 1);
    uLongf got = n + 1;
    assert_non_null(out);
    assert_int_equal(uncompress(out, &got, in, n_in), Z_OK);
    assert_int_equal(got, n);
    free(in);
    return out;
}

static const char *word(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* Every value within half a step of its row's scale, and the step no larger than it must be. */
static void assert_matrix(const hw_attribution *a, const json_t *matrix, const char *dtype) {
    size_t n = a->n_rows, m = a->n_columns, L = a->n_layers, n_scales;
    bool is_signed = strcmp(dtype, "i8") == 0;
    assert_string_equal(word(matrix, "dtype"), dtype);
    assert_string_equal(word(matrix, "order"), "nLm");
    unsigned char *bytes = inflated(matrix, n * m * L), *raw = unbase64(json_object_get(matrix, "scale"), &n_scales);
    assert_int_equal(n_scales, n * L * sizeof(float));
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < L; l++) {
            float scale, max = 0;
            memcpy(&scale, raw + (i * L + l) * sizeof scale, sizeof scale);
            for (size_t k = 0; k < m; k++) max = fmaxf(max, fabsf(a->values[(i * m + k) * L + l]));
            assert_true(scale <= max / (is_signed ? 127.0 : 255.0) * 1.000001);
            for (size_t k = 0; k < m; k++) {
                unsigned char byte = bytes[(i * L + l) * m + k];
                double v = a->values[(i * m + k) * L + l], got = (is_signed ? (signed char)byte : byte) * (double)scale;
                assert_true(fabs(got - (isnan(v) ? 0 : v)) <= scale * (0.5 + 1e-4));
            }
        }
    free(bytes);
    free(raw);
}

static void assert_means(const hw_attribution *a, const json_t *mean) {
    size_t n = a->n_rows * a->n_columns;
    unsigned char *raw = inflated(mean, n * sizeof(float));
    assert_string_equal(word(mean, "dtype"), "f32");
    for (size_t i = 0; i < n; i++) {
        float got;
        double sum = 0;
        memcpy(&got, raw + i * sizeof got, sizeof got);
        for (size_t l = 0; l < a->n_layers; l++) sum += a->values[i * a->n_layers + l];
        float want = (float)(sum / (double)a->n_layers);
        assert_true(isnan(want) ? isnan(got) : memcmp(&got, &want, sizeof got) == 0);
    }
    free(raw);
}

static void assert_packed(const hw_attribution *a, const json_t *attribution, const char *dtype) {
    const json_t *packed = json_object_get(attribution, "packed");
    assert_matrix(a, json_object_get(packed, "matrix"), dtype);
    assert_means(a, json_object_get(packed, "mean"));
}

/* ------------------------------------------------------------------ numbers */

static hw_trace *random_trace(size_t m, size_t n, size_t n_layers) {
    return make_trace(&(trace_spec){
        .n_layers = n_layers, .n_heads = 1, .n_prompt = m, .n_completion = n, .attention = random_attention});
}

static void shares_decode_to_within_half_a_step(void **state) {
    (void)state;
    hw_trace *trace = random_trace(40, 7, 3);
    hw_attribution *a = explain(trace, NULL);
    json_t *json = document(hw_trace_run(trace), NULL, a);
    const json_t *entry = json_array_get(json_object_get(json, "attributions"), 0);
    assert_packed(a, entry, "u8");
    assert_string_equal(word(entry, "method"), "rollout");
    char *shape = json_dumps(json_object_get(entry, "shape"), JSON_COMPACT);
    assert_string_equal(shape, "[7,40,3]");
    free(shape);
    assert_int_equal(json_array_size(json_object_get(entry, "outside")), 7);
    assert_int_equal(json_array_size(json_array_get(json_object_get(entry, "outside"), 6)), 3);
    assert_null(json_object_get(entry, "mean"));
    json_decref(json);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

/* Numbers from FLT_TRUE_MIN to FLT_MAX, below zero, and NaN. */
static void odd_numbers_decode_too(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "logit", NULL, SAMPLE_LAYERS);
    json_t *json = document(run, NULL, a);
    assert_packed(a, json_array_get(json_object_get(json, "attributions"), 0), "i8");
    json_decref(json);
    for (size_t i = 0; i < a->n_rows * a->n_columns * a->n_layers; i++) a->values[i] = 0;
    json = document(run, NULL, a);
    assert_packed(a, json_array_get(json_object_get(json, "attributions"), 0), "u8");
    json_decref(json);
    hw_attribution_free(a);
    hw__run_release(run);
}

static void what_cannot_be_drawn_is_refused(void **state) {
    (void)state;
    hw_run *run = sample_run(true), *other = sample_run(true);
    hw_attribution *a = sample_attribution(run, "logit", NULL, SAMPLE_LAYERS);
    const hw_attribution *list = a;
    char *text;
    hw_error err = {0};
    assert_error(&err, hw_document_json(&text, other, NULL, &list, 1, &err), HW_ERR_ARGUMENT, "another run");
    a->values[3] = -INFINITY;
    assert_error(&err, hw_document_json(&text, run, NULL, &list, 1, &err), HW_ERR_ARGUMENT, "is infinite");
    assert_error(&err, hw_attribution_json(&text, NULL, a, &err), HW_ERR_ARGUMENT, "is infinite");
    hw_attribution_free(a);
    hw__run_release(run);
    hw__run_release(other);
}

/* A report holds one document: 1,000 prompt tokens, 100 of completion, 30 layers in less than 6 MB, here of noise that
 * does not deflate. */
static void a_long_run_is_small(void **state) {
    (void)state;
    enum { M = 1000, N = 100, L = 30 };
    static const char *prompt[M], *completion[N];
    for (size_t i = 0; i < M; i++) prompt[i] = " w";
    for (size_t i = 0; i < N; i++) completion[i] = " w";
    float *values = malloc((size_t)N * M * L * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < (size_t)N * M * L; i++) values[i] = (float)unit(mix(i));
    hw_attribution *a = make_attribution(make_run(L, prompt, M, completion, N), NULL, L, values, NULL);
    const hw_attribution *list = a;
    char *text = NULL;
    assert_int_equal(hw_document_json(&text, a->run, NULL, &list, 1, NULL), HW_OK);
    if (strlen(text) > 5u << 20) fail_msg("%zu bytes", strlen(text));
    free(text);
    free(values);
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ segments and filters */

static void assert_groups(const json_t *json, const hw_run *run, hw_side side, const char *by) {
    hw_segments *segments;
    size_t n;
    assert_int_equal(hw_segments_new(&segments, run, side, by, NULL), HW_OK);
    const int32_t *groups = hw_segments_groups(segments, &n);
    const json_t *list = json_object_get(json, "groups");
    assert_int_equal(json_array_size(list), n);
    for (size_t t = 0; t < n; t++) assert_int_equal(json_integer_value(json_array_get(list, t)), groups[t]);
    assert_int_equal(json_array_size(json_object_get(json, "names")), hw_segments_count(segments));
    hw_segments_free(segments);
}

static void segments_are_those_of_the_library(void **state) {
    (void)state;
    static const char *const prompt[] = {"One", " two.", "\n\n", "Three"}, *const completion[] = {" four", "."};
    hw_run *run = make_run(1, prompt, 4, completion, 2);
    hw_segments *passages;
    const hw_span spans[] = {{"first \xFF", 0, 8}};
    assert_int_equal(hw_segments_from_spans(&passages, run, HW_SIDE_PROMPT, spans, 1, NULL), HW_OK);
    json_t *json = document(run, passages, NULL);
    const json_t *segments = json_object_get(json, "segments"),
                 *sides[] = {json_object_get(segments, "prompt"), json_object_get(segments, "completion")};
    for (size_t i = 0; i < hw_segmenter_count(); i++) {
        const char *by = hw_segmenter_at(i)->name;
        if (strcmp(by, "token") == 0) {
            assert_null(json_object_get(sides[0], by));
            continue;
        }
        assert_groups(json_object_get(sides[0], by), run, HW_SIDE_PROMPT, by);
        assert_groups(json_object_get(sides[1], by), run, HW_SIDE_COMPLETION, by);
    }
    char *words = json_dumps(json_object_get(json_object_get(sides[0], "word"), "names"), JSON_COMPACT);
    assert_string_equal(words, "[\"One\",\" two.\",\"\\n\\nThree\"]");
    free(words);
    char *passage = json_dumps(json_object_get(sides[0], "passage"), JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(passage, "{\"groups\":[0,0,-1,-1],\"names\":[\"first \xE2\x80\xB9"
                                 "FF\xE2\x80\xBA\"]}");
    free(passage);
    assert_null(json_object_get(sides[1], "passage"));
    json_decref(json);
    hw_segments_free(passages);
    hw__run_release(run);
}

static void filters_name_what_they_hide(void **state) {
    (void)state;
    static const char *const prompt[] = {"It", " is", " ,", "\n", " fine"}, *const completion[] = {"."};
    hw_run *run = make_run(1, prompt, 5, completion, 1);
    json_t *json = document(run, NULL, NULL), *filters = json_object_get(json, "filters");
    assert_int_equal(json_object_size(filters), hw_filter_count());
    static const char *const wanted[][2] = {{"first", "[0]"},      {"note", "[1,2,3]"}, {"punctuation", "[2]"},
                                            {"whitespace", "[3]"}, {"special", "[]"},   {"template", "[]"},
                                            {"stopwords", "[0,1]"}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char *text = json_dumps(json_object_get(filters, wanted[i][0]), JSON_COMPACT);
        assert_string_equal(text, wanted[i][1]);
        free(text);
    }
    json_decref(json);
    hw__run_release(run);
}

/* ------------------------------------------------------------------ parts */

static void parts_are_as_in_the_whole(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "logit", NULL, SAMPLE_LAYERS);
    json_t *json = document(run, NULL, a), *described = json_object_get(json, "run"), *part;
    char *text;
    assert_int_equal(hw_attribution_json(&text, NULL, a, NULL), HW_OK);
    part = parse(text);
    assert_true(json_equal(part, json_array_get(json_object_get(json, "attributions"), 0)));
    json_decref(part);
    assert_int_equal(hw_token_json(&text, NULL, run, 5, NULL), HW_OK);
    part = parse(text);
    assert_true(json_equal(part, json_array_get(json_object_get(described, "tokens"), 5)));
    json_decref(part);
    assert_int_equal(hw_model_json(&text, NULL, hw_run_model(run), NULL), HW_OK);
    part = parse(text);
    assert_true(json_equal(part, json_object_get(described, "model")));
    json_decref(part);
    json_decref(json);
    hw_attribution_free(a);
    hw__run_release(run);
}

/* Attention of an encoder has no completion: its segments are those of the prompt alone. */
static void a_run_without_completion_has_a_document(void **state) {
    (void)state;
    static const char *const prompt[] = {"A", " b"};
    hw_run *run = make_run(1, prompt, 2, NULL, 0);
    json_t *json = document(run, NULL, NULL), *segments = json_object_get(json, "segments");
    assert_int_equal(json_object_size(json_object_get(segments, "completion")), 0);
    assert_true(json_object_size(json_object_get(segments, "prompt")) > 0);
    json_decref(json);
    hw__run_release(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_decode_to_within_half_a_step),
        cmocka_unit_test(odd_numbers_decode_too),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(a_long_run_is_small),
        cmocka_unit_test(segments_are_those_of_the_library),
        cmocka_unit_test(filters_name_what_they_hide),
        cmocka_unit_test(parts_are_as_in_the_whole),
        cmocka_unit_test(a_run_without_completion_has_a_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
