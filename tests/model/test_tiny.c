/*
 * test_tiny.c - small random models of many architectures, and files that are damaged.
 *
 * scripts/make_tiny_models.py writes them to a temporary folder first. A damaged file is opened in a process of its
 * own, so that a crash of the library behind is a failed test and no more.
 */
#include "support/fixture.h"

#include "engine/engine.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64] = "/tmp/headwater-tiny-XXXXXX";

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *file_name(const char *name) {
    static char file[64];
    snprintf(file, sizeof file, "%s.gguf", name);
    return file;
}

static int make_models(void **state) {
    (void)state;
    char command[256];
    static const char python[] = "build/venv/bin/python";
    if (access(python, X_OK) != 0) {
        print_error("%s is missing: scripts/setup-python.sh\n", python);
        return -1;
    }
    if (!mkdtemp(folder)) return -1;
    snprintf(command, sizeof command, "%s scripts/make_tiny_models.py %s", python, folder);
    setenv("GGML_NO_BACKTRACE", "1", 1); /* of a crash in a child process, which would call a debugger */
    return system(command);
}

static int remove_models(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static hw_model *open_model(const char *name, int32_t n_ubatch) {
    hw_model_params p = hw_model_params_default();
    p.n_threads = 1;
    p.n_ubatch = n_ubatch;
    p.f32_cache = true;
    hw_model *model = NULL;
    hw_error err = {0};
    if (hw_model_open(&model, path_of(name), &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return model;
}

static hw_run_params ask_bytes(const char *prompt, size_t n_bytes, const char *completion) {
    hw_run_params p = hw_run_params_default();
    p.prompt = prompt;
    p.prompt_bytes = n_bytes;
    p.completion = completion;
    p.completion_bytes = completion ? strlen(completion) : 0;
    return p;
}

static hw_trace *capture(hw_model *model, const char *prompt, const char *completion) {
    hw_run_params p = ask_bytes(prompt, strlen(prompt), completion);
    hw_trace *trace = NULL;
    hw_error err = {0};
    if (hw_trace_capture(&trace, model, &p, &err) != HW_OK) fail_msg("%s", err.msg);
    return trace;
}

static double sum_of(const float *row, size_t n) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += (double)row[k];
    return sum;
}

/* ------------------------------------------------------------------ models that can be explained */

static void batches_agree(void **state) {
    (void)state;
    static const char *const names[] = {"llama.gguf", "gpt2.gguf", "gpt_oss.gguf", "jamba.gguf"};
    static const double bounds[] = {1e-12, 1e-12, 1e-12, 1e-11}; /* F32 throughout: another order of sums, no more */
    static const int32_t sizes[] = {512, 1, 5};
    for (size_t m = 0; m < 4; m++) {
        hw_attribution *results[3];
        for (size_t i = 0; i < 3; i++) {
            hw_model *model = open_model(names[m], sizes[i]);
            hw_trace *trace = capture(model, "hello world is hello", " world or is it");
            hw_method_params p = hw_method_params_default();
            p.row = HW_ROW_OWN;
            results[i] = explain(trace, &p);
            hw_trace_free(trace);
            hw_model_close(model);
        }
        const hw_attribution *a = results[0];
        for (size_t i = 1; i < 3; i++) {
            double off = nmse(results[i]->values, a->values, a->n_rows * a->n_columns * a->n_layers);
            print_message("%s: NMSE of M by batches of %d %.2g, bound %.2g\n", names[m], sizes[i], off, bounds[m]);
            assert_true(off <= bounds[m]);
        }
        for (size_t i = 0; i < 3; i++) hw_attribution_free(results[i]);
    }
}

static void assert_range(const hw_run *run, size_t t, const char *bytes, size_t begin, size_t end) {
    hw_token token = hw_run_token(run, t);
    if (token.n_bytes != strlen(bytes) || memcmp(token.bytes, bytes, token.n_bytes) != 0 || token.begin != begin ||
        token.end != end)
        fail_msg("token %zu is \"%.*s\" %zu..%zu, expected \"%s\" %zu..%zu", t, (int)token.n_bytes, token.bytes,
                 token.begin, token.end, bytes, begin, end);
}

static void sentencepiece_puts_a_space_that_has_no_bytes(void **state) {
    (void)state;
    hw_model *model = open_model("llama.gguf", 0);
    assert_true(hw_model_describe(model)->adds_bos);
    assert_int_equal(hw_model_describe(model)->n_heads, 4);
    assert_int_equal(hw_model_describe(model)->n_heads_kv, 2);
    hw_trace *trace = capture(model, "hello world", " a");
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(hw_run_token(run, 0).role, HW_ROLE_SPECIAL);
    assert_range(run, 1, " hello", 0, 5);
    assert_range(run, 2, " world", 5, 11);
    hw_trace_free(trace);
    trace = capture(model, " hello", " a"); /* two spaces, one of them the text's */
    run = hw_trace_run(trace);
    assert_int_equal(hw_run_token(run, 1).begin, 0);
    assert_int_equal(hw_run_token(run, hw_run_n_prompt(run) - 1).end, 6);
    assert_true(hw_run_token(run, 1).end <= 1);
    hw_trace_free(trace);
    trace = capture(model, "\xE2\x82\xAC\xC3\xA9Z", " a"); /* bytes as tokens, an accent that has one */
    run = hw_trace_run(trace);
    assert_range(run, 1, " ", 0, 0);
    assert_range(run, 2, "\xE2", 0, 1);
    assert_range(run, 4, "\xAC", 2, 3);
    assert_range(run, 5, "\xC3\xA9", 3, 5);
    assert_range(run, 6, "Z", 5, 6);
    hw_trace_free(trace);
    hw_model_close(model);
}

static void assert_completion(const hw_trace *trace, const char *text, size_t n_tokens) {
    size_t n;
    const char *bytes = hw_run_completion(hw_trace_run(trace), &n);
    if (n != strlen(text) || memcmp(bytes, text, n) != 0) fail_msg("\"%.*s\" is not \"%s\"", (int)n, bytes, text);
    assert_int_equal(hw_run_n_completion(hw_trace_run(trace)), n_tokens);
    assert_int_equal(hw_run_n_remarks(hw_trace_run(trace)), 0);
}

/* The tokenizer would put a space before every text: "  a" for " a". */
static void a_completion_has_the_bytes_that_are_given(void **state) {
    (void)state;
    hw_model *model = open_model("llama.gguf", 0);
    static const struct {
        const char *text;
        size_t n_tokens;
    } cases[] = {{" a", 1},  {"a", 1},    {" world hello", 2}, {"hello", 2},
                 {"  a", 2}, {"\n a", 2}, {"\xC3\xA9", 1},     {"Z", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_trace *trace = capture(model, "hello world", cases[i].text);
        assert_completion(trace, cases[i].text, cases[i].n_tokens);
        hw_trace_free(trace);
    }
    hw_model_close(model);
    model = open_model("no_bytes.gguf", 0); /* has no tokens for most letters */
    hw_trace *trace = capture(model, "a b", "c");
    assert_completion(trace, "c", 1);
    hw_trace_free(trace);
    hw_model_close(model);
}

/* What a model wrote, given back, is the same tokens with the same probabilities. */
static void own_output_given_back_is_the_same(void **state) {
    (void)state;
    hw_model *model = open_model("llama.gguf", 0);
    hw_run_params p = ask_bytes("hello world", 11, NULL);
    hw_trace *trace = NULL;
    p.n_generate = 1;
    p.temperature = 1;
    size_t n_same = 0;
    for (p.seed = 0; p.seed < 40; p.seed++) {
        assert_int_equal(hw_trace_capture(&trace, model, &p, NULL), HW_OK);
        const hw_run *run = hw_trace_run(trace);
        char text[64] = "";
        size_t n;
        const char *bytes = hw_run_completion(run, &n);
        assert_true(n > 0 && n < sizeof text);
        memcpy(text, bytes, n);
        hw_token first = hw_run_token(run, hw_run_n_prompt(run));
        if (first.id >= 259) { /* a letter's byte token is read as the letter's own */
            hw_trace *given = capture(model, "hello world", text);
            hw_token again = hw_run_token(hw_trace_run(given), hw_run_n_prompt(run));
            assert_int_equal(again.id, first.id);
            assert_true(fabs((double)again.logprob - (double)first.logprob) < 1e-4);
            hw_trace_free(given);
            n_same++;
        }
        hw_trace_free(trace);
    }
    assert_true(n_same >= 4);
    hw_model_close(model);
}

static void model_without_bos_starts_with_the_text(void **state) {
    (void)state;
    hw_model *model = open_model("gpt2.gguf", 0);
    assert_false(hw_model_describe(model)->adds_bos);
    hw_trace *trace = capture(model, "hello world is", " or");
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(hw_run_token(run, 0).role, HW_ROLE_PROMPT);
    assert_range(run, 0, "hello", 0, 5);
    assert_range(run, 1, " world", 5, 11);
    assert_range(run, 2, " is", 11, 14);
    hw_trace_free(trace);
    hw_run_params p = ask_bytes("hello", 5, NULL);
    p.chat = true;
    hw_error err = {0};
    hw_err rc = hw_trace_capture(&trace, model, &p, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "chat template");
    hw_model_close(model);
}

/* Learned sinks take a share of every row; every second layer sees 4 tokens back. */
static void learned_sinks_and_windows(void **state) {
    (void)state;
    hw_model *model = open_model("gpt_oss.gguf", 0);
    const hw_model_info *info = hw_model_describe(model);
    assert_true(info->has_sinks && info->row_error > 0.01 && info->row_error < 1);
    assert_int_equal(info->n_swa, 4);
    assert_int_equal(info->n_layers, 4);
    hw_trace *trace = capture(model, "hello world is hello world", " is hello");
    for (size_t l = 0; l < 4; l++) {
        for (size_t q = 0; q < hw_run_n_tokens(hw_trace_run(trace)); q++) {
            size_t n;
            const float *row = hw_trace_row(trace, l, q, &n);
            double sum = sum_of(row, n);
            assert_true(sum > 0 && sum < 1);
            for (size_t k = 0; k < n; k++) assert_true((row[k] == 0) == (l % 2 == 0 && q - k >= 4));
        }
    }
    hw_attribution *a = explain(trace, NULL);
    for (size_t i = 0; i < a->n_rows; i++) {
        for (size_t l = 0; l < 4; l++) {
            double sum = outside(a, i, l);
            for (size_t k = 0; k < a->n_columns; k++) sum += cell(a, i, k, l);
            assert_close(sum, 1, LAYER_BOUND(4) + 1e-6); /* the sink's share goes to the residual */
        }
    }
    hw_attribution_free(a);
    hw_trace_free(trace);
    hw_model_close(model);
}

static void hybrid_counts_its_attention_layers_only(void **state) {
    (void)state;
    hw_model *model = open_model("jamba.gguf", 0);
    const hw_model_info *info = hw_model_describe(model);
    assert_int_equal(info->n_blocks, 3);
    assert_int_equal(info->n_layers, 1);
    assert_int_equal(info->layers[0], 1);
    assert_int_equal(info->n_heads, 4);
    assert_int_equal(info->n_heads_kv, 2);
    hw_trace *trace = capture(model, "hello world", NULL);
    hw_attribution *a = explain(trace, NULL);
    size_t begin, end;
    hw_error err = {0};
    assert_int_equal(hw_attribution_layers(a)[0], 1);
    assert_int_equal(hw_attribution_select_layers(&begin, &end, a, "2", &err), HW_OK);
    hw_err rc = hw_attribution_select_layers(&begin, &end, a, "1", &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "no attention");
    hw_attribution_free(a);
    hw_trace_free(trace);
    hw_model_close(model);
}

/* ------------------------------------------------------------------ models that cannot */

static void others_open_and_say_what_they_lack(void **state) {
    (void)state;
    static const struct {
        const char *name, *problem;
    } cases[] = {
        {"bert.gguf", "it is an encoder"},
        {"encoder.gguf", "it is an encoder"},
        {"t5.gguf", "it has an encoder"},
        {"embed.gguf", "the graph of architecture llama-embed computes no logits: it generates nothing"},
        {"nan.gguf", "do not sum to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_model *model = open_model(cases[i].name, 0);
        const hw_model_info *info = hw_model_describe(model);
        if (!strstr(info->problem, cases[i].problem))
            fail_msg("%s: \"%s\", expected \"%s\"", cases[i].name, info->problem, cases[i].problem);
        hw_run_params p = ask_bytes("hello", 5, NULL);
        hw_trace *trace = NULL;
        hw_error err = {0};
        hw_err rc = hw_trace_capture(&trace, model, &p, &err);
        assert_error(&err, rc, HW_ERR_UNSUPPORTED, cases[i].problem);
        assert_error(&err, rc, HW_ERR_UNSUPPORTED, cases[i].name);
        hw_model_close(model);
    }
}

static hw_err try_open(const char *path, hw_error *err) {
    hw_model_params p = hw_model_params_default();
    p.n_threads = 1;
    hw_model *model = NULL;
    hw_err rc = hw_model_open(&model, path, &p, err);
    if (rc == HW_OK) hw_model_close(model);
    return rc;
}

static void unknown_architecture_is_named_with_the_engines_version(void **state) {
    (void)state;
    hw_error err = {0};
    char says[256];
    hw_model *known = open_model("llama.gguf", 0);
    snprintf(says, sizeof says, "unknown.gguf: libllama (%s) does not know its architecture, hyperllama9: a newer",
             hw_model_describe(known)->engine_version);
    hw_model_close(known);
    hw_err rc = try_open(path_of("unknown.gguf"), &err);
    assert_error(&err, rc, HW_ERR_ENGINE, says);
    hw_model_file file;
    assert_int_equal(hw_model_file_read(&file, sizeof file, path_of("unknown.gguf"), NULL), HW_OK);
    assert_non_null(strstr(file.problem, "does not know its architecture, hyperllama9"));
}

static void model_without_a_vocabulary_is_refused(void **state) {
    (void)state;
    hw_error err = {0};
    hw_err rc = try_open(path_of("no_vocab.gguf"), &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "vocabulary");
}

/* ------------------------------------------------------------------ files that are not models */

static void write_file(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static unsigned char *read_file(const char *name, size_t *n) {
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    unsigned char *bytes = hw__alloc((size_t)st.st_size, 1);
    FILE *f = fopen(path_of(name), "rb");
    assert_true(f && bytes);
    *n = fread(bytes, 1, (size_t)st.st_size, f);
    fclose(f);
    return bytes;
}

/* libllama throws where a byte of the text has no token. */
static void text_without_tokens_is_an_error(void **state) {
    (void)state;
    hw_model *model = open_model("no_bytes.gguf", 0);
    hw_run_params bad = ask_bytes("xyz", 3, NULL), completion = ask_bytes("a b", 3, "xyz"),
                  good = ask_bytes("a b", 3, "c");
    const hw_run_params *refused[] = {&bad, &completion};
    hw_trace *trace = NULL;
    hw_error err;
    for (size_t i = 0; i < 2; i++)
        assert_error(&err, hw_trace_capture(&trace, model, refused[i], &err), HW_ERR_ENGINE, "lack tokens");
    assert_int_equal(hw_trace_capture(&trace, model, &good, &err), HW_OK); /* and the model is of use as before */
    hw_trace_free(trace);
    hw_model_close(model);
}

static char *repeated(const char *piece, size_t n_bytes) {
    char *text = malloc(n_bytes + 1);
    assert_non_null(text);
    for (size_t i = 0, n = strlen(piece); i < n_bytes; i++) text[i] = piece[i % n];
    text[n_bytes] = 0;
    return text;
}

static bool stop_at_second(void *ctx) { return ++*(int *)ctx > 1; }

/* Contexts of 256 tokens, the longest of which is "<|endoftext|>", 13 bytes; texts up to 64 KiB are read whole. */
static void long_text_is_refused_before_it_is_tokenized(void **state) {
    (void)state;
    hw_model *model = open_model("gpt2.gguf", 0);
    const size_t n = 1 << 20;
    char *text = repeated("hello world", n);
    hw_run_params p = ask_bytes(text, n, NULL), given = ask_bytes("hello", 5, text);
    hw_trace *trace = NULL;
    hw_run *run = NULL;
    hw_estimate e;
    hw_error err;
    assert_error(&err, hw_trace_capture(&trace, model, &p, &err), HW_ERR_ARGUMENT, "holds at most 3328");
    assert_error(&err, hw_run_estimate(&e, sizeof e, model, &p, &err), HW_ERR_ARGUMENT, "the prompt has 1048576 bytes");
    assert_error(&err, hw_run_tokenize(&run, model, &p, &err), HW_ERR_ARGUMENT, "holds at most 3328");
    assert_error(&err, hw_trace_capture(&trace, model, &given, &err), HW_ERR_ARGUMENT,
                 "the completion has 1048576 bytes");
    free(text);
    hw_model_close(model);
}

/* In a context that would hold so many bytes of long tokens it is the number of tokens that refuses, part by part. */
static void text_is_counted_in_parts_that_can_be_stopped(void **state) {
    (void)state;
    hw_model_params mp = hw_model_params_default();
    mp.n_threads = 1;
    mp.n_ctx = 20000;
    hw_model *model = NULL;
    hw_error err;
    assert_int_equal(hw_model_open(&model, path_of("llama.gguf"), &mp, &err), HW_OK);
    const size_t n = 100000;
    char *text = repeated("z\xc3\xa9", n);
    hw_run_params p = ask_bytes(text, n, NULL);
    hw_run *run = NULL;
    int n_questions = 0;
    assert_error(&err, hw_run_tokenize(&run, model, &p, &err), HW_ERR_ARGUMENT, "the context has 20000");
    p.stop = stop_at_second;
    p.ctx = &n_questions;
    assert_error(&err, hw_run_tokenize(&run, model, &p, &err), HW_ERR_CANCELLED, "tokenized");
    p.stop = NULL;
    p.memory = 10 << 20; /* 100,000 bytes x 128 are 12.2 MiB */
    assert_error(&err, hw_run_tokenize(&run, model, &p, &err), HW_ERR_ARGUMENT, "12.2 MiB, the limit is 10.0 MiB");
    free(text);
    hw_model_close(model);
}

static void what_is_no_model_is_refused(void **state) {
    (void)state;
    hw_error err = {0};
    hw_err rc = try_open(path_of("missing.gguf"), &err);
    assert_error(&err, rc, HW_ERR_IO, "missing.gguf");
    rc = try_open(folder, &err);
    assert_error(&err, rc, HW_ERR_IO, "is a directory");
    rc = try_open("", &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "no model file named");
    write_file("empty.gguf", "", 0);
    rc = try_open(path_of("empty.gguf"), &err);
    assert_error(&err, rc, HW_ERR_FORMAT, "shorter than a GGUF header");
    write_file("text.gguf", "Dear reader", 11);
    rc = try_open(path_of("text.gguf"), &err);
    assert_error(&err, rc, HW_ERR_FORMAT, "not a GGUF file (begins with bytes 44 65 61 72");
}

static void options_out_of_range_are_named(void **state) {
    (void)state;
    static const struct {
        hw_model_params params;
        const char *part;
    } cases[] = {
        {{.n_threads = -1}, "-1 threads"},
        {{.n_threads = 513}, "513 threads"},
        {{.n_ctx = -1}, "a context of -1"},
        {{.n_ubatch = -1}, "-1 tokens per pass"},
        {{.n_ubatch = 8193}, "8193 tokens per pass"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_model *model = NULL;
        hw_error err = {0};
        hw_model_params params = cases[i].params;
        params.size = sizeof params;
        hw_err rc = hw_model_open(&model, path_of("llama.gguf"), &params, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
    }
}

/* Opens the file, and uses it if it opens, in a process of its own. Returns the error, 1 for a crash. */
static int open_apart(const char *path) {
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        hw_model_params params = hw_model_params_default();
        params.n_threads = 1;
        hw_model *model = NULL;
        hw_err rc = hw_model_open(&model, path, &params, NULL);
        hw_run_params p = ask_bytes("hello world", 11, " is");
        hw_trace *trace = NULL;
        if (rc == HW_OK) hw_trace_capture(&trace, model, &p, NULL);
        _exit(100 - (int)rc); /* apart from what a crash or a sanitizer exits with */
    }
    int status = 0;
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) >= 100 ? 100 - WEXITSTATUS(status) : 1;
}

static void truncated_files_are_refused_wherever_they_end(void **state) {
    (void)state;
    size_t n;
    unsigned char *bytes = read_file("llama.gguf", &n);
    for (size_t i = 0; i < 48; i++) {
        size_t length = i < 16 ? i * 3 : i < 32 ? (i - 16) * 600 : n - 1 - (47 - i) * 4000;
        write_file("cut.gguf", bytes, length);
        int rc = open_apart(path_of("cut.gguf"));
        if (rc != HW_ERR_FORMAT)
            fail_msg("cut to %zu of %zu bytes: %s", length, n, rc == 1 ? "crashed" : hw_err_name((hw_err)rc));
    }
    free(bytes);
}

static size_t offset_of(const unsigned char *bytes, size_t n, const char *text) {
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= n; at++)
        if (memcmp(bytes + at, text, length) == 0) return at;
    fail_msg("the file holds no \"%s\"", text);
    return 0;
}

static void token_that_is_there_twice_is_refused(void **state) {
    (void)state;
    size_t n;
    unsigned char *bytes = read_file("llama.gguf", &n);
    memcpy(bytes + offset_of(bytes, n, "<0x41>"), "<0x42>", 6);
    write_file("twice.gguf", bytes, n);
    hw_error err = {0};
    assert_int_equal(open_apart(path_of("twice.gguf")), HW_ERR_FORMAT);
    hw_err rc = try_open(path_of("twice.gguf"), &err);
    assert_error(&err, rc, HW_ERR_FORMAT, "twice");
    free(bytes);
}

/* Single bytes of metadata, vocabulary and tensor descriptions: set to 0 or FF, or one bit turned. */
static void spoil(const char *name, const char *last_tensor, size_t n_cases) {
    size_t n, n_opened = 0;
    unsigned char *bytes = read_file(name, &n);
    size_t end = offset_of(bytes, n, last_tensor) + strlen(last_tensor);
    for (uint64_t i = 0; i < n_cases; i++) {
        size_t at = mix(i) % end;
        unsigned char kept = bytes[at];
        bytes[at] = i % 3 == 0 ? 0 : i % 3 == 1 ? 0xFF : (unsigned char)(kept ^ 1u << mix(i) % 8);
        write_file("spoilt.gguf", bytes, n);
        int rc = open_apart(path_of("spoilt.gguf"));
        if (rc == 1) fail_msg("%s: byte %zu, %02x for %02x: crashed", name, at, bytes[at], kept);
        n_opened += rc == HW_OK;
        bytes[at] = kept;
    }
    print_message("%s: %zu of %zu spoilt files opened none the less\n", name, n_opened, n_cases);
    free(bytes);
}

static void spoilt_bytes_never_crash(void **state) {
    (void)state;
    spoil("llama.gguf", "output_norm.weight", 120);
    spoil("jamba.gguf", "output_norm.weight", 120);
}

/* ------------------------------------------------------------------ architectures */

/* Each has something of its own between attention and the stream, or between the stream and the logits: see the
 * script. */
static const char *const explained[] = {"llama",  "gpt2", "gpt_oss", "jamba",     "granite", "gemma2",
                                        "bitnet", "phi2", "falcon",  "command_r", "mamba",   "deci"};
enum { N_EXPLAINED = sizeof explained / sizeof *explained };

static hw_trace *capture_signals(hw_model *model, uint32_t signals) {
    return capture_keeping(model, ask_bytes("hello world and more of it", 26, " is it"), HW_KEEP_ROWS, signals);
}

/* Attention, MLPs, embedding and biases, each read on its own way, sum to the logit that the engine gave: so scales,
 * caps, norms and biases of the output are all in. */
static void parts_sum_to_the_logit_on_every_architecture(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXPLAINED; i++) {
        hw_model *model = open_model(file_name(explained[i]), 0);
        const hw_model_info *info = hw_model_describe(model);
        if (info->values_problem[0] || info->readout_problem[0])
            fail_msg("%s: %s %s", explained[i], info->values_problem, info->readout_problem);
        hw_trace *trace = capture_signals(model, 1u << HW_SIGNAL_LOGIT | 1u << HW_SIGNAL_PROJECTION);
        hw_attribution *a = NULL;
        assert_int_equal(hw_explain(&a, trace, "logit", NULL, NULL), HW_OK);
        const hw_balance *b = hw_attribution_balance(a);
        for (size_t r = 0; r < hw_attribution_n_rows(a); r++) {
            double sum = b[r].prompt + b[r].completion + b[r].bias + b[r].mlp + b[r].embedding;
            if (!(fabs(sum - b[r].logit) <= 1e-4)) /* F32: 5e-6 was seen */
                fail_msg("%s, row %zu: parts sum to %.6f, the logit is %.6f", explained[i], r, sum, b[r].logit);
        }
        hw_attribution_free(a);
        hw_trace_free(trace);
        hw_model_close(model);
    }
}

/* Blocks of mamba.gguf are recurrent layers and nothing else, so that their rows, the embedding and biases are the
 * whole logit; it has no attention, of which rollout is made. */
static void recurrent_layers_are_read_as_attention_is(void **state) {
    (void)state;
    hw_model *model = open_model("mamba.gguf", 0);
    const hw_model_info *info = hw_model_describe(model);
    hw_error err = {0};
    assert_int_equal(info->n_layers, 0);
    assert_int_equal(info->n_sources, 2);
    assert_string_equal(info->recurrent_problem, "");
    for (int32_t s = 0; s < info->n_sources; s++) {
        assert_int_equal(info->sources[s].block, s);
        assert_int_equal(info->sources[s].layer, -1);
        assert_int_equal(info->sources[s].kind, HW_SOURCE_STATE_SPACE);
    }
    hw_trace *trace = capture_signals(model, 1u << HW_SIGNAL_LOGIT);
    hw_attribution *a = NULL;
    assert_int_equal(hw_explain(&a, trace, "logit", NULL, NULL), HW_OK);
    assert_int_equal(hw_attribution_n_layers(a), 2);
    for (size_t r = 0; r < hw_attribution_n_rows(a); r++) {
        const hw_balance *b = &hw_attribution_balance(a)[r];
        assert_close(b->mlp, 0, 1e-5);
        assert_close(b->bias, 0, 1e-5); /* no more than this is left of what the layers add */
        assert_true(fabs(b->prompt) > 1e-3);
    }
    hw_attribution_free(a);
    a = NULL;
    hw_err rc = hw_explain(&a, trace, "rollout", NULL, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED, "no attention layers");
    hw_trace_free(trace);
    hw_model_close(model);
}

/* A state cannot go back: each pass starts it again. Without its first token the prompt is that of another run. */
static void leave_one_out_of_a_recurrent_model(void **state) {
    (void)state;
    hw_model *model = open_model("mamba.gguf", 0);
    hw_trace *whole = capture(model, "x hello", " is"), *less = capture(model, " hello", " is");
    const hw_run *a = hw_trace_run(whole), *b = hw_trace_run(less);
    size_t m = hw_run_n_prompt(a);
    assert_int_equal(hw_run_n_prompt(b), m - 1);
    for (size_t t = 1; t < hw_run_n_tokens(a); t++) assert_int_equal(hw_run_token(a, t).id, hw_run_token(b, t - 1).id);
    hw_method_params p = hw_method_params_default();
    hw_attribution *left = NULL;
    hw_error err = {0};
    p.model = model;
    if (hw_explain(&left, whole, "leave-one-out", &p, &err) != HW_OK) fail_msg("%s", err.msg);
    for (size_t i = 0; i < hw_run_n_completion(a); i++)
        assert_close(cell(left, i, 0, 0), hw_run_token(a, m + i).logprob - hw_run_token(b, m - 1 + i).logprob, 1e-4);
    hw_attribution_free(left);
    hw_trace_free(whole);
    hw_trace_free(less);
    hw_model_close(model);
}

/* Both kinds in one model: M has a layer for each, whose labels are their blocks. */
static void hybrids_have_both_kinds_of_layers(void **state) {
    (void)state;
    hw_model *model = open_model("jamba.gguf", 0);
    const hw_model_info *info = hw_model_describe(model);
    assert_int_equal(info->n_layers, 1);
    assert_int_equal(info->n_sources, 3);
    assert_int_equal(info->sources[1].kind, HW_SOURCE_ATTENTION);
    assert_int_equal(info->sources[1].layer, 0);
    hw_trace *trace = capture_signals(model, 1u << HW_SIGNAL_PROJECTION);
    hw_attribution *a = NULL, *rollout = explain(trace, NULL);
    assert_int_equal(hw_explain(&a, trace, "contribution", NULL, NULL), HW_OK);
    assert_int_equal(hw_attribution_n_layers(a), 3);
    assert_int_equal(hw_attribution_n_layers(rollout), 1);
    for (int32_t l = 0; l < 3; l++) assert_int_equal(hw_attribution_layers(a)[l], l);
    for (size_t l = 0; l < 3; l++) { /* what each layer's stream is made of sums to it */
        double sum = outside(a, 0, l);
        for (size_t k = 0; k < hw_attribution_n_columns(a); k++) sum += cell(a, 0, k, l);
        assert_close(sum, 1, 1e-5);
    }
    hw_attribution_free(a);
    hw_attribution_free(rollout);
    hw_trace_free(trace);
    hw_model_close(model);
}

/* What entered the first block with attention in one decode, and what entered the first block. */
typedef struct entered {
    float before[8 * 32], origin[8 * 32]; /* [tokens, D] */
    size_t n_before, n_origin;
} entered;

static hw_err note_rows(void *ctx, size_t layer, const hw__heads *heads, hw_error *err) {
    (void)ctx, (void)layer, (void)heads, (void)err;
    return HW_OK;
}

static hw_err note_stream(void *ctx, size_t layer, const hw__stream *stream, hw_error *err) {
    entered *e = ctx;
    (void)err;
    if (layer == 0 && stream->n_rows <= 8) memcpy(e->before, stream->before, stream->n_rows * 32 * sizeof(float));
    if (layer == 0) e->n_before = stream->n_rows;
    return HW_OK;
}

static hw_err note_origin(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    entered *e = ctx;
    (void)q0, (void)err;
    if (n_rows <= 8) memcpy(e->origin, rows, n_rows * 32 * sizeof(float));
    e->n_origin = n_rows;
    return HW_OK;
}

static hw_err note_final(void *ctx, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    (void)ctx, (void)rows, (void)n_rows, (void)q0, (void)err;
    return HW_OK;
}

/* The stream that contributions are measured against is what enters the block, not that with its own MLP: where both
 * run side by side the other one was taken before. In a first block it is the embedding. */
static void stream_before_attention_is_what_enters_the_block(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "granite", "phi2", "falcon", "command_r", "gemma2", "gpt2"};
    static const int32_t ids[] = {5, 6, 7, 8};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hw_model *model = open_model(file_name(names[i]), 8);
        hw__engine *e = model->engine;
        hw_error err = {0};
        entered seen = {.n_before = 0};
        hw__sink sink = {
            .rows = note_rows, .stream = note_stream, .final = note_final, .origin = note_origin, .ctx = &seen};
        assert_int_equal(e->ops->begin(e, 8, NULL, NULL, &err), HW_OK);
        assert_int_equal(e->ops->decode(e, (hw__token_batch){ids, 4, 0, 3}, &sink, &err), HW_OK);
        assert_int_equal(seen.n_before, 4);
        assert_int_equal(seen.n_origin, 4);
        if (memcmp(seen.before, seen.origin, sizeof(float) * 4 * 32) != 0) fail_msg("%s", names[i]);
        hw_model_close(model);
    }
}

/* ------------------------------------------------------------------ models in several files */

static void model_in_two_files_is_the_same(void **state) {
    (void)state;
    const char *const names[] = {"llama.gguf", "split-00001-of-00002.gguf"};
    hw_attribution *a[2];
    for (size_t i = 0; i < 2; i++) {
        hw_model *model = open_model(names[i], 0);
        hw_trace *trace = capture_signals(model, 1u << HW_SIGNAL_LOGIT);
        assert_int_equal(hw_explain(&a[i], trace, "logit", NULL, NULL), HW_OK);
        hw_trace_free(trace);
        hw_model_close(model);
    }
    size_t n = hw_attribution_n_rows(a[0]) * hw_attribution_n_columns(a[0]) * hw_attribution_n_layers(a[0]);
    assert_memory_equal(hw_attribution_values(a[0]), hw_attribution_values(a[1]), n * sizeof(float));
    for (size_t i = 0; i < 2; i++) hw_attribution_free(a[i]);
}

static void part_of_a_split_is_named(void **state) {
    (void)state;
    size_t n;
    hw_error err = {0};
    hw_err rc = try_open(path_of("split-00002-of-00002.gguf"), &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "-00001-of-00002.gguf");
    unsigned char *bytes = read_file("split-00001-of-00002.gguf", &n);
    write_file("half-00001-of-00002.gguf", bytes, n);
    rc = try_open(path_of("half-00001-of-00002.gguf"), &err);
    assert_error(&err, rc, HW_ERR_IO, "part 2 of 2");
    assert_error(&err, rc, HW_ERR_IO, "half-00002-of-00002.gguf"); /* the file that is missing */
    write_file("half-00002-of-00002.gguf", bytes, n);              /* the first again */
    rc = try_open(path_of("half-00001-of-00002.gguf"), &err);
    assert_error(&err, rc, HW_ERR_FORMAT, "does not say that it is part 2");
    write_file("renamed.gguf", bytes, n);
    rc = try_open(path_of("renamed.gguf"), &err);
    assert_error(&err, rc, HW_ERR_ARGUMENT, "must end with -00001-of-00002.gguf");
    free(bytes);
}

/* ------------------------------------------------------------------ adapters */

static hw_err open_adapted(hw_model **out, const char *const *loras, size_t n, hw_error *err) {
    hw_model_params p = hw_model_params_default();
    p.n_threads = 1;
    p.f32_cache = true;
    p.loras = loras;
    p.n_loras = n;
    return hw_model_open(out, path_of("llama.gguf"), &p, err);
}

static void assert_same_method(const hw_trace *got, const hw_trace *want, const char *method) {
    hw_attribution *a = NULL, *b = NULL;
    assert_int_equal(hw_explain(&a, got, method, NULL, NULL), HW_OK);
    assert_int_equal(hw_explain(&b, want, method, NULL, NULL), HW_OK);
    double off = nmse(a->values, b->values, a->n_rows * a->n_columns * a->n_layers);
    print_message("%s with adapters, against the same weights added: NMSE %.1e, bound 1e-10\n", method, off);
    assert_true(off <= 1e-10); /* B A x is summed in another order than (W + B A) x */
    for (size_t r = 0; r < a->n_rows && hw_attribution_balance(a); r++)
        assert_close(hw_balance_rest(&hw_attribution_balance(a)[r]), 0, 1e-4);
    hw_attribution_free(a);
    hw_attribution_free(b);
}

/* A model with adapters is the model whose weights they were added to. */
static void adapters_are_as_if_added_to_the_weights(void **state) {
    (void)state;
    char whole[192], half[192];
    const char *const loras[] = {whole, half};
    uint32_t signals = 1u << HW_SIGNAL_LOGIT | 1u << HW_SIGNAL_PROJECTION;
    snprintf(whole, sizeof whole, "%s", path_of("lora.gguf"));
    snprintf(half, sizeof half, "%s=0.5", path_of("lora2.gguf"));
    hw_model *model = NULL, *merged = open_model("merged.gguf", 0);
    hw_error err = {0};
    if (open_adapted(&model, loras, 2, &err) != HW_OK) fail_msg("%s", err.msg);
    const hw_model_info *info = hw_model_describe(model);
    assert_string_equal(info->values_problem, "");
    assert_string_equal(info->readout_problem, "");
    assert_non_null(strstr(info->adapters, "lora2.gguf=0.5"));
    hw_trace *got = capture_signals(model, signals), *want = capture_signals(merged, signals);
    static const char *const methods[] = {"attention", "rollout", "contribution", "logit"};
    for (size_t i = 0; i < 4; i++) assert_same_method(got, want, methods[i]);
    assert_string_equal(hw_run_model(hw_trace_run(got))->adapters, info->adapters);
    hw_trace_free(got);
    hw_trace_free(want);
    hw_model_close(model);
    hw_model_close(merged);
}

/* Traces and states of one model are not those of another: adapters and their scales belong to it. */
static void adapters_are_part_of_what_a_model_is(void **state) {
    (void)state;
    char whole[192], half[192];
    const char *const cases[][1] = {{whole}, {half}};
    char sums[3][72];
    snprintf(whole, sizeof whole, "%s", path_of("lora.gguf"));
    snprintf(half, sizeof half, "%s=0.5", path_of("lora.gguf"));
    for (size_t i = 0; i < 3; i++) {
        hw_model *model = NULL;
        assert_int_equal(open_adapted(&model, i < 2 ? cases[i] : NULL, i < 2, NULL), HW_OK);
        snprintf(sums[i], sizeof sums[i], "%s", hw_model_describe(model)->sample_sha256);
        hw_model_close(model);
    }
    for (size_t i = 0; i < 3; i++) assert_string_not_equal(sums[i], sums[(i + 1) % 3]);
}

static void adapters_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *scale, *part;
        hw_err code;
    } cases[] = {
        {"lora_gpt2.gguf", "", "a LoRA of another model: of architecture gpt2, the model is llama", HW_ERR_ARGUMENT},
        {"lora_wide.gguf", "", "does not fit this model", HW_ERR_ARGUMENT},
        {"lora_embd.gguf", "", "changes the embeddings", HW_ERR_UNSUPPORTED},
        {"lora_typed.gguf", "", "alpha is not a 32-bit float", HW_ERR_FORMAT},
        {"gpt2.gguf", "", "is not a LoRA adapter", HW_ERR_ARGUMENT},
        {"lora.gguf", "=half", "FILE=SCALE", HW_ERR_ARGUMENT},
        {"lora.gguf", "=nan", "FILE=SCALE", HW_ERR_ARGUMENT},
        {"", "=1", "FILE=SCALE", HW_ERR_ARGUMENT},
        {"lora_nowhere.gguf", "", "lora_nowhere.gguf", HW_ERR_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[192];
        const char *const loras[] = {spec};
        hw_model *model = NULL;
        hw_error err = {0};
        snprintf(spec, sizeof spec, "%s%s", *cases[i].name ? path_of(cases[i].name) : "", cases[i].scale);
        hw_err rc = open_adapted(&model, loras, 1, &err);
        assert_error(&err, rc, cases[i].code, cases[i].part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_are_as_if_added_to_the_weights),
        cmocka_unit_test(adapters_are_part_of_what_a_model_is),
        cmocka_unit_test(adapters_that_do_not_fit_are_refused),
        cmocka_unit_test(parts_sum_to_the_logit_on_every_architecture),
        cmocka_unit_test(recurrent_layers_are_read_as_attention_is),
        cmocka_unit_test(leave_one_out_of_a_recurrent_model),
        cmocka_unit_test(hybrids_have_both_kinds_of_layers),
        cmocka_unit_test(stream_before_attention_is_what_enters_the_block),
        cmocka_unit_test(model_in_two_files_is_the_same),
        cmocka_unit_test(part_of_a_split_is_named),
        cmocka_unit_test(batches_agree),
        cmocka_unit_test(sentencepiece_puts_a_space_that_has_no_bytes),
        cmocka_unit_test(a_completion_has_the_bytes_that_are_given),
        cmocka_unit_test(own_output_given_back_is_the_same),
        cmocka_unit_test(model_without_bos_starts_with_the_text),
        cmocka_unit_test(learned_sinks_and_windows),
        cmocka_unit_test(hybrid_counts_its_attention_layers_only),
        cmocka_unit_test(others_open_and_say_what_they_lack),
        cmocka_unit_test(unknown_architecture_is_named_with_the_engines_version),
        cmocka_unit_test(model_without_a_vocabulary_is_refused),
        cmocka_unit_test(text_without_tokens_is_an_error),
        cmocka_unit_test(long_text_is_refused_before_it_is_tokenized),
        cmocka_unit_test(text_is_counted_in_parts_that_can_be_stopped),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(truncated_files_are_refused_wherever_they_end),
        cmocka_unit_test(token_that_is_there_twice_is_refused),
        cmocka_unit_test(spoilt_bytes_never_crash),
    };
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
