/* figure.c - the table of kinds; draws a figure from parameters and attributions. */
#include "figure/figure.h"

#include "base/error.h"
#include "cli/names.h"

#include "figure/image_file.h"
#include "figure/kinds.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct kind {
    const char *name, *summary;
    layout_fn *layout;
} kinds[] = {
    {"bars", "the mean over the layers, a bar for each token or segment", bars_layout},
    {"heatmap", "every layer's value of every token", heatmap_layout},
    {"map", "what each completion token took from each prompt token", map_layout},
    {"text", "the prompt as it reads, shaded", text_layout},
    {"profile", "where in the depth the values of the strongest tokens come from", profile_layout},
};

static figure_word ending_at(size_t i) {
    return i < surface_count() ? (figure_word){surface_at(i)->ending, surface_at(i)->summary} : (figure_word){NULL};
}

static figure_word kind_at(size_t i) {
    return i < COUNT(kinds) ? (figure_word){kinds[i].name, kinds[i].summary} : (figure_word){NULL};
}

static figure_word theme_at(size_t i) {
    return i < themes_count() ? (figure_word){themes_at(i)->name, themes_at(i)->summary} : (figure_word){NULL};
}

static figure_word map_at(size_t i) {
    return i < maps_count() ? (figure_word){maps_at(i)->name, maps_at(i)->summary} : (figure_word){NULL};
}

static figure_word (*const tables[])(size_t) = {
    [FIGURE_ENDINGS] = ending_at, [FIGURE_KINDS] = kind_at, [FIGURE_THEMES] = theme_at, [FIGURE_MAPS] = map_at};

static figure_word word(figure_table table, size_t i) { return tables[table](i); }

static bool is_named(const char *path) { return surface_of(path) != NULL; }

/* ------------------------------------------------------------------ parameters */

/* Parameters that are names of a table. */
static const struct named {
    const char *option;
    size_t field; /* offset in figure_params */
    figure_table table;
} names[] = {
    {"kind", offsetof(figure_params, kind), FIGURE_KINDS},
    {"theme", offsetof(figure_params, theme), FIGURE_THEMES},
    {"map", offsetof(figure_params, map), FIGURE_MAPS},
};

static const char *table_name(size_t i, const void *ctx) { return tables[((const struct named *)ctx)->table](i).name; }

static hw_err check_name(const figure_params *params, const struct named *n, hw_error *err) {
    const char *given;
    char reason[UNKNOWN_CAPACITY];
    size_t count = 0;
    memcpy(&given, (const char *)params + n->field, sizeof given);
    for (const char *name; (name = table_name(count, n)); count++)
        if (given && strcmp(name, given) == 0) return HW_OK;
    if (!given) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "--%s \"%s\": %s", n->option, given,
                    hw__unknown_name(reason, sizeof reason, given, (hw__names){table_name, n, count}));
}

static hw_err check(const figure_params *params, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < COUNT(names) && rc == HW_OK; i++) rc = check_name(params, &names[i], err);
    return rc;
}

static style style_of(const figure_params *params) {
    const theme *t = themes_find(params->theme);
    return (style){.theme = t,
                   .map = params->map ? maps_find(params->map) : NULL,
                   .font = params->font ? params->font : t->font,
                   .title = params->title,
                   .width = params->width,
                   .n_top = params->n_top,
                   .limited = params->limited};
}

static const struct kind *kind_of(const char *name) {
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

/* ------------------------------------------------------------------ drawing */

static hw_err fill(page *p, const hw_attribution *const *list, size_t n, const style *s, const figure_params *params,
                   hw_error *err) {
    const terminal none = {.depth = DEPTH_NONE, .width = 120};
    hw_err rc = HW_OK;
    for (size_t i = 0; i < n && rc == HW_OK; i++) {
        picture from;
        rc = picture_new(&from, &none, list[i], &params->select, err);
        if (rc != HW_OK) break;
        rc = kind_of(params->kind)->layout(p, &from, s, err);
        picture_free(&from);
    }
    if (rc != HW_OK || !p->failed) return rc;
    return hw__fail(err, HW_ERR_MEMORY, "no memory to draw the figure");
}

static hw_err save(const hw_attribution *const *list, size_t n, const char *path, const figure_params *params,
                   hw_error *err) {
    style s = style_of(params);
    page p;
    hw_err rc;
    if (page_new(&p, s.font, rgb_hex(s.theme->paper))) {
        rc = fill(&p, list, n, &s, params, err);
        if (rc == HW_OK) rc = surface_save(&p, path, params->scale, err);
    } else {
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "no font is installed to write labels with");
    }
    page_free(&p);
    return rc;
}

__attribute__((visibility("default"))) const figure_functions headwater_figure = {word, is_named, check, save};
