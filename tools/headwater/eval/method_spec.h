/*
 * method_spec.h - a method with its own settings, written METHOD[:SETTING]..., so that one list can hold a method
 * twice.
 *
 *     rollout                      with default settings
 *     rollout:residual=0.3         one setting, KEY=VALUE
 *     contribution:norm:own        a value that only one key accepts needs no key
 *     rollout:remove-sink:lift     a flag needs no value
 *     contribution:aggregate=rollout
 *     rollout:last:hide=first+note only the last layer; these tokens count for nothing
 *
 * The keys are the names of explain's options.
 */
#ifndef HW_EVAL_METHOD_SPEC_H
#define HW_EVAL_METHOD_SPEC_H

#include "headwater.h"

enum { MAX_VARIANTS = 32 };

typedef struct variant {
    const char *label;       /* as written by the user */
    const char *method;      /* a name of the method table */
    const char *layers;      /* NULL: the mean over all; "last"; else in the form of --layers */
    const char *hide;        /* filters separated by commas, or NULL */
    bool lift;               /* scores divided by those of `uniform` */
    uint32_t uses;           /* traits that the method must have for its settings to have an effect */
    hw_method_params params; /* without groups, model and callbacks */
} variant;

typedef struct variants {
    variant at[MAX_VARIANTS]; /* [n] */
    size_t n;
    char *text; /* the text that the strings above point into */
} variants;

/* Parses a comma-separated list. Errors: ERR_USAGE, MEMORY. Free in either case. */
hw_err variants_read(variants *out, const char *list, hw_error *err);
void variants_free(variants *list);

/* An explainer of all of them, columns by token. *out may be there on failure, too. Errors: as hw_explainer_add(). */
hw_err variants_explainer(hw_explainer **out, const variants *list, hw_keep keep, hw_error *err);

#endif
