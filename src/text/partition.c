/* partition.c - segments as columns that cover a whole side: each token is in exactly one. */
#include "base/error.h"
#include "text/segments.h"

#include <stdlib.h>

struct hw_partition {
    hw__arena arena;    /* names */
    int32_t *groups;    /* [n_tokens] 0 .. n - 1 */
    const char **names; /* [n] */
    size_t n_tokens, n;
};

static hw_err copy_names(hw_partition *p, const hw_segments *s, hw_error *err) {
    bool is_named = false;
    for (size_t i = 0; i < s->n; i++) {
        p->names[i] = hw__arena_strdup(&p->arena, s->spans[i].name);
        if (!p->names[i]) return hw__fail_memory(err, "a segment's name", 1, 1);
        is_named = is_named || *p->names[i];
    }
    p->names[s->n] = is_named ? "(outside the spans)" : "";
    return HW_OK;
}

hw_err hw_segments_partition(hw_partition **out, const hw_segments *segments, hw_error *err) {
    if (!segments) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: segments are needed");
    hw_partition *p = calloc(1, sizeof *p);
    if (!p) return hw__fail_memory(err, "a partition", 1, sizeof *p);
    p->groups = hw__alloc(segments->n_tokens, sizeof *p->groups);
    p->names = hw__alloc(segments->n + 1, sizeof *p->names);
    hw_err rc = p->groups && p->names
                    ? copy_names(p, segments, err)
                    : hw__fail_memory(err, "the groups of a partition", segments->n_tokens, sizeof *p->groups);
    if (rc != HW_OK) {
        hw_partition_free(p);
        return rc;
    }
    p->n_tokens = segments->n_tokens;
    p->n = segments->n;
    for (size_t t = 0; t < p->n_tokens; t++) {
        bool is_rest = segments->groups[t] < 0;
        p->groups[t] = is_rest ? (int32_t)segments->n : segments->groups[t];
        if (is_rest) p->n = segments->n + 1;
    }
    *out = p;
    return HW_OK;
}

void hw_partition_free(hw_partition *p) {
    if (!p) return;
    hw__arena_clear(&p->arena);
    free(p->groups);
    free(p->names);
    free(p);
}

size_t hw_partition_count(const hw_partition *p) { return p->n; }

void hw_partition_columns(const hw_partition *p, hw_method_params *params) {
    params->groups = p->groups;
    params->n_groups = p->n;
    params->group_names = p->names; /* a field of the first version */
}
