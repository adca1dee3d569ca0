/*
 * measure_item.h - measures one item of a data set: the model runs, every method explains, and each explanation is
 * scored by the item's evidence and by running the model without the segments that it ranks high.
 *
 * The result is one JSON object; summary_table.h reads it:
 *
 *     {"id", "index", "item_sha256", "tags", "completion", "right": true|false|null, "prompt_tokens",
 *      "completion_tokens", "segments", "evidence": [segment...], "base": log p, "passes", "seconds",
 *      "methods": [{"method", "scores": [segments], "hit1", "mrr", "recall10", "recallk", "drop1", ...,
 *      "flip1", "flip3"}]}
 *
 * A method that fails has {"method", "error"} instead; a table's cells skip such items.
 */
#ifndef HW_EVAL_MEASURE_ITEM_H
#define HW_EVAL_MEASURE_ITEM_H

#include "eval/dataset.h"
#include "eval/method_spec.h"

typedef struct eval_plan {
    hw_model *model;
    const variants *methods;
    const char *by; /* NULL: an item's own spans, or sentences if it has none */
    /* options of every item's run, its memory limit included: an item that would take more has no result */
    hw_run_params run;
    bool rewrite;       /* whether completions are generated again without the first segments: "flip1", "flip3" */
    size_t n_ablations; /* masks of the LDS; 0: no additional passes, only evidence is scored */
    uint64_t seed;
    hw_stop_fn stop;
} eval_plan;

/* Errors concern the item (a prompt beyond the context, one segment, no method succeeded ...), except CANCELLED and
 * MEMORY. */
hw_err eval_run(json_t **out, const eval_plan *plan, const eval_item *item, hw_error *err);

#endif
