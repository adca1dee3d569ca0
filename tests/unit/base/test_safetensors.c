/* The safetensors container, and the files and text under it: what is written, what is refused. */
#include "base/safetensors.h"

#include "base/utf8.h"
#include "support/files.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void assert_says(const hw_error *err, const char *part) {
    if (!strstr(err->msg, part)) fail_msg("\"%s\" does not say \"%s\"", err->msg, part);
}

static uint32_t bits_of(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* ------------------------------------------------------------------ text */

static void utf8_differs_from_other_bytes(void **state) {
    (void)state;
    assert_true(hw__utf8_valid("", 0));
    assert_true(hw__utf8_valid("a\0b", 3));
    assert_true(hw__utf8_valid("\xF0\x9F\x99\x82\xEA\xB0\x80", 7));
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"\xC3", 1},
               {"\xA9", 1},
               {"a\xFF", 2},
               {"\xC0\x80", 2},
               {"\xED\xA0\x80", 3},
               {"\xE2\x82", 2},
               {"\xF4\x90\x80\x80", 4},
               {"\xF0\x9F\x99", 3}};
    for (size_t i = 0; i < COUNT(bad); i++) assert_false(hw__utf8_valid(bad[i].bytes, bad[i].n));
}

static void utf8_replaces_what_is_no_text(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *text;
        size_t n;
    } cases[] = {
        {"a\xC3\xA9", "a\xC3\xA9", 3},
        {"\xC3", "\xEF\xBF\xBD", 1},
        {"\xFF\xFE", "\xEF\xBF\xBD\xEF\xBF\xBD", 2},
        {"\xE2\x82z", "\xEF\xBF\xBDz", 3}, /* one sign for one cut-off character */
        {"x\xF0\x9F\x99\x82\xC3y", "x\xF0\x9F\x99\x82\xEF\xBF\xBDy", 7},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n;
        char *text = hw__utf8_replace(&n, cases[i].bytes, cases[i].n);
        assert_non_null(text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(n, strlen(cases[i].text));
        free(text);
    }
}

static void utf8_makes_one_line_for_messages(void **state) {
    (void)state;
    char out[16];
    assert_string_equal(hw__utf8_line(out, sizeof out, "a\nb\x1B", 4), "a?b?");
    assert_string_equal(hw__utf8_line(out, sizeof out, "\xFF", 1), "\xE2\x80\xB9"
                                                                   "FF\xE2\x80\xBA");
    assert_string_equal(hw__utf8_line(out, sizeof out, "\xC2\x85\xE2\x80\xA8", 5), "??"); /* NEL, line separator */
    /* Cut between characters, never inside one. */
    assert_string_equal(hw__utf8_line(out, sizeof out, "12345678901\xC3\xA9\xC3\xA9", 15), "12345678901...");
    assert_string_equal(hw__utf8_line(out, sizeof out, "123456789012", 12), "123456789012");
}

/* ------------------------------------------------------------------ files */

static void file_is_seen_only_after_its_commit(void **state) {
    (void)state;
    const char *path = temp_path("out");
    hw__file file;
    assert_int_equal(hw__file_create(&file, path, NULL), HW_OK);
    hw__file_write(&file, "new", 3);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    assert_true(same_file(path, "new", 3));
    hw__file_abort(&file); /* after the commit it does nothing */
    assert_true(same_file(path, "new", 3));
    assert_int_equal(temp_count(), 1);

    assert_int_equal(hw__file_create(&file, path, NULL), HW_OK);
    hw__file_text(&file, "half");
    hw__file_abort(&file);
    assert_true(same_file(path, "new", 3));
    assert_int_equal(temp_count(), 1);
    temp_clear();
}

