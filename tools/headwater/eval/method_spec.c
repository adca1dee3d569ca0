/* method_spec.c - parses METHOD[:SETTING]... by the table of settings. */
#include "eval/method_spec.h"

#include "base/error.h"
#include "cli/error_kinds.h"
#include "cli/names.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ------------------------------------------------------------------ settings */

static hw_err refuse(hw_error *err, const char *text) { return hw__fail(err, HW_ERR_ARGUMENT, "%s", text); }

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

/* The layers are checked when the model is known. */
static hw_err read_layers(variant *v, char *value, hw_error *err) {
    if (strcmp(value, "last") != 0 && (!*value || value[strspn(value, "0123456789-")]))
        return refuse(err, "must be last, one layer (5) or a range (3-12)");
    v->layers = value;
    return HW_OK;
}

/* Filters are separated by plus signs, because commas separate the variants. */
static hw_err read_hide(variant *v, char *value, hw_error *err) {
    for (char *plus = value; (plus = strchr(plus, '+'));) *plus = ',';
    v->hide = value;
    return hw_filter_check(value, err);
}

/* Settings beyond those of the library. For settings without a key, values that stand alone are tried. */
static const struct view_setting {
    const char *key;
    bool bare;     /* its values may be written without the key */
    uint32_t uses; /* trait of the methods that the setting applies to; 0: all */
    hw_err (*read)(variant *v, char *value, hw_error *err);
} view_settings[] = {
    {"layers", false, HW_GIVES_LAYERS, read_layers},
    {"layers", true, HW_GIVES_LAYERS, read_last},
    {"hide", false, 0, read_hide},
    {"lift", true, HW_GIVES_SHARES, read_lift},
};

/* Settings of the library that an item of the list may set: those of methods with an option of their own. */
static bool is_offered(const hw_setting_info *s) { return s->option && !s->option_word && s->uses; }

static const hw_setting_info *find_setting(const char *key) {
    for (size_t i = 0; i < hw_setting_count(); i++)
        if (is_offered(hw_setting_at(i)) && strcmp(hw_setting_at(i)->option, key) == 0) return hw_setting_at(i);
    return NULL;
}

/* The setting that a single word sets: one of its values, or a flag's name. NULL: none. */
static const hw_setting_info *find_bare(const char *word) {
    for (size_t i = 0; i < hw_setting_count(); i++) {
        const hw_setting_info *s = hw_setting_at(i);
        if (!is_offered(s)) continue;
        if (s->type == HW_SETTING_FLAG && strcmp(s->option, word) == 0) return s;
        for (size_t w = 0; s->type == HW_SETTING_WORD && s->words[w]; w++)
            if (strcmp(s->words[w], word) == 0) return s;
    }
    return NULL;
}

static hw_err refuse_setting(const char *whole, const char *word, const char *why, hw_error *err) {
    return usage_error(err, "--method %s: \"%s\": %s", whole, word, why);
}

/* Keys: the library's, then the others; keys with two rows are listed once. */
static const char *setting_key(size_t i, const void *ctx) {
    (void)ctx;
    if (i < hw_setting_count()) return is_offered(hw_setting_at(i)) ? hw_setting_at(i)->option : NULL;
    i -= hw_setting_count();
    return i && strcmp(view_settings[i].key, view_settings[i - 1].key) == 0 ? NULL : view_settings[i].key;
}

static hw_err refuse_key(const char *whole, const char *word, hw_error *err) {
    char why[UNKNOWN_CAPACITY];
    hw__names keys = {setting_key, NULL, hw_setting_count() + COUNT(view_settings)};
    return refuse_setting(whole, word, hw__unknown_name(why, sizeof why, word, keys), err);
}

/* `value` NULL: a single word. */
static hw_err read_library(variant *v, const hw_setting_info *s, const char *word, const char *value, hw_error *err) {
    v->uses |= s->uses;
    hw_error why;
    if (hw_setting_read_option(&v->params, s->option, value, &why) == HW_OK) return HW_OK;
    return refuse_setting(v->label, value ? value : word, why.msg, err);
}

