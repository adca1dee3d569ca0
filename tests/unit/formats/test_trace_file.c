/* Traces and runs on disk: everything comes back, bit for bit; what cannot be right is refused, and says why. */
#include "base/safetensors.h"
#include "data/thinking.h"
#include "data/trace.h"
#include "formats/run_json.h"
#include "support/fake_engine.h"
#include "support/files.h"
#include "support/sample.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const uint32_t ALL_SIGNALS = (1u << HW_N_SIGNALS) - 1;

/* ------------------------------------------------------------------ runs */

static void run_comes_back_from_its_text(void **state) {
    (void)state;
    hw_run *run = sample_run(true), *back = NULL;
    char *text, *again;
    hw_error err = {0};
    assert_int_equal(hw__run_to_text(&text, run, NULL), HW_OK);
    if (hw__run_from_text(&back, text, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_same_run(run, back);
    assert_int_equal(hw__run_to_text(&again, back, NULL), HW_OK);
    assert_string_equal(again, text); /* row_error too, once rounded */
    free(text);
    free(again);
    hw__run_release(run);
    hw__run_release(back);
}

/* What a reader in another language sees of a token that is half a character, and of one that is NUL. */
static void bytes_that_are_no_text_are_there_twice(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    json_t *json;
    assert_int_equal(hw__run_to_json(&json, run, NULL), HW_OK);
    const json_t *tokens = json_object_get(json, "tokens"), *half = json_array_get(tokens, 5),
                 *nul = json_array_get(tokens, 7);
    assert_string_equal(json_string_value(json_object_get(half, "text")), " \xEF\xBF\xBD");
    assert_string_equal(json_string_value(json_object_get(half, "bytes")), "20f09f");
    assert_string_equal(json_string_value(json_object_get(half, "logprob")), "-inf");
    assert_int_equal(json_string_length(json_object_get(nul, "text")), 1);
    assert_null(json_object_get(nul, "bytes"));
    assert_true(json_is_null(json_object_get(json_array_get(tokens, 0), "logprob")));
    assert_null(json_object_get(json_array_get(tokens, 0), "alternatives"));
    assert_string_equal(json_string_value(json_object_get(json, "prompt_bytes")), "41c3a92c202278220d0aff00");
    assert_null(json_object_get(json, "completion_bytes")); /* its halves make whole characters */
    json_decref(json);
    hw__run_release(run);
}

/* ------------------------------------------------------------------ runs that cannot be right */

/* Replaces the value at `path` ("tokens/3/range") by JSON text, or removes it where `value` is NULL. */
static void put_at(json_t *root, const char *path, const char *value) {
    char parts[128], *rest = parts;
    snprintf(parts, sizeof parts, "%s", path);
    json_t *at = root, *v = value ? json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    assert_true(!value || v);
    for (char *slash; (slash = strchr(rest, '/')); rest = slash + 1) {
        *slash = 0;
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(rest)) : json_object_get(at, rest);
        assert_non_null(at);
    }
    if (json_is_array(at))
        assert_int_equal(v ? json_array_set_new(at, (size_t)atoi(rest), v) : json_array_remove(at, (size_t)atoi(rest)),
                         0);
    else
        assert_int_equal(v ? json_object_set_new(at, rest, v) : json_object_del(at, rest), 0);
}

static const struct {
    const char *path, *value, *says;
} bad_runs[] = {
    {"model", NULL, "\"model\" must be there and be an object"},
    {"model/path", "1", "\"path\" must be there and be a string"},
    {"model/path_bytes", "\"zz\"", "hexadecimal"},
    {"model/path_bytes", "\"6\"", "hexadecimal"},
    {"model/path_bytes", "\"61\"", "contradict each other"},
    {"model/engine", "\"a\\u0000b\"", "without NUL"},
    {"model/n_heads", "-1", "\"n_heads\" is -1: 0 to 2147483647 is accepted"},
    {"model/n_heads", "2147483648", "0 to 2147483647"},
    {"model/n_heads", "1.5", "a whole number"},
    {"model/adds_bos", "1", "true or false"},
    {"model/row_error", "\"x\"", "a number or null"},
    {"model/layers", "[]", "0 layers with attention"},
    {"model/layers", "[3,1]", "rising whole numbers"},
    {"model/layers", "[1,1]", "rising whole numbers"},
    {"model/layers", "[-1,1]", "rising whole numbers"},
    {"model/layers", "[1,\"3\"]", "rising whole numbers"},
    {"model/layers", "[1,2147483648]", "rising whole numbers"},
    {"options", "[]", "\"options\" must be there"},
    {"options/fuse", "\"sum\"", "must be one of mean, max, min"},
    {"options/temperature", "1e300", "float's range"},
    {"options/top_p", "null", "float's range"},
    {"options/seed", "4294967296", "0 to 4294967295"},
    {"options/n_generate", "-1", "\"n_generate\" is -1"},
    {"options/against", "1", "\"against\" must be there and be a string"},
    {"options/against", "\"a\\u0000b\"", "contradict each other"},
    {"options/against_bytes", "\"6100\"", "contradict each other"},
    {"stop", "\"never\"", "must be one of length, end, given, cancelled"},
    {"causal", "null", "true or false"},
    {"prompt", NULL, "\"prompt\" must be there"},
    {"prompt_bytes", "\"41\"", "\"prompt\" and \"prompt_bytes\" contradict each other"},
    {"completion", "\"other\"", "\"completion\" is not its tokens' text"},
    {"completion", "\" \\ud83d\\ude42\"", "\"completion\" is not its tokens' text"}, /* a NUL less */
    {"tokens", "{}", "\"tokens\" must be there and be a list"},
    {"tokens", "[]", "no token before the completion"},
    {"n_prompt", "1", "\"n_prompt\" is 1, and 5 tokens are before the completion"},
    {"n_prompt", "-1", "\"n_prompt\" is -1: 0 to"},
    {"n_prompt", "\"x\"", "a whole number"},
    {"tokens/0", "[]", "token 0: \"text\" must be there"},
    {"tokens/0/text", NULL, "token 0: \"text\" must be there"},
    {"tokens/0/id", "-2", "token 0: \"id\" is -2: -1 to"},
    {"tokens/0/id", "2147483648", "-1 to 2147483647"},
    {"tokens/0/role", "\"completion\"", "token 0: range [0, 0], but its bytes are [0, 3]"},
    {"tokens/0/role", "\"user\"", "must be one of prompt, completion, special, template"},
    {"tokens/7/role", "\"prompt\"", "token 7: role \"prompt\" after the completion has begun"},
    {"tokens/3/range", "[2,13]", "token 3: range [2, 13] in a prompt of 12 bytes"},
    {"tokens/3/range", "[3,2]", "begin <= end"},
    {"tokens/3/range", "[-1,2]", "begin <= end"},
    {"tokens/3/range", "[2]", "begin <= end"},
    {"tokens/3/range", "[2,10,11]", "begin <= end"},
    {"tokens/3/range", "[2,10.5]", "begin <= end"},
    {"tokens/6/range", "[3,6]", "token 6: range [3, 6], but its bytes are [3, 5] of the completion"},
    {"tokens/3/logprob", NULL, "number, null or \"-inf\""},
    {"tokens/3/logprob", "\"inf\"", "number, null or \"-inf\""},
    {"tokens/3/logprob", "1e99", "number, null or \"-inf\""},
    {"tokens/5/alternatives", "1", "a list of at most 5"},
    {"tokens/5/alternatives", "[{},{},{},{},{},{}]", "a list of at most 5"},
    {"tokens/5/alternatives/1/id", NULL, "token 5: alternative 1: \"id\" must be there"},
    {"tokens/5/alternatives/0/bytes", "\"FF\"", "lower-case hexadecimal"},
};

static void runs_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    for (size_t i = 0; i < COUNT(bad_runs); i++) {
        json_t *json;
        hw_run *back;
        hw_error err = {0};
        assert_int_equal(hw__run_to_json(&json, run, NULL), HW_OK);
        put_at(json, bad_runs[i].path, bad_runs[i].value);
        assert_error(&err, hw__run_from_json(&back, json, &err), HW_ERR_FORMAT, bad_runs[i].says);
        assert_int_equal(hw__run_from_json(&back, json, NULL), HW_ERR_FORMAT);
        json_decref(json);
    }
    hw__run_release(run);
}

