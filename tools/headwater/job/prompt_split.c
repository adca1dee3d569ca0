/* prompt_split.c - the segments of the prompt selected by --by or --spans. */
#include "job/prompt_split.h"

#include "base/error.h"
#include "cli/message.h"
#include "cli/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hw_err prompt_split_check(const char *option, const char *by, hw_error *err) {
    char why[UNKNOWN_CAPACITY];
    if (*by == '/') return HW_OK; /* the library checks regular expressions */
    for (size_t i = 0; i < hw_segmenter_count(); i++)
        if (strcmp(hw_segmenter_at(i)->name, by) == 0) return HW_OK;
    return usage_error(err, "%s \"%s\": %s, and /REGEX/", option, by,
                       hw__unknown_name(why, sizeof why, by, segmenter_names()));
}

hw_err prompt_split_read(prompt_split *c, const options *o, const char *default_value, hw_error *err) {
    *c = (prompt_split){.by = o->by ? o->by : o->spans ? NULL : default_value, .spans = o->spans};
    if (o->by && o->spans) return usage_error(err, "--by and --spans both cut the prompt: give one of them");
    if (o->spans) return input_read(&c->json, "spans", o->spans, err);
    return c->by ? prompt_split_check("--by", c->by, err) : HW_OK;
}

void prompt_split_free(prompt_split *c) { free(c->json.bytes); }

hw_err prompt_split_segments(hw_segments **out, const prompt_split *c, const hw_run *run, hw_error *err) {
    if (!c->spans) return hw_segments_new(out, run, HW_SIDE_PROMPT, c->by, err);
    hw_err rc = hw_segments_from_json(out, run, HW_SIDE_PROMPT, c->json.bytes, c->json.n, err);
    return rc == HW_OK ? rc : hw__fail_in(err, rc, "spans %s", c->spans);
}

bool prompt_split_is_given(const prompt_split *c) { return c->by || c->json.bytes; }

hw_err prompt_split_apply(hw_explainer *explainer, const prompt_split *c, bool whole, hw_error *err) {
    char name[300];
    if (!c->spans) return hw_explainer_split(explainer, c->by, whole, err);
    snprintf(name, sizeof name, "spans %s", c->spans);
    return hw_explainer_split_spans(explainer, c->json.bytes, c->json.n, name, whole, err);
}

void prompt_split_remark(const hw_segments *segments) {
    size_t n_tokens, n = hw_segments_count(segments);
    const int32_t *groups = hw_segments_groups(segments, &n_tokens);
    bool *holds = calloc(n + 1, sizeof *holds);
    for (size_t t = 0; holds && t < n_tokens; t++)
        if (groups[t] >= 0) holds[groups[t]] = true;
    for (size_t i = 0; holds && i < n; i++)
        if (!holds[i])
            message("span %zu, \"%s\", holds no token: a token belongs where its first character that is no space is",
                    i, hw_segments_at(segments, i)->name);
    free(holds);
}
