/* Results on disk: exact bytes, what comes back, what is refused, and that docs/reference/formats.md tells the truth. */
#include "support/files.h"
#include "formats/result.h"
#include "formats/run_json.h"
#include "base/safetensors.h"
#include "support/sample.h"
#include "data/trace.h"

#include <math.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void must_save(const hw_attribution *a, const char *path, bool full) {
    hw_error err = {0};
    if (hw_result_save(&a, 1, path, full, &err) != HW_OK) fail_msg("%s", err.msg);
}

static hw_result *must_open(const char *path) {
    hw_result *result = NULL;
    hw_error err = {0};
    if (hw_result_open(&result, path, &err) != HW_OK) fail_msg("%s", err.msg);
    return result;
}

/* ------------------------------------------------------------------ the worked example of docs/reference/formats.md */

/* methods.md 6.9 as a run of a model: "The cat" -> " sat". */
static hw_run *worked_run(void) {
    static const int32_t layers[] = {0, 1};
    hw_model_info info = {
        .path = "toy.gguf",
        .engine = "llama",
        .engine_version = "0.5.0",
        .architecture = "llama",
        .name = "Toy",
        .quantisation = "F16",
        .metadata_sha256 = "",
        .sample_sha256 = "",
        .device = "CPU",
        .problem = "",
        .values_problem = "",
        .readout_problem = "",
        .layers = layers,
        .n_layers = 2,
        .n_blocks = 2,
        .n_heads = 1,
        .n_heads_kv = 1,
        .n_embd = 8,
        .n_vocab = 100,
        .n_ctx_train = 64,
        .n_params = 3200,
        .n_bytes = 6400,
        .host_rows = true,
    };
    hw__run_options options = {.run = {.n_generate = 1, .top_p = 1}, .n_ubatch = 512};
    hw_run *run = NULL;
    assert_int_equal(hw__run_new(&run, &info, &options, NULL), HW_OK);
    assert_int_equal(hw__run_set_prompt(run, "The cat", 7, NULL), HW_OK);
    const hw_alternative best[] = {{.bytes = " sat", .n_bytes = 4, .id = 31, .logprob = -0.5f},
                                   {.bytes = "\xE2\x80", .n_bytes = 2, .id = 97, .logprob = -1.25f}};
    const hw_token tokens[] = {
        {.bytes = "The", .n_bytes = 3, .begin = 0, .end = 3, .id = 12, .logprob = NAN},
        {.bytes = " cat", .n_bytes = 4, .begin = 3, .end = 7, .id = 45, .logprob = NAN},
        {.bytes = " sat",
         .n_bytes = 4,
         .id = 31,
         .role = HW_ROLE_COMPLETION,
         .logprob = -0.5f,
         .n_alternatives = 2,
         .alternatives = best},
    };
    for (size_t t = 0; t < COUNT(tokens); t++) assert_int_equal(hw__run_add_token(run, &tokens[t], NULL), HW_OK);
    return run;
}

static hw_trace *worked_trace(void) {
    static const float rows[2][6] = {{1, 0.6f, 0.4f, 0.5f, 0.3f, 0.2f}, {1, 0.25f, 0.75f, 0.1f, 0.7f, 0.2f}};
    hw_trace *trace = NULL;
    assert_int_equal(hw__trace_new(&trace, worked_run(), 3, NULL), HW_OK);
    for (size_t l = 0; l < 2; l++) memcpy(trace->rows[l], rows[l], sizeof rows[l]);
    return trace;
}

/* Rollout's own-row answer, R_1 = [1/4, 3/20 | 3/5] and R_2 = [61/200, 67/200 | 9/25]. */
static hw_attribution *worked_attribution(void) {
    static const float values[] = {0.25f, 0.305f, 0.15f, 0.335f}, outside_mass[] = {0.6f, 0.36f};
    hw_method_params params = hw_method_params_default();
    params.row = HW_ROW_OWN;
    return make_attribution(worked_run(), &params, 2, values, outside_mass);
}

/* ------------------------------------------------------------------ the table */

static void formats_go_by_the_ending(void **state) {
    (void)state;
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"a.json", "json"}, {"a.JSON", "json"},     {"/x.y/a.b.safetensors", "safetensors"},
        {"a.csv", "csv"},   {"a.npy", "npy"},       {"a.json.gz", NULL},
        {"json", NULL},     {".json", NULL},        {"", NULL},
        {"a.jsonl", NULL},  {"a.safetensor", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const hw_format_info *info = hw_format_of(cases[i].path);
        if (!cases[i].name)
            assert_null(info);
        else
            assert_string_equal(info->name, cases[i].name);
    }
    assert_null(hw_format_of(NULL));
    assert_int_equal(hw_format_count(), 4);
    assert_null(hw_format_at(4));
    for (size_t i = 0; i < hw_format_count(); i++) {
        const hw_format_info *info = hw_format_at(i);
        assert_true(info->name && info->extension[0] == '.' && strlen(info->summary) > 10);
        assert_int_equal(info->many, strcmp(info->name, "json") == 0);
    }
}

