/* figure.c - the table of kinds; draws a figure from parameters and attributions. */
#include "figure/figure.h"

#include "base/error.h"
#include "cli/message.h"
#include "cli/names.h"

#include "figure/kinds.h"
#include "figure/image_file.h"

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

size_t figure_kinds_count(void) { return COUNT(kinds); }
figure_word figure_kinds_at(size_t i) { return (figure_word){kinds[i].name, kinds[i].summary}; }
size_t figure_themes_count(void) { return themes_count(); }
figure_word figure_themes_at(size_t i) { return (figure_word){themes_at(i)->name, themes_at(i)->summary}; }
size_t figure_maps_count(void) { return maps_count(); }
figure_word figure_maps_at(size_t i) { return (figure_word){maps_at(i)->name, maps_at(i)->summary}; }
size_t figure_endings_count(void) { return surface_count(); }
figure_word figure_endings_at(size_t i) { return (figure_word){surface_at(i)->ending, surface_at(i)->summary}; }

bool figure_is_named(const char *path) { return surface_of(path) != NULL; }

/* ------------------------------------------------------------------ parameters */

static const struct table {
    const char *option;
    size_t field; /* offset in figure_params */
    size_t (*count)(void);
    figure_word (*at)(size_t i);
} tables[] = {
    {"kind", offsetof(figure_params, kind), figure_kinds_count, figure_kinds_at},
    {"theme", offsetof(figure_params, theme), figure_themes_count, figure_themes_at},
    {"map", offsetof(figure_params, map), figure_maps_count, figure_maps_at},
};

static const char *table_name(size_t i, const void *ctx) { return ((const struct table *)ctx)->at(i).name; }

static const char *value_of(const figure_params *params, const struct table *t) {
    const char *value;
    memcpy(&value, (const char *)params + t->field, sizeof value);
    return value;
}

static int check_word(const figure_params *params, const char *command, const struct table *t) {
    const char *word = value_of(params, t);
    char reason[UNKNOWN_CAPACITY];
    if (!word) return STATUS_DONE;
    for (size_t i = 0; i < t->count(); i++)
        if (strcmp(t->at(i).name, word) == 0) return STATUS_DONE;
    return misuse(command, "--%s \"%s\": %s", t->option, word,
                  hw__unknown_name(reason, sizeof reason, word, (hw__names){table_name, t, t->count()}));
}

int figure_check(const figure_params *params, const char *command) {
    int status = STATUS_DONE;
    for (size_t i = 0; i < COUNT(tables) && status == STATUS_DONE; i++)
        status = check_word(params, command, &tables[i]);
    return status;
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

hw_err figure_save(const hw_attribution *const *list, size_t n, const char *path, const figure_params *params,
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
