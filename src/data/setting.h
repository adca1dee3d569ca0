/*
 * setting.h - rows of the tables of settings: a field of a params struct and its description.
 *
 * The tables are methods/settings.c (hw_method_params) and run_options.c (hw_run_params). The public functions that
 * read and write a value by its row are implemented here; `params` is the struct of the row's table.
 */
#ifndef HW_DATA_SETTING_H
#define HW_DATA_SETTING_H

#include "headwater.h"

typedef struct hw__setting {
    hw_setting_info info;
    size_t offset, size; /* of the field in the struct: numbers are float or double, whole numbers have 4 or 8 bytes */
    bool any_in_files;   /* files may hold every value of the field's type, not only accepted ones */
} hw__setting;

/* Sets a value that is not text, without checking the range. */
void hw__setting_put(void *params, const hw_setting_info *info, double value);
/* All 64 bits of a whole number. */
uint64_t hw__setting_whole(const void *params, const hw_setting_info *info);
void hw__setting_put_whole(void *params, const hw_setting_info *info, uint64_t value);
/* Address of the text pointer. */
const char **hw__setting_at(void *params, const hw_setting_info *info);
bool hw__setting_is_default(const void *params, const hw_setting_info *info);
/* Error ARGUMENT, "top_p is 2: must be a number from 0 to 1", if the value is not accepted. */
hw_err hw__setting_check(const void *params, const hw_setting_info *info, hw_error *err);

#endif