static void other_endings_are_refused_with_those_that_are_not(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    const hw_attribution *list = a;
    hw_result *result;
    hw_error err = {0};
    assert_error(&err, hw_result_save(&list, 1, "a.txt", false, &err), HW_ERR_ARGUMENT,
                 "\"a.txt\": the name of a result to save must end in one of .json, .safetensors, .csv, .npy");
    assert_error(&err, hw_result_save(&list, 1, NULL, false, &err), HW_ERR_ARGUMENT, "must end in one of");
    assert_error(&err, hw_result_open(&result, "a.npy", &err), HW_ERR_ARGUMENT,
                 "to open must end in one of .json, .safetensors");
    assert_null(strstr(err.msg, ".csv"));
    hw_attribution_free(a);
}

/* ------------------------------------------------------------------ exact bytes */

static void csv_is_exact(void **state) {
    (void)state;
    static const char expected[] = "completion_index,completion_token,prompt_index,prompt_token,layer,value\r\n"
                                   "0, sat,0,The,0,0.25\r\n"
                                   "0, sat,0,The,1,0.305000007\r\n"
                                   "0, sat,1, cat,0,0.150000006\r\n"
                                   "0, sat,1, cat,1,0.335000008\r\n";
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.csv"), false);
    assert_true(same_file(temp_path("a.csv"), expected, sizeof expected - 1));
    hw_attribution_free(a);
    temp_clear();
}

/* Quotes, commas, line ends, half characters, NUL; blocks 1 and 3; a NaN is an empty field. */
static void csv_quotes_what_needs_it(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2);
    for (size_t i = 0; i < 3 * 5 * 2; i++) a->values[i] = (float)i;
    a->values[29] = NAN;
    a->values[1] = -0.0f;
    must_save(a, temp_path("a.csv"), false);
    size_t n;
    char *text = read_bytes(temp_path("a.csv"), &n);
    static const char first[] = "completion_index,completion_token,prompt_index,prompt_token,layer,value\r\n"
                                "0, \xF0\x9F\x99\x82,0,<s>,1,0\r\n0, \xF0\x9F\x99\x82,0,<s>,3,-0.0\r\n"
                                "0, \xF0\x9F\x99\x82,1,<|user|>,1,2\r\n0, \xF0\x9F\x99\x82,1,<|user|>,3,3\r\n"
                                "0, \xF0\x9F\x99\x82,2,A\xC3\xA9,1,4\r\n0, \xF0\x9F\x99\x82,2,A\xC3\xA9,3,5\r\n"
                                "0, \xF0\x9F\x99\x82,3,\", \"\"x\"\"\r\n\",1,6\r\n"; /* characters are where they begin */
    static const char last[] = "2,\0,4,\xE2\x80\xB9" "FF\xE2\x80\xBA\0,3,\r\n";
    assert_memory_equal(text, first, sizeof first - 1);
    assert_memory_equal(text + n - (sizeof last - 1), last, sizeof last - 1);
    free(text);
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

static void csv_quotes_for_each_reason_alone(void **state) {
    (void)state;
    static const char *const words[] = {"a\"b", "a,b", "a\nb", "a\rb", " a b ", ""};
    static const char *const fields[] = {",\"a\"\"b\",", ",\"a,b\",", ",\"a\nb\",", ",\"a\rb\",", ", a b ,", ",5,,"};
    hw_run *run = make_run(1, words, COUNT(words), words, 1);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 1);
    must_save(a, temp_path("a.csv"), false);
    size_t n;
    char *text = read_bytes(temp_path("a.csv"), &n);
    for (size_t i = 0; i < COUNT(fields); i++)
        if (!strstr(text, fields[i])) fail_msg("no field %s in\n%s", fields[i], text);
    free(text);
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

/* Two groups of five prompt tokens, one token in none, without names and where one has a name: the halves of a character meet in their group's text. */
static void csv_names_groups_by_name_or_text(void **state) {
    (void)state;
    static const int32_t groups[] = {1, -1, 0, 0, 1};
    hw_method_params params = hw_method_params_default();
    static const char *const names[] = {"", "Anna, 1"};
    static const char lines[] =
        "\r\n0, \xF0\x9F\x99\x82,0,\"A\xC3\xA9, \"\"x\"\"\r\n\",-1,0\r\n0, \xF0\x9F\x99\x82,1,<s>\xE2\x80\xB9" "FF\xE2\x80\xBA\0,-1,1\r\n";
    static const char named[] =
        "\r\n0, \xF0\x9F\x99\x82,0,\"A\xC3\xA9, \"\"x\"\"\r\n\",-1,0\r\n0, \xF0\x9F\x99\x82,1,\"Anna, 1\",-1,1\r\n";
    params.groups = groups;
    params.n_groups = 2;
    hw_run *run = sample_run(true);
    for (int has_names = 0; has_names < 2; has_names++) {
        params.group_names = has_names ? names : NULL;
        hw_attribution *a = sample_attribution(run, "rollout", &params, 1);
        for (size_t i = 0; i < 6; i++) a->values[i] = (float)i;
        must_save(a, temp_path("a.csv"), false);
        size_t n;
        char *text = read_bytes(temp_path("a.csv"), &n);
        assert_memory_equal(text + 71, has_names ? named : lines, (has_names ? sizeof named : sizeof lines) - 1);
        free(text);
        hw_attribution_free(a);
    }
    hw__run_release(run);
    temp_clear();
}

