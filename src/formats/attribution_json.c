/* attribution_json.c - the table of settings writes and reads the settings. */
#include "formats/attribution_json.h"

#include "base/utf8.h"
#include "formats/setting_json.h"
#include "formats/through_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *key;
    size_t offset;
} diagnostic_fields[] = {
    {"first_mean", offsetof(hw_diagnostics, first_mean)},
    {"first_last", offsetof(hw_diagnostics, first_last)},
    {"outside_mean", offsetof(hw_diagnostics, outside_mean)},
    {"outside_last", offsetof(hw_diagnostics, outside_last)},
    {"position_mean", offsetof(hw_diagnostics, position_mean)},
    {"position_last", offsetof(hw_diagnostics, position_last)},
};
enum { N_DIAGNOSTICS = sizeof diagnostic_fields / sizeof *diagnostic_fields };

/* ------------------------------------------------------------------ the balance of logits */

static const struct {
    const char *key;
    size_t offset;
} balance_fields[] = {
    {"prompt", offsetof(hw_balance, prompt)},       {"completion", offsetof(hw_balance, completion)},
    {"bias", offsetof(hw_balance, bias)},           {"mlp", offsetof(hw_balance, mlp)},
    {"embedding", offsetof(hw_balance, embedding)}, {"logit", offsetof(hw_balance, logit)},
};
enum { N_BALANCE = sizeof balance_fields / sizeof *balance_fields };

