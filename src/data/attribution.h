/*
 * attribution.h - internals of hw_attribution: the tensor M and what is needed to read it.
 *
 * Made by a method (method.c) or read from a file (result_*.c); views only read it.
 */
#ifndef HW_DATA_ATTRIBUTION_H
#define HW_DATA_ATTRIBUTION_H

#include "data/run.h"

struct hw_attribution {
    hw_run *run;             /* owned reference */
    const char *method;      /* a name of the method table; files with an unknown method are rejected */
    hw_method_params params; /* callbacks are cleared; groups are owned (or NULL) */
    int32_t *groups;         /* the array of params.groups */
    const char **names;      /* the array of params.group_names, followed by the bytes */
    hw_diagnostics diagnostics;
    size_t n_rows, n_columns, n_layers; /* n, m, L */
    size_t first_token;                 /* row i explains token first_token + i */
    int32_t *layers;                    /* [L] */
    float *values;                      /* [n, m, L] */
    float *outside;                     /* [n, L] */
    hw_balance *balance;                /* [n] or NULL: method logit only */
    hw_through *through;                /* [n] or NULL: contributions were not followed through the completion */
    float *hops;                        /* [n, n_hops] with `through`: share of each earlier completion token */
    size_t n_hops;
    float *measured; /* [L, T] HW_SIGNAL_RESIDUAL if the residual was measured, for a lift; NULL: not measured, or not
                     in the file */
};

/* Whether M is large enough to share its rows between threads. */
static inline bool hw__worth_threads(const hw_attribution *a) { return a->n_rows * a->n_columns > 16384; }

/* Tokens of the run for which the settings have columns, before grouping. */
static inline size_t hw__n_shown(const hw_method_params *p, const hw_run *run) {
    return p->columns == HW_COLUMNS_ALL ? run->n_tokens : run->n_prompt;
}

/* Checks that every column that the settings show has a group, if groups are set. */
hw_err hw__groups_check(const hw_method_params *p, const hw_run *run, hw_error *err);

/* Zeroed M and outside of the given shape. Retains the run and copies params and groups. Layer indices are those of the
 * run's model if n_layers is the model's L or the number of its
 * sources, else all -1. The shape must fit the run. */
hw_err hw__attribution_new(hw_attribution **out, const hw_run *run, const char *method, const hw_method_params *params,
                           size_t n_layers, hw_error *err);

/* The same for some completion tokens only. */
typedef struct hw__attribution_part {
    const char *method;
    size_t n_layers, begin, end; /* completion tokens [begin, end) */
} hw__attribution_part;
hw_err hw__attribution_new_rows(hw_attribution **out, const hw_run *run, hw__attribution_part part,
                                const hw_method_params *params, hw_error *err);

/* Copies the measured residual [L of the model, T], rows `stride` apart. */
hw_err hw__attribution_set_measured(hw_attribution *a, const float *measured, size_t stride, hw_error *err);

/* Computes `diagnostics` from values and outside. */
hw_err hw__attribution_diagnose(hw_attribution *a, hw_error *err);

#endif
