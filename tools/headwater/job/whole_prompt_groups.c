/* whole_prompt_groups.c - see whole_prompt_groups.h. */
#include "job/whole_prompt_groups.h"

#include "cli/message.h"

#include <stdlib.h>

static partition *allocate(size_t n_tokens, size_t n_segments) {
    partition *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->groups = malloc((n_tokens + 1) * sizeof *p->groups);
    p->names = malloc((n_segments + 1) * sizeof *p->names);
    if (p->groups && p->names) return p;
    partition_free(p);
    return NULL;
}

partition *partition_new(const hw_segments *segments) {
    size_t n_tokens, n = hw_segments_count(segments);
    const int32_t *groups = hw_segments_groups(segments, &n_tokens);
    partition *p = allocate(n_tokens, n);
    if (!p) return NULL;
    p->n_groups = n;
    p->names[n] = "";
    for (size_t i = 0; i < n; i++) {
        p->names[i] = hw_segments_at(segments, i)->name;
        if (*p->names[i]) p->names[n] = "(outside the spans)";
    }
    for (size_t t = 0; t < n_tokens; t++) {
        bool rest = groups[t] < 0;
        p->groups[t] = rest ? (int32_t)n : groups[t];
        if (rest) p->n_groups = n + 1;
    }
    return p;
}

void partition_free(partition *p) {
    if (!p) return;
    free(p->groups);
    free(p->names);
    free(p);
}

void partition_remark(const partition *p, const hw_segments *segments) {
    size_t n_tokens;
    hw_segments_groups(segments, &n_tokens);
    bool *holds = calloc(p->n_groups + 1, sizeof *holds);
    for (size_t t = 0; holds && t < n_tokens; t++) holds[p->groups[t]] = true;
    for (size_t i = 0; holds && i < hw_segments_count(segments); i++)
        if (!holds[i])
            message("span %zu, \"%s\", holds no token: a token belongs where its first character that is no space is",
                    i, p->names[i]);
    free(holds);
}