static void file_keeps_mode_and_follows_links(void **state) {
    (void)state;
    struct stat st;
    hw__file file;
    write_bytes(temp_path("real"), "old", 3);
    assert_int_equal(chmod(temp_path("real"), 0640), 0);
    assert_int_equal(symlink("real", temp_path("link")), 0);
    assert_int_equal(hw__file_create(&file, temp_path("link"), NULL), HW_OK);
    hw__file_text(&file, "new");
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    assert_true(same_file(temp_path("real"), "new", 3));
    assert_int_equal(lstat(temp_path("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(temp_path("real"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    temp_clear();
}

static void file_refuses_what_it_cannot_replace(void **state) {
    (void)state;
    assert_int_equal(mkdir(temp_path("folder"), 0777), 0);
    assert_int_equal(symlink("nowhere", temp_path("dangling")), 0);
    const struct {
        const char *path, *says;
        hw_err code;
    } cases[] = {
        {"", "no file named", HW_ERR_ARGUMENT},
        {NULL, "no file named", HW_ERR_ARGUMENT},
        {"-", "standard output", HW_ERR_ARGUMENT},
        {temp_path("folder"), "is a directory", HW_ERR_IO},
        {temp_path("missing/out"), "No such file", HW_ERR_IO},
        {temp_path("dangling"), "symbolic link", HW_ERR_IO},
        {"/dev/null", "is a device", HW_ERR_IO},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        hw__file file;
        hw_error err;
        assert_int_equal(hw__file_create(&file, cases[i].path, &err), cases[i].code);
        assert_says(&err, cases[i].says);
    }
    assert_int_equal(temp_count(), 2);
    temp_clear();
}

/* What was a free name at the beginning need not be one at the end. */
static void file_that_cannot_take_its_place_goes_away(void **state) {
    (void)state;
    hw__file file;
    hw_error err;
    assert_int_equal(hw__file_create(&file, temp_path("out"), NULL), HW_OK);
    hw__file_text(&file, "new");
    assert_int_equal(mkdir(temp_path("out"), 0777), 0);
    assert_int_equal(hw__file_commit(&file, &err), HW_ERR_IO);
    assert_says(&err, "Is a directory");
    assert_int_equal(temp_count(), 1);
    temp_clear();
}

static void file_refuses_to_read_what_is_no_file(void **state) {
    (void)state;
    FILE *stream;
    uint64_t n;
    hw_error err;
    assert_int_equal(hw__file_open(&stream, &n, temp_path(""), &err), HW_ERR_IO);
    assert_says(&err, "is a directory");
    assert_int_equal(hw__file_open(&stream, &n, "/dev/zero", &err), HW_ERR_IO);
    assert_says(&err, "is a device");
    assert_int_equal(hw__file_open(&stream, &n, temp_path("missing"), &err), HW_ERR_IO);
    assert_says(&err, "No such file");
    assert_int_equal(hw__file_open(&stream, &n, "", &err), HW_ERR_ARGUMENT);
}

/* A disk that is full, as far as a program can tell: the limit on the size of a file. */
static void file_that_cannot_be_finished_leaves_the_old_one(void **state) {
    (void)state;
    struct rlimit old, small = {.rlim_cur = 4096};
    hw__file file;
    hw_error err;
    char block[1024] = {0};
    write_bytes(temp_path("out"), "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(hw__file_create(&file, temp_path("out"), NULL), HW_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 64; i++) hw__file_write(&file, block, sizeof block);
    bool noticed = hw__file_failed(&file);
    hw_err rc = hw__file_commit(&file, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(noticed);
    assert_int_equal(rc, HW_ERR_IO);
    assert_says(&err, "File too large");
    assert_true(same_file(temp_path("out"), "old", 3));
    assert_int_equal(temp_count(), 1);
    temp_clear();
}

static void floats_read_back_from_their_text(void **state) {
    (void)state;
    static const float values[] = {0.0f,    -0.0f,    1.0f,         0.1f,        1.0f / 3,
                                   FLT_MAX, -FLT_MIN, FLT_TRUE_MIN, 16777217.0f, 9.99999975e-06f};
    hw__file file;
    assert_int_equal(hw__file_create(&file, temp_path("floats"), NULL), HW_OK);
    for (size_t i = 0; i < COUNT(values); i++) {
        hw__file_float(&file, values[i], "none");
        hw__file_text(&file, " ");
    }
    hw__file_float(&file, NAN, "none");
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    size_t n;
    char *text = read_bytes(temp_path("floats"), &n), *at = text;
    for (size_t i = 0; i < COUNT(values); i++) assert_int_equal(bits_of(strtof(at, &at)), bits_of(values[i]));
    assert_string_equal(at, " none");
    assert_memory_equal(text, "0 -0.0 1 0.100000001 ", 21);
    free(text);
    temp_clear();
}

/* ------------------------------------------------------------------ writing and reading back */

static void write_example(const char *path) {
    const hw__tensor tensors[] = {
        {.name = "a", .dtype = HW__F32, .n_dims = 2, .shape = {2, 1}},
        {.name = "b", .dtype = HW__I32, .n_dims = 1, .shape = {3}},
    };
    static const float a[] = {1.5f, -2};
    static const int32_t b[] = {1, -1, INT32_MIN};
    json_t *metadata = json_pack("{s:s}", "k", "v");
    hw__file file;
    hw__safetensors_writer writer;
    assert_int_equal(hw__file_create(&file, path, NULL), HW_OK);
    assert_int_equal(hw__safetensors_begin(&writer, &file, tensors, 2, metadata, NULL), HW_OK);
    hw__safetensors_put_floats(&writer, a, 1); /* in parts of any length */
    hw__safetensors_put_floats(&writer, a + 1, 1);
    hw__safetensors_put_ints(&writer, b, 3);
    assert_int_equal(writer.left, 0);
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    json_decref(metadata);
}

static void writer_gives_exact_bytes(void **state) {
    (void)state;
    static const char bytes[] = "\x88\0\0\0\0\0\0\0"
                                "{\"__metadata__\":{\"k\":\"v\"},"
                                "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                                "\"b\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[8,20]}} "
                                "\0\0\xC0\x3F\0\0\0\xC0\x01\0\0\0\xFF\xFF\xFF\xFF\0\0\0\x80";
    write_example(temp_path("x"));
    assert_true(same_file(temp_path("x"), bytes, sizeof bytes - 1));
    temp_clear();
}

static void reader_finds_tensors_and_metadata(void **state) {
    (void)state;
    hw__safetensors *f;
    const hw__tensor *t;
    hw_error err;
    write_example(temp_path("x"));
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), &err), HW_OK);
    assert_string_equal(hw__safetensors_metadata(f, "k"), "v");
    assert_null(hw__safetensors_metadata(f, "none"));
    assert_null(hw__safetensors_find(f, "__metadata__"));
    size_t shape[2] = {2, 1};
    assert_int_equal(hw__safetensors_need(&t, f, "a", (hw__tensor_form){HW__F32, 2, shape}, &err), HW_OK);
    float value;
    assert_int_equal(hw__safetensors_floats(f, &value, t, 1, 1, &err), HW_OK);
    assert_float_equal(value, -2, 0);
    int64_t ints[3];
    assert_int_equal(hw__safetensors_ints(f, ints, hw__safetensors_find(f, "b"), 0, 3, &err), HW_OK);
    assert_int_equal(ints[1], -1);
    assert_int_equal(ints[2], INT32_MIN);
    shape[1] = 2;
    assert_int_equal(hw__safetensors_need(&t, f, "a", (hw__tensor_form){HW__F32, 2, shape}, &err), HW_ERR_FORMAT);
    assert_says(&err, "tensor \"a\" is F32 [2, 1], it must be F32 [2, 2]");
    assert_int_equal(hw__safetensors_need(&t, f, "a", (hw__tensor_form){HW__I32, 1, shape}, &err), HW_ERR_FORMAT);
    assert_int_equal(hw__safetensors_need(&t, f, "c", (hw__tensor_form){HW__F32, 1, shape}, &err), HW_ERR_FORMAT);
    assert_says(&err, "there is no tensor \"c\"; F32 [2] is needed");
    hw__safetensors_close(f);
    hw__safetensors_close(NULL);
    temp_clear();
}

static void reader_converts_every_float_dtype(void **state) {
    (void)state;
    /* 1, -2, the smallest subnormal, largest finite, -0, infinity, NaN of F16 */
    static const unsigned char f16[] = {0, 0x3C, 0, 0xC0, 1, 0, 0xFF, 0x7B, 0, 0x80, 0, 0x7C, 1, 0x7E};
    static const float f16_values[] = {1, -2, 0x1p-24f, 65504, -0.0f, INFINITY};
    static const unsigned char bf16[] = {0x80, 0x3F, 0x49, 0x40, 1, 0};
    static const float bf16_values[] = {1, 3.140625f, 0x1p-133f};
    static const unsigned char f64[] = {0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F};
    hw__safetensors *f;
    float out[8];
    unsigned char data[sizeof f16 + sizeof bf16 + sizeof f64];
    memcpy(data, f64, sizeof f64);
    memcpy(data + sizeof f64, f16, sizeof f16);
    memcpy(data + sizeof f64 + sizeof f16, bf16, sizeof bf16);
    write_container(temp_path("x"),
                    "{\"h\":{\"dtype\":\"F16\",\"shape\":[7],\"data_offsets\":[16,30]},"
                    "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[30,36]},"
                    "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}",
                    data, sizeof data);
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_floats(f, out, hw__safetensors_find(f, "h"), 0, 7, NULL), HW_OK);
    for (size_t i = 0; i < 6; i++) assert_int_equal(bits_of(out[i]), bits_of(f16_values[i]));
    assert_true(isnan(out[6]));
    assert_int_equal(hw__safetensors_floats(f, out, hw__safetensors_find(f, "b"), 0, 3, NULL), HW_OK);
    for (size_t i = 0; i < 3; i++) assert_int_equal(bits_of(out[i]), bits_of(bf16_values[i]));
    assert_int_equal(hw__safetensors_floats(f, out, hw__safetensors_find(f, "d"), 0, 2, NULL), HW_OK);
    assert_int_equal(bits_of(out[0]), bits_of(0.1f));
    assert_true(isinf(out[1]));
    hw__safetensors_close(f);
    temp_clear();
}

static void reader_converts_every_int_dtype(void **state) {
    (void)state;
    static const unsigned char data[] = {0,    255,  0xFE, 0xFF, 0xFF, 0xFF, 0xFD,
                                         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    hw__safetensors *f;
    int64_t out[2];
    write_container(temp_path("x"),
                    "{\"u\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                    "\"i\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[2,6]},"
                    "\"l\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[6,14]}}",
                    data, sizeof data);
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_ints(f, out, hw__safetensors_find(f, "u"), 0, 2, NULL), HW_OK);
    assert_int_equal(out[1], 255);
    assert_int_equal(hw__safetensors_ints(f, out, hw__safetensors_find(f, "i"), 0, 1, NULL), HW_OK);
    assert_int_equal(out[0], -2);
    assert_int_equal(hw__safetensors_ints(f, out, hw__safetensors_find(f, "l"), 0, 1, NULL), HW_OK);
    assert_int_equal(out[0], -3);
    hw__safetensors_close(f);
    temp_clear();
}

/* More than the reader's and the writer's buffers hold, read from the middle. */
static void long_tensors_pass_the_buffers(void **state) {
    (void)state;
    enum { N = 100003 };
    float *values = malloc(N * sizeof *values), *back = calloc(N, sizeof *back);
    const hw__tensor tensor = {.name = "x", .dtype = HW__F32, .n_dims = 1, .shape = {N}};
    json_t *metadata = json_object();
    hw__file file;
    hw__safetensors_writer writer;
    hw__safetensors *f;
    assert_true(values && back);
    for (size_t i = 0; i < N; i++) values[i] = (float)i;
    assert_int_equal(hw__file_create(&file, temp_path("x"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_begin(&writer, &file, &tensor, 1, metadata, NULL), HW_OK);
    hw__safetensors_put_floats(&writer, values, N);
    assert_int_equal(hw__file_commit(&file, NULL), HW_OK);
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_floats(f, back, hw__safetensors_find(f, "x"), 7, N - 7, NULL), HW_OK);
    assert_memory_equal(back, values + 7, (N - 7) * sizeof *values);
    hw__safetensors_close(f);
    json_decref(metadata);
    free(values);
    free(back);
    temp_clear();
}

static void writer_refuses_a_header_beyond_the_limit(void **state) {
    (void)state;
    enum { N = (64 << 20) + 1 };
    char *long_text = malloc(N + 1);
    assert_non_null(long_text);
    memset(long_text, 'x', N);
    long_text[N] = 0;
    json_t *metadata = json_pack("{s:s}", "run", long_text);
    hw__file file;
    hw__safetensors_writer writer;
    hw_error err;
    assert_int_equal(hw__file_create(&file, temp_path("x"), NULL), HW_OK);
    assert_int_equal(hw__safetensors_begin(&writer, &file, NULL, 0, metadata, &err), HW_ERR_UNSUPPORTED);
    assert_says(&err, "a file holds at most 67108864");
    hw__file_abort(&file);
    json_decref(metadata);
    free(long_text);
    temp_clear();
}

/* ------------------------------------------------------------------ hostile files */

static void no_cut_file_opens(void **state) {
    (void)state;
    size_t n;
    hw__safetensors *f;
    write_example(temp_path("x"));
    char *bytes = read_bytes(temp_path("x"), &n);
    write_bytes(temp_path("x"), bytes, n + 1); /* the terminator: one byte too many */
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_ERR_FORMAT);
    for (size_t cut = n; cut-- > 0;) {
        hw_error err;
        cut_file(temp_path("x"), cut);
        if (hw__safetensors_open(&f, temp_path("x"), &err) != HW_ERR_FORMAT)
            fail_msg("cut to %zu of %zu bytes it opens", cut, n);
        assert_says(&err, temp_path("x"));
    }
    free(bytes);
    temp_clear();
}

static void header_lengths_beyond_the_file_are_refused(void **state) {
    (void)state;
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, (64u << 20) + 1, 25, 0};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        unsigned char bytes[32] = {0};
        hw__safetensors *f;
        memset(bytes + 8, ' ', 24);
        for (int b = 0; b < 8; b++) bytes[b] = (unsigned char)(lengths[i] >> (8 * b));
        memcpy(bytes + 8, "{}", 2);
        write_bytes(temp_path("x"), bytes, sizeof bytes);
        assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_ERR_FORMAT);
    }
    temp_clear();
}

