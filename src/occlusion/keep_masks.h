/*
 * keep_masks.h - keep-masks over the segments of a prompt, and what the completion's tokens are worth under each.
 *
 * Masks are added first and scored together: equal ones once, in the order in which neighbours share the longest front
 * of the prompt, which a pass then takes over from the one before. Leave-one-out, ablation and the check all run the
 * model through here.
 */
#ifndef HW_OCCLUSION_KEEP_MASKS_H
#define HW_OCCLUSION_KEEP_MASKS_H

#include "methods/method.h"
#include "occlusion/masked_pass.h"

/* Most segments that are left out one by one or at random: each costs a pass, or needs several to be told apart. */
enum { HW__MOST_SEGMENTS = 512 };

typedef struct hw__masks hw__masks;

/* For segments 0..n_segments-1 of the prompt's tokens, groups [m] (-1: always kept); NULL: each token its own.
 * `rerun` and `groups` must outlive it. Errors: ARGUMENT (more segments than HW__MOST_SEGMENTS), MEMORY. */
hw_err hw__masks_new(hw__masks **out, hw__rerun *rerun, const int32_t *groups, size_t n_segments, hw_error *err);
void hw__masks_free(hw__masks *masks);

/* Segments with a token that may be left out; the others (only template tokens, or none at all) are in every mask. */
bool hw__masks_movable(const hw__masks *masks, size_t segment);
size_t hw__masks_n_movable(const hw__masks *masks);
/* Is a token of the prompt left under keep [n_segments]? */
bool hw__masks_leaves_some(const hw__masks *masks, const bool *keep);

/* Adds keep [n_segments] and tells its index, that of an equal one where there is one. */
hw_err hw__masks_add(hw__masks *masks, size_t *index, const bool *keep, hw_error *err);
/* Adds one that keeps each segment with probability 1/2; one that would leave nothing is drawn again. */
hw_err hw__masks_add_random(hw__masks *masks, size_t *index, uint64_t *state, hw_error *err);
/* Adds the whole prompt and the prompt without each segment: without [n_segments] is the index of each, that of the
 * whole one where the segment cannot be left out. */
hw_err hw__masks_add_without_each(hw__masks *masks, size_t *whole, size_t *without, hw_error *err);
const bool *hw__masks_keep(const hw__masks *masks, size_t index); /* [n_segments], until the next is added */

/* Runs those that were not scored yet. Reports HW_STAGE_EXPLAIN, masks scored of all. */
hw_err hw__masks_score(hw__masks *masks, hw_progress_fn progress, void *ctx, hw_error *err);
/* log p [n] of the completion's tokens under a scored mask, in nats. */
const double *hw__masks_logprob(const hw__masks *masks, size_t index);

/* Opens passes over the attribution's run and masks over its columns; both to be freed, masks first. It sets the
 * settings that have no meaning here to what happens (row: predictor). Errors: ARGUMENT (no model given, or another
 * than the run's; completion columns asked for; too many columns), UNSUPPORTED (an import), MEMORY. */
hw_err hw__rerun_method_begin(hw__rerun **rerun, hw__masks **masks, hw_attribution *a, const hw_method_params *p,
                              hw_error *err);

#endif
