/* The engine that replays exported attention, through its operations: what it shows, and what it refuses. */
#include "base/safetensors.h"
#include "data/trace.h"
#include "engine/engine.h"
#include "support/files.h"
#include "support/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* methods.md 6.9: two layers, three tokens */
static const float worked[18] = {1, 0, 0, 0.6f, 0.4f, 0, 0.5f, 0.3f, 0.2f, 1, 0, 0, 0.25f, 0.75f, 0, 0.1f, 0.7f, 0.2f};

/* Metadata of a file, `"m":"2"` and the like; NULL: none. */
static void write_attention(const char *metadata, const char *shape, const float *values, size_t n) {
    char header[512];
    snprintf(header, sizeof header,
             "{\"__metadata__\":{%s},\"attention\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,%zu]}}",
             metadata ? metadata : "", shape, n * sizeof *values);
    write_container(temp_path("a"), header, values, n * sizeof *values); /* little-endian, as every machine of ours */
}

static hw_err open_engine(hw__engine **e, hw_error *err) {
    return hw__engine_import_open(e, (hw__input){.path = temp_path("a")}, err);
}

static hw__engine *must_open(void) {
    hw__engine *e = NULL;
    hw_error err = {0};
    if (open_engine(&e, &err) != HW_OK) fail_msg("%s", err.msg);
    return e;
}

/* Rows as they are shown: [L, H, T, T]. */
typedef struct shown {
    float *rows;
    size_t n_heads, n_tokens, calls;
    hw_err fails;
} shown;

static hw_err show(void *ctx, size_t layer, const hw__heads *heads, hw_error *err) {
    shown *s = ctx;
    assert_int_equal(layer, s->calls++); /* in order, once each */
    assert_int_equal(heads->n_heads, s->n_heads);
    assert_int_equal(heads->n_rows, s->n_tokens);
    assert_int_equal(heads->n_keys, s->n_tokens);
    assert_int_equal(heads->q0, 0);
    for (size_t h = 0; h < s->n_heads; h++)
        for (size_t q = 0; q < s->n_tokens; q++)
            memcpy(s->rows + ((layer * s->n_heads + h) * s->n_tokens + q) * s->n_tokens,
                   heads->attn + h * heads->head_stride + q * heads->row_stride, s->n_tokens * sizeof(float));
    return s->fails == HW_OK ? HW_OK : hw__fail(err, s->fails, "the sink said so");
}

static hw_err replay(hw__engine *e, shown *s, hw_error *err) {
    hw__sink sink = {.rows = show, .ctx = s};
    hw_err rc = e->ops->begin(e, s->n_tokens, NULL, NULL, err);
    s->calls = 0;
    return rc == HW_OK ? e->ops->decode(e, (hw__token_batch){NULL, s->n_tokens, 0, s->n_tokens}, &sink, err) : rc;
}

/* ------------------------------------------------------------------ what it shows */

static void rows_come_as_they_are_in_the_file(void **state) {
    (void)state;
    float rows[18];
    write_attention("\"m\":\"2\",\"tokens\":\"[\\\"a\\\",\\\" \\u00e9\\\",\\\"\\\"]\",\"model\":\"toy\"", "[2,3,3]",
                    worked, 18);
    hw__engine *e = must_open();
    const hw__import_info *import = hw__engine_import_info(e);
    assert_int_equal(import->n_tokens, 3);
    assert_int_equal(import->n_prompt, 2);
    assert_true(import->has_prompt);
    assert_true(import->causal);
    assert_string_equal(import->texts[0], "a");
    assert_string_equal(import->texts[1], " \xC3\xA9");
    assert_string_equal(import->texts[2], "");
    shown s = {.rows = rows, .n_heads = 1, .n_tokens = 3};
    for (int again = 0; again < 2; again++) { /* begin() starts afresh */
        memset(rows, 0, sizeof rows);
        assert_int_equal(replay(e, &s, NULL), HW_OK);
        assert_int_equal(s.calls, 2);
        assert_memory_equal(rows, worked, sizeof worked);
    }
    e->ops->close(e);
    temp_clear();
}