#define TENSOR(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Each has eight bytes of data behind it. */
static const struct {
    const char *header, *says;
} bad_headers[] = {
    {" {\"a\":" TENSOR("F32", "[2]", "[0,8]") "}", "begin with {"},
    {"[]", "begin with {"},
    {"{\"a\":", "no valid JSON"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,8]") "} x", "no valid JSON"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,8]") ",\"a\":" TENSOR("F32", "[2]", "[0,8]") "}", "duplicate"},
    {"{\"\xFF\":" TENSOR("F32", "[2]", "[0,8]") "}", "no valid JSON"},
    {"{\"a\":1}", "must be an object"},
    {"{\"a\":{}}", "\"dtype\" is not a type"},
    {"{\"a\":" TENSOR("F33", "[2]", "[0,8]") "}", "\"dtype\" is not a type"},
    {"{\"a\":" TENSOR("F32", "2", "[0,8]") "}", "must be a list of sizes"},
    {"{\"a\":" TENSOR("F32", "[-2]", "[0,8]") "}", "not a whole number"},
    {"{\"a\":" TENSOR("F32", "[2.0]", "[0,8]") "}", "not a whole number"},
    {"{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", "more than 8 dimensions"},
    {"{\"a\":" TENSOR("F32", "[4294967296,4294967296,4]", "[0,8]") "}", "overflows"},
    {"{\"a\":" TENSOR("F32", "[9223372036854775807]", "[0,8]") "}", "do not span"},
    {"{\"a\":" TENSOR("F32", "[3]", "[0,8]") "}", "do not span"},
    {"{\"a\":" TENSOR("F64", "[2]", "[0,8]") "}", "do not span"},
    {"{\"a\":" TENSOR("F4", "[17]", "[0,8]") "}", "do not span"}, /* 68 bits are not whole bytes */
    {"{\"a\":" TENSOR("F32", "[2]", "[8,0]") "}", "begin <= end"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0]") "}", "begin <= end"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,8,8]") "}", "begin <= end"},
    {"{\"a\":" TENSOR("F32", "[2]", "[-8,0]") "}", "begin <= end"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,99999999999999999999]") "}", "no valid JSON"},
    {"{\"a\":" TENSOR("F32", "[2]", "[8,16]") "}", "leave a hole"},
    {"{\"a\":" TENSOR("F32", "[1]", "[0,4]") "}", "need 4 bytes of data, the file has 8"},
    {"{\"a\":" TENSOR("F32", "[4]", "[0,16]") "}", "need 16 bytes of data, the file has 8"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,8]") ",\"b\":" TENSOR("F32", "[1]", "[4,8]") "}", "overlap"},
    {"{\"a\":" TENSOR("F32", "[2]", "[0,8]") ",\"b\":" TENSOR("F32", "[2]", "[0,8]") "}", "overlap"},
    {"{\"a\":" TENSOR("U8", "[3]", "[0,3]") ",\"b\":" TENSOR("U8", "[4]", "[4,8]") "}", "leave a hole"},
    {"{}", "need 0 bytes of data, the file has 8"},
    {"{\"__metadata__\":[],\"a\":" TENSOR("F32", "[2]", "[0,8]") "}", "object of strings"},
    {"{\"__metadata__\":{\"k\":1},\"a\":" TENSOR("F32", "[2]", "[0,8]") "}", "must be a string"},
    {"{\"__metadata__\":{\"k\":\"a\\u0000b\"},\"a\":" TENSOR("F32", "[2]", "[0,8]") "}", "without NUL"},
    {"{\"a\\nb\":1}", "tensor \"a?b\""},
};

