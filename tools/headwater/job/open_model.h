/* open_model.h - opens the model that the options name, with the options' settings. */
#ifndef HW_JOB_OPEN_MODEL_H
#define HW_JOB_OPEN_MODEL_H

#include "cli/options.h"
#include "cli/progress.h"

/* Prompt tokens per pass if rows are streamed and columns are segments, unless --ubatch is given: fewer tokens take
 * less memory, and this number is not slower. */
enum { PASSING_UBATCH = 128 };

/* Whether the command line names a model. */
bool model_given(const options *o);
/* The path of the model that is named (model_source.h): -m or --hf-repo, else the first variable of the environment
 * that is set. *path NULL: none is. It stays valid until the next call. Errors: as model_resolve(); ERR_USAGE. */
hw_err model_find(const char **path, const options *o, hw_error *err);
/* The same where a model must be named. */
hw_err model_path(const char **path, const options *o, hw_error *err);
/* Sets the target of the engine's log: standard error with -v, else only the line before a fatal end. */
void engine_log(const options *o);
/* Params made from the options. */
hw_model_params model_params(const options *o);
/* Prints a remark if --gpu-layers has no effect; model_open() calls it. */
void model_remark_layers(const options *o);
/* Opens the model; Ctrl-C stops it. A model that was proven before is not proven again: see hw_model_params.cache. */
hw_err model_open(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err);
/* The same, and proves the model. */
hw_err model_prove(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err);

#endif
