/* enum_names.h - names that occur in files only, see enum_names.c; the public ones are in headwater.h. */
#ifndef HW_DATA_ENUM_NAMES_H
#define HW_DATA_ENUM_NAMES_H

#include "headwater.h"

/* Indexed by the enum value; the last entry is NULL. */
extern const char *const hw__fuse_words[],
    *const hw__row_words[], *const hw__direction_words[],
                                *const hw__columns_words[], *const hw__measure_words[], *const hw__aggregate_words[],
                                                                                            *const hw__thinking_words[];

hw_err hw__role_parse(hw_role *out, const char *word, hw_error *err);
hw_err hw__row_retention_parse(hw_row_retention *out, const char *word, hw_error *err);
hw_err hw__source_kind_parse(hw_source_kind *out, const char *word, hw_error *err);
hw_err hw__stop_parse(hw_stop *out, const char *word, hw_error *err);

#endif
