/*
 * settings.h - the table of the methods' settings, one row each, used by everything that writes, reads, lists or
 * documents a setting. A new setting is a field of hw_method_params, a row in settings.c, and the method that uses it.
 */
#ifndef HW_METHODS_SETTINGS_H
#define HW_METHODS_SETTINGS_H

#include "headwater.h"

/* Checks every value against its row. WHOLE numbers are checked by the methods that use them. */
hw_err hw__settings_check(const hw_method_params *p, hw_error *err);

#endif
