/* through_json.c - total and direct shares of the completion, and the hops between tokens. */
#include "formats/through_json.h"

#include "base/error.h"

#include <stddef.h>

static const struct {
    const char *key;
    size_t offset;
} members[] = {
    {"prompt", offsetof(hw_through, prompt)},
    {"model", offsetof(hw_through, model)},
    {"prompt_direct", offsetof(hw_through, prompt_direct)},
    {"model_direct", offsetof(hw_through, model_direct)},
};
enum { N_MEMBERS = sizeof members / sizeof *members };

/* Completion tokens before the token of row i. */
static size_t n_before(const hw_attribution *a, size_t i) { return a->first_token - a->run->n_prompt + i; }

static json_t *hops_to_json(const hw_attribution *a, size_t i) {
    json_t *list = json_array();
    for (size_t k = 0; list && k < n_before(a, i); k++) {
        if (json_array_append_new(list, hw__json_float(a->hops[i * a->n_hops + k])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *row_to_json(const hw_attribution *a, size_t i) {
    const hw_through *row = &a->through[i];
    json_t *object = json_pack("{s:o, s:b, s:o}", "raised", hw__json_double(row->raised), "gathered",
                               (int)row->gathered, "hops", hops_to_json(a, i));
    for (size_t k = 0; object && k < N_MEMBERS; k++) {
        const double *value = (const double *)(const void *)((const char *)row + members[k].offset);
        if (json_object_set_new(object, members[k].key, hw__json_double(*value)) == 0) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *hw__through_to_json(const hw_attribution *a) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < a->n_rows; i++) {
        if (json_array_append_new(list, row_to_json(a, i)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool is_share(double v) { return v >= 0 && v <= 1 + 1e-6; }

/* Checked before the arrays are allocated: the file must hold as many numbers. */
static hw_err check_lengths(const hw_attribution *a, const json_t *rows, hw_error *err) {
    if (!json_is_array(rows) || json_array_size(rows) != a->n_rows || a->first_token < a->run->n_prompt)
        return hw__fail(err, HW_ERR_FORMAT, "\"through\" must be a list of %zu rows", a->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        const json_t *list = json_object_get(json_array_get(rows, i), "hops");
        if (!json_is_array(list) || json_array_size(list) != n_before(a, i))
            return hw__fail(err, HW_ERR_FORMAT, "\"through\", row %zu: \"hops\" must be a list of %zu shares", i,
                            n_before(a, i));
    }
    return HW_OK;
}

static hw_err get_hops(hw_attribution *a, size_t i, const json_t *row, hw_error *err) {
    const json_t *list = json_object_get(row, "hops");
    size_t n = n_before(a, i);
    for (size_t k = 0; k < n; k++) {
        const json_t *v = json_array_get(list, k);
        if (!json_is_number(v) || !is_share(json_number_value(v)))
            return hw__fail(err, HW_ERR_FORMAT, "hop %zu: a share from 0 to 1 is needed", k);
        a->hops[i * a->n_hops + k] = (float)json_number_value(v);
    }
    return HW_OK;
}

static hw_err get_row(hw_attribution *a, size_t i, const json_t *json, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t k = 0; rc == HW_OK && k < N_MEMBERS; k++) {
        double *value = (double *)(void *)((char *)&a->through[i] + members[k].offset);
        rc = hw__json_real(value, json, members[k].key, err);
        if (rc == HW_OK && !is_share(*value))
            rc = hw__fail(err, HW_ERR_FORMAT, "\"%s\" must be a share from 0 to 1", members[k].key);
    }
    if (rc == HW_OK) rc = hw__json_real(&a->through[i].raised, json, "raised", err);
    if (rc == HW_OK && !(a->through[i].raised >= 0))
        rc = hw__fail(err, HW_ERR_FORMAT, "\"raised\" must be a number from 0 on");
    a->through[i].gathered = json_is_true(json_object_get(json, "gathered")); /* older files do not have it */
    return rc == HW_OK ? get_hops(a, i, json, err) : rc;
}

hw_err hw__through_from_json(hw_attribution *a, const json_t *json, hw_error *err) {
    const json_t *list = json_object_get(json, "through");
    size_t cells;
    hw_err rc = check_lengths(a, list, err);
    if (rc != HW_OK) return rc;
    a->n_hops = n_before(a, a->n_rows);
    a->through = hw__alloc(a->n_rows, sizeof *a->through);
    a->hops = hw__mul(&cells, a->n_rows, a->n_hops) ? hw__alloc(cells, sizeof *a->hops) : NULL;
    if (!a->through || !a->hops) return hw__fail_memory(err, "hops through the answer", a->n_rows, a->n_hops);
    for (size_t i = 0; i < a->n_rows; i++) {
        rc = get_row(a, i, json_array_get(list, i), err);
        if (rc != HW_OK) return hw__fail_in(err, rc, "\"through\", row %zu", i);
    }
    return HW_OK;
}