static void npy_is_exact(void **state) {
    (void)state;
    static const char expected[] = "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }"
                                   "                                                       \n"
                                   "\0\0\x80\x3E\xF6\x28\x9C\x3E\x9A\x99\x19\x3E\x1F\x85\xAB\x3E";
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.npy"), false);
    assert_true(same_file(temp_path("a.npy"), expected, sizeof expected - 1));
    hw_attribution_free(a);
    temp_clear();
}

/* ------------------------------------------------------------------ what comes back */

typedef struct shape_case {
    const char *method;
    hw_method_params params;
    size_t n_layers;
    bool balance;
} shape_case;

static void comes_back(const hw_run *run, const shape_case *c, const char *path) {
    hw_attribution *a = sample_attribution(run, c->method, &c->params, c->n_layers);
    if (c->balance) {
        a->balance = calloc(a->n_rows, sizeof *a->balance);
        assert_non_null(a->balance);
        for (size_t i = 0; i < a->n_rows; i++)
            a->balance[i] = (hw_balance){.prompt = 0.1 * (double)i, .mlp = 1.0 / 3, .logit = -7};
    }
    must_save(a, path, true);
    hw_result *result = must_open(path);
    assert_int_equal(hw_result_count(result), 1);
    assert_same_attribution(a, hw_result_at(result, 0));
    assert_null(hw_result_at(result, 1));
    size_t n;
    char *bytes = read_bytes(path, &n);
    must_save(hw_result_at(result, 0), path, true);
    assert_true(same_file(path, bytes, n));
    free(bytes);
    hw_result_free(result);
    hw_attribution_free(a);
}

static void results_come_back_bit_for_bit(void **state) {
    (void)state;
    static const int32_t groups[] = {2, 0, -1, 0, 1}, all_groups[] = {0, 0, 0, 0, 0, 0, 0, 0};
    static const char *const names[] = {"Anna's \xF0\x9F\x8C\x8A", "", "\"\n", NULL};
    shape_case cases[] = {{"rollout", {0}, 2, false}, {"rollout", {0}, 2, false},     {"rollout", {0}, 2, false},
                          {"rollout", {0}, 2, false}, {"attention", {0}, 1, false},   {"logit", {0}, 2, true},
                          {"random", {0}, 2, false},  {"contribution", {0}, 2, false}};
    for (size_t i = 0; i < COUNT(cases); i++) cases[i].params = hw_method_params_default();
    cases[1].params.columns = HW_COLUMNS_ALL;
    cases[1].params.residual = 0.1; /* no float, no short binary fraction */
    cases[2].params.groups = groups;
    cases[2].params.n_groups = 4; /* the last one is empty */
    cases[2].params.group_names = names;
    cases[3].params.columns = HW_COLUMNS_ALL;
    cases[3].params.groups = all_groups;
    cases[3].params.n_groups = 1;
    cases[4].params.row = HW_ROW_OWN;
    cases[4].params.direction = HW_DIRECTION_OUTPUT;
    cases[6].params.seed = UINT64_MAX;
    cases[6].params.n_ablations = 1000000;
    cases[7].params.measure = HW_MEASURE_PROXIMITY2;
    cases[7].params.aggregate = HW_AGGREGATE_ROLLOUT;
    cases[0].params.residual_measured = true;
    cases[2].params.discard = 0.7;
    cases[3].params.remove_sink = true;
    hw_run *run = sample_run(true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        comes_back(run, &cases[i], temp_path("a.json"));
        comes_back(run, &cases[i], temp_path("a.safetensors"));
    }
    hw__run_release(run);
    temp_clear();
}

/* A run of which nothing is known but its tokens: every row is explained. */
static void results_without_completion_come_back(void **state) {
    (void)state;
    static const char *const words[] = {"a", "b"};
    hw_run *run = make_run(2, words, 2, NULL, 0);
    const shape_case c = {"rollout", hw_method_params_default(), 2, false};
    comes_back(run, &c, temp_path("a.json"));
    comes_back(run, &c, temp_path("a.safetensors"));
    hw__run_release(run);
    temp_clear();
}

