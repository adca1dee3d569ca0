/* method_tables.c - the library's tables as JSON. */
#include "export/method_tables.h"

#include "base/json.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const export_format formats[] = {
    {"html", ".html", "text/html; charset=utf-8", "the page with this run inside, in one file"},
    {"json", ".json", "application/json", "tokens, settings, diagnostics and means over layers"},
    {"csv", ".csv", "text/csv; charset=utf-8", "one line a value, for spreadsheets and data frames"},
    {"npy", ".npy", "application/octet-stream", "the whole tensor [n, m, L] for NumPy"},
    {"safetensors", ".safetensors", "application/octet-stream", "the whole tensor with everything about it"},
    {"trace", ".trace.safetensors", "application/octet-stream", "all that explains the run again without the model"},
};

const export_format *tables_format(size_t i) { return i < COUNT(formats) ? &formats[i] : NULL; }

/* Name of each trait, for methods and for the settings that apply to them. */
static const struct {
    uint32_t bit;
    const char *name;
} traits[] = {{HW_USES_FUSE, "fuse"},       {HW_USES_RESIDUAL, "residual"},   {HW_USES_DIRECTION, "direction"},
              {HW_USES_MEASURE, "measure"}, {HW_USES_SEED, "seed"},           {HW_USES_MODEL, "model"},
              {HW_GIVES_SHARES, "shares"},  {HW_USES_DISCARD, "discard"},     {HW_USES_REMOVE_SINK, "remove_sink"},
              {HW_USES_THROUGH, "through"}, {HW_USES_AGGREGATE, "aggregate"}, {HW_USES_AGAINST, "against"},
              {HW_USES_ROW, "row"},         {HW_GIVES_LAYERS, "layers"}};

static json_t *traits_json(uint32_t of) {
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(traits); i++)
        if (of & traits[i].bit) list = hw__json_append(list, json_string(traits[i].name));
    return list;
}

static json_t *methods_json(const hw_model_info *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < hw_method_count(); i++) {
        const hw_method_info *m = hw_method_at(i);
        list = hw__json_append(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "name", m->name, "summary", m->summary, "needs",
                            m->needs, "cost", m->cost, "reference", m->reference, "limitations", m->limitations,
                            "traits", traits_json(m->traits), "problem", model ? hw_method_problem(m, model) : ""));
    }
    return list;
}

static json_t *value_json(const hw_setting_info *s, double value) {
    if (s->type == HW_SETTING_FLAG) return json_boolean(value != 0);
    if (s->type == HW_SETTING_WORD) return json_string(s->words[(size_t)value]);
    if (s->type == HW_SETTING_TEXT) return json_null();
    return s->type == HW_SETTING_WHOLE ? json_integer((json_int_t)value) : json_real(value);
}

/* Accepted values: names, a range, or lengths in bytes. */
static json_t *put_range(json_t *to, const hw_setting_info *s) {
    json_t *words = s->type == HW_SETTING_WORD ? json_array() : NULL;
    for (size_t i = 0; words && s->words[i]; i++) words = hw__json_append(words, json_string(s->words[i]));
    if (s->type == HW_SETTING_WORD) return hw__json_set(to, "words", words);
    if (s->type == HW_SETTING_FLAG) return to;
    if (s->type == HW_SETTING_TEXT) {
        to = hw__json_set(to, "min_bytes", json_integer((json_int_t)s->min));
        return s->max > 0 ? hw__json_set(to, "max_bytes", json_integer((json_int_t)s->max)) : to;
    }
    to = hw__json_set(hw__json_set(to, "min", value_json(s, s->min)), "max", value_json(s, s->max));
    return hw__json_set(to, "below_max", json_boolean(s->below_max));
}

/* The rows of a table, up to NULL. */
static json_t *settings_json(const hw_setting_info *(*at)(size_t i)) {
    static const char *const types[] = {"flag", "number", "whole", "word", "text"};
    json_t *list = json_array();
    const hw_setting_info *s;
    for (size_t i = 0; (s = at(i)) != NULL; i++) {
        json_t *one = json_pack("{s:s, s:s?, s:s, s:s, s:o, s:o, s:s?, s:s?}", "name", s->name, "label", s->label,
                                "help", s->help, "type", types[s->type], "default", value_json(s, s->default_value),
                                "traits", traits_json(s->uses), "before", s->before, "after", s->after);
        list = hw__json_append(list, put_range(one, s));
    }
    return list;
}

static json_t *named_json(const char *name, const char *summary) {
    return json_pack("{s:s, s:s}", "name", name, "summary", summary);
}

static json_t *formats_json(void) {
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(formats); i++)
        list = hw__json_append(list, json_pack("{s:s, s:s, s:s}", "name", formats[i].name, "extension",
                                               formats[i].extension, "summary", formats[i].summary));
    return list;
}

json_t *tables_json(const hw_model_info *model) {
    json_t *filters = json_array(), *segmenters = json_array(), *measures = json_array();
    for (size_t i = 0; i < hw_filter_count(); i++)
        filters = hw__json_append(filters, named_json(hw_filter_at(i)->name, hw_filter_at(i)->summary));
    for (size_t i = 0; i < hw_segmenter_count(); i++)
        segmenters = hw__json_append(segmenters, named_json(hw_segmenter_at(i)->name, hw_segmenter_at(i)->summary));
    for (int v = HW_MEASURE_PROJECTION; v <= HW_MEASURE_PROXIMITY2; v++)
        measures = hw__json_append(measures, json_string(hw_measure_name((hw_measure)v)));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "methods", methods_json(model), "options",
                     settings_json(hw_run_option_at), "settings", settings_json(hw_setting_at), "filters", filters,
                     "segmenters", segmenters, "measures", measures, "formats", formats_json());
}
