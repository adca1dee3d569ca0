/* fetch_model.h - --download: fetches the model that the options name, with a bar, until Ctrl-C. */
#ifndef HW_JOB_FETCH_MODEL_H
#define HW_JOB_FETCH_MODEL_H

#include "cli/options.h"

/* Fetches `name` ("hf:OWNER/REPO[:QUANT]"). Errors: as model_download(); ARGUMENT for names of other sources. */
hw_err fetch_model(const char *name, const options *o, hw_error *err);

#endif