static void json_without_the_whole_has_its_means(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    must_save(a, temp_path("a.json"), false);
    hw_result *result = must_open(temp_path("a.json"));
    const hw_attribution *mean = hw_result_at(result, 0);
    assert_int_equal(mean->n_layers, 1);
    assert_int_equal(mean->layers[0], -1);
    for (size_t k = 0; k < 2; k++)
        assert_close(cell(mean, 0, k, 0), (cell(a, 0, k, 0) + cell(a, 0, k, 1)) / 2, 0x1p-26);
    assert_close(outside(mean, 0, 0), 0.48, 0x1p-25);
    assert_memory_equal(&mean->diagnostics, &a->diagnostics, sizeof a->diagnostics); /* of the whole M */
    hw_result_free(result);
    hw_attribution_free(a);
    temp_clear();
}

static void json_holds_many_methods(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b, a}; /* one method twice: its settings may differ */
    hw_error err = {0};
    assert_int_equal(hw_result_save(list, 3, temp_path("a.json"), true, &err), HW_OK);
    hw_result *result = must_open(temp_path("a.json"));
    assert_int_equal(hw_result_count(result), 3);
    for (size_t i = 0; i < 3; i++) assert_same_attribution(list[i], hw_result_at(result, i));
    hw_result_free(result);
    hw_result_free(NULL);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

/* ------------------------------------------------------------------ several files */

static void other_formats_take_a_file_a_method(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b};
    hw_error err = {0};
    assert_int_equal(hw_result_save(list, 2, temp_path("x.y.safetensors"), false, &err), HW_OK);
    assert_int_equal(temp_count(), 2);
    hw_result *first = must_open(temp_path("x.y.rollout.safetensors")),
              *second = must_open(temp_path("x.y.attention.safetensors"));
    assert_same_attribution(a, hw_result_at(first, 0));
    assert_same_attribution(b, hw_result_at(second, 0));
    /* A result read from two files is of one run, whatever its pointers say. */
    const hw_attribution *const reread[] = {hw_result_at(first, 0), hw_result_at(second, 0)};
    assert_int_equal(hw_result_save(reread, 2, temp_path("both.json"), false, &err), HW_OK);
    hw_result_free(first);
    hw_result_free(second);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

static void all_files_are_whole_before_one_is_replaced(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *b = sample_attribution(run, "attention", NULL, 2);
    const hw_attribution *const list[] = {a, b};
    hw_error err = {0};
    write_bytes(temp_path("x.rollout.csv"), "old", 3);
    assert_int_equal(mkdir(temp_path("x.attention.csv"), 0777), 0);
    assert_error(&err, hw_result_save(list, 2, temp_path("x.csv"), false, &err), HW_ERR_IO,
                 "x.attention.csv is a directory");
    assert_true(same_file(temp_path("x.rollout.csv"), "old", 3));
    assert_int_equal(temp_count(), 2);
    hw_attribution_free(a);
    hw_attribution_free(b);
    hw__run_release(run);
    temp_clear();
}

static void lists_that_do_not_go_together_are_refused(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2), *other = worked_attribution();
    const hw_attribution *const twice[] = {a, a}, *const mixed[] = {a, other};
    hw_error err = {0};
    assert_error(&err, hw_result_save(twice, 0, temp_path("a.json"), false, &err), HW_ERR_ARGUMENT,
                 "no result to save");
    assert_error(&err, hw_result_save(twice, 2, temp_path("a.csv"), false, &err), HW_ERR_ARGUMENT,
                 "two results of method rollout");
    assert_error(&err, hw_result_save(mixed, 2, temp_path("a.json"), false, &err), HW_ERR_ARGUMENT,
                 "result 1 is of another run");
    a->values[3] = INFINITY;
    assert_error(&err, hw_result_save(twice, 1, temp_path("a.npy"), false, &err), HW_ERR_ARGUMENT,
                 "value 3 of method rollout is infinite");
    assert_int_equal(temp_count(), 0);
    hw_attribution_free(a);
    hw_attribution_free(other);
    hw__run_release(run);
}