static void description_says_what_it_is(void **state) {
    (void)state;
    write_attention("\"model\":\"toy\"", "[1,2,3,3]", worked, 18);
    hw__engine *e = must_open();
    const hw_model_info *info = e->ops->describe(e);
    assert_string_equal(info->path, temp_path("a"));
    assert_string_equal(info->engine, "import");
    assert_string_equal(info->name, "toy");
    assert_string_equal(info->device, "CPU");
    assert_string_equal(info->problem, "");
    assert_true(strlen(info->values_problem) > 0 && strlen(info->readout_problem) > 0);
    const char *const empty[] = {info->engine_version, info->architecture, info->quantisation, info->metadata_sha256,
                                 info->sample_sha256};
    for (size_t i = 0; i < COUNT(empty); i++) assert_string_equal(empty[i], "");
    assert_int_equal(info->n_layers, 1);
    assert_int_equal(info->layers[0], 0);
    assert_int_equal(info->n_blocks, 1);
    assert_int_equal(info->n_heads, 2);
    assert_int_equal(info->n_vocab, 0);
    assert_int_equal(info->n_ctx_train, 3);
    assert_true(info->host_rows);
    assert_false(info->has_sinks);
    assert_true(info->row_error < 1e-6);
    assert_int_equal(e->ops->chunk(e), 3);
    const hw__import_info *import = hw__engine_import_info(e);
    assert_false(import->has_prompt);
    assert_int_equal(import->n_prompt, 3); /* without m all are prompt */
    assert_null(import->texts);
    e->ops->close(e);
    temp_clear();
}

/* The same rows in every dtype, converted to the nearest float. */
static void dtypes_are_converted(void **state) {
    (void)state;
    static const unsigned char f16[] = {0, 0x3C, 0, 0, 0, 0x38, 0, 0x38};                        /* 1, 0; .5, .5 */
    static const unsigned char f64[] = {0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0,    0, /* 1, 0 */
                                        0, 0, 0, 0, 0, 0, 0xE0, 0x3F, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F};
    static const struct {
        const char *dtype;
        const void *data;
        size_t n;
    } cases[] = {{"F16", f16, sizeof f16}, {"F64", f64, sizeof f64}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char header[128];
        float rows[4];
        const float expected[4] = {1, 0, 0.5f, 0.5f};
        snprintf(header, sizeof header, "{\"attention\":{\"dtype\":\"%s\",\"shape\":[1,2,2],\"data_offsets\":[0,%zu]}}",
                 cases[i].dtype, cases[i].n);
        write_container(temp_path("a"), header, cases[i].data, cases[i].n);
        hw__engine *e = must_open();
        shown s = {.rows = rows, .n_heads = 1, .n_tokens = 2};
        assert_int_equal(replay(e, &s, NULL), HW_OK);
        assert_memory_equal(rows, expected, sizeof expected);
        e->ops->close(e);
    }
    temp_clear();
}

/* A third in BF16 is 0.333984375: three of them are 0.2 % too much, which is not the row's fault. */
static void rows_rounded_to_bf16_are_scaled(void **state) {
    (void)state;
    static const unsigned char thirds[] = {0xAB, 0x3E, 0xAB, 0x3E, 0xAB, 0x3E};
    unsigned char data[18];
    float rows[9];
    for (int q = 0; q < 3; q++) memcpy(data + 6 * q, thirds, 6);
    write_container(temp_path("a"), "{\"attention\":{\"dtype\":\"BF16\",\"shape\":[1,3,3],\"data_offsets\":[0,18]}}",
                    data, 18);
    hw__engine *e = must_open();
    shown s = {.rows = rows, .n_heads = 1, .n_tokens = 3};
    assert_int_equal(replay(e, &s, NULL), HW_OK);
    for (size_t i = 0; i < 9; i++) assert_close(rows[i], 1.0 / 3, 0x1p-25);
    e->ops->close(e);

    const float rounded[9] = {0.333984375f, 0.333984375f, 0.333984375f, 1, 0, 0, 1, 0, 0};
    hw_error err = {0};
    write_attention(NULL, "[1,3,3]", rounded, 9); /* as F32 it is what it says */
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "sum to 1.00195, must be 1 within 0.001");
    assert_non_null(strstr(err.msg, "save the tensor as BF16"));
    temp_clear();
}

static void attention_both_ways_is_taken_without_m(void **state) {
    (void)state;
    const float both[4] = {0.5f, 0.5f, 0.25f, 0.75f};
    hw__engine *e;
    hw_error err = {0};
    write_attention(NULL, "[1,2,2]", both, 4);
    e = must_open();
    assert_false(hw__engine_import_info(e)->causal);
    e->ops->close(e);
    write_attention("\"m\":\"1\"", "[1,2,2]", both, 4);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT,
                 "layer 0, head 0, row 0 puts 0.5 on column 1, which comes after it, but m = 1 says");
    assert_non_null(strstr(err.msg, "drop m from the metadata"));
    temp_clear();
}

