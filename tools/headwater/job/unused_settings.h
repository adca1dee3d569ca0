/* unused_settings.h - settings and the methods that heed them. */
#ifndef HW_JOB_UNUSED_SETTINGS_H
#define HW_JOB_UNUSED_SETTINGS_H

#include "cli/options.h"

/* What was asked for. */
typedef struct settings_use {
    const options *o;
    const char *command;
    hw_method_params params;
    const char *const *methods; /* [n_methods] borrowed */
    size_t n_methods;
} settings_use;

/* Of the settings that were given by hand each must be heeded by one of the methods at least. STATUS_DONE or
 * STATUS_USAGE, the reason printed. */
int heed_check(const settings_use *use);

/* Whether a method heeds all of them. */
bool heed_all(const settings_use *use, const char *method);

#endif