static void bad_headers_are_refused_with_their_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(bad_headers); i++) {
        hw__safetensors *f = NULL;
        hw_error err = {0};
        write_container(temp_path("x"), bad_headers[i].header, "12345678", 8);
        hw_err rc = hw__safetensors_open(&f, temp_path("x"), &err);
        if (rc == HW_OK) fail_msg("opened: %s", bad_headers[i].header);
        assert_int_equal(rc, HW_ERR_FORMAT);
        assert_says(&err, bad_headers[i].says);
        assert_int_equal(err.code, HW_ERR_FORMAT);
        assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_ERR_FORMAT);
    }
    temp_clear();
}

static void deep_json_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *header = calloc(2 * DEPTH + 8, 1);
    hw__safetensors *f;
    hw_error err;
    assert_non_null(header);
    strcpy(header, "{\"a\":");
    memset(header + 5, '[', DEPTH);
    memset(header + 5 + DEPTH, ']', DEPTH);
    header[5 + 2 * DEPTH] = '}';
    write_container(temp_path("x"), header, NULL, 0);
    assert_int_equal(hw__safetensors_open(&f, temp_path("x"), &err), HW_ERR_FORMAT);
    assert_says(&err, "maximum parsing depth");
    free(header);
    temp_clear();
}

static void good_headers_of_other_writers_open(void **state) {
    (void)state;
    static const char *const good[] = {
        "{\"a\":" TENSOR("F32", "[2]", "[0,8]") "}            ",                            /* padded with spaces */
        "{\"b\":" TENSOR("F32", "[1]", "[4,8]") ",\"a\":" TENSOR("F32", "[]", "[0,4]") "}", /* any order; a scalar */
        "{\"a\":" TENSOR("F8_E4M3", "[8]", "[0,8]") ",\"empty\":" TENSOR("F32", "[0,5]", "[8,8]") "}",
        "{\"a\":" TENSOR("F4", "[16]", "[0,8]") ",\"e\":" TENSOR("I64", "[0]", "[0,0]") "}",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        hw__safetensors *f;
        hw_error err;
        write_container(temp_path("x"), good[i], "12345678", 8);
        if (hw__safetensors_open(&f, temp_path("x"), &err) != HW_OK) fail_msg("%s: %s", good[i], err.msg);
        hw__safetensors_close(f);
    }
    temp_clear();
}

