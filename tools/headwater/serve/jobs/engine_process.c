/* engine_process.c - spawned, not forked, because a process with threads cannot safely continue after a fork. */
#include "serve/jobs/engine_process.h"

#include "cli/clock.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ; /* no POSIX header declares it */

enum { LOOK_MS = 100 };
static const double END_SECONDS = 3;

/* ------------------------------------------------------------------ starting */

/* The environment with one more variable, malloc'd: after a crash ggml would otherwise start a debugger for a
 * backtrace, and wait. */
static char **make_environment(void) {
    static char no_backtrace[] = "GGML_NO_BACKTRACE=1";
    size_t n = 0;
    while (environ[n]) n++;
    char **out = calloc(n + 2, sizeof *out);
    if (!out) return NULL;
    memcpy(out, environ, n * sizeof *out);
    out[n] = no_backtrace;
    return out;
}

/* "headwater engine-process" and the options of `serve`, malloc'd. */
static char **make_arguments(const engine_process *e) {
    static char program[] = "headwater", command[] = "engine-process";
    char **out = calloc((size_t)e->n_words + 3, sizeof *out);
    if (!out) return NULL;
    out[0] = program;
    out[1] = command;
    for (int i = 1; i < e->n_words; i++) out[i + 1] = e->words[i];
    return out;
}

static int spawn(pid_t *pid, int fd, char **arguments, char **environment) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc) return rc;
    if ((rc = posix_spawnattr_init(&attributes)) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    rc = posix_spawn_file_actions_adddup2(&actions, fd, ENGINE_CHANNEL_FD);
    if (!rc) rc = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static bool launch(engine_process *e, hw_error *err) {
    int pair[2];
    char **arguments = make_arguments(e), **environment = make_environment();
    int rc = arguments && environment ? 0 : ENOMEM;
    if (!rc && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) rc = errno;
    if (!rc) {
        rc = spawn(&e->pid, pair[1], arguments, environment);
        close(pair[1]);
        if (rc) {
            e->pid = 0;
            close(pair[0]);
        }
    }
    free(arguments);
    free(environment);
    if (rc) return error_set(err, HW_ERR_IO, "the engine's process cannot be started: %s", strerror(rc));
    e->last_line[0] = 0;
    if (channel_open(&e->channel, pair[0])) return true;
    engine_process_kill(e);
    return error_set(err, HW_ERR_IO, "the engine's process cannot be reached");
}

/* A restarted process must have opened the same model, which the page and the store refer to. */
static bool take_model(engine_process *e, const frame *in, hw_error *err) {
    hw_model_info model;
    char *owner = NULL;
    if (!engine_model_unpack(&model, &owner, in->bytes, in->n))
        return error_set(err, HW_ERR_MEMORY, "no memory for the model's description");
    if (!e->model_owner) {
        e->model = model;
        e->model_owner = owner;
        return true;
    }
    bool same = strcmp(model.sample_sha256, e->model.sample_sha256) == 0;
    free(owner);
    return same || error_set(err, HW_ERR_ENGINE, "the file %.400s holds another model than when the server started",
                             e->model.path);
}

/* Handles one frame of a loading process. 1: it is ready; -1: loading failed, *err has the reason. */
static int take_loading(engine_process *e, const engine_waiting *waiting, const frame *in, hw_error *err) {
    size_t counts[2];
    switch (in->type) {
    case FRAME_LOADING:
        memcpy(counts, in->bytes, sizeof counts);
        if (waiting->progress) waiting->progress(waiting->ctx, HW_STAGE_LOAD, counts[0], counts[1]);
        return 0;
    case FRAME_READY: return take_model(e, in, err) ? 1 : -1;
    case FRAME_REFUSED: memcpy(err, in->bytes, sizeof *err); return -1;
    case FRAME_FATAL: snprintf(e->last_line, sizeof e->last_line, "%.*s", (int)in->n, in->bytes); return 0;
    default: return 0;
    }
}

bool engine_process_start(engine_process *e, const engine_waiting *waiting, hw_error *err) {
    char why[400];
    if (!launch(e, err)) return false;
    for (;;) {
        frame in;
        int got = channel_read(&e->channel, &in, LOOK_MS);
        int state = got > 0 ? take_loading(e, waiting, &in, err) : 0;
        if (state > 0) return true;
        bool stopped = waiting->stop && waiting->stop(waiting->ctx);
        if (stopped) error_set(err, HW_ERR_CANCELLED, "stopped while the model was loaded");
        if (got >= 0 && state == 0 && !stopped) continue;
        engine_process_kill(e);
        engine_process_reap(e, why, sizeof why);
        if (got < 0) error_set(err, HW_ERR_ENGINE, "the engine's process ended while it loaded the model: %s", why);
        return false;
    }
}

/* ------------------------------------------------------------------ its end */

/* Waits `seconds` for the end of the process, then kills it. Returns its status as waitpid() does. */
static int wait_end(engine_process *e, double seconds) {
    static const struct timespec moment = {.tv_nsec = 5000000};
    int status = 0;
    double until = clock_seconds() + seconds;
    while (waitpid(e->pid, &status, WNOHANG) == 0) {
        if (clock_seconds() > until) kill(e->pid, SIGKILL);
        nanosleep(&moment, NULL);
    }
    e->pid = 0;
    return status;
}

static void describe_end(char *why, size_t n, int status, const char *last_line) {
    if (last_line[0]) {
        snprintf(why, n, "it gave up: %s", last_line);
    } else if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        snprintf(why, n, "signal %d (%s)%s", number, strsignal(number),
                 number == SIGKILL ? ", as the system sends when memory runs out" : "");
    } else {
        snprintf(why, n, "it exited with status %d", WEXITSTATUS(status));
    }
}

void engine_process_reap(engine_process *e, char *why, size_t n) {
    if (!e->pid) return;
    int status = wait_end(e, 0.5); /* the channel ends shortly before the process does */
    describe_end(why, n, status, e->last_line);
    channel_close(&e->channel);
}

bool engine_process_is_alive(engine_process *e, char *why, size_t n) {
    int status;
    why[0] = 0;
    if (!e->pid) return false;
    if (waitpid(e->pid, &status, WNOHANG) == 0) return true;
    e->pid = 0;
    for (frame in; channel_read(&e->channel, &in, 0) > 0;) /* its last frames may still be in the channel */
        if (in.type == FRAME_FATAL) snprintf(e->last_line, sizeof e->last_line, "%.*s", (int)in.n, in.bytes);
    describe_end(why, n, status, e->last_line);
    channel_close(&e->channel);
    return false;
}

void engine_process_kill(engine_process *e) {
    if (e->pid) kill(e->pid, SIGKILL);
}

bool engine_process_end(engine_process *e) {
    if (!e->pid) return true;
    bool sent = channel_send_bytes(&e->channel, FRAME_END, NULL, 0);
    int status = wait_end(e, sent ? END_SECONDS : 0);
    channel_close(&e->channel);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void engine_process_clear(engine_process *e) {
    engine_process_end(e);
    free(e->model_owner);
    e->model_owner = NULL;
}
