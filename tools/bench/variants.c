/* variants.c - the ways to run that `headwater-bench` compares. */
#include "bench.h"

enum { LIVE_ROWS = 4, AGAIN_WITH_WHOLE_PROMPTS = 1300 };

static const bench_variant variants[] = {
    {"plain", "generation alone: libllama, no callback", BENCH_PLAIN, .flash = false},
    {"plain-flash", "the same with flash attention", BENCH_PLAIN, .flash = true},
    {"capture", "attention rows kept, nothing explained", BENCH_CAPTURE, .keep = HW_KEEP_ROWS},
    {"rollout", "rollout of every token, after the last", BENCH_CAPTURE, .keep = HW_KEEP_ROWS, .methods = {"rollout"}},
    {"logit", "logit alone, which needs no attention row", BENCH_CAPTURE, .keep = HW_KEEP_METHODS,
     .methods = {"logit"}},
    {"contribution+logit", "both of attention's contributions, likewise", BENCH_CAPTURE, .keep = HW_KEEP_METHODS,
     .methods = {"contribution", "logit"}},
    {"rollout+logit", "the default explanation, prompt rows not kept", BENCH_LIVE, .keep = HW_KEEP_RESULTS,
     .methods = {"rollout", "logit"}},
    {"rollout+logit-live", "the same, a few tokens at a time while they come", BENCH_LIVE, .keep = HW_KEEP_RESULTS,
     .methods = {"rollout", "logit"}, .live_rows = LIVE_ROWS},
    {"by-sentence", "the same, columns by sentence, prompt rows not kept", BENCH_LIVE, .by = "sentence",
     .keep = HW_KEEP_RESULTS, .methods = {"rollout", "logit"}},
    {"again-rollout", "rollout from a saved trace", BENCH_AGAIN, .keep = HW_KEEP_ROWS, .methods = {"rollout"}},
    {"again-logit", "logit from a saved trace", BENCH_AGAIN, .keep = HW_KEEP_ROWS, .methods = {"logit"}},
    {"leave-one-out", "one pass for each sentence left out", BENCH_CUTS, .keep = HW_KEEP_ROWS, .by = "sentence",
     .methods = {"leave-one-out"}, .max_m = AGAIN_WITH_WHOLE_PROMPTS, .once = true},
};

size_t bench_variant_count(void) { return sizeof variants / sizeof *variants; }
const bench_variant *bench_variant_at(size_t i) { return &variants[i]; }