/* A disk that is full: each format notices, and the earlier file is still there. */
static void a_failed_save_leaves_the_old_file(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    const hw_attribution *list = a;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 16;
    for (size_t i = 0; i < hw_format_count(); i++) {
        char name[32];
        hw_error err = {0};
        snprintf(name, sizeof name, "a%s", hw_format_at(i)->extension);
        write_bytes(temp_path(name), "old", 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        hw_err rc = hw_result_save(&list, 1, temp_path(name), true, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_error(&err, rc, HW_ERR_IO, "File too large");
        assert_non_null(strstr(err.msg, name));
        assert_true(same_file(temp_path(name), "old", 3));
        assert_int_equal(temp_count(), i + 1);
    }
    hw_attribution_free(a);
    temp_clear();
}

/* ------------------------------------------------------------------ hostile results */

/* Saves the worked result as JSON text, `from` replaced by `to`, which must be there. */
static void write_changed(const char *name, bool full, const char *from, const char *to) {
    hw_attribution *a = worked_attribution();
    size_t n;
    must_save(a, temp_path(name), full);
    char *text = read_bytes(temp_path(name), &n), *at = strstr(text, from);
    if (!at) fail_msg("%s is not in the file", from);
    size_t head = (size_t)(at - text), tail = n - head - strlen(from);
    char *changed = malloc(n + strlen(to) + 1);
    assert_non_null(changed);
    memcpy(changed, text, head);
    memcpy(changed + head, to, strlen(to));
    memcpy(changed + head + strlen(to), at + strlen(from), tail);
    write_bytes(temp_path(name), changed, head + strlen(to) + tail);
    free(changed);
    free(text);
    hw_attribution_free(a);
}

static const struct {
    const char *from, *to, *says;
} bad_results[] = {
    {"headwater-result", "other", "its \"format\" is not \"headwater-result\""},
    {"\"version\":1,", "\"version\":\"1\",", "\"version\" must be there and be a whole number"},
    {"\"version\":1,", "\"version\":0,", "\"version\" is 0"},
    {"\"run\":", "\"ran\":", "\"run\" must be there"},
    {"\"stop\":\"length\"", "\"stop\":\"x\"", "the run's description"},
    {"\"attributions\":", "\"others\":", "\"attributions\" must be there"},
    {"\"rollout\"", "\"magic\\n\"", "method \"magic?\": this build has none"},
    {"\"row\":\"own\"", "\"row\":\"none\"", "must be one of predictor, own"},
    {"\"direction\":\"input\"", "\"direction\":1", "\"direction\" must be there and be a string"},
    {"\"columns\":\"prompt\"", "\"columns\":\"all\"",
     "its shape is [1, 2, 2]; run and settings need [1, 3, 1 or more]"},
    {"\"residual\":0.5", "\"residual\":1.5", "setting \"residual\": must be a number from 0 to 1"},
    {"\"residual\":0.5", "\"residual\":null", "setting \"residual\": must be a number from 0 to 1"},
    {"\"residual_measured\":false", "\"residual_measured\":0",
     "\"residual_measured\" must be there and be true or false"},
    {"\"discard\":0.0", "\"discard\":1.0", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":-0.1", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":null", "setting \"discard\": must be a number from 0 to below 1"},
    {"\"discard\":0.0", "\"discard\":\"0\"", "\"discard\" must be there and be a number"},
    {"\"aggregate\":\"mean\"", "\"aggregate\":\"max\"", "must be one of mean, rollout"},
    {"\"aggregate\":\"mean\"", "\"aggregate\":1", "\"aggregate\" must be there and be a string"},
    {"\"remove_sink\":false", "\"remove_sink\":1", "\"remove_sink\" must be there and be true or false"},
    {"\"measure\":\"projection\"", "\"measure\":\"x\"", "must be one of projection"},
    {"\"seed\":\"0\"", "\"seed\":0", "\"seed\" must be there and be a string"},
    {"\"seed\":\"0\"", "\"seed\":\"18446744073709551616\"", "at most 18446744073709551615"},
    {"\"n_ablations\":64", "\"n_ablations\":-1", "\"n_ablations\" is -1"},
    {"\"seed\":\"0\"", "\"seed\":\"-1\"", "decimal digits"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0],\"n_groups\":1",
     "\"groups\" has 1 entries, there are 2 columns"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,2],\"n_groups\":2", "group 1: a whole number from -1 to 1"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,-2],\"n_groups\":2", "group 1: a whole number from -1 to 1"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":0", "\"n_groups\" is 0"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":2000000000",
     "need [1, 2000000000, 1 or more]"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":1", "\"groups\" must be there and be a list"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":2,\"group_names\":[\"a\"]",
     "\"group_names\" has 1 entries for 2 groups"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":1,\"group_names\":[1]",
     "name of group 0: a string is needed"},
    {"\"residual\":0.5", "\"residual\":0.5,\"groups\":[0,0],\"n_groups\":1,\"group_names\":\"a\"",
     "\"group_names\" must be there and be a list"},
    {"\"first_mean\":", "\"first\":", "\"first_mean\" must be there"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0],\"first", "\"layers\" has 1 entries for 2 layers"},
    {"\"layers\":[0,1],\"first", "\"layers\":[1,0],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0,2],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[-1,0],\"first", "rising layers of the model"},
    {"\"layers\":[0,1],\"first", "\"layers\":[0,-1],\"first", "rising layers of the model"},
    {"\"first_token\":2", "\"first_token\":1", "\"first_token\" is 1: 2 to 2 is accepted"},
    {"\"first_token\":2", "\"first_token\":2,\"balance\":[]", "a list of 1 rows"},
    {"\"first_token\":2", "\"first_token\":2,\"balance\":[{\"prompt\":1}]",
     "balance row 0: \"completion\" must be there"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2]", "[n, m, L], each 1 or more"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2,0]", "[n, m, L], each 1 or more"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,9223372036854775807,2]", "\"mean\" must hold lists"},
    {"\"shape\":[1,2,2]", "\"shape\":[1,2,9223372036854775807]", "\"outside\" must hold lists"},
    {"\"shape\":[1,2,2]", "\"shape\":[9223372036854775807,2,2]", "\"mean\" must hold lists"},
    {"\"mean\":[\n[", "\"mean\":[\n[[],", "\"mean\" must hold lists"},
    {"\"outside\":[\n[", "\"outside\":[\n[0,", "\"outside\" must hold lists"},
    {"\"outside\":[\n[0.6", "\"outside\":[\n[1e40,0.6", "\"outside\" must hold lists"},
    {"0.600000024", "1e40", "\"outside\" must hold numbers in float's range"},
    {"0.600000024", "\"x\"", "\"outside\" must hold numbers"},
};

