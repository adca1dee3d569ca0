/* child_work.c - fork(), kernel resource limits, and a pipe on which the child writes a header and then the bytes. */
#define _GNU_SOURCE /* RLIMIT_DATA, close_range() */
#include "base/child_work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { PIPE_FD = 3, LOOK_MS = 50 };

typedef struct header {
    hw_err rc;
    hw_error err;
    size_t n;
} header;

/* ------------------------------------------------------------------ the child */

/* Bytes that the process has mapped writable; 0 if the system does not report it. */
static size_t data_bytes(void) {
    unsigned long pages[6] = {0};
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    int got = fscanf(f, "%lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5]);
    fclose(f);
    return got == 6 ? pages[5] * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void lower(int which, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0 || (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur <= value)) return;
    limit.rlim_cur = value;
    setrlimit(which, &limit);
}

static void confine(int fd, const hw__child_limits *limits) {
    size_t data = data_bytes();
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_CPU, limits->seconds);
    if (data) lower(RLIMIT_DATA, (rlim_t)(data + limits->memory));
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* the parent handles SIGINT, and the limits end this process in any case */
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    if (fd != PIPE_FD) dup2(fd, PIPE_FD);
#ifdef __linux__
    close_range(PIPE_FD + 1, ~0U, 0);
#endif
}

static bool write_all(int fd, const void *from, size_t n) {
    const char *at = from;
    while (n > 0) {
        ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

static void run_child(int fd, const hw__child_limits *limits, hw__child_fn work, void *ctx) {
    header h = {0};
    char *bytes = NULL;
    confine(fd, limits);
    h.rc = work(&bytes, &h.n, ctx, &h.err);
    if (h.rc != HW_OK) h.n = 0;
    _exit(write_all(PIPE_FD, &h, sizeof h) && write_all(PIPE_FD, bytes, h.n) ? 0 : 1);
}

/* ------------------------------------------------------------------ the parent */

static bool is_stopped(const hw__child_limits *limits) { return limits->stop && limits->stop(limits->stop_ctx); }

/* Waits until there is something to read; false: stopped. */
static bool wait_readable(int fd, const hw__child_limits *limits) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (limits->stop && poll(&p, 1, LOOK_MS) <= 0)
        if (is_stopped(limits)) return false;
    return true;
}

/* Returns the number of bytes read; fewer than n at end of file, or if stopped. */
static size_t read_all(int fd, const hw__child_limits *limits, void *to, size_t n) {
    size_t done = 0;
    while (done < n && wait_readable(fd, limits)) {
        ssize_t got = read(fd, (char *)to + done, n - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    return done;
}

/* What a child wrote. */
typedef struct result {
    char *bytes; /* [n] malloc'd */
    size_t n;
    bool whole;
} result;

static hw_err read_result(result *out, int fd, const hw__child_limits *limits, hw_error *err) {
    header h;
    out->whole = read_all(fd, limits, &h, sizeof h) == sizeof h;
    if (!out->whole) return HW_OK;
    h.err.msg[sizeof h.err.msg - 1] = 0;
    if (h.rc != HW_OK) return hw__fail(err, h.rc, "%s", h.err.msg);
    if (h.n > limits->output)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: it gives %zu bytes; at most %zu are accepted", limits->what, h.n,
                        limits->output);
    out->bytes = hw__alloc(h.n + 1, 1);
    if (!out->bytes) return hw__fail_memory(err, limits->what, h.n + 1, 1);
    out->whole = read_all(fd, limits, out->bytes, h.n) == h.n;
    out->n = h.n;
    return HW_OK;
}

static hw_err fail_ended(int status, const hw__child_limits *limits, hw_error *err) {
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGXCPU)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: it was not done after %u s of processor time", limits->what,
                        limits->seconds);
    if (number)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: it ends its process by signal %d (%s)", limits->what, number,
                        strsignal(number));
    return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: it ends its process with status %d", limits->what,
                    WEXITSTATUS(status));
}

hw_err hw__child_work(char **bytes, size_t *n, const hw__child_limits *limits, hw__child_fn work, void *ctx,
                      hw_error *err) {
    int ends[2], status = 0;
    result made = {.bytes = NULL};
    if (pipe(ends) != 0) return hw__fail(err, HW_ERR_MEMORY, "%s: no pipe: %s", limits->what, strerror(errno));
    pid_t child = fork();
    if (child == 0) run_child(ends[1], limits, work, ctx);
    int reason = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return hw__fail(err, HW_ERR_MEMORY, "%s: no process for it: %s", limits->what, strerror(reason));
    }
    hw_err rc = read_result(&made, ends[0], limits, err);
    close(ends[0]);
    if (rc == HW_OK && !made.whole && is_stopped(limits))
        rc = hw__fail(err, HW_ERR_CANCELLED, "%s: stopped", limits->what);
    if (rc != HW_OK) kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc == HW_OK && !made.whole) rc = fail_ended(status, limits, err);
    if (rc != HW_OK) {
        free(made.bytes);
        return rc;
    }
    *bytes = made.bytes;
    *n = made.n;
    return HW_OK;
}
