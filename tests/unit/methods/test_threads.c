/* Many threads read the same const objects at the same time: each gets what one thread alone gets. */
#include "support/fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { N_THREADS = 8, N_ROUNDS = 30, TEXT_CAPACITY = 64 };

typedef struct shared {
    const hw_trace *trace;
    const hw_attribution *a;
    const hw_segments *passages, *answer;
} shared;

/* Everything that a reader computes, as one number. */
static double read_all(const shared *s) {
    const hw_run *run = hw_trace_run(s->trace);
    hw_attribution *other;
    hw_view *view;
    hw_citation *citation;
    char text[TEXT_CAPACITY], *bytes;
    size_t n;
    double sum = 0;
    for (size_t t = 0; t < hw_run_n_tokens(run); t++)
        sum += (double)(hw_run_token_text(text, sizeof text, run, t) * (t + 1) + hw_run_token(run, t).n_bytes);
    if (hw_explain(&other, s->trace, "rollout", NULL, NULL) != HW_OK) return -1;
    if (hw_view_new(&view, other, NULL, NULL) != HW_OK) return -2;
    if (hw_citation_new(&citation, s->a, s->passages, s->answer, NULL, NULL) != HW_OK) return -3;
    if (hw_trace_to_bytes(&bytes, &n, s->trace, NULL, NULL) != HW_OK) return -4;
    for (size_t k = 0; k < hw_view_n_columns(view); k++) sum += (double)hw_view_scores(view)[k] * (double)(k + 1);
    sum += hw_citation_at(citation, 0, 1).share + hw_attribution_params(other).residual + (double)n;
    hw_free(bytes);
    hw_citation_free(citation);
    hw_view_free(view);
    hw_attribution_free(other);
    return sum;
}

typedef struct reader {
    const shared *objects;
    double expected;
    int n_wrong;
} reader;

static void *read_often(void *ctx) {
    reader *r = ctx;
    for (int i = 0; i < N_ROUNDS; i++) r->n_wrong += read_all(r->objects) != r->expected;
    return NULL;
}

static void const_objects_are_read_by_many_threads(void **state) {
    (void)state;
    hw_trace *trace;
    assert_int_equal(hw_trace_import(&trace, "tests/data/golden/random_attention.safetensors", HW_FUSE_MEAN, NULL),
                     HW_OK);
    hw_attribution *a = explain(trace, NULL);
    hw_segments *passages, *answer;
    const hw_run *run = hw_trace_run(trace);
    assert_int_equal(hw_segments_new(&passages, run, HW_SIDE_PROMPT, "token", NULL), HW_OK);
    assert_int_equal(hw_segments_new(&answer, run, HW_SIDE_COMPLETION, "token", NULL), HW_OK);
    const shared objects = {trace, a, passages, answer};
    double expected = read_all(&objects);
    assert_true(expected > 0);
    pthread_t threads[N_THREADS];
    reader readers[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        readers[i] = (reader){&objects, expected, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].n_wrong, 0);
    }
    hw_segments_free(answer);
    hw_segments_free(passages);
    hw_attribution_free(a);
    hw_trace_free(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(const_objects_are_read_by_many_threads)};
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
