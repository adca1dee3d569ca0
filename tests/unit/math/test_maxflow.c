/* test_maxflow.c - largest flows through networks small enough to check by hand, and against the smallest cut. */
#include "math/maxflow.h"
#include "support/fixture.h"

#include <math.h>

static hw__pipes *network(size_t n_nodes, size_t n_pipes) {
    hw__pipes *p = NULL;
    assert_int_equal(hw__pipes_new(&p, n_nodes, n_pipes, NULL), HW_OK);
    return p;
}

/* Cormen, Leiserson, Rivest & Stein, Introduction to Algorithms, figure 26.1: 23. It needs a way back through a pipe.
 * */
static void textbook_network(void **state) {
    (void)state;
    static const struct {
        size_t from, to;
        double capacity;
    } pipes[] = {{0, 1, 16}, {0, 2, 13}, {2, 1, 4},  {1, 3, 12}, {3, 2, 9},
                 {2, 4, 14}, {4, 3, 7},  {3, 5, 20}, {4, 5, 4}};
    hw__pipes *p = network(6, 9);
    for (size_t i = 0; i < 9; i++) hw__pipes_add(p, pipes[i].from, pipes[i].to, pipes[i].capacity);
    assert_close(hw__pipes_flow(p, 0, 5), 23, 0);
    assert_close(hw__pipes_flow(p, 0, 3), 19, 0); /* afresh: 12 by way of 1, 7 by way of 4 */
    assert_close(hw__pipes_flow(p, 0, 5), 23, 0);
    assert_close(hw__pipes_flow(p, 5, 0), 0, 0); /* pipes have a direction */
    hw__pipes_free(p);
}

static void parallel_empty_and_missing_pipes(void **state) {
    (void)state;
    hw__pipes *p = network(4, 4);
    hw__pipes_add(p, 0, 1, 0.25);
    hw__pipes_add(p, 0, 1, 0.5);
    hw__pipes_add(p, 1, 2, 0);
    hw__pipes_add(p, 1, 1, 3); /* to itself: worth nothing */
    assert_close(hw__pipes_flow(p, 0, 1), 0.75, 0);
    assert_close(hw__pipes_flow(p, 0, 2), 0, 0);
    assert_close(hw__pipes_flow(p, 0, 3), 0, 0);
    hw__pipes_free(p);
    p = network(2, 0);
    assert_close(hw__pipes_flow(p, 0, 1), 0, 0);
    hw__pipes_free(p);
    hw__pipes_free(NULL);
}

static void agrees_with_the_smallest_cut(void **state) {
    (void)state;
    enum { N = 7 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        double capacity[N][N] = {{0}}, min = INFINITY;
        hw__pipes *p = network(N, N * N);
        for (size_t a = 0; a < N; a++) {
            for (size_t b = 0; b < N; b++) {
                uint64_t hash = mix(seed * 1000 + a * N + b);
                if (a == b || hash % 3 == 0) continue;
                capacity[a][b] = unit(hash);
                hw__pipes_add(p, a, b, capacity[a][b]);
            }
        }
        for (unsigned side = 0; side < 1u << N; side++) {
            double cut = 0;
            if (!(side & 1) || side >> (N - 1)) continue; /* node 0 on one side, the last on the other */
            for (size_t a = 0; a < N; a++)
                for (size_t b = 0; b < N; b++)
                    if (side >> a & 1 && !(side >> b & 1)) cut += capacity[a][b];
            min = cut < min ? cut : min;
        }
        assert_close(hw__pipes_flow(p, 0, N - 1), min, 1e-14);
        hw__pipes_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(textbook_network),
        cmocka_unit_test(parallel_empty_and_missing_pipes),
        cmocka_unit_test(agrees_with_the_smallest_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
