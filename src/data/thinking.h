/* thinking.h - thinking sections of a run: text between <think> and </think>, or other models' marks for the same. */
#ifndef HW_DATA_THINKING_H
#define HW_DATA_THINKING_H

#include "data/run.h"

/* thinks [n_tokens] <- whether each token holds part of a section, including its marks. A section without an end
 * extends to the end of the run if it begins in the completion or in the template; in the user's text the mark is
 * ordinary text. Error MEMORY. */
hw_err hw__thinking_tokens(bool *thinks, const hw_run *run, hw_error *err);

/* Gives tokens of sections that are the caller's text or the completion the role THINKING. Error MEMORY. */
hw_err hw__thinking_roles(hw_run *run, hw_error *err);
/* The same after a completion token was added; looks at earlier tokens only if a mark may end in this one. */
hw_err hw__thinking_role_added(hw_run *run, hw_error *err);

#endif