static hw_err read_keyed(variant *v, char *word, char *value, hw_error *err) {
    *value++ = 0;
    const hw_setting_info *setting = find_setting(word);
    if (setting) return read_library(v, setting, word, value, err);
    for (size_t i = 0; i < COUNT(view_settings); i++) {
        if (strcmp(view_settings[i].key, word) != 0) continue;
        v->uses |= view_settings[i].uses;
        hw_error why;
        if (view_settings[i].read(v, value, &why) == HW_OK) return HW_OK;
        return refuse_setting(v->label, value, why.msg, err);
    }
    return refuse_key(v->label, word, err);
}

static hw_err read_setting(variant *v, char *word, hw_error *err) {
    char *value = strchr(word, '=');
    if (value) return read_keyed(v, word, value, err);
    const hw_setting_info *setting = find_bare(word);
    if (setting) return read_library(v, setting, word, setting->type == HW_SETTING_FLAG ? NULL : word, err);
    for (size_t i = 0; i < COUNT(view_settings); i++) {
        if (!view_settings[i].bare || view_settings[i].read(v, word, err) != HW_OK) continue;
        v->uses |= view_settings[i].uses;
        return HW_OK;
    }
    return refuse_setting(v->label, word,
                          "not a value that stands alone (norm, own, output, last ...); write KEY=VALUE", err);
}

/* Rejects a setting without effect, because of the method or because of its other settings. */
static hw_err check_uses(const variant *v, hw_error *err) {
    uint32_t idle = v->uses & ~hw_method_active_traits(hw_method_find(v->method), &v->params);
    for (size_t i = 0; i < hw_setting_count() + COUNT(view_settings); i++) {
        const char *key = setting_key(i, NULL);
        uint32_t uses = i < hw_setting_count() ? hw_setting_at(i)->uses : view_settings[i - hw_setting_count()].uses;
        if (key && uses & idle)
            return usage_error(err, "--method %s: %s is not affected by %s%s", v->label, v->method, key,
                               hw_method_find(v->method)->traits & uses ? " with these settings" : "");
    }
    return HW_OK;
}

/* ------------------------------------------------------------------ the list */

static hw_err refuse_method(const char *name, hw_error *err) {
    char why[UNKNOWN_CAPACITY];
    return usage_error(err, "--method \"%s\": %s", name, hw__unknown_name(why, sizeof why, name, method_names()));
}

/* Splits `words`, a copy of the label, in place. */
static hw_err read_variant(variant *v, char *words, hw_error *err) {
    v->params = hw_method_params_default();
    char *next = strchr(words, ':');
    if (next) *next++ = 0;
    v->method = words;
    if (!hw_method_find(v->method)) return refuse_method(v->method, err);
    hw_err rc = HW_OK;
    for (char *word = next; word && rc == HW_OK; word = next) {
        next = strchr(word, ':');
        if (next) *next++ = 0;
        rc = read_setting(v, word, err);
    }
    return rc == HW_OK ? check_uses(v, err) : rc;
}

static hw_err add_variant(variants *list, char *whole, char *words, hw_error *err) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].label, whole) == 0) return usage_error(err, "--method names %s twice", whole);
    if (list->n == MAX_VARIANTS) return usage_error(err, "--method takes at most %d methods", MAX_VARIANTS);
    variant *v = &list->at[list->n++];
    v->label = whole;
    return read_variant(v, words, err);
}

hw_err variants_read(variants *out, const char *list, hw_error *err) {
    size_t n = strlen(list) + 1;
    *out = (variants){.text = malloc(2 * n)};
    if (!out->text) return hw__fail(err, HW_ERR_MEMORY, "no memory for the list of methods");
    char *whole = out->text, *words = out->text + n; /* one copy is kept, one is split */
    memcpy(whole, list, n);
    memcpy(words, list, n);
    hw_err rc = HW_OK;
    while (whole && rc == HW_OK) {
        size_t length = strcspn(whole, ",");
        bool more = whole[length] == ',';
        whole[length] = words[length] = 0;
        rc = add_variant(out, whole, words, err);
        whole = more ? whole + length + 1 : NULL;
        words += length + 1;
    }
    return rc;
}

void variants_free(variants *list) { free(list->text); }

hw_err variants_explainer(hw_explainer **out, const variants *list, hw_keep keep, hw_error *err) {
    hw_explainer_params params = hw_explainer_params_default();
    params.keep = keep;
    hw_err rc = hw_explainer_new(out, &params, err);
    for (size_t i = 0; i < list->n && rc == HW_OK; i++)
        rc = hw_explainer_add(*out, list->at[i].method, &list->at[i].params, err);
    return rc;
}
