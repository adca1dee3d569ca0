/*
 * run_citations.h - the citations of a run's answer as the page shows them: member "citations" of a run in a document.
 *
 * The same as `headwater cite` makes with its defaults: method logit, followed through the answer, by passage (if the
 * prompt has passages) and by sentence. Used by reports and by the engine process.
 */
#ifndef HW_EXPORT_RUN_CITATIONS_H
#define HW_EXPORT_RUN_CITATIONS_H

#include "headwater.h"

#include <jansson.h>

/* Name and settings of the method that citations are made by; NULL: the model does not support it. */
const char *citing_method(hw_method_params *settings, const hw_model_info *model);

/* *out <- a list with one citation for each split of the prompt; empty if prompt or answer has no sentences. `followed`
 * is a result of citing_method(), with a column for each token of the prompt. `passages`: NULL: none. */
hw_err run_citations(json_t **out, const hw_attribution *followed, const hw_segments *passages, hw_error *err);

/* The parts of the answer that are complete while it grows: those before the part of the last explained token. */
size_t n_finished_parts(const hw_attribution *followed);

/* JSON text of a run [malloc'd, taken over] with the member "citations" added; NULL when memory runs out. */
char *add_citations(char *run, json_t *citations);

#endif
