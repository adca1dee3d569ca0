/*
 * keep_masks.h - keep-masks over the segments of a prompt, and the completion's log probabilities under each.
 *
 * Masks are added first and then scored together: equal masks once, in the order in which neighbours share the longest
 * prefix of the prompt, which a pass reuses from the previous one. Leave-one-out, ablation and the check all run the
 * model through this module.
 *
 * The folder occlusion/: passes of the model without parts of the prompt, and the methods made of such passes.
 */
#ifndef HW_OCCLUSION_KEEP_MASKS_H
#define HW_OCCLUSION_KEEP_MASKS_H

#include "methods/method.h"
#include "occlusion/masked_pass.h"

/* Maximum number of segments that are left out one by one or at random: each needs one pass, or several to tell them
 * apart. */
enum { HW__MAX_SEGMENTS = 512 };

typedef struct hw__masks hw__masks;

/* Masks over segments 0..n_segments-1 of the prompt's tokens, groups [m] (-1: always kept); NULL: each token is a
 * segment. `rerun` and `groups` must outlive the masks. Errors: ARGUMENT (more than HW__MAX_SEGMENTS segments),
 * MEMORY. */
hw_err hw__masks_new(hw__masks **out, hw__masked_pass *masked_pass, const int32_t *groups, size_t n_segments,
                     hw_error *err);
void hw__masks_free(hw__masks *masks);

/* Whether the segment has a token that may be left out; the others (only template tokens, or no token) are part of
 * every mask. */
bool hw__masks_movable(const hw__masks *masks, size_t segment);
size_t hw__masks_n_movable(const hw__masks *masks);
/* Whether keep [n_segments] leaves a token of the prompt. */
bool hw__masks_leaves_some(const hw__masks *masks, const bool *keep);

/* Adds keep [n_segments] and returns its index, which is that of an earlier equal mask if there is one. */
hw_err hw__masks_add(hw__masks *masks, size_t *index, const bool *keep, hw_error *err);
/* Adds a mask that keeps each segment with probability 1/2; a mask that would leave nothing is drawn again. */
hw_err hw__masks_add_random(hw__masks *masks, size_t *index, uint64_t *state, hw_error *err);
/* Adds the whole prompt and the prompt without each segment: without [n_segments] gets the index of each, which is that
 * of the whole prompt if the segment cannot be left out. */
hw_err hw__masks_add_without_each(hw__masks *masks, size_t *whole, size_t *without, hw_error *err);
const bool *hw__masks_keep(const hw__masks *masks, size_t index); /* [n_segments], valid until the next mask is added */

/* Runs the masks that are not scored yet. Reports HW_STAGE_EXPLAIN, masks scored of all. */
hw_err hw__masks_score(hw__masks *masks, hw_progress_fn progress, void *ctx, hw_error *err);
/* log p [n] of the completion's tokens under a scored mask, in nats. */
const double *hw__masks_logprob(const hw__masks *masks, size_t index);

/* Opens passes over the attribution's run and masks over its columns; the caller frees both, masks first. Settings that
 * do not apply here are set to their actual values (row: predictor). Errors: ARGUMENT (no model given, or not the
 * run's; completion columns requested; too many columns), UNSUPPORTED (an import), MEMORY. */
hw_err hw__masked_pass_method_begin(hw__masked_pass **masked_pass, hw__masks **masks, hw_attribution *a,
                                    const hw_method_params *p, hw_error *err);

#endif
