/* whole_prompt_groups.h - segments as columns that are the whole prompt: each token in exactly one. */
#ifndef HW_JOB_WHOLE_PROMPT_GROUPS_H
#define HW_JOB_WHOLE_PROMPT_GROUPS_H

#include "headwater.h"

typedef struct partition {
    int32_t *groups;    /* [m] 0 .. n_groups - 1 */
    const char **names; /* [n_groups] borrowed from the segments; where they have some, the rest is "(outside the spans)" */
    size_t n_groups;    /* segments, and one more where tokens are in none: BOS, chat template, text between spans */
} partition;

/* NULL where there is no memory. */
partition *partition_new(const hw_segments *segments);
void partition_free(partition *p);

/* Says which of the caller's spans hold no token. */
void partition_remark(const partition *p, const hw_segments *segments);

#endif
