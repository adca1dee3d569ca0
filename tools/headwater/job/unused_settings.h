/* unused_settings.h - checks that settings apply to the requested methods. */
#ifndef HW_JOB_UNUSED_SETTINGS_H
#define HW_JOB_UNUSED_SETTINGS_H

#include "cli/options.h"

/* Methods and settings of a command. */
typedef struct settings_use {
    const options *o;
    const char *command;
    hw_method_params params;
    const char *const *methods; /* [n_methods] borrowed */
    size_t n_methods;
} settings_use;

/* Each explicitly set setting must apply to at least one of the methods. STATUS_DONE or STATUS_USAGE after printing the
 * reason. */
int unused_settings_check(const settings_use *use);

/* Whether all of them apply to a method. */
bool unused_settings_none(const settings_use *use, const char *method);

#endif
