/* unused_settings.h - checks that settings apply to the requested methods. */
#ifndef HW_JOB_UNUSED_SETTINGS_H
#define HW_JOB_UNUSED_SETTINGS_H

#include "cli/options.h"

/* Methods and settings of a command. */
typedef struct settings_use {
    const options *o;
    hw_method_params params;
    const char *const *methods; /* [n_methods] borrowed */
    size_t n_methods;
} settings_use;

/* Each explicitly set setting must apply to at least one of the methods; else error ERR_USAGE. */
hw_err unused_settings_check(const settings_use *use, hw_error *err);

/* Whether all of them apply to a method. */
bool unused_settings_none(const settings_use *use, const char *method);

#endif
