/* test_splitmix64.c - the generator against its published sequence: masks and baselines of a seed must never change. */
#include "base/splitmix64.h"
#include "support/fixture.h"

static void published_sequence(void **state) {
    (void)state;
    static const uint64_t want[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                    4593380528125082431u, 16408922859458223821u};
    uint64_t sequence = 1234567;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_true(hw__random_bits(&sequence) == want[i]);
}

static void doubles_are_the_upper_bits(void **state) {
    (void)state;
    uint64_t sequence = 1234567;
    assert_close(hw__random_next(&sequence), 6457827717110365317.0 / 18446744073709551616.0, 1e-15);
    double sum = 0, min = 1, max = 0;
    for (int i = 0; i < 100000; i++) {
        double v = hw__random_next(&sequence);
        sum += v;
        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    assert_true(min >= 0 && min < 1e-3 && max < 1 && max > 1 - 1e-3);
    assert_close(sum / 100000, 0.5, 0.005); /* five deviations */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_sequence),
        cmocka_unit_test(doubles_are_the_upper_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
