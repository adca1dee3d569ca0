/* test_gguf.c - which bytes of a GGUF file its two checksums are of. */
#include "base/sha256.h"
#include "engine/llama/file/gguf.h"
#include "support/files.h"
#include "support/fixture.h"

#include <gguf.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { LARGE = 65536, EDGE = 12288, SMALL = 40 };

/* Three tensors of bytes that differ; *head is what comes before their data. */
static unsigned char *write_model(size_t *head, size_t *n) {
    static const int64_t sizes[] = {LARGE, EDGE, SMALL};
    static const char *const names[] = {"large", "edge", "small"};
    struct ggml_context *ctx = ggml_init((struct ggml_init_params){.mem_size = 1 << 20});
    struct gguf_context *gguf = gguf_init_empty();
    for (int i = 0; i < 3; i++) {
        struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, sizes[i]);
        ggml_set_name(t, names[i]);
        for (int64_t b = 0; b < sizes[i]; b++) ((unsigned char *)t->data)[b] = (unsigned char)(7 * b + i + b / 256);
        gguf_add_tensor(gguf, t);
    }
    assert_true(gguf_write_to_file(gguf, temp_path("m"), false));
    *head = gguf_get_meta_size(gguf);
    gguf_free(gguf);
    ggml_free(ctx);
    return (unsigned char *)read_bytes(temp_path("m"), n);
}

static void sums(char metadata[HW__SHA256_CAPACITY], char sample[HW__SHA256_CAPACITY]) {
    hw__gguf *file;
    hw_error err;
    if (hw__gguf_open(&file, temp_path("m"), &err) != HW_OK) fail_msg("%s", err.msg);
    if (hw__gguf_finish_hashes(file, &err) != HW_OK) fail_msg("%s", err.msg);
    strcpy(metadata, hw__gguf_metadata_sha256(file));
    strcpy(sample, hw__gguf_sample_sha256(file));
    hw__gguf_close(file);
}

/* As docs/reference/formats.md has it. */
static void sums_are_of_the_bytes_that_are_documented(void **state) {
    (void)state;
    size_t head, n;
    unsigned char *bytes = write_model(&head, &n), *data = bytes + head;
    char metadata[HW__SHA256_CAPACITY], sample[HW__SHA256_CAPACITY], want[HW__SHA256_CAPACITY];
    sums(metadata, sample);
    hw__sha256 hash;
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, bytes, head);
    hw__sha256_hex(&hash, want);
    assert_string_equal(metadata, want);
    hw__sha256_add(&hash, data, 4096);
    hw__sha256_add(&hash, data + (LARGE - 4096) / 2, 4096);
    hw__sha256_add(&hash, data + LARGE - 4096, 4096);
    hw__sha256_add(&hash, data + LARGE, EDGE);
    hw__sha256_add(&hash, data + LARGE + EDGE, SMALL);
    hw__sha256_hex(&hash, want);
    assert_string_equal(sample, want);
    free(bytes);
    temp_clear();
}

static void weights_change_the_sample_alone(void **state) {
    (void)state;
    static const size_t seen[] = {0, 4095, LARGE / 2, LARGE - 1, LARGE + 5000, LARGE + EDGE + SMALL - 1};
    size_t head, n;
    unsigned char *bytes = write_model(&head, &n);
    char metadata[HW__SHA256_CAPACITY], sample[HW__SHA256_CAPACITY], m[HW__SHA256_CAPACITY], s[HW__SHA256_CAPACITY];
    sums(metadata, sample);
    for (size_t i = 0; i < COUNT(seen); i++) {
        patch_byte(temp_path("m"), head + seen[i], (char)(bytes[head + seen[i]] ^ 1));
        sums(m, s);
        assert_string_equal(m, metadata);
        assert_string_not_equal(s, sample);
        patch_byte(temp_path("m"), head + seen[i], (char)bytes[head + seen[i]]);
    }
    free(bytes);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_of_the_bytes_that_are_documented),
        cmocka_unit_test(weights_change_the_sample_alone),
    };
    return cmocka_run_group_tests_name("gguf_file", tests, files_setup, files_teardown);
}
