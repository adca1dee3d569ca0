/* method_tables.c - the library's own tables, written out. */
#include "export/method_tables.h"

#include <string.h>

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

static void put_member(buffer *to, const char *key, const char *text) {
    buffer_printf(to, ",\"%s\":", key);
    buffer_string(to, text, strlen(text));
}

static void put_traits(buffer *to, uint32_t traits) {
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{HW_USES_FUSE, "fuse"},           {HW_USES_RESIDUAL, "residual"}, {HW_USES_DIRECTION, "direction"},
                 {HW_USES_MEASURE, "measure"},     {HW_USES_SEED, "seed"},         {HW_USES_MODEL, "model"},
                 {HW_GIVES_SHARES, "shares"},      {HW_USES_DISCARD, "discard"},   {HW_USES_REMOVE_SINK, "remove_sink"},
                 {HW_USES_THROUGH, "through"},
                 {HW_USES_AGGREGATE, "aggregate"}, {HW_USES_VERSUS, "versus"},     {HW_USES_ROW, "row"},
                 {HW_GIVES_LAYERS, "layers"}};
    bool first = true;
    buffer_text(to, ",\"traits\":[");
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!(traits & names[i].bit)) continue;
        buffer_printf(to, "%s\"%s\"", first ? "" : ",", names[i].name);
        first = false;
    }
    buffer_text(to, "]");
}

static void put_method(buffer *to, const hw_method_info *m, const hw_model_info *model) {
    buffer_printf(to, "{\"name\":\"%s\"", m->name);
    put_member(to, "summary", m->summary);
    put_member(to, "needs", m->needs);
    put_member(to, "cost", m->cost);
    put_member(to, "reference", m->reference);
    put_member(to, "blind", m->blind);
    put_traits(to, m->traits);
    put_member(to, "problem", model ? hw_method_problem(m, model) : "");
    buffer_text(to, "}");
}

static void put_named(buffer *to, size_t i, const char *name, const char *summary) {
    buffer_printf(to, "%s{\"name\":\"%s\"", i ? "," : "", name);
    put_member(to, "summary", summary);
    buffer_text(to, "}");
}

void tables_add(buffer *to, const hw_model_info *model) {
    buffer_text(to, "{\"methods\":[");
    for (size_t i = 0; i < hw_method_count(); i++) {
        if (i) buffer_text(to, ",");
        put_method(to, hw_method_at(i), model);
    }
    buffer_text(to, "],\"filters\":[");
    for (size_t i = 0; i < hw_filter_count(); i++) put_named(to, i, hw_filter_at(i)->name, hw_filter_at(i)->summary);
    buffer_text(to, "],\"segmenters\":[");
    for (size_t i = 0; i < hw_segmenter_count(); i++)
        put_named(to, i, hw_segmenter_at(i)->name, hw_segmenter_at(i)->summary);
    buffer_text(to, "],\"measures\":[");
    for (int v = HW_MEASURE_PROJECTION; v <= HW_MEASURE_PROXIMITY2; v++)
        buffer_printf(to, "%s\"%s\"", v ? "," : "", hw_measure_name((hw_measure)v));
    buffer_text(to, "],\"formats\":[");
    for (size_t i = 0; i < COUNT(formats); i++) {
        buffer_printf(to, "%s{\"name\":\"%s\",\"extension\":\"%s\"", i ? "," : "", formats[i].name,
                      formats[i].extension);
        put_member(to, "summary", formats[i].summary);
        buffer_text(to, "}");
    }
    buffer_text(to, "]}");
}
