/*
 * method.h - one row of the method table, and the interface of a method.
 *
 * A method is one file that fills M from a trace; to add one, write that file and a row in method_table.c.
 */
#ifndef HW_METHODS_METHOD_H
#define HW_METHODS_METHOD_H

#include "data/attribution.h"
#include "data/trace.h"

typedef struct hw__method {
    hw_method_info info;
    bool by_row; /* row i of M depends only on the run's tokens up to it, and `run` accepts any range of rows */
    /* The traits of info.traits that are active with these settings; NULL: all. */
    uint32_t (*active_traits)(const hw_method_params *p);
    /* Signals that the trace must hold, 1u << hw_signal or-ed; NULL: only attention rows. */
    uint32_t (*signals)(const hw_method_params *p);
    /* The method in shares whose predictor rows are what a position had gathered: followed through the completion, the
     * model's part of a token on the way counts as these, if the trace has its signals (through.h). NULL: none. */
    const struct hw__method *gathers;
    /* Forward passes besides the run's own, for `n_columns` columns; NULL: none. */
    size_t (*passes)(const hw_method_params *p, size_t n_columns);
    /* Refuses a run that is too large for `run` even with `n_completion` tokens after its prompt; NULL: none is. */
    hw_err (*check_size)(const hw_run *run, size_t n_completion, const hw_method_params *p, hw_error *err);
    /* Fills a->values and a->outside, which are zero. `p` is validated. */
    hw_err (*run)(hw_attribution *a, const hw_trace *trace, const hw_method_params *p, hw_error *err);
    /* The same for a range of rows of a trace that grows, keeping in *state (NULL at first) what later rows need; NULL:
     * `run` keeps nothing. */
    hw_err (*incremental)(void **state, hw_attribution *a, const hw_trace *trace, const hw_method_params *p,
                          hw_error *err);
    /* Takes in rows of one layer, which pass by: all layers of a row, in order. `can_consume`: whether the method does
     * with these settings; then the trace need not keep prompt rows. NULL: never. */
    bool (*can_consume)(const hw_method_params *p);
    hw_err (*consume)(void **state, const hw_trace *trace, const hw_method_params *p, hw__layer_rows rows,
                      hw_error *err);
    /* bytes that it keeps; SIZE_MAX: too many */
    size_t (*incremental_bytes)(const hw_trace *trace, const hw_method_params *p);
    void (*incremental_free)(void *state); /* accepts NULL */
} hw__method;

extern const hw__method hw__method_rollout, hw__method_attention, hw__method_contribution, hw__method_logit,
    hw__method_flow, hw__method_leave_one_out, hw__method_ablation, hw__method_uniform, hw__method_random;

/* method_table.c: all methods, in listing order. */
extern const hw__method *const hw__methods[]; /* [hw__n_methods] */
extern const size_t hw__n_methods;

/* By name; NULL if unknown. */
const hw__method *hw__method_find(const char *name);
/* The checks of hw_explain() that need no computation: the method, its settings, and their requirements. A direction
 * that does not apply to the method becomes `input`, and `through` false. */
hw_err hw__method_check(const hw__method **out, const char *name, hw_method_params *p, hw_error *err);
/* Signals that a run must capture for the method, with those of what positions gather. */
uint32_t hw__method_captures(const hw__method *method, const hw_method_params *p);
hw_err hw__method_check_signals(const hw_trace *trace, const hw__method *method, const hw_method_params *p,
                                hw_error *err);

/* The checks that are possible once a run's prompt is known: its model has what the method reads, and it is not too
 * large for it even with `n_completion` tokens. */
hw_err hw__method_check_run(const hw_run *run, size_t n_completion, const hw__method *method, const hw_method_params *p,
                            hw_error *err);

/* Checks that the trace keeps the needed rows, and has the last token's own row where a result reads it. */
hw_err hw__method_check_rows(const hw_trace *trace, const hw__method *method, const hw_method_params *p,
                             hw_row_retention needed, hw_error *err);
/* Whether the result reads the own row of the run's last token: it explains by own rows, or has every token's measured
 * residual. */
bool hw__method_reads_last(const hw__method *method, const hw_method_params *p);

/* Rows of `inner` by the method that it gathers with; NULL if it has none or the trace lacks its signals. */
hw_err hw__method_gathered(hw_attribution **out, const hw_attribution *inner, const hw_trace *trace, hw_error *err);

/* Called after the method: completes the data stored with M. */
hw_err hw__method_finish(hw_attribution *a, const hw_trace *trace, hw_error *err);

/* How many layers M has: those with attention, or of signals with recurrent ones. */
size_t hw__method_layers(const hw__method *method, const hw_method_params *p, const hw_model_info *model);

/* Reports layer `done` of `total`; HW_ERR_CANCELLED if the caller wants to stop. */
hw_err hw__method_progress(const hw_method_params *p, size_t done, size_t total, hw_error *err);

/* Functions of attribution_fill.c.
 *
 * Query row that explains row i of M: the row that chose the token (predictor) or the token's own. For a run without
 * completion, row i itself. */
size_t hw__query_row(const hw_attribution *a, size_t i);

/* Column of M that token `t` belongs to, -1: none (counted in `outside`); and the number of columns. */
ptrdiff_t hw__column(const hw_method_params *p, const hw_run *run, size_t t);
size_t hw__n_columns(const hw_method_params *p, const hw_run *run);

/* Writes M[i,:,l] and outside[i,l] from one number per token: of [n], the columns visible to the row. `sum` [n_columns]
 * is scratch. */
void hw__method_put(hw_attribution *a, size_t i, size_t l, const double *of, size_t n, double *sum);

/* Writes M[i,0..n-1,:] from rows [L], one per layer, all layers at once because they are adjacent in M. */
void hw__method_put_layers(hw_attribution *a, size_t i, const float *const *rows, size_t n);

#endif
