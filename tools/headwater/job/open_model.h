/* open_model.h - the model that the options name, opened as they say. */
#ifndef HW_JOB_OPEN_MODEL_H
#define HW_JOB_OPEN_MODEL_H

#include "cli/options.h"
#include "cli/progress.h"

/* Prompt tokens a pass where rows pass by and columns are segments, if --ubatch does not say: the fewer, the less memory, and
 * at this number not slower. */
enum { PASSING_UBATCH = 128 };

/* -m, else $HEADWATER_MODEL, else NULL. */
const char *model_named(const options *o);
/* The same, NULL with the reason printed. */
const char *model_path(const options *o, const char *command);
/* Where the engine's log goes: with -v to standard error, else only what it ends the program with. */
void engine_log(const options *o);
/* What the options say of it. */
hw_model_params model_params(const options *o);
/* Says where --gpu-layers has nothing to act on; model_open() does. */
void model_remark_layers(const options *o);
/* Opens it; Ctrl-C stops that. */
hw_err model_open(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err);

#endif