static json_t *balance_row_to_json(const hw_balance *row) {
    json_t *object = json_object();
    for (size_t i = 0; object && i < N_BALANCE; i++) {
        const double *value = (const double *)(const void *)((const char *)row + balance_fields[i].offset);
        if (json_object_set_new(object, balance_fields[i].key, hw__json_double(*value)) == 0) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *hw__balance_to_json(const hw_balance *rows, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, balance_row_to_json(&rows[i])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

hw_err hw__balance_from_json(hw_balance *rows, const json_t *list, size_t n, hw_error *err) {
    if (!json_is_array(list) || json_array_size(list) != n)
        return hw__fail(err, HW_ERR_FORMAT, "the balance must be a list of %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < N_BALANCE; j++) {
            double *value = (double *)(void *)((char *)&rows[i] + balance_fields[j].offset);
            hw_err rc = hw__json_real(value, json_array_get(list, i), balance_fields[j].key, err);
            if (rc != HW_OK) return hw__fail_in(err, rc, "balance row %zu", i);
        }
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ writing */

static json_t *ints_to_json(const int32_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, json_integer(values[i])) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *names_to_json(const hw_method_params *p) {
    json_t *list = json_array();
    for (size_t g = 0; list && g < p->n_groups; g++) {
        if (json_array_append_new(list, hw__json_replaced(p->group_names[g], strlen(p->group_names[g]))) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *settings_to_json(const hw_attribution *a) {
    const hw_method_params *p = &a->params;
    json_t *json = json_object();
    bool ok = json != NULL;
    for (size_t i = 0; ok && i < hw_setting_count(); i++) ok = hw__setting_put_json(json, p, hw_setting_at(i));
    if (ok && p->groups)
        ok = json_object_set_new(json, "n_groups", json_integer((json_int_t)p->n_groups)) == 0 &&
             json_object_set_new(json, "groups", ints_to_json(p->groups, hw__n_shown(p, a->run))) == 0;
    if (ok && p->group_names) ok = json_object_set_new(json, "group_names", names_to_json(p)) == 0;
    if (ok) return json;
    json_decref(json);
    return NULL;
}

static json_t *diagnostics_to_json(const hw_diagnostics *d) {
    json_t *json = json_object();
    for (size_t i = 0; json && i < N_DIAGNOSTICS; i++) {
        const double *value = (const double *)(const void *)((const char *)d + diagnostic_fields[i].offset);
        if (json_object_set_new(json, diagnostic_fields[i].key, hw__json_double(*value)) == 0) continue;
        json_decref(json);
        return NULL;
    }
    return json;
}

hw_err hw__attribution_to_json(json_t **out, const hw_attribution *a, hw_error *err) {
    json_t *json = json_pack("{s:s}", "method", a->method);
    bool ok = json && json_object_set_new(json, "settings", settings_to_json(a)) == 0;
    ok = ok && json_object_set_new(json, "diagnostics", diagnostics_to_json(&a->diagnostics)) == 0;
    ok = ok && json_object_set_new(json, "layers", ints_to_json(a->layers, a->n_layers)) == 0;
    ok = ok && json_object_set_new(json, "first_token", json_integer((json_int_t)a->first_token)) == 0;
    if (ok && a->balance) ok = json_object_set_new(json, "balance", hw__balance_to_json(a->balance, a->n_rows)) == 0;
    if (ok && a->through) ok = json_object_set_new(json, "through", hw__through_to_json(a)) == 0;
    if (!ok) {
        json_decref(json);
        return hw__fail(err, HW_ERR_MEMORY, "out of memory: the description of method %s", a->method);
    }
    *out = json;
    return HW_OK;
}

/* ------------------------------------------------------------------ reading */

/* Owns what `params` points to until an attribution has copied it. */
typedef struct column_groups {
    int32_t *groups;
    const char **names;
} column_groups;

static hw_err get_method(const char **method, const json_t *json, hw_error *err) {
    const char *word;
    hw_err rc = hw__json_word(&word, json, "method", err);
    if (rc != HW_OK) return rc;
    const hw_method_info *info = hw_method_find(word);
    if (!info) {
        char line[64];
        return hw__fail(err, HW_ERR_FORMAT, "method \"%s\": unknown name",
                        hw__utf8_line(line, sizeof line, word, strlen(word)));
    }
    *method = info->name;
    return HW_OK;
}

/* Names of groups: a malloc'd array of strings owned by the JSON. Files of earlier versions have none. */
static hw_err get_names(hw_method_params *p, const char ***names, const json_t *json, hw_error *err) {
    const json_t *list;
    if (!json_object_get(json, "group_names")) return HW_OK;
    hw_err rc = hw__json_array(&list, json, "group_names", err);
    if (rc != HW_OK) return rc;
    if (json_array_size(list) != p->n_groups)
        return hw__fail(err, HW_ERR_FORMAT, "\"group_names\" has %zu entries for %zu groups", json_array_size(list),
                        p->n_groups);
    if (!(*names = hw__alloc(p->n_groups, sizeof **names)))
        return hw__fail_memory(err, "names of groups", p->n_groups, sizeof **names);
    for (size_t g = 0; g < p->n_groups; g++)
        if (!((*names)[g] = json_string_value(json_array_get(list, g))))
            return hw__fail(err, HW_ERR_FORMAT, "name of group %zu: a string is needed", g);
    p->group_names = *names;
    return HW_OK;
}

/* The group of each column, malloc'd; p->groups is NULL if the file has none. */
static hw_err get_groups(hw_method_params *p, column_groups *out, const json_t *json, const hw_run *run,
                         hw_error *err) {
    if (!json_object_get(json, "groups")) return HW_OK;
    const json_t *list;
    int64_t n_groups;
    size_t n = hw__n_shown(p, run);
    hw_err rc = hw__json_array(&list, json, "groups", err);
    if (rc == HW_OK) rc = hw__json_int(&n_groups, json, "n_groups", 1, INT32_MAX, err);
    if (rc != HW_OK) return rc;
    if (json_array_size(list) != n)
        return hw__fail(err, HW_ERR_FORMAT, "\"groups\" has %zu entries, there are %zu columns", json_array_size(list),
                        n);
    int32_t *groups = out->groups = hw__alloc(n, sizeof *groups);
    if (!groups) return hw__fail_memory(err, "column groups", n, sizeof *groups);
    for (size_t k = 0; k < n; k++) {
        const json_t *v = json_array_get(list, k);
        json_int_t group = json_integer_value(v);
        if (!json_is_integer(v) || group < -1 || group >= n_groups)
            return hw__fail(err, HW_ERR_FORMAT, "group %zu: a whole number from -1 to %lld is needed", k,
                            (long long)n_groups - 1);
        groups[k] = (int32_t)group;
    }
    p->groups = groups;
    p->n_groups = (size_t)n_groups;
    return get_names(p, &out->names, json, err);
}

static hw_err get_settings(hw_method_params *p, column_groups *groups, const json_t *json, const hw_run *run,
                           hw_error *err) {
    const json_t *settings;
    hw_err rc = hw__json_object(&settings, json, "settings", err);
    for (size_t i = 0; rc == HW_OK && i < hw_setting_count(); i++)
        rc = hw__setting_get_json(p, hw_setting_at(i), settings, NULL, err); /* none of them is text */
    return rc == HW_OK ? get_groups(p, groups, settings, run, err) : rc;
}

static hw_err get_diagnostics(hw_diagnostics *d, const json_t *json, hw_error *err) {
    const json_t *object;
    hw_err rc = hw__json_object(&object, json, "diagnostics", err);
    for (size_t i = 0; rc == HW_OK && i < N_DIAGNOSTICS; i++) {
        double *value = (double *)(void *)((char *)d + diagnostic_fields[i].offset);
        rc = hw__json_real(value, object, diagnostic_fields[i].key, err);
    }
    return rc;
}

static bool has_layer(const hw_model_info *model, json_int_t layer) {
    for (int32_t s = 0; s < model->n_sources; s++)
        if (model->sources[s].block == layer) return true;
    return false;
}

/* Layers are ascending indices of the model, or all -1; with `mean` only their count is used. */
static hw_err get_layers(hw_attribution *a, const json_t *json, size_t n, bool mean, hw_error *err) {
    const json_t *list;
    hw_err rc = hw__json_array(&list, json, "layers", err);
    if (rc != HW_OK) return rc;
    if (json_array_size(list) != n)
        return hw__fail(err, HW_ERR_FORMAT, "\"layers\" has %zu entries for %zu layers", json_array_size(list), n);
    json_int_t before = -1;
    bool several = a->run->model.n_sources > a->run->model.n_layers; /* a block may have two */
    for (size_t l = 0; l < n; l++) {
        const json_t *v = json_array_get(list, l);
        json_int_t layer = json_integer_value(v);
        bool none = layer == -1 && before == -1,
             fits = none || ((layer > before || (layer == before && several)) && (l == 0 || before >= 0) &&
                             has_layer(&a->run->model, layer));
        if (!json_is_integer(v) || !fits)
            return hw__fail(err, HW_ERR_FORMAT,
                            "\"layers\" must be rising layers of the model, or all -1; entry %zu is not", l);
        before = layer;
        if (!mean) a->layers[l] = (int32_t)layer;
    }
    if (mean) a->layers[0] = n == 1 ? (int32_t)before : -1;
    return HW_OK;
}

/* The shape must match the run and the settings before anything is allocated from it. */
static hw_err check_shape(const size_t shape[3], const hw_run *run, const hw_method_params *p, hw_error *err) {
    size_t completion = run->n_tokens - run->n_prompt, n = completion ? completion : run->n_tokens;
    size_t m = p->groups ? p->n_groups : hw__n_shown(p, run);
    if (shape[0] == n && shape[1] == m && shape[2] >= 1) return HW_OK;
    return hw__fail(err, HW_ERR_FORMAT, "its shape is [%zu, %zu, %zu]; run and settings need [%zu, %zu, 1 or more]",
                    shape[0], shape[1], shape[2], n, m);
}

static hw_err get_balance(hw_attribution *a, const json_t *json, hw_error *err) {
    const json_t *list = json_object_get(json, "balance");
    if (!list) return HW_OK;
    if (!(a->balance = hw__alloc(a->n_rows, sizeof *a->balance)))
        return hw__fail_memory(err, "the logit balance", a->n_rows, sizeof *a->balance);
    return hw__balance_from_json(a->balance, list, a->n_rows, err);
}

static hw_err fill(hw_attribution *a, const json_t *json, size_t n_layers, bool mean, hw_error *err) {
    int64_t first;
    hw_err rc = get_layers(a, json, n_layers, mean, err);
    if (rc == HW_OK) rc = get_diagnostics(&a->diagnostics, json, err);
    if (rc == HW_OK)
        rc = hw__json_int(&first, json, "first_token", (int64_t)a->first_token, (int64_t)a->first_token, err);
    if (rc == HW_OK) rc = get_balance(a, json, err);
    if (rc == HW_OK && a->params.through) rc = hw__through_from_json(a, json, err);
    return rc;
}

hw_err hw__attribution_from_json(hw_attribution **out, const json_t *json, const hw_run *run, const size_t shape[3],
                                 bool mean, hw_error *err) {
    hw_method_params params = hw_method_params_default();
    const char *method = NULL;
    column_groups groups = {0};
    hw_attribution *a = NULL;
    hw_err rc = get_method(&method, json, err);
    if (rc == HW_OK) rc = get_settings(&params, &groups, json, run, err);
    if (rc == HW_OK) rc = check_shape(shape, run, &params, err);
    if (rc == HW_OK) rc = hw__attribution_new(&a, run, method, &params, mean ? 1 : shape[2], err);
    if (rc == HW_OK) rc = fill(a, json, shape[2], mean, err);
    free(groups.groups);
    free(groups.names);
    if (rc != HW_OK) {
        hw_attribution_free(a);
        return rc;
    }
    *out = a;
    return HW_OK;
}
