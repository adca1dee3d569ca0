/* test_result_safetensors.c - .safetensors results that are refused. */
#include "base/json.h"
#include "base/safetensors.h"
#include "data/attribution.h"
#include "support/files.h"
#include "support/results.h"
#include "support/sample.h"

#include <math.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_results_that_cannot_be_right_are_refused),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