/* An encoder's rows of the prompt, and a decoder's of the completion. */
static void a_prompt_read_as_a_whole_has_its_completion(void **state) {
    (void)state;
    const float rows[9] = {0.5f, 0.5f, 0, 0.25f, 0.75f, 0, 0.5f, 0.25f, 0.25f};
    hw_trace *trace;
    hw_attribution *a;
    hw_error err = {0};
    write_attention("\"m\":\"2\"", "[1,3,3]", rows, 9);
    assert_error(&err, hw_trace_import(&trace, temp_path("a"), HW_FUSE_MEAN, &err), HW_ERR_FORMAT,
                 "row 0 puts 0.5 on column 1");
    assert_non_null(strstr(err.msg, "put causal = \"false\" into it"));
    write_attention("\"m\":\"2\",\"causal\":\"false\"", "[1,3,3]", rows, 9);
    if (hw_trace_import(&trace, temp_path("a"), HW_FUSE_MEAN, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_false(hw_run_is_causal(hw_trace_run(trace)));
    assert_int_equal(hw_run_n_completion(hw_trace_run(trace)), 1);
    if (hw_explain(&a, trace, "attention", NULL, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_int_equal(hw_attribution_n_rows(a), 1);
    assert_int_equal(hw_attribution_n_columns(a), 2);
    assert_float_equal(hw_attribution_values(a)[0], 0.25f, 0); /* row 1 chose token 2 */
    assert_float_equal(hw_attribution_values(a)[1], 0.75f, 0);
    hw_attribution_free(a);
    hw_trace_free(trace);
    temp_clear();
}

static void sinks_take_their_share(void **state) {
    (void)state;
    const float rows[4] = {0.5f, 0, 0.25f, 0.25f}, more[4] = {1, 0, 0.75f, 0.75f};
    hw__engine *e;
    hw_error err = {0};
    write_attention(NULL, "[1,2,2]", rows, 4);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "layer 0, head 0, row 0: weights sum to 0.5, must be 1");
    assert_non_null(strstr(err.msg, "put sinks = \"true\" into the metadata"));
    write_attention("\"sinks\":\"false\"", "[1,2,2]", rows, 4);
    assert_int_equal(open_engine(&e, NULL), HW_ERR_FORMAT);
    write_attention("\"sinks\":\"true\"", "[1,2,2]", rows, 4);
    e = must_open();
    assert_true(e->ops->describe(e)->has_sinks);
    e->ops->close(e);
    write_attention("\"sinks\":\"true\"", "[1,2,2]", more, 4);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "row 1: weights sum to 1.5");
    temp_clear();
}

/* ------------------------------------------------------------------ what it refuses */

static void weights_that_are_none_are_named(void **state) {
    (void)state;
    static const struct {
        float value;
        const char *says;
    } cases[] = {
        {NAN, "layer 1, head 0, row 2, column 1: weight nan"},
        {INFINITY, "layer 1, head 0, row 2, column 1: weight inf"},
        {-0.5f, "layer 1, head 0, row 2, column 1: weight -0.5"},
        {0.702f, "layer 1, head 0, row 2: weights sum to 1.002, must be 1 within 0.001"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        hw__engine *e;
        hw_error err = {0};
        float spoilt[18];
        memcpy(spoilt, worked, sizeof spoilt);
        spoilt[9 + 7] = cases[i].value;
        write_attention("\"m\":\"2\"", "[2,3,3]", spoilt, 18);
        assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, cases[i].says);
        assert_non_null(strstr(err.msg, temp_path("a")));
        assert_int_equal(open_engine(&e, NULL), HW_ERR_FORMAT);
    }
    temp_clear();
}

static void heads_are_named_too(void **state) {
    (void)state;
    hw__engine *e;
    hw_error err = {0};
    float spoilt[18];
    memcpy(spoilt, worked, sizeof spoilt);
    spoilt[9 + 3] = 0.5f;
    write_attention(NULL, "[1,2,3,3]", spoilt, 18);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "layer 0, head 1, row 1: weights sum to 1.25");
    temp_clear();
}

static void metadata_that_does_not_fit_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *metadata, *says;
    } cases[] = {
        {"\"m\":\"0\"", "m (prompt tokens) is \"0\": 1 to 2 is accepted"},
        {"\"m\":\"3\"", "m (prompt tokens) is \"3\": 1 to 2 is accepted with 3 tokens"},
        {"\"m\":\"-1\"", "is \"-1\""},
        {"\"m\":\"2.0\"", "is \"2.0\""},
        {"\"m\":\" 2\"", "is \" 2\""},
        {"\"m\":\"\"", "is \"\""},
        {"\"m\":\"99999999999999999999\"", "1 to 2 is accepted"},
        {"\"tokens\":\"[\\\"a\\\"]\"", "a list of 3 strings"},
        {"\"tokens\":\"{\\\"a\\\":1}\"", "a list of 3 strings"},
        {"\"tokens\":\"[1,2,3]\"", "entry 0 is not a string"},
        {"\"tokens\":\"[\\\"a\\\",\\\"b\\\\u0000\\\",\\\"c\\\"]\"", "entry 1 is not a string without NUL"},
        {"\"tokens\":\"[\"", "the metadata's tokens: no valid JSON"},
        {"\"sinks\":\"yes\"", "sinks must be \"true\" or \"false\""},
        {"\"m\":\"2\",\"causal\":\"no\"", "causal must be \"true\" or \"false\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        hw__engine *e;
        hw_error err = {0};
        write_attention(cases[i].metadata, "[2,3,3]", worked, 18);
        assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, cases[i].says);
    }
    temp_clear();
}