/* Thinking sections of an earlier answer in the prompt, and of this one; files from before the role have none. */
static void thinking_is_a_role_in_files(void **state) {
    (void)state;
    static const char *const prompt[] = {"<think>", "a", "</think>", "b"}, *const answer[] = {"<think>", "so"};
    static const char *const roles[] = {"thinking", "thinking", "thinking", "prompt", "thinking", "thinking"};
    static const char *const old_roles[] = {"prompt", "prompt", "prompt", "prompt", "completion", "completion"};
    hw_run *run = make_run(1, prompt, 4, answer, 2), *back;
    hw_error err = {0};
    json_t *json;
    assert_int_equal(hw__thinking_roles(run, NULL), HW_OK);
    assert_int_equal(hw__run_to_json(&json, run, NULL), HW_OK);
    for (size_t t = 0; t < COUNT(roles); t++) {
        json_t *token = json_array_get(json_object_get(json, "tokens"), t);
        assert_string_equal(json_string_value(json_object_get(token, "role")), roles[t]);
        assert_true(json_is_true(json_object_get(token, "thinking")) == (t != 3));
    }
    if (hw__run_from_json(&back, json, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_same_run(run, back);
    hw__run_release(back);
    json_object_del(json, "n_prompt");
    assert_error(&err, hw__run_from_json(&back, json, &err), HW_ERR_FORMAT,
                 "role \"thinking\" needs the key \"n_prompt\"");
    for (size_t t = 0; t < COUNT(roles); t++)
        json_object_set_new(json_array_get(json_object_get(json, "tokens"), t), "role", json_string(old_roles[t]));
    if (hw__run_from_json(&back, json, &err) != HW_OK) fail_msg("%s", err.msg);
    assert_same_run(run, back);
    hw__run_release(back);
    json_decref(json);
    hw__run_release(run);
}

static void unknown_keys_are_passed_over(void **state) {
    (void)state;
    hw_run *run = sample_run(true), *back;
    json_t *json;
    assert_int_equal(hw__run_to_json(&json, run, NULL), HW_OK);
    put_at(json, "later", "{\"a\":[1]}");
    put_at(json, "model/later", "1");
    put_at(json, "tokens/0/later", "null");
    assert_int_equal(hw__run_from_json(&back, json, NULL), HW_OK);
    assert_same_run(run, back);
    json_decref(json);
    hw__run_release(run);
    hw__run_release(back);
}

/* ------------------------------------------------------------------ traces */

static void reopen(const hw_trace *trace) {
    hw_trace *back = NULL;
    hw_error err = {0};
    if (hw_trace_save(trace, temp_path("t"), &err) != HW_OK || hw_trace_open(&back, temp_path("t"), &err) != HW_OK)
        fail_msg("%s", err.msg);
    assert_same_trace(trace, back);
    assert_int_equal(hw_trace_save(back, temp_path("again"), NULL), HW_OK);
    size_t n;
    char *bytes = read_bytes(temp_path("t"), &n);
    assert_true(same_file(temp_path("again"), bytes, n));
    free(bytes);
    hw_trace_free(back);
    temp_clear();
}

static void traces_come_back_bit_for_bit(void **state) {
    (void)state;
    const struct {
        bool causal;
        uint32_t signals;
        size_t spare;
    } cases[] = {
        {true, 0, 0},           {false, 0, 0},          {true, 0, 5}, /* a generation that ended early */
        {true, ALL_SIGNALS, 0}, {true, ALL_SIGNALS, 5}, {true, 1u << HW_SIGNAL_NORM | 1u << HW_SIGNAL_RESIDUAL, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        hw_trace *trace = sample_trace(cases[i].causal, cases[i].signals, cases[i].spare);
        reopen(trace);
        hw_trace_free(trace);
    }
}

static void a_reopened_trace_explains_the_same(void **state) {
    (void)state;
    hw_trace *trace = sample_trace(true, 0, 0), *back;
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    assert_int_equal(hw_trace_open(&back, temp_path("t"), NULL), HW_OK);
    hw_attribution *a = explain(trace, NULL), *b = explain(back, NULL);
    assert_same_attribution(a, b);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw_trace_free(trace);
    hw_trace_free(back);
    temp_clear();
}

static size_t file_size(const char *path) {
    size_t n;
    free(read_bytes(path, &n));
    return n;
}

static hw_err save_halves(const hw_trace *trace, const char *path) {
    hw_save_params params = hw_save_params_default();
    params.precision = HW_PRECISION_F16;
    return hw_trace_save_as(trace, path, &params, NULL);
}

static double row_distance(const hw_attribution *a, const hw_attribution *b, size_t i, size_t l) {
    double sum = fabs(outside(a, i, l) - outside(b, i, l));
    for (size_t k = 0; k < hw_attribution_n_columns(a); k++) sum += fabs(cell(a, i, k, l) - cell(b, i, k, l));
    return sum;
}

/* The stated bound against what really differs, row by row: tight within a factor for attention, kept for rollout. */
static void halves_stay_within_their_bound(void **state) {
    (void)state;
    enum { LAYERS = 12 };
    fake_params fake = fake_params_default();
    fake.n_layers = LAYERS;
    hw_run_params p =
        ask("A prompt of which each byte is a token, so that its rows are long enough to be rounded well.", NULL, 10);
    hw_trace *trace = fake_trace(&fake, &p), *back;
    assert_int_equal(hw_trace_save(trace, temp_path("f32"), NULL), HW_OK);
    assert_int_equal(save_halves(trace, temp_path("f16")), HW_OK);
    size_t saved = file_size(temp_path("f32")) - file_size(temp_path("f16")), n = trace->run->n_tokens,
           rows = LAYERS * n * (n + 1) / 2;
    assert_in_range(saved, 2 * rows - 64, 2 * rows); /* but for the number in the metadata */
    hw_error err;
    if (hw_trace_open(&back, temp_path("f16"), &err) != HW_OK) fail_msg("%s", err.msg);
    double bound = hw_trace_rounding(back, HW_PRECISION_F32);
    assert_true(hw_trace_rounding(trace, HW_PRECISION_F32) == 0);
    assert_close(bound, hw_trace_rounding(trace, HW_PRECISION_F16), 1e-3 * bound);
    hw_attribution *a = explain(trace, NULL), *b = explain(back, NULL), *c, *d;
    assert_int_equal(hw_explain(&c, trace, "attention", NULL, NULL), HW_OK);
    assert_int_equal(hw_explain(&d, back, "attention", NULL, NULL), HW_OK);
    double max = 0, composed = 0;
    for (size_t i = 0; i < 10; i++)
        for (size_t l = 0; l < LAYERS; l++) {
            composed = fmax(composed, row_distance(a, b, i, l) / (double)(l + 1));
            max = fmax(max, row_distance(c, d, i, l));
        }
    assert_true(composed > bound / 1000 && composed <= bound);
    assert_true(max > bound / 4 && max <= bound);
    assert_int_equal(save_halves(back, temp_path("again")), HW_OK); /* nothing moves twice */
    assert_true(file_size(temp_path("again")) == file_size(temp_path("f16")));
    assert_close(hw_trace_rounding(back, HW_PRECISION_F16), bound, 0);
    hw_attribution *made[] = {a, b, c, d};
    for (int i = 0; i < 4; i++) hw_attribution_free(made[i]);
    hw_trace_free(trace);
    hw_trace_free(back);
    temp_clear();
}

static void a_trace_that_cannot_be_written_leaves_the_old_file(void **state) {
    (void)state;
    hw_trace *trace = sample_trace(true, 0, 0);
    hw_error err = {0};
    assert_error(&err, hw_trace_save(trace, temp_path("no/t"), &err), HW_ERR_IO, "No such file");
    assert_error(&err, hw_trace_save(trace, temp_path(""), &err), HW_ERR_IO, "is a directory");
    assert_error(&err, hw_trace_save(trace, "", &err), HW_ERR_ARGUMENT, "no file named");
    assert_int_equal(temp_count(), 0);

    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    write_bytes(temp_path("t"), "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hw_err rc = hw_trace_save(trace, temp_path("t"), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_error(&err, rc, HW_ERR_IO, "File too large");
    assert_true(same_file(temp_path("t"), "old", 3));
    assert_int_equal(temp_count(), 1);
    hw_trace_free(trace);
    temp_clear();
}

/* ------------------------------------------------------------------ traces that cannot be right */

/* What a file is made of; each member can be spoilt. */
typedef struct parts {
    json_t *metadata;
    json_t *run; /* goes into the metadata as text */
    float *rows; /* [2, 36] */
    int32_t ids[SAMPLE_TOKENS];
    hw__tensor tensors[2];
} parts;

enum { LAYER_SIZE = SAMPLE_TOKENS * (SAMPLE_TOKENS + 1) / 2 };

static parts make_parts(const hw_trace *trace) {
    parts p = {.metadata = json_pack("{s:s, s:s}", "format", "headwater-trace", "version", "1")};
    p.rows = malloc(2 * LAYER_SIZE * sizeof *p.rows);
    assert_non_null(p.rows);
    assert_int_equal(hw__run_to_json(&p.run, trace->run, NULL), HW_OK);
    for (size_t l = 0; l < 2; l++) memcpy(p.rows + l * LAYER_SIZE, trace->rows[l], LAYER_SIZE * sizeof *p.rows);
    for (size_t t = 0; t < SAMPLE_TOKENS; t++) p.ids[t] = trace->run->tokens[t].id;
    p.tensors[0] = (hw__tensor){.name = "rows", .dtype = HW__F32, .n_dims = 2, .shape = {2, LAYER_SIZE}};
    p.tensors[1] = (hw__tensor){.name = "token_ids", .dtype = HW__I32, .n_dims = 1, .shape = {SAMPLE_TOKENS}};
    return p;
}

/* Writes the file, opens it and frees the parts. */
static hw_err open_parts(parts *p, hw_error *err) {
    hw__file file;
    hw__safetensors_writer writer;
    hw_trace *trace = NULL;
    if (p->run) {
        char *text = json_dumps(p->run, JSON_COMPACT);
        json_object_set_new(p->metadata, "run", json_string(text));
        free(text);
    }
    assert_int_equal(hw__file_create(&file, temp_path("t"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_begin(&writer, &file, p->tensors, 2, p->metadata, NULL), HW_OK);
    if (p->tensors[0].dtype == HW__F16) {
        hw__safetensors_put_halves(&writer, p->rows, 2 * LAYER_SIZE);
    } else {
        hw__safetensors_put_floats(&writer, p->rows, 2 * LAYER_SIZE);
    }
    hw__safetensors_put_ints(&writer, p->ids, SAMPLE_TOKENS);
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    json_decref(p->run);
    json_decref(p->metadata);
    free(p->rows);
    hw_err rc = hw_trace_open(&trace, temp_path("t"), err);
    hw_trace_free(trace);
    return rc;
}

static void traces_with_wrong_parts_are_refused(void **state) {
    (void)state;
    hw_trace *trace = sample_trace(true, 0, 0);
    hw_error err = {0};
    parts p = make_parts(trace);
    assert_int_equal(open_parts(&p, &err), HW_OK); /* whole, it opens */

    p = make_parts(trace);
    json_object_del(json_object_get(p.run, "model"), "sample_sha256");
    assert_int_equal(open_parts(&p, &err), HW_OK); /* earlier files lack it */

    p = make_parts(trace);
    json_object_set_new(p.metadata, "format", json_string("headwater-attribution"));
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "holds no headwater-trace");
    p = make_parts(trace);
    json_object_set_new(p.metadata, "version", json_string("2"));
    assert_error(&err, open_parts(&p, &err), HW_ERR_UNSUPPORTED, "this build reads up to version 1");
    p = make_parts(trace);
    json_decref(p.run);
    p.run = NULL;
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "has no \"run\"");
    p = make_parts(trace);
    json_decref(p.run);
    p.run = json_array();
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "\"model\" must be there");
    p = make_parts(trace);
    put_at(p.run, "causal", "false");
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "\"rows\" is F32 [2, 36], it must be F32 [2, 8, 8]");
    p = make_parts(trace);
    put_at(p.run, "model/layers", "[1,2,3]");
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "it must be F32 [3, 36]");
    p = make_parts(trace);
    p.tensors[0].name = "row";
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "there is no tensor \"rows\"");
    p = make_parts(trace);
    p.tensors[0].dtype = HW__I32;
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "\"rows\" is I32");
    p = make_parts(trace);
    p.tensors[1].dtype = HW__F32;
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "\"token_ids\" is F32");
    p = make_parts(trace);
    p.ids[4]++;
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "token 4 has id 5 in the run and 6 in token_ids");
    hw_trace_free(trace);
    temp_clear();
}