/* Of the whole M only. */
static const struct {
    const char *from, *to, *says;
} bad_tensors[] = {
    {"\"attribution\":[\n[[0.25", "\"attribution\":[\n[[1e39", "\"attribution\" must hold numbers in float's range"},
    {"\"attribution\":[\n[[0.25,", "\"attribution\":[\n[[",
     "\"attribution\" must hold lists of the lengths in \"shape\": one of 2"},
    {"\"attribution\":[\n[[", "\"attribution\":[\n[[],[", "one of 2 is missing"},
    {"\"attribution\":[\n[", "\"attribution\":[\n[],[", "one of 1 is missing"},
    {"\"attribution\":[\n", "\"attribution\":null,\"x\":[\n", "one of 1 is missing"},
};

static void json_results_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    hw_result *result;
    hw_error err = {0};
    for (size_t i = 0; i < COUNT(bad_results); i++) {
        write_changed("a.json", false, bad_results[i].from, bad_results[i].to);
        assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, bad_results[i].says);
        assert_non_null(strstr(err.msg, temp_path("a.json")));
    }
    for (size_t i = 0; i < COUNT(bad_tensors); i++) {
        write_changed("a.json", true, bad_tensors[i].from, bad_tensors[i].to);
        assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, bad_tensors[i].says);
    }
    write_changed("a.json", false, "\"version\":1,", "\"version\":2,");
    assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_UNSUPPORTED,
                 "this build reads up to version 1");
    write_changed("a.json", false, "\"version\":1,", "\"version\":1,\"later\":{},");
    hw_result_free(must_open(temp_path("a.json"))); /* unknown keys are passed over */
    assert_error(&err, hw_result_open(&result, temp_path("none.json"), &err), HW_ERR_IO, "No such file");
    write_bytes(temp_path("a.json"), "{\"format\":1,\"format\":2}", 23);
    assert_error(&err, hw_result_open(&result, temp_path("a.json"), &err), HW_ERR_FORMAT, "duplicate");
    temp_clear();
}

/* Settings that were added later: a file without them has what they were then. */
static void results_without_later_settings_open(void **state) {
    (void)state;
    static const char *const settings[] = {"\"residual_measured\":false,", "\"discard\":0.0,", "\"remove_sink\":false,",
                                           "\"aggregate\":\"mean\","};
    hw_attribution *a = worked_attribution();
    for (size_t i = 0; i < COUNT(settings); i++) {
        write_changed("a.json", true, settings[i], "");
        hw_result *result = must_open(temp_path("a.json"));
        assert_same_attribution(a, hw_result_at(result, 0));
        hw_result_free(result);
    }
    hw_attribution_free(a);
    temp_clear();
}

