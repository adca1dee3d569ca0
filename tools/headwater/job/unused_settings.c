/* unused_settings.c - rejects a setting without effect; defaults and presets are exempt. */
#include "job/unused_settings.h"

#include "base/strlist.h"
#include "cli/error_kinds.h"
#include "export/method_tables.h"

/* Explicitly set, and used by methods only: --seed is also for sampling, and saved rows also depend on --fuse. */
static bool is_set_explicitly(const options *o, const option_row *row) {
    bool saved_file = row->uses & HW_USES_FUSE && (o->trace || o->state);
    return row->uses && row->group != GROUP_SAMPLING && !saved_file && options_given(o, row->offset);
}

static bool active(const settings_use *u, const char *method, const option_row *row) {
    return hw_method_active_traits(hw_method_find(method), &u->params) & row->uses;
}

typedef struct names {
    const char *at[MAX_METHODS];
    size_t n;
} names;

/* "rollout, flow and uniform" */
static const char *join(char *out, size_t capacity, const names *list) {
    return hw__join_names_by(out, capacity, hw__names_of(list->at, list->n), ", ", " and ");
}

static hw_err refuse(const settings_use *u, const option_row *row, hw_error *err) {
    names used_by = {.n = 0}, chosen = {.n = 0};
    char by[300], by_not[300];
    bool otherwise = false; /* one of the methods would use it with other settings */
    for (size_t i = 0; i < hw_method_count() && used_by.n < MAX_METHODS; i++)
        if (active(u, hw_method_at(i)->name, row)) used_by.at[used_by.n++] = hw_method_at(i)->name;
    for (size_t i = 0; i < u->n_methods; i++) {
        chosen.at[chosen.n++] = u->methods[i];
        if (hw_method_find(u->methods[i])->traits & row->uses) otherwise = true;
    }
    return usage_error(err, "--%s applies to %s, not to %s%s", row->name, join(by, sizeof by, &used_by),
                       join(by_not, sizeof by_not, &chosen), otherwise ? " with these settings" : "");
}

hw_err unused_settings_check(const settings_use *u, hw_error *err) {
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = options_row(i);
        bool is_used = !is_set_explicitly(u->o, row);
        for (size_t m = 0; m < u->n_methods && !is_used; m++) is_used = active(u, u->methods[m], row);
        if (!is_used) return refuse(u, row, err);
    }
    return HW_OK;
}

bool unused_settings_none(const settings_use *u, const char *method) {
    for (size_t i = 0; i < options_count(); i++)
        if (is_set_explicitly(u->o, options_row(i)) && !active(u, method, options_row(i))) return false;
    return true;
}
