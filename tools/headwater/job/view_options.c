/* view_options.c - see view_options.h. */
#include "job/view_options.h"

static selection_params selection_of_options(const options *o) {
    return (selection_params){.token = o->token,
                              .layers = o->layers,
                              .hide = o->hide,
                              .keep = o->keep,
                              .normalise = o->normalise,
                              .lift = o->lift};
}

view_params view_of_options(const options *o) {
    return (view_params){.select = selection_of_options(o), .answer_by = o->answer_by, .n_top = (size_t)o->top};
}

figure_params figure_of_options(const options *o) {
    return (figure_params){.select = selection_of_options(o),
                           .kind = o->kind,
                           .theme = o->theme,
                           .map = o->map,
                           .font = o->font,
                           .title = o->title,
                           .width = (double)o->width,
                           .scale = o->scale,
                           .n_top = (size_t)o->top,
                           .limited = GIVEN(o, top)};
}
