/*
 * attribution.h - the inside of hw_attribution: the tensor M with what it takes to read it.
 *
 * Made by a method (method.c) or read from a file (result_*.c); views only read.
 */
#ifndef HW_DATA_ATTRIBUTION_H
#define HW_DATA_ATTRIBUTION_H

#include "data/run.h"

struct hw_attribution {
    hw_run *run;             /* a reference of its own */
    const char *method;      /* in the method table; files with an unknown one are refused */
    hw_method_params params; /* callbacks cleared; groups owned (or NULL) */
    int32_t *groups;         /* what params.groups points to */
    const char **names;      /* what params.group_names points to, the bytes behind it */
    hw_diagnostics diagnostics;
    size_t n_rows, n_columns, n_layers; /* n, m, L */
    size_t first_token;                 /* row i explains token first_token + i */
    int32_t *layers;                    /* [L] */
    float *values;                      /* [n, m, L] */
    float *outside;                     /* [n, L] */
    hw_balance *balance;                /* [n] or NULL: method logit only */
    hw_through *through;                /* [n] or NULL: not followed through the completion */
    float *hops;                        /* [n, n_hops] with `through`: share of each completion token before */
    size_t n_hops;
    float *
        measured; /* [L, T] HW_SIGNAL_RESIDUAL where the residual was measured, for a lift; NULL: not, or not in the file */
};

/* Whether M is large enough for threads to share its rows. */
static inline bool hw__worth_threads(const hw_attribution *a) { return a->n_rows * a->n_columns > 16384; }

/* Tokens of the run that the settings have columns for, before grouping. */
static inline size_t hw__n_shown(const hw_method_params *p, const hw_run *run) {
    return p->columns == HW_COLUMNS_ALL ? run->n_tokens : run->n_prompt;
}

/* Whether every column that the settings show has a group, or none is asked for. */
hw_err hw__groups_check(const hw_method_params *p, const hw_run *run, hw_error *err);

/* Zeroed M and outside of the given shape, the run retained, params and groups copied, layers taken
 * from the run's model where n_layers is the model's L, else all -1. The shape must fit the run. */
hw_err hw__attribution_new(hw_attribution **out, const hw_run *run, const char *method, const hw_method_params *params,
                           size_t n_layers, hw_error *err);

/* The same for the completion tokens [begin, end) alone. */
hw_err hw__attribution_new_rows(hw_attribution **out, const hw_run *run, const char *method,
                                const hw_method_params *params, size_t n_layers, size_t begin, size_t end,
                                hw_error *err);

/* Keeps a copy of the measured residual [L of the model, T], rows `stride` apart. */
hw_err hw__attribution_set_measured(hw_attribution *a, const float *measured, size_t stride, hw_error *err);

/* Fills `diagnostics` from values and outside. */
hw_err hw__attribution_diagnose(hw_attribution *a, hw_error *err);

#endif
