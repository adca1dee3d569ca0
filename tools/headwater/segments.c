/* segments.c - the segments of the prompt that --by or --spans asks for. */
#include "segments.h"

#include "message.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char *segmenter_name(size_t i, unsigned ctx) {
    (void)ctx;
    return hw_segmenter_at(i)->name;
}

static int check_name(const char *command, const char *by) {
    char names[200] = "";
    size_t n = hw_segmenter_count();
    if (*by == '/') return STATUS_DONE; /* a regular expression, which the library reads */
    for (size_t i = 0, at = 0; i < n && at < sizeof names; i++) {
        if (strcmp(hw_segmenter_at(i)->name, by) == 0) return STATUS_DONE;
        at += (size_t)snprintf(names + at, sizeof names - at, "%s, ", hw_segmenter_at(i)->name);
    }
    const char *near = text_nearest(by, segmenter_name, 0, n);
    return misuse(command, "--by \"%s\": there is none of that name%s%s%s; there are %sand /REGEX/", by,
                  near ? ", did you mean " : "", near ? near : "", near ? "?" : "", names);
}

int cut_read(cut *c, const options *o, const char *command, const char *standard) {
    *c = (cut){.by = o->by ? o->by : o->spans ? NULL : standard};
    if (o->by && o->spans) return misuse(command, "--by and --spans both cut the prompt: give one of them");
    if (o->spans) return input_read(&c->json, "spans", o->spans) ? STATUS_DONE : STATUS_FAILED;
    return c->by ? check_name(command, c->by) : STATUS_DONE;
}

void cut_free(cut *c) { free(c->json.bytes); }

int cut_prompt(hw_segments **out, const cut *c, job *j, const hw_run *run) {
    hw_error err;
    size_t n_tokens;
    hw_err rc = c->json.bytes ? hw_segments_from_json(out, run, HW_SIDE_PROMPT, c->json.bytes, c->json.n, &err)
                              : hw_segments_new(out, run, HW_SIDE_PROMPT, c->by, &err);
    if (rc != HW_OK) return job_fail(j, &err);
    j->groups = hw_segments_groups(*out, &n_tokens);
    j->n_groups = hw_segments_count(*out);
    return STATUS_DONE;
}
