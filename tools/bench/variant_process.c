/* variant_process.c - the process of a variant: answers over a socket pair, one fixed-size answer a question. */
#include "variant_process.h"

#include "base/error.h"
#include "cli/interrupt.h"
#include "run_variant.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum question { ASK_RUN, ASK_CHECKED_RUN, ASK_TO_END } question;

typedef struct answer {
    hw_error err; /* code HW_OK: none */
    bench_figures figures;
    bench_model model;
    uint64_t tokens;
} answer;

static bool put(int fd, const void *bytes, size_t n) {
    for (const char *at = bytes; n > 0;) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* Either side stops waiting when it is interrupted: a run may take minutes. The socket of the side that asks gives up
 * now and then, since a signal may come just before it waits. */
static bool get(int fd, void *bytes, size_t n) {
    for (char *at = bytes; n > 0;) {
        ssize_t done = recv(fd, at, n, 0);
        if (done < 0 && (errno == EINTR || errno == EAGAIN) && !interrupt_seen()) continue;
        if (done <= 0) return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* The child: prepares, then runs as often as it is asked; ends with the parent. */
static void serve(int fd, const bench_job *job, const bench_variant *v) {
    bench_run *run = NULL;
    answer a = {0};
    question q;
    if (bench_run_new(&run, job, v, &a.err) == HW_OK) bench_run_describe(run, &a.model);
    while (put(fd, &a, sizeof a) && run && get(fd, &q, sizeof q) && q != ASK_TO_END) {
        a.err = (hw_error){0};
        bench_run_once(&a.figures, &a.tokens, run, q == ASK_CHECKED_RUN, &a.err);
    }
    bench_run_free(run);
}

static hw_err wait_answer(answer *a, bench_worker *w, hw_error *err) {
    bool answered = get(w->fd, a, sizeof *a);
    if (interrupt_seen()) {
        return hw__fail(err, HW_ERR_CANCELLED, "interrupted");
    }
    if (!answered) {
        return hw__fail(err, HW_ERR_ENGINE, "a variant's process ended (out of memory?)");
    }
    if (a->err.code != HW_OK) *err = a->err;
    return a->err.code;
}

hw_err bench_worker_start(bench_worker *w, const bench_job *job, const bench_variant *v, bench_model *model,
                          hw_error *err) {
    static const struct timeval now_and_then = {.tv_usec = 200000};
    int pair[2];
    answer a;
    pid_t child = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 ? fork() : -1;
    if (child < 0) {
        return hw__fail(err, HW_ERR_IO, "no process could be started for a variant");
    }
    if (child == 0) {
        close(pair[0]);
        serve(pair[1], job, v);
        _exit(0);
    }
    close(pair[1]);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &now_and_then, sizeof now_and_then);
    *w = (bench_worker){.process = child, .fd = pair[0]};
    hw_err rc = wait_answer(&a, w, err);
    if (rc == HW_OK && model) *model = a.model;
    return rc;
}

hw_err bench_worker_run(bench_figures *f, bench_worker *w, bool checked, hw_error *err) {
    answer a;
    question q = checked ? ASK_CHECKED_RUN : ASK_RUN;
    put(w->fd, &q, sizeof q); /* a process that is gone shows in the answer */
    hw_err rc = wait_answer(&a, w, err);
    if (rc != HW_OK) return rc;
    *f = a.figures;
    w->tokens = a.tokens;
    return HW_OK;
}

void bench_worker_end(bench_worker *w) {
    question q = ASK_TO_END; /* closing alone would not tell: workers that started later hold the socket too */
    if (w->process <= 0) return;
    if (interrupt_seen()) kill(w->process, SIGTERM); /* it may run without having received the signal */
    put(w->fd, &q, sizeof q);
    close(w->fd);
    while (waitpid(w->process, NULL, 0) < 0 && errno == EINTR) {
    }
    *w = (bench_worker){0};
}