static void shapes_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *shape, *says;
    } cases[] = {
        {"[18]", "has 1 dimensions: 4"},        {"[6,3]", "has 2 dimensions: 4"},
        {"[1,1,2,3,3]", "has 5 dimensions: 4"}, {"[1,3,6]", "3 rows and 6 columns: it must be square"},
        {"[1,2,9,1]", "must be square"},
    };
    hw__engine *e;
    hw_error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_attention(NULL, cases[i].shape, worked, 18);
        assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, cases[i].says);
    }
    write_attention(NULL, "[0,3,3]", worked, 0);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "of 0 layers, 1 heads, 3 tokens");
    write_attention(NULL, "[2,1,0,0]", worked, 0);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "0 tokens");
    write_attention("\"m\":\"1\"", "[1,1,1]", worked, 1);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "without m every row is explained");
    write_container(temp_path("a"), "{\"attention\":{\"dtype\":\"I32\",\"shape\":[1,1,1],\"data_offsets\":[0,4]}}",
                    worked, 4);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "must be F16, BF16, F32 or F64");
    write_container(temp_path("a"), "{\"Attention\":{\"dtype\":\"F32\",\"shape\":[1,1,1],\"data_offsets\":[0,4]}}",
                    worked, 4);
    assert_error(&err, open_engine(&e, &err), HW_ERR_FORMAT, "there is no tensor \"attention\"");
    hw_err rc = hw__engine_import_open(&e, (hw__input){.path = temp_path("none")}, &err);
    assert_error(&err, rc, HW_ERR_IO, "No such file");
    temp_clear();
}

/* ------------------------------------------------------------------ its operations */

static void decode_takes_all_tokens_once(void **state) {
    (void)state;
    float rows[18];
    shown s = {.rows = rows, .n_heads = 1, .n_tokens = 3};
    hw__sink sink = {.rows = show, .ctx = &s};
    hw_error err = {0};
    write_attention(NULL, "[2,3,3]", worked, 18);
    hw__engine *e = must_open();
    assert_error(&err, e->ops->begin(e, 4, NULL, NULL, &err), HW_ERR_ARGUMENT,
                 "4 tokens requested, the exported attention has 3");
    assert_int_equal(e->ops->begin(e, 3, NULL, NULL, &err), HW_OK);
    assert_error(&err, e->ops->decode(e, (hw__token_batch){NULL, 2, 0, 2}, &sink, &err), HW_ERR_ARGUMENT,
                 "2 tokens at 0 requested");
    assert_error(&err, e->ops->decode(e, (hw__token_batch){NULL, 3, 3, 3}, &sink, &err), HW_ERR_ARGUMENT,
                 "3 tokens at 3 requested");
    assert_int_equal(e->ops->decode(e, (hw__token_batch){NULL, 3, 0, 3}, &sink, &err), HW_OK);
    assert_error(&err, e->ops->decode(e, (hw__token_batch){NULL, 3, 0, 3}, &sink, &err), HW_ERR_ARGUMENT, "once a run");
    assert_null(e->ops->logits(e, 2));
    s.fails = HW_ERR_ENGINE; /* the sink's error ends the decode */
    assert_error(&err, replay(e, &s, &err), HW_ERR_ENGINE, "the sink said so");
    assert_int_equal(s.calls, 1);
    e->ops->close(e);
    temp_clear();
}

