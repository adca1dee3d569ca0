/*
 * rewrite.c - hw_run_rewrite: generates the completion again without some segments of its prompt.
 *
 * Leaving out a passage with a fixed completion hides effects that go through the completion: a reasoned answer still
 * follows from the reasoning in it. Here the model generates that reasoning again, too.
 */
#include "base/error.h"
#include "data/trace.h"
#include "engine/engine.h"
#include "occlusion/masked_pass.h"
#include "text/segments.h"

#include <stdlib.h>
#include <string.h>

static hw_err to_text(char **out, size_t *n_bytes, hw_model *model, const int32_t *ids, size_t n, hw_error *err) {
    size_t bytes = 0, capacity = n * HW__MAX_PIECE + 1;
    char *text = hw__alloc(capacity, 1);
    hw__piece piece;
    if (!text) return hw__fail_memory(err, "a text", capacity, 1);
    for (size_t i = 0; i < n; i++) {
        hw_err rc = model->engine->ops->piece(model->engine, &piece, ids[i], err);
        if (rc != HW_OK) {
            free(text);
            return rc;
        }
        if (piece.special) continue;
        memcpy(text + bytes, piece.bytes, piece.n_bytes);
        bytes += piece.n_bytes;
    }
    *out = text;
    *n_bytes = bytes;
    return HW_OK;
}

hw_err hw_run_rewrite(char **out, size_t *n_bytes, hw_model *model, const hw_run *run, hw_omission omission,
                      hw_error *err) {
    const hw_segments *segments = omission.segments;
    const bool *without = omission.without;
    if (!model || !run || !segments || !without)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "NULL: a model, a run, segments and which of them to leave out are needed");
    size_t m = run->n_prompt, n = hw_run_n_completion(run), written = 0;
    if (segments->n_tokens != m)
        return hw__fail(err, HW_ERR_ARGUMENT, "segments of %zu tokens, the prompt has %zu: cut the prompt of this run",
                        segments->n_tokens, m);
    hw__masked_pass *masked_pass = NULL;
    bool *keep = hw__alloc(m, sizeof *keep);
    int32_t *ids = hw__alloc(n + 1, sizeof *ids);
    hw_err rc = keep && ids ? HW_OK : hw__fail_memory(err, "a text written again", m + n, sizeof *ids);
    for (size_t t = 0; rc == HW_OK && t < m; t++) keep[t] = segments->groups[t] < 0 || !without[segments->groups[t]];
    if (rc == HW_OK) rc = hw__masked_pass_new(&masked_pass, model, run, omission.stop, omission.ctx, err);
    if (rc == HW_OK) rc = hw__masked_pass_write(masked_pass, keep, ids, &written, err);
    if (rc == HW_OK) rc = to_text(out, n_bytes, model, ids, written, err);
    hw__masked_pass_free(masked_pass);
    free(keep);
    free(ids);
    return rc;
}
