/* rpc_worker.c - `headwater worker`: makes this machine's devices available to models that run on another one. */
#include "base/error.h"
#include "cli/command.h"
#include "cli/message.h"
#include "job/open_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char command_name[] = "worker";

/* ggml's server reports on standard output; these lines are not results, so they go to standard error. */
static bool send_remarks(bool quiet) {
    int to = quiet ? open("/dev/null", O_WRONLY) : STDERR_FILENO;
    bool sent = to >= 0 && dup2(to, STDOUT_FILENO) >= 0 && setvbuf(stdout, NULL, _IOLBF, BUFSIZ) == 0;
    if (quiet && to >= 0) close(to);
    return sent;
}

static hw_err run(const options *o, hw_error *err) {
    if (o->arguments.n) return usage_error(err, "\"%s\": it takes no arguments", o->arguments.at[0]);
    hw_worker_params params = hw_worker_params_default();
    params.host = o->host;
    params.port = (uint16_t)o->port;
    params.n_threads = (int32_t)o->threads;
    params.devices = o->device;
    if (strncmp(o->host, "127.", 4) != 0)
        message(
            "%s: whoever reaches port %d can use and crash this worker, and read what passes: the protocol asks for no "
            "password and hides nothing; keep it inside a network that you trust",
            o->host, (int)o->port);
    if (!send_remarks(o->quiet)) return hw__fail(err, HW_ERR_IO, "standard output could not be redirected");
    engine_log(o);
    return hw_worker_run(&params, err) == HW_OK ? HW_OK : usage_error_in(err, NULL);
}

static const char *const usage[] = {"[options]", NULL};
static const example examples[] = {
    {"for trying out, on this machine", "headwater worker"},
    {"for another machine of a network that you trust", "headwater worker --host 192.168.1.7"},
    {"there: the model spread over both", "headwater explain -m model.gguf --rpc 192.168.1.7:50052 -p \"...\""},
    {NULL, NULL},
};

const command command_worker = {
    .name = command_name,
    .bit = IN_WORKER,
    .summary = "provide this machine's devices to a model on another one",
    .usage = usage,
    .about =
        "Provides this machine's GPUs, or its CPU if there are none, to the option --rpc of the other commands, "
        "which run blocks of a model here. No model file is needed on this machine. It serves one client at a time; "
        "both sides need the same version of llama.cpp. Ctrl-C stops it. See docs/guide/devices.md.",
    .examples = examples,
    .run = run,
};