static void what_needs_a_model_is_refused(void **state) {
    (void)state;
    hw_error err = {0};
    hw__tokens tokens;
    hw__piece piece;
    hw__values values;
    hw__sampling sampling = {0};
    hw__written written;
    hw__control control;
    hw__chat chat = {0};
    int32_t id;
    float number;
    write_attention(NULL, "[2,3,3]", worked, 18);
    hw__engine *e = must_open();
    const hw__engine_ops *ops = e->ops;
    assert_error(&err, ops->tokenize(e, &tokens, "a", 1, 0, &err), HW_ERR_UNSUPPORTED, "cannot tokenize");
    assert_error(&err, ops->piece(e, &piece, 0, &err), HW_ERR_UNSUPPORTED, "cannot name a token");
    assert_error(&err, ops->render(e, &written, &chat, &err), HW_ERR_UNSUPPORTED, "cannot apply a chat template");
    assert_error(&err, ops->find_control(e, &control, "a", 1, 0, &err), HW_ERR_UNSUPPORTED, "cannot find control");
    assert_error(&err, ops->sample(e, &id, 0, 0, &sampling, &err), HW_ERR_UNSUPPORTED, "cannot choose");
    assert_error(&err, ops->values(e, &values, 0, &err), HW_ERR_UNSUPPORTED, "what attention carries");
    assert_error(&err, ops->readout(e, &number, &(hw__readout){0}, 0, &err), HW_ERR_UNSUPPORTED, "how logits arise");
    ops->close(e);
    temp_clear();
}

/* Says yes at the n-th time it is asked. */
static bool stop_after(void *ctx) {
    int *left = ctx;
    return (*left)-- <= 0;
}

static void a_stop_is_heard_between_heads(void **state) {
    (void)state;
    float rows[18];
    shown s = {.rows = rows, .n_heads = 2, .n_tokens = 3};
    hw__sink sink = {.rows = show, .ctx = &s};
    hw_error err = {0};
    write_attention(NULL, "[1,2,3,3]", worked, 18);
    hw__engine *e = must_open();
    int left = 1;
    assert_int_equal(e->ops->begin(e, 3, stop_after, &left, NULL), HW_OK);
    assert_error(&err, e->ops->decode(e, (hw__token_batch){NULL, 3, 0, 3}, &sink, &err), HW_ERR_CANCELLED,
                 "stopped at layer 0 of 1");
    assert_int_equal(s.calls, 0);
    left = 2;
    assert_int_equal(e->ops->decode(e, (hw__token_batch){NULL, 3, 0, 3}, &sink, &err), HW_OK);
    e->ops->close(e);
    temp_clear();
}

/* ------------------------------------------------------------------ files of another writer */

/* tests/data/golden/random_*.safetensors come from Python; what they hold is said in scripts/make_golden.py. */
static void files_from_python_open(void **state) {
    (void)state;
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (hw_trace_import(&trace, "tests/data/golden/random_attention.safetensors", HW_FUSE_MEAN, &err) != HW_OK)
        fail_msg("%s", err.msg);
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(run->n_prompt, 16);
    assert_int_equal(run->n_tokens, 24);
    assert_true(run->causal);
    assert_memory_equal(run->tokens[4].bytes, " \xE6\x9D\xB1\xE4\xBA\xAC", 7);
    hw_trace_free(trace);
    if (hw_trace_import(&trace, "tests/data/golden/random_bidirectional.safetensors", HW_FUSE_MEAN, &err) != HW_OK)
        fail_msg("%s", err.msg);
    assert_false(hw_run_is_causal(hw_trace_run(trace)));
    assert_int_equal(hw_run_n_completion(hw_trace_run(trace)), 0);
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_as_they_are_in_the_file),
        cmocka_unit_test(description_says_what_it_is),
        cmocka_unit_test(dtypes_are_converted),
        cmocka_unit_test(rows_rounded_to_bf16_are_scaled),
        cmocka_unit_test(attention_both_ways_is_taken_without_m),
        cmocka_unit_test(a_prompt_read_as_a_whole_has_its_completion),
        cmocka_unit_test(sinks_take_their_share),
        cmocka_unit_test(weights_that_are_none_are_named),
        cmocka_unit_test(heads_are_named_too),
        cmocka_unit_test(metadata_that_does_not_fit_is_refused),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(decode_takes_all_tokens_once),
        cmocka_unit_test(what_needs_a_model_is_refused),
        cmocka_unit_test(a_stop_is_heard_between_heads),
        cmocka_unit_test(files_from_python_open),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