/* How far rows may be off follows from what the file says of its rounding, so that must be possible. */
static void halves_without_their_bound_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {NULL, "", "x", "nan", "inf", "-1e-4", "0x1p-12", "1e-4 ", "2e-3", "1e300"};
    hw_trace *trace = sample_trace(true, 0, 0);
    hw_error err = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        parts p = make_parts(trace);
        p.tensors[0].dtype = HW__F16;
        if (bad[i]) json_object_set_new(p.metadata, "rounding", json_string(bad[i]));
        assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "rounding");
    }
    parts p = make_parts(trace);
    p.tensors[0].dtype = HW__F16;
    json_object_set_new(p.metadata, "rounding", json_string("2.1e-4"));
    assert_int_equal(open_parts(&p, &err), HW_OK);
    p = make_parts(trace);
    p.tensors[0].dtype = HW__F16;
    p.rows[LAYER_SIZE + 3 + 1] += 0.0025f;
    json_object_set_new(p.metadata, "rounding", json_string("2.1e-4"));
    assert_error(&err, open_parts(&p, &err), HW_ERR_FORMAT, "must be 1 within 0.00121");
    hw_trace_free(trace);
    temp_clear();
}

static void rows_that_are_no_attention_are_refused(void **state) {
    (void)state;
    static const struct {
        float value;
        bool sinks;
        const char *says; /* NULL: accepted */
    } cases[] = {
        {NAN, false, "layer 1, row 2, column 1: weight nan"},
        {INFINITY, false, "layer 1, row 2: weights sum to inf"},
        {-0.01f, false, "column 1: weight -0.01"},
        {1.5f, false, "must be 1 within 0.001"},
        {1.5f, true, "must be 1 within 0.001, or less"},
        {0, false, "layer 1, row 2: weights sum to 0."},
        {0, true, NULL}, /* a sink took the rest */
    };
    hw_trace *trace = sample_trace(true, 0, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        hw_error err = {0};
        parts p = make_parts(trace);
        p.rows[LAYER_SIZE + 3 + 1] = cases[i].value; /* row 2 begins at 3 */
        put_at(p.run, "model/has_sinks", cases[i].sinks ? "true" : "false");
        hw_err rc = open_parts(&p, &err);
        if (cases[i].says)
            assert_error(&err, rc, HW_ERR_FORMAT, cases[i].says);
        else
            assert_int_equal(rc, HW_OK);
    }
    hw_trace_free(trace);
    temp_clear();
}

