/* trace_state_files.c - files that a run writes for later ones: its trace (--trace) and its state (--state); opens a
 * state. */
#include "job/trace_state_files.h"

#include "cli/message.h"
#include "job/output_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

/* ------------------------------------------------------------------ before the model loads */

/* A state is replaced without confirmation, so an existing file must be a state. */
static int check_state(const options *o) {
    hw_file_kind kind;
    hw_error err;
    if (!is_there(o->state)) return STATUS_DONE;
    if (hw_file_probe(&kind, o->state, &err) != HW_OK) return fail_by(&err);
    return kind == HW_FILE_TRACE ? STATUS_DONE : fail("%s is not a state file: --state would overwrite it", o->state);
}

int trace_state_check(const options *o, const char *command, source from, const char *const *inputs, size_t n) {
    int status = STATUS_DONE;
    const char *saved_file = from == FROM_TRACE ? NULL : o->trace;
    if (GIVEN(o, precision) && !saved_file && !o->state)
        return misuse(command, "--trace-precision has no effect: neither --trace nor --state names a file");
    if (saved_file) status = output_check_path(command, saved_file, inputs, n);
    if (status != STATUS_DONE || !o->state) return status;
    status = output_check_path(command, o->state, inputs, n);
    if (status == STATUS_DONE) status = output_check_path(command, o->state, &saved_file, 1);
    if (status == STATUS_DONE) status = output_check_path(command, o->state, o->output.at, o->output.n);
    return status == STATUS_DONE ? check_state(o) : status;
}

/* ------------------------------------------------------------------ state in */

int trace_state_open(job *j, hw_trace **prefix) {
    hw_error err;
    *prefix = NULL;
    if (!j->o->state || !is_there(j->o->state)) return STATUS_DONE;
    hw_err rc = hw_state_open(prefix, j->model, j->o->state, &err);
    if (rc == HW_OK) return STATUS_DONE;
    if (rc != HW_ERR_UNSUPPORTED && rc != HW_ERR_ARGUMENT) return job_fail(j, &err);
    if (!j->o->quiet) message("%s", err.msg);
    return STATUS_DONE;
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

static int save(job *j, const hw_trace *trace, const char *path, hw_model *model) {
    hw_error err;
    hw_save_params params = hw_save_params_default();
    params.precision = j->o->precision;
    params.model = model;
    if (hw_trace_save_as(trace, path, &params, &err) != HW_OK) return job_fail(j, &err);
    show_rounding(j, trace, path, hw_trace_rounding(trace, params.precision));
    return STATUS_DONE;
}

static int save_state(job *j, const hw_trace *trace) {
    const hw_run *run = hw_trace_run(trace);
    size_t reused = hw_run_n_reused(run), m = hw_run_n_prompt(run);
    bool there = is_there(j->o->state), serves = 2 * reused >= m;
    if (there && !j->o->quiet)
        message("%zu of the prompt's %zu tokens are from %s%s", reused, m, j->o->state,
                serves ? "" : "; it is replaced");
    return there && serves ? STATUS_DONE : save(j, trace, j->o->state, j->model);
}

int trace_state_save(job *j, source from, const hw_trace *trace) {
    int status = STATUS_DONE;
    if (from != FROM_TRACE && j->o->trace) status = save(j, trace, j->o->trace, NULL);
    int kept = from == FROM_MODEL && j->o->state ? save_state(j, trace) : STATUS_DONE;
    return status == STATUS_DONE ? kept : status;
}
