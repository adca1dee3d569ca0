/* balance_json.c - one table of members, read and written alike. */
#include "formats/balance_json.h"

#include <stddef.h>

static const struct {
    const char *key;
    size_t offset;
} members[] = {
    {"prompt", offsetof(hw_balance, prompt)},       {"completion", offsetof(hw_balance, completion)},
    {"bias", offsetof(hw_balance, bias)},           {"mlp", offsetof(hw_balance, mlp)},
    {"embedding", offsetof(hw_balance, embedding)}, {"logit", offsetof(hw_balance, logit)},
};
enum { N_MEMBERS = sizeof members / sizeof *members };

static json_t *row_to_json(const hw_balance *row) {
    json_t *object = json_object();
    for (size_t i = 0; object && i < N_MEMBERS; i++) {
        const double *value = (const double *)(const void *)((const char *)row + members[i].offset);
        if (json_object_set_new(object, members[i].key, hw__json_double(*value)) == 0) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *hw__balance_to_json(const hw_balance *rows, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, row_to_json(&rows[i])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

hw_err hw__balance_from_json(hw_balance *rows, const json_t *list, size_t n, hw_error *err) {
    if (!json_is_array(list) || json_array_size(list) != n)
        return hw__fail(err, HW_ERR_FORMAT, "the balance must be a list of %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < N_MEMBERS; j++) {
            double *value = (double *)(void *)((char *)&rows[i] + members[j].offset);
            hw_err rc = hw__json_real(value, json_array_get(list, i), members[j].key, err);
            if (rc != HW_OK) return hw__fail_in(err, rc, "balance row %zu", i);
        }
    }
    return HW_OK;
}