static void signals_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    hw_error err = {0};
    hw_trace *trace = sample_trace(true, 1u << HW_SIGNAL_LOGIT, 0), *back;
    trace->signals.values[HW_SIGNAL_LOGIT][1] = NAN;
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    assert_error(&err, hw_trace_open(&back, temp_path("t"), &err), HW_ERR_FORMAT,
                 "value 1 of tensor \"signal.logit\" is nan");
    trace->signals.values[HW_SIGNAL_LOGIT][1] = 0;

    hw_balance *balance = trace->signals.balance;
    trace->signals.balance = NULL; /* a file without what goes with the signal */
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    assert_error(&err, hw_trace_open(&back, temp_path("t"), &err), HW_ERR_FORMAT, "has no \"balance\"");
    trace->signals.balance = balance;
    hw_trace_free(trace);

    static const float no_shares[] = {-0.01f, 1.01f, NAN};
    trace = sample_trace(true, 1u << HW_SIGNAL_RESIDUAL, 0);
    for (size_t i = 0; i < COUNT(no_shares); i++) {
        trace->signals.values[HW_SIGNAL_RESIDUAL][3] = no_shares[i];
        assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
        hw_err rc = hw_trace_open(&back, temp_path("t"), &err);
        assert_error(&err, rc, HW_ERR_FORMAT, "value 3 of tensor \"signal.residual\"");
        assert_non_null(strstr(err.msg, "must be 0 to 1"));
    }
    hw_trace_free(trace);
    temp_clear();
}

