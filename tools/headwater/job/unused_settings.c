/* unused_settings.c - rejects a setting without effect; defaults and presets are exempt. */
#include "job/unused_settings.h"

#include "base/strlist.h"
#include "cli/message.h"
#include "export/method_tables.h"


/* Explicitly set, and used by methods only: --seed is also for sampling, and saved rows also depend on --fuse. */
static bool is_wish(const options *o, const option_row *row) {
    bool saved = row->uses & HW_USES_FUSE && (o->trace || o->state);
    return row->uses && row->group != GROUP_SAMPLING && !saved && options_given(o, row->offset);
}

static bool heeds(const settings_use *u, const char *method, const option_row *row) {
    return hw_method_heeds(hw_method_find(method), &u->params) & row->uses;
}

typedef struct names {
    const char *at[MOST_METHODS];
    size_t n;
} names;

/* "rollout, flow and uniform" */
static const char *join(char *out, size_t capacity, const names *list) {
    return hw__join_names_by(out, capacity, hw__names_of(list->at, list->n), ", ", " and ");
}

static int refuse(const settings_use *u, const option_row *row) {
    names heeding = {.n = 0}, chosen = {.n = 0};
    char by[300], by_not[300];
    bool otherwise = false; /* one of the methods would use it with other settings */
    for (size_t i = 0; i < hw_method_count() && heeding.n < MOST_METHODS; i++)
        if (heeds(u, hw_method_at(i)->name, row)) heeding.at[heeding.n++] = hw_method_at(i)->name;
    for (size_t i = 0; i < u->n_methods; i++) {
        chosen.at[chosen.n++] = u->methods[i];
        if (hw_method_find(u->methods[i])->traits & row->uses) otherwise = true;
    }
    return misuse(u->command, "--%s is heeded by %s, not by %s%s", row->name, join(by, sizeof by, &heeding), join(by_not, sizeof by_not, &chosen),
                  otherwise ? " with these settings" : "");
}

int heed_check(const settings_use *u) {
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = options_row(i);
        bool heeded = !is_wish(u->o, row);
        for (size_t m = 0; m < u->n_methods && !heeded; m++) heeded = heeds(u, u->methods[m], row);
        if (!heeded) return refuse(u, row);
    }
    return STATUS_DONE;
}

bool heed_all(const settings_use *u, const char *method) {
    for (size_t i = 0; i < options_count(); i++)
        if (is_wish(u->o, options_row(i)) && !heeds(u, method, options_row(i))) return false;
    return true;
}
