/*
 * method_spec.h - a method with settings of its own, written METHOD[:SETTING]..., so that one list can hold a method twice.
 *
 *     rollout                      as it is by default
 *     rollout:residual=0.3         one setting, KEY=VALUE
 *     contribution:norm:own        a value that only one key takes needs no key
 *     rollout:remove-sink:lift     nor does a setting without a value
 *     contribution:aggregate=rollout
 *     rollout:last:hide=first+note the last layer alone; these tokens count for nothing
 *
 * The keys are the names of explain's options.
 */
#ifndef HW_EVAL_METHOD_SPEC_H
#define HW_EVAL_METHOD_SPEC_H

#include "headwater.h"

enum { MOST_VARIANTS = 32 };

typedef struct variant {
    const char *label;       /* as it was written */
    const char *method;      /* a name of the method table */
    const char *layers;      /* NULL: the mean over all; "last"; else as --layers takes it */
    const char *hide;        /* filters separated by commas, or NULL */
    bool lift;               /* scores over those of `uniform` */
    uint32_t uses;           /* traits that its method must have for its settings to count */
    hw_method_params params; /* without groups, model and callbacks */
} variant;

typedef struct variants {
    variant at[MOST_VARIANTS]; /* [n] */
    size_t n;
    char *text; /* what the strings above point into */
} variants;

/* Reads a comma-separated list. STATUS_DONE, or the status to exit with, the reason printed. Free either way. */
int variants_read(variants *out, const char *command, const char *list);
void variants_free(variants *list);

/* Signals (1u << hw_signal, or-ed) that a trace must hold for all of them. */
uint32_t variants_signals(const variants *list);
/* And the attention rows. */
hw_rows variants_rows(const variants *list);

#endif