/* The parts of a safetensors result, one spoilt. */
static void write_spoilt(hw__tensor *tensors, json_t *metadata, const float *floats, size_t n_floats,
                         const int32_t ids[3]) {
    hw__file file;
    hw__safetensors_writer writer;
    assert_int_equal(hw__file_create(&file, temp_path("a.safetensors"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_begin(&writer, &file, tensors, 4, metadata, NULL), HW_OK);
    hw__safetensors_put_floats(&writer, floats, n_floats);
    hw__safetensors_put_ints(&writer, ids, 3);
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
}

/* Metadata as the writer makes it. */
static json_t *worked_metadata(void) {
    hw_attribution *a = worked_attribution();
    hw__safetensors *file;
    static const char *const keys[] = {"format", "version", "run", "attribution"};
    json_t *metadata = json_object();
    must_save(a, temp_path("a.safetensors"), false);
    assert_int_equal(hw__safetensors_open(&file, temp_path("a.safetensors"), NULL), HW_OK);
    for (size_t i = 0; i < COUNT(keys); i++)
        json_object_set_new(metadata, keys[i], json_string(hw__safetensors_metadata(file, keys[i])));
    hw__safetensors_close(file);
    hw_attribution_free(a);
    return metadata;
}

static void safetensors_results_that_cannot_be_right_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *key, *value; /* of the metadata, where not NULL */
        size_t tensor, shape[3]; /* where shape[0] is not 0; its dimensions that are not 0 */
        float first;
        int32_t last_id;
        const char *says;
        hw__dtype dtype; /* of the tensor, where not 0 */
    } cases[] = {
        {NULL, NULL, 0, {0}, 0.25f, 31, NULL, 0}, /* whole, it opens */
        {"format", "pt", 0, {0}, 0.25f, 31, "holds no headwater-attribution", 0},
        {"run", "{}", 0, {0}, 0.25f, 31, "\"model\" must be there", 0},
        {"run", "[", 0, {0}, 0.25f, 31, "no valid JSON", 0},
        {"attribution", "{}", 0, {0}, 0.25f, 31, "\"method\" must be there", 0},
        {"attribution", "", 0, {0}, 0.25f, 31, "no valid JSON", 0},
        {NULL, NULL, 0, {1, 1, 4}, 0.25f, 31, "its shape is [1, 1, 4]; run and settings need [1, 2, 1 or more]", 0},
        {NULL, NULL, 0, {1, 2, 2}, INFINITY, 31, "value 0 of tensor \"attribution\" is infinite", 0},
        {NULL, NULL, 0, {2, 2}, 0.25f, 31, "no tensor \"attribution\" of F32 [n, m, L]", 0},
        {NULL, NULL, 0, {0}, 0.25f, 31, "no tensor \"attribution\" of F32 [n, m, L]", HW__I32},
        {NULL, NULL, 1, {2, 1}, 0.25f, 31, "\"outside\" is F32 [2, 1], it must be F32 [1, 2]", 0},
        {NULL, NULL, 0, {0}, 0.25f, 32, "token 2 has id 31 in the run and 32 in completion_ids", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        float floats[] = {cases[i].first, 0.305f, 0.15f, 0.335f, 0.6f, 0.36f};
        const int32_t ids[] = {12, 45, cases[i].last_id};
        hw__tensor tensors[] = {{.name = "attribution", .dtype = HW__F32, .n_dims = 3, .shape = {1, 2, 2}},
                                {.name = "outside", .dtype = HW__F32, .n_dims = 2, .shape = {1, 2}},
                                {.name = "prompt_ids", .dtype = HW__I32, .n_dims = 1, .shape = {2}},
                                {.name = "completion_ids", .dtype = HW__I32, .n_dims = 1, .shape = {1}}};
        json_t *metadata = worked_metadata();
        if (cases[i].key) json_object_set_new(metadata, cases[i].key, json_string(cases[i].value));
        hw__tensor *changed = &tensors[cases[i].tensor];
        if (cases[i].shape[0]) memcpy(changed->shape, cases[i].shape, sizeof cases[i].shape);
        if (cases[i].dtype) changed->dtype = cases[i].dtype;
        while (changed->shape[changed->n_dims - 1] == 0) changed->n_dims--;
        write_spoilt(tensors, metadata, floats, 6, ids);
        json_decref(metadata);
        hw_result *result = NULL;
        hw_error err = {0};
        hw_err rc = hw_result_open(&result, temp_path("a.safetensors"), &err);
        if (cases[i].says)
            assert_error(&err, rc, HW_ERR_FORMAT, cases[i].says);
        else
            assert_int_equal(rc, HW_OK);
        hw_result_free(rc == HW_OK ? result : NULL);
    }
    temp_clear();
}

static void changed_bytes_do_no_harm(const char *name) {
    size_t n, opened = 0;
    char *bytes = read_bytes(temp_path(name), &n);
    for (size_t i = 0; i < n; i++) {
        const char changes[] = {(char)(bytes[i] ^ 1), i % 2 ? '"' : '9', (char)(bytes[i] ^ 0x80)};
        for (size_t c = 0; c < COUNT(changes); c++) {
            hw_result *result = NULL;
            hw_error err = {0};
            patch_byte(temp_path(name), i, changes[c]);
            hw_err rc = hw_result_open(&result, temp_path(name), &err);
            assert_true(rc == HW_OK || (err.code == rc && err.msg[0]));
            opened += rc == HW_OK;
            hw_result_free(rc == HW_OK ? result : NULL);
        }
        patch_byte(temp_path(name), i, bytes[i]);
    }
    assert_true(opened > 0 && opened < 3 * n);
    for (size_t cut = n - 1; cut-- > 0;) { /* the JSON file's last byte is only its line end */
        hw_result *result;
        cut_file(temp_path(name), cut);
        if (hw_result_open(&result, temp_path(name), NULL) == HW_OK)
            fail_msg("%s cut to %zu of %zu bytes opens", name, cut, n);
    }
    free(bytes);
}

static void no_damaged_result_does_harm(void **state) {
    (void)state;
    hw_run *run = sample_run(true);
    hw_attribution *a = sample_attribution(run, "rollout", NULL, 2);
    must_save(a, temp_path("a.json"), true);
    must_save(a, temp_path("a.safetensors"), true);
    changed_bytes_do_no_harm("a.json");
    changed_bytes_do_no_harm("a.safetensors");
    hw_attribution_free(a);
    hw__run_release(run);
    temp_clear();
}

/* ------------------------------------------------------------------ what a file holds */

static hw_file_kind kind_of(const char *path) {
    hw_file_kind kind = HW_FILE_UNKNOWN;
    hw_error err = {0};
    if (hw_file_probe(&kind, path, &err) != HW_OK) fail_msg("%s", err.msg);
    return kind;
}

static void files_are_told_apart_by_content(void **state) {
    (void)state;
    hw_attribution *a = worked_attribution();
    hw_trace *trace = worked_trace();
    must_save(a, temp_path("a.json"), false);
    must_save(a, temp_path("a.safetensors"), false);
    must_save(a, temp_path("a.npy"), false);
    assert_int_equal(hw_trace_save(trace, temp_path("t"), NULL), HW_OK);
    assert_int_equal(kind_of(temp_path("a.json")), HW_FILE_RESULT);
    assert_int_equal(kind_of(temp_path("a.safetensors")), HW_FILE_RESULT);
    assert_int_equal(kind_of(temp_path("a.npy")), HW_FILE_UNKNOWN);
    assert_int_equal(kind_of(temp_path("t")), HW_FILE_TRACE);
    static const char attention[] = "\"attention\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    static const struct {
        const char *metadata;
        hw_file_kind kind;
    } containers[] = {{"{", HW_FILE_ATTENTION},
                      {"{\"__metadata__\":{\"format\":\"pt\"},", HW_FILE_ATTENTION}, /* as transformers saves */
                      {"{\"__metadata__\":{\"format\":\"headwater-other\"},", HW_FILE_UNKNOWN},
                      {"{\"not_", HW_FILE_UNKNOWN}};
    for (size_t i = 0; i < COUNT(containers); i++) {
        char header[256];
        snprintf(header, sizeof header, "%s%s", containers[i].metadata, attention + (i == 3));
        write_container(temp_path("x"), header, "1234", 4);
        assert_int_equal(kind_of(temp_path("x")), containers[i].kind);
    }
    static const struct {
        const char *bytes;
        size_t n;
        hw_file_kind kind;
    } others[] = {{"", 0, HW_FILE_UNKNOWN},
                  {"{}", 2, HW_FILE_UNKNOWN},
                  {"{ no JSON", 9, HW_FILE_UNKNOWN},
                  {"\n {\"format\":\"headwater-result\"}", 31, HW_FILE_RESULT},
                  {"GGUF\3\0\0\0", 8, HW_FILE_UNKNOWN},
                  {"text with {", 11, HW_FILE_UNKNOWN}};
    for (size_t i = 0; i < COUNT(others); i++) {
        write_bytes(temp_path("x"), others[i].bytes, others[i].n);
        assert_int_equal(kind_of(temp_path("x")), others[i].kind);
    }
    hw_file_kind kind;
    hw_error err = {0};
    cut_file(temp_path("t"), 100); /* a broken one says so instead of being unknown */
    assert_error(&err, hw_file_probe(&kind, temp_path("t"), &err), HW_ERR_FORMAT, "cut off");
    assert_error(&err, hw_file_probe(&kind, temp_path("none"), &err), HW_ERR_IO, "No such file");
    hw_trace_free(trace);
    hw_attribution_free(a);
    temp_clear();
}

