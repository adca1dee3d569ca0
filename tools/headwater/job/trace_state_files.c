/* trace_state_files.c - files that a run writes for later ones: its trace (--trace) and its state (--state); opens a
 * state. */
#include "job/trace_state_files.h"

#include "base/error.h"
#include "cli/message.h"
#include "job/output_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

/* ------------------------------------------------------------------ before the model loads */

/* A state is replaced without confirmation, so an existing file must be a state. */
static hw_err check_state(const options *o, hw_error *err) {
    hw_file_kind kind;
    if (!is_there(o->state)) return HW_OK;
    hw_err rc = hw_file_probe(&kind, o->state, err);
    if (rc != HW_OK) return rc;
    return kind == HW_FILE_TRACE
               ? HW_OK
               : hw__fail(err, HW_ERR_FORMAT, "%s is not a state file: --state would overwrite it", o->state);
}

hw_err trace_state_check(const options *o, source from, const char *const *inputs, size_t n, hw_error *err) {
    hw_err rc = HW_OK;
    const char *saved_file = from == FROM_TRACE ? NULL : o->trace;
    if (GIVEN(o, precision) && !saved_file && !o->state)
        return usage_error(err, "--trace-precision has no effect: neither --trace nor --state names a file");
    if (saved_file) rc = output_check_path(saved_file, inputs, n, err);
    if (rc != HW_OK || !o->state) return rc;
    rc = output_check_path(o->state, inputs, n, err);
    if (rc == HW_OK) rc = output_check_path(o->state, &saved_file, 1, err);
    if (rc == HW_OK) rc = output_check_path(o->state, o->output.at, o->output.n, err);
    return rc == HW_OK ? check_state(o, err) : rc;
}

/* ------------------------------------------------------------------ state in */

hw_err trace_state_open(job *j, hw_trace **prefix, hw_error *err) {
    *prefix = NULL;
    if (!j->o->state || !is_there(j->o->state)) return HW_OK;
    hw_err rc = hw_state_open(prefix, j->model, j->o->state, err);
    if (rc == HW_OK) return HW_OK;
    if (rc != HW_ERR_UNSUPPORTED && rc != HW_ERR_ARGUMENT) return rc;
    if (!j->o->quiet) message("%s", err->msg);
    return HW_OK;
}

/* ------------------------------------------------------------------ trace and state out */

static void show_rounding(const job *j, const hw_trace *trace, const char *path, double moved) {
    if (moved <= 0 || j->o->quiet) return;
    int32_t n_layers = hw_run_model(hw_trace_run(trace))->n_layers;
    message("%s: rounding to F16 moved at most %.1e of a row's mass; a rollout's row by at most %d x that = %.1e", path,
            moved, n_layers, moved * n_layers);
}

void trace_state_show_rounding(const job *j, const hw_trace *trace) {
    show_rounding(j, trace, "its rows", hw_trace_rounding(trace, HW_PRECISION_F32));
}

static hw_err save(job *j, const hw_trace *trace, const char *path, hw_model *model, hw_error *err) {
    hw_save_params params = hw_save_params_default();
    params.precision = j->o->precision;
    params.model = model;
    hw_err rc = hw_trace_save_as(trace, path, &params, err);
    if (rc != HW_OK) return rc;
    show_rounding(j, trace, path, hw_trace_rounding(trace, params.precision));
    return HW_OK;
}

static hw_err save_state(job *j, const hw_trace *trace, hw_error *err) {
    const hw_run *run = hw_trace_run(trace);
    size_t reused = hw_run_n_reused(run), m = hw_run_n_prompt(run);
    bool there = is_there(j->o->state), serves = 2 * reused >= m;
    if (there && !j->o->quiet)
        message("%zu of the prompt's %zu tokens are from %s%s", reused, m, j->o->state,
                serves ? "" : "; it is replaced");
    return there && serves ? HW_OK : save(j, trace, j->o->state, j->model, err);
}

hw_err trace_state_save(job *j, source from, const hw_trace *trace) {
    hw_error err;
    hw_err rc = HW_OK;
    if (from != FROM_TRACE && j->o->trace && save(j, trace, j->o->trace, NULL, &err) != HW_OK) rc = error_report(&err);
    if (from == FROM_MODEL && j->o->state && save_state(j, trace, &err) != HW_OK) rc = error_report(&err);
    return rc;
}
