/* test_background.c - work beside the caller, and in its place where no thread can be had. */
#define _GNU_SOURCE
#include "support/fixture.h"

#include "base/background.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

typedef struct seen {
    pthread_t by;
    bool done, interrupted_here; /* whether SIGINT could be delivered to the thread */
} seen;

static void look(void *ctx) {
    seen *s = ctx;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    s->interrupted_here = !sigismember(&blocked, SIGINT);
    s->by = pthread_self();
    s->done = true;
}

static void work_is_done_by_another_thread_without_signals(void **state) {
    (void)state;
    seen s = {0};
    sigset_t blocked;
    hw__background b;
    hw__background_start(&b, look, &s);
    hw__background_wait(&b);
    assert_true(s.done);
    assert_false(pthread_equal(s.by, pthread_self()));
    assert_false(s.interrupted_here);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_false(sigismember(&blocked, SIGINT)); /* the caller's own are as they were */
    hw__background_wait(&b);                     /* once more: nothing to wait for */
    b = (hw__background){0};
    hw__background_wait(&b); /* never begun */
}

/* No address space for a stack of this size. */
static void without_a_thread_the_caller_does_it(void **state) {
    (void)state;
    pthread_attr_t before, huge;
    seen s = {0};
    hw__background b;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 46), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    hw__background_start(&b, look, &s);
    pthread_setattr_default_np(&before);
    hw__background_wait(&b);
    assert_true(s.done);
    assert_true(pthread_equal(s.by, pthread_self()));
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_by_another_thread_without_signals),
        cmocka_unit_test(without_a_thread_the_caller_does_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