/* ------------------------------------------------------------------ docs/reference/formats.md */

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
    assert_int_equal(hw_document_json(&text, NULL, a->run, NULL, &list, 1, NULL), HW_OK);
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
        cmocka_unit_test(formats_go_by_the_ending),
        cmocka_unit_test(other_endings_are_refused_with_those_that_are_not),
        cmocka_unit_test(csv_is_exact),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(csv_quotes_for_each_reason_alone),
        cmocka_unit_test(csv_names_groups_by_name_or_text),
        cmocka_unit_test(npy_is_exact),
        cmocka_unit_test(results_come_back_bit_for_bit),
        cmocka_unit_test(results_without_completion_come_back),
        cmocka_unit_test(json_without_the_whole_has_its_means),
        cmocka_unit_test(json_holds_many_methods),
        cmocka_unit_test(other_formats_take_a_file_a_method),
        cmocka_unit_test(all_files_are_whole_before_one_is_replaced),
        cmocka_unit_test(lists_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_failed_save_leaves_the_old_file),
        cmocka_unit_test(json_results_that_cannot_be_right_are_refused),
        cmocka_unit_test(results_without_later_settings_open),
        cmocka_unit_test(safetensors_results_that_cannot_be_right_are_refused),
        cmocka_unit_test(no_damaged_result_does_harm),
        cmocka_unit_test(files_are_told_apart_by_content),
        cmocka_unit_test(documented_json_is_what_is_written_and_read),
        cmocka_unit_test(documented_document_is_what_is_made),
        cmocka_unit_test(documented_headers_are_what_is_written),
        cmocka_unit_test(documented_csv_is_what_is_written),
        cmocka_unit_test(documented_attention_opens_and_explains),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
