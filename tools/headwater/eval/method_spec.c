/* method_spec.c - reading METHOD[:SETTING]... by the table of settings. */
#include "eval/method_spec.h"

#include "base/error.h"
#include "cli/message.h"
#include "cli/names.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ------------------------------------------------------------------ settings */

static hw_err refuse(hw_error *err, const char *text) {
    return hw__fail(err, HW_ERR_ARGUMENT, "%s", text);
}

static hw_err read_measure(variant *v, char *value, hw_error *err) {
    return hw_measure_parse(&v->params.measure, value, err);
}

static hw_err read_aggregate(variant *v, char *value, hw_error *err) {
    return hw_aggregate_parse(&v->params.aggregate, value, err);
}

static hw_err read_row(variant *v, char *value, hw_error *err) { return hw_row_parse(&v->params.row, value, err); }

static hw_err read_direction(variant *v, char *value, hw_error *err) {
    return hw_direction_parse(&v->params.direction, value, err);
}

static bool read_share(double *out, const char *value) {
    char *end;
    bool plain = *value && !value[strspn(value, "0123456789.")]; /* strtod also takes hex, inf and nan */
    double share = strtod(value, &end);
    if (!plain || *end || !(share >= 0 && share <= 1)) return false;
    *out = share;
    return true;
}

static hw_err read_residual(variant *v, char *value, hw_error *err) {
    v->params.residual_measured = strcmp(value, "measured") == 0;
    if (v->params.residual_measured || read_share(&v->params.residual, value)) return HW_OK;
    return refuse(err, "must be a number from 0 to 1, or measured");
}

static hw_err read_discard(variant *v, char *value, hw_error *err) {
    double share;
    if (!read_share(&share, value) || share == 1) return refuse(err, "must be a number from 0 to below 1");
    v->params.discard = share;
    return HW_OK;
}

static hw_err read_remove_sink(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "remove-sink") != 0) return refuse(err, "must be remove-sink");
    v->params.remove_sink = true;
    return HW_OK;
}

static hw_err read_lift(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "lift") != 0) return refuse(err, "must be lift");
    v->lift = true;
    return HW_OK;
}

static hw_err read_last(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "last") != 0) return refuse(err, "must be last, or layers as in layers=3-12");
    v->layers = "last";
    return HW_OK;
}

static hw_err read_through(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "through") != 0) return refuse(err, "must be through");
    v->params.through = true;
    return HW_OK;
}

/* The model says later which layers there are. */
static hw_err read_layers(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "last") != 0 && (!*value || value[strspn(value, "0123456789-")]))
        return refuse(err, "must be last, one layer (5) or a range (3-12)");
    v->layers = value;
    return HW_OK;
}

/* Filters stand behind each other with a plus, as the list of variants has the commas. */
static hw_err read_hide(variant *v, char *value, hw_error *err) {
    for (char *plus = value; (plus = strchr(plus, '+'));) *plus = ',';
    v->hide = value;
    return hw_filter_check(value, err);
}

/* One row a setting. Those without a key of their own are tried on values that stand alone; no two take the same. */
static const struct setting {
    const char *key;
    bool bare;     /* its values may stand without the key */
    uint32_t uses; /* trait of the methods that heed it; 0: every method does */
    hw_err (*read)(variant *v, char *value, hw_error *err);
} settings[] = {
    {"measure", true, HW_USES_MEASURE, read_measure},
    {"aggregate", true, HW_USES_AGGREGATE, read_aggregate},
    {"row", true, HW_USES_ROW, read_row},
    {"direction", true, HW_USES_DIRECTION, read_direction},
    {"layers", false, HW_GIVES_LAYERS, read_layers},
    {"layers", true, HW_GIVES_LAYERS, read_last},
    {"residual", false, HW_USES_RESIDUAL, read_residual},
    {"hide", false, 0, read_hide},
    {"discard", false, HW_USES_DISCARD, read_discard},
    {"remove-sink", true, HW_USES_REMOVE_SINK, read_remove_sink},
    {"lift", true, HW_GIVES_SHARES, read_lift},
    {"through", true, HW_USES_THROUGH, read_through},
};

static int refuse_setting(const char *command, const char *whole, const char *word, const char *why) {
    return misuse(command, "--method %s: \"%s\": %s", whole, word, why);
}

/* Keys of several rows are named once. */
static const char *setting_key(size_t i, const void *ctx) {
    (void)ctx;
    return i && strcmp(settings[i].key, settings[i - 1].key) == 0 ? NULL : settings[i].key;
}