/* ------------------------------------------------------------------ damage */

static void no_cut_trace_opens(void **state) {
    (void)state;
    size_t n;
    hw_trace *trace = sample_trace(true, 1u << HW_SIGNAL_LOGIT, 0), *back;
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    free(read_bytes(temp_path("t"), &n));
    for (size_t cut = n; cut-- > 0;) {
        cut_file(temp_path("t"), cut);
        if (hw_trace_open(&back, temp_path("t"), NULL) == HW_OK) fail_msg("cut to %zu of %zu bytes it opens", cut, n);
    }
    hw_trace_free(trace);
    temp_clear();
}

/* Every byte changed, one at a time: it opens or it does not, and nothing else happens. Sanitizers watch. */
static void no_changed_byte_does_harm(void **state) {
    (void)state;
    size_t n, opened = 0;
    hw_trace *trace = sample_trace(true, 1u << HW_SIGNAL_LOGIT, 0);
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    char *bytes = read_bytes(temp_path("t"), &n);
    for (size_t i = 0; i < n; i++) {
        const char changes[] = {(char)(bytes[i] ^ 1), (char)(bytes[i] ^ 0x80), i % 2 ? '"' : '9'};
        for (size_t c = 0; c < COUNT(changes); c++) {
            hw_trace *back = NULL;
            hw_error err = {0};
            patch_byte(temp_path("t"), i, changes[c]);
            hw_err rc = hw_trace_open(&back, temp_path("t"), &err);
            assert_true(rc == HW_OK || (err.code == rc && err.msg[0]));
            opened += rc == HW_OK;
            hw_trace_free(back);
        }
        patch_byte(temp_path("t"), i, bytes[i]);
    }
    assert_true(opened > 0 && opened < 3 * n);
    free(bytes);
    hw_trace_free(trace);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_comes_back_from_its_text),
        cmocka_unit_test(bytes_that_are_no_text_are_there_twice),
        cmocka_unit_test(runs_that_cannot_be_right_are_refused),
        cmocka_unit_test(thinking_is_a_role_in_files),
        cmocka_unit_test(unknown_keys_are_passed_over),
        cmocka_unit_test(traces_come_back_bit_for_bit),
        cmocka_unit_test(a_reopened_trace_explains_the_same),
        cmocka_unit_test(halves_stay_within_their_bound),
        cmocka_unit_test(a_trace_that_cannot_be_written_leaves_the_old_file),
        cmocka_unit_test(traces_with_wrong_parts_are_refused),
        cmocka_unit_test(halves_without_their_bound_are_refused),
        cmocka_unit_test(rows_that_are_no_attention_are_refused),
        cmocka_unit_test(signals_that_cannot_be_right_are_refused),
        cmocka_unit_test(no_cut_trace_opens),
        cmocka_unit_test(no_changed_byte_does_harm),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