static void files_say_what_they_are(void **state) {
    (void)state;
    static const struct {
        const char *metadata, *says;
        hw_err code;
    } cases[] = {
        {"{\"format\":\"f\",\"version\":\"1\"}", NULL, HW_OK},
        {"{\"format\":\"f\",\"version\":\"2\"}", NULL, HW_OK},
        {"{\"format\":\"f\",\"version\":\"3\"}", "version 3 of f; this build reads up to version 2",
         HW_ERR_UNSUPPORTED},
        {"{\"format\":\"f\",\"version\":\"999999999\"}", "version 999999999", HW_ERR_UNSUPPORTED},
        {"{\"format\":\"f\",\"version\":\"99999999999999999999\"}", "not a whole number", HW_ERR_FORMAT},
        {"{\"format\":\"f\",\"version\":\"0\"}", "not a whole number", HW_ERR_FORMAT},
        {"{\"format\":\"f\",\"version\":\"1.0\"}", "not a whole number", HW_ERR_FORMAT},
        {"{\"format\":\"f\"}", "not a whole number", HW_ERR_FORMAT},
        {"{\"format\":\"pt\",\"version\":\"1\"}", "holds no f: the format in its metadata is pt", HW_ERR_FORMAT},
        {"{}", "is not given", HW_ERR_FORMAT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char header[256];
        hw__safetensors *f;
        hw_error err = {0};
        snprintf(header, sizeof header, "{\"__metadata__\":%s}", cases[i].metadata);
        write_container(temp_path("x"), header, NULL, 0);
        assert_int_equal(hw__safetensors_open(&f, temp_path("x"), NULL), HW_OK);
        assert_int_equal(hw__safetensors_expect(f, "f", 2, &err), cases[i].code);
        if (cases[i].says) assert_says(&err, cases[i].says);
        hw__safetensors_close(f);
    }
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_differs_from_other_bytes),
        cmocka_unit_test(utf8_replaces_what_is_no_text),
        cmocka_unit_test(utf8_makes_one_line_for_messages),
        cmocka_unit_test(file_is_seen_only_after_its_commit),
        cmocka_unit_test(file_keeps_mode_and_follows_links),
        cmocka_unit_test(file_refuses_what_it_cannot_replace),
        cmocka_unit_test(file_that_cannot_take_its_place_goes_away),
        cmocka_unit_test(file_refuses_to_read_what_is_no_file),
        cmocka_unit_test(file_that_cannot_be_finished_leaves_the_old_one),
        cmocka_unit_test(floats_read_back_from_their_text),
        cmocka_unit_test(writer_gives_exact_bytes),
        cmocka_unit_test(reader_finds_tensors_and_metadata),
        cmocka_unit_test(reader_converts_every_float_dtype),
        cmocka_unit_test(reader_converts_every_int_dtype),
        cmocka_unit_test(long_tensors_pass_the_buffers),
        cmocka_unit_test(writer_refuses_a_header_beyond_the_limit),
        cmocka_unit_test(no_cut_file_opens),
        cmocka_unit_test(header_lengths_beyond_the_file_are_refused),
        cmocka_unit_test(bad_headers_are_refused_with_their_reason),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(good_headers_of_other_writers_open),
        cmocka_unit_test(files_say_what_they_are),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