static int refuse_key(const char *command, const char *whole, const char *word) {
    char why[UNKNOWN_CAPACITY];
    return refuse_setting(command, whole, word,
                          hw__unknown_name(why, sizeof why, word, (hw__names){setting_key, NULL, COUNT(settings)}));
}

static int read_keyed(variant *v, const char *command, char *word, char *value) {
    hw_error err;
    *value++ = 0;
    for (size_t i = 0; i < COUNT(settings); i++) {
        if (strcmp(settings[i].key, word) != 0) continue;
        v->uses |= settings[i].uses;
        if (settings[i].read(v, value, &err) == HW_OK) return STATUS_DONE;
        return refuse_setting(command, v->label, value, err.msg);
    }
    return refuse_key(command, v->label, word);
}

static int read_setting(variant *v, const char *command, char *word) {
    hw_error err;
    char *value = strchr(word, '=');
    if (value) return read_keyed(v, command, word, value);
    for (size_t i = 0; i < COUNT(settings); i++) {
        if (!settings[i].bare || settings[i].read(v, word, &err) != HW_OK) continue;
        v->uses |= settings[i].uses;
        return STATUS_DONE;
    }
    return refuse_setting(command, v->label, word,
                          "not a value that stands alone (norm, own, output, last ...); write KEY=VALUE");
}

/* Nothing is set that would change nothing, be it for the method or for its other settings. */
static int check_uses(const variant *v, const char *command) {
    uint32_t idle = v->uses & ~hw_method_heeds(hw_method_find(v->method), &v->params);
    for (size_t i = 0; i < COUNT(settings); i++)
        if (settings[i].uses & idle)
            return misuse(command, "--method %s: %s does not heed %s%s", v->label, v->method, settings[i].key,
                          hw_method_find(v->method)->traits & settings[i].uses ? " with these settings" : "");
    return STATUS_DONE;
}

/* ------------------------------------------------------------------ the list */

static int refuse_method(const char *command, const char *name) {
    char why[UNKNOWN_CAPACITY];
    return misuse(command, "--method \"%s\": %s", name,
                  hw__unknown_name(why, sizeof why, name, method_names()));
}

/* Takes `words`, a copy of the label, apart. */
static int read_variant(variant *v, const char *command, char *words) {
    v->params = hw_method_params_default();
    char *next = strchr(words, ':');
    if (next) *next++ = 0;
    v->method = words;
    if (!hw_method_find(v->method)) return refuse_method(command, v->method);
    int status = STATUS_DONE;
    for (char *word = next; word && status == STATUS_DONE; word = next) {
        next = strchr(word, ':');
        if (next) *next++ = 0;
        status = read_setting(v, command, word);
    }
    return status == STATUS_DONE ? check_uses(v, command) : status;
}

static int add_variant(variants *list, const char *command, char *whole, char *words) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].label, whole) == 0) return misuse(command, "--method names %s twice", whole);
    if (list->n == MOST_VARIANTS) return misuse(command, "--method takes at most %d methods", MOST_VARIANTS);
    variant *v = &list->at[list->n++];
    v->label = whole;
    return read_variant(v, command, words);
}

int variants_read(variants *out, const char *command, const char *list) {
    size_t n = strlen(list) + 1;
    *out = (variants){.text = malloc(2 * n)};
    if (!out->text) return fail("no memory for the list of methods");
    char *whole = out->text, *words = out->text + n; /* one copy stays as it is, one is taken apart */
    memcpy(whole, list, n);
    memcpy(words, list, n);
    int status = STATUS_DONE;
    while (whole && status == STATUS_DONE) {
        size_t length = strcspn(whole, ",");
        bool more = whole[length] == ',';
        whole[length] = words[length] = 0;
        status = add_variant(out, command, whole, words);
        whole = more ? whole + length + 1 : NULL;
        words += length + 1;
    }
    return status;
}

void variants_free(variants *list) { free(list->text); }

uint32_t variants_signals(const variants *list) {
    uint32_t signals = 0;
    for (size_t i = 0; i < list->n; i++) signals |= hw_method_signals(list->at[i].method, &list->at[i].params);
    return signals;
}

hw_rows variants_rows(const variants *list) {
    hw_rows rows = HW_ROWS_NONE;
    for (size_t i = 0; i < list->n; i++) {
        hw_rows needed = hw_method_find(list->at[i].method)->rows;
        if (needed < rows) rows = needed;
    }
    return rows;
}
