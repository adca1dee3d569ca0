/*
 * run_citations.h - the citations of a run's answer as the page shows them: member "citations" of a run in a document.
 *
 * The same as `headwater cite` makes with its defaults: method logit (else contribution), followed through the answer,
 * by passage (if the prompt has passages) and by sentence; a prompt of one sentence by word. Used by reports and by the
 * engine process.
 */
#ifndef HW_EXPORT_RUN_CITATIONS_H
#define HW_EXPORT_RUN_CITATIONS_H

#include "headwater.h"

#include <jansson.h>

/* Name and settings of the method that citations are made by; NULL: the model supports none. `model` NULL: unknown. */
const char *citing_method(hw_method_params *settings, const hw_model_info *model);

/* *out <- a list with one citation for each split of the prompt; empty if prompt or answer has no text. `passages`:
 * NULL: none. `calls`: progress, stop and ctx. Errors: as hw_explain(); UNSUPPORTED if citing_method() is NULL. */
hw_err run_citations(json_t **out, const hw_trace *trace, const hw_segments *passages, const hw_method_params *calls,
                     hw_error *err);

/* The segments of a prompt that a growing answer is cited by, and their segmenter. */
typedef struct prompt_segments {
    const char *by;
    const hw_segments *segments; /* NULL: the prompt has no text */
} prompt_segments;

/* Sentences; of a single sentence its words. *out is owned, NULL for a prompt without text. */
hw_err citing_segments(hw_segments **out, const char **by, const hw_run *run, hw_error *err);

/* The same for an answer that grows. `followed`: results of citing_method() so far, with these segments as columns. */
hw_err growing_citations(json_t **out, const hw_attribution *followed, const prompt_segments *prompt, hw_error *err);

/* The parts of the answer that are complete while it grows: those before the part of the last explained token. */
size_t n_finished_parts(const hw_attribution *followed);

#endif
