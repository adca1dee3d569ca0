/* test_view.c - rows and layers selected, averaged, filtered and ranked, on an M small enough to add up by hand. */
#include "support/fixture.h"

#include <math.h>
#include <string.h>

static const char *const prompt[] = {"The", ",", " sky", " is"};
static const char *const completion[] = {" very", " blue"};

/* [2 rows, 4 columns, 3 layers], in sixteenths: exact in binary. */
static const float values[2][4][3] = {
    {{8 / 16.0f, 6 / 16.0f, 4 / 16.0f},
     {2 / 16.0f, 0, 2 / 16.0f},
     {4 / 16.0f, 2 / 16.0f, 6 / 16.0f},
     {2 / 16.0f, 4 / 16.0f, 0}},
    {{4 / 16.0f, 2 / 16.0f, 8 / 16.0f},
     {2 / 16.0f, 4 / 16.0f, 2 / 16.0f},
     {0, 2 / 16.0f, 2 / 16.0f},
     {6 / 16.0f, 4 / 16.0f, 0}},
};
static const float dropped[2][3] = {{0, 4 / 16.0f, 4 / 16.0f}, {4 / 16.0f, 4 / 16.0f, 4 / 16.0f}};

static hw_attribution *the_attribution(void) {
    return make_attribution(make_run(3, prompt, 4, completion, 2), NULL, 3, &values[0][0][0], &dropped[0][0]);
}

static hw_view *view(const hw_attribution *a, const hw_view_params *params) {
    hw_view *v = NULL;
    hw_error err = {0};
    if (hw_view_new(&v, a, params, &err) != HW_OK) fail_msg("%s", err.msg);
    return v;
}

static void scores_and_profile_are_means(void **state) {
    (void)state;
    hw_attribution *a = the_attribution();
    hw_view *v = view(a, NULL);
    assert_int_equal(hw_view_n_columns(v), 4);
    assert_int_equal(hw_view_n_layers(v), 3);
    double left = 0;
    for (size_t k = 0; k < 4; k++) {
        double score = 0;
        for (size_t l = 0; l < 3; l++) {
            double mean = ((double)values[0][k][l] + (double)values[1][k][l]) / 2;
            assert_close(hw_view_profile(v)[k * 3 + l], mean, 0);
            score += mean / 3;
        }
        assert_close(hw_view_scores(v)[k], score, 0x1p-25);
        left += score;
        assert_false(hw_view_is_hidden(v, k));
    }
    assert_close(hw_view_outside_mass(v), 20 / 16.0 / 6, 1e-15);
    assert_close(hw_view_outside_mass(v) + left, 1, 1e-15);
    assert_close(hw_view_hidden_mass(v), 0, 0);
    assert_false(hw_view_is_hidden(v, 4)); /* there is none */
    hw_view_free(v);
    assert_memory_equal(hw_attribution_values(a), values, sizeof values); /* M is never changed */
    hw_attribution_free(a);
}

static void rows_and_layers_are_selected(void **state) {
    (void)state;
    hw_attribution *a = the_attribution();
    hw_view_params p = hw_view_params_default();
    p.row_begin = 1;
    p.row_end = 2;
    p.layer_begin = 1;
    p.layer_end = 3;
    hw_view *v = view(a, &p);
    assert_int_equal(hw_view_n_layers(v), 2);
    for (size_t k = 0; k < 4; k++) {
        assert_close(hw_view_profile(v)[k * 2], values[1][k][1], 0);
        assert_close(hw_view_profile(v)[k * 2 + 1], values[1][k][2], 0);
        assert_close(hw_view_scores(v)[k], ((double)values[1][k][1] + (double)values[1][k][2]) / 2, 0);
    }
    assert_close(hw_view_outside_mass(v), 0.25, 0);
    hw_view_free(v);
    p = (hw_view_params){.size = sizeof p, .row_end = 1, .layer_end = 1};
    v = view(a, &p);
    for (size_t k = 0; k < 4; k++) assert_close(hw_view_scores(v)[k], values[0][k][0], 0);
    assert_close(hw_view_outside_mass(v), 0, 0);
    hw_view_free(v);
    hw_attribution_free(a);
}

static void top_falls_and_ties_go_by_index(void **state) {
    (void)state;
    static const float scores[1][7][1] = {{{1 / 8.0f}, {2 / 8.0f}, {0}, {2 / 8.0f}, {1 / 8.0f}, {0}, {2 / 8.0f}}};
    static const char *const words[] = {"a", "b", "c", "d", ",", "e", "f"};
    static const size_t order[] = {1, 3, 6, 0, 4, 2, 5}, filtered[] = {1, 3, 6, 2, 5};
    hw_attribution *a = make_attribution(make_run(1, words, 7, completion, 1), NULL, 1, &scores[0][0][0], NULL);
    hw_view *v = view(a, NULL);
    for (size_t n = 0; n <= 9; n++) {
        size_t top[10] = {99, 99, 99, 99, 99, 99, 99, 99, 99, 99}, shown = n < 7 ? n : 7;
        assert_int_equal(hw_view_top(v, top, n), shown);
        for (size_t i = 0; i < 10; i++) assert_int_equal(top[i], i < shown ? order[i] : 99);
    }
    hw_view_free(v);
    v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .hide = "first,punctuation"});
    size_t top[10];
    assert_int_equal(hw_view_top(v, top, 10), 5);
    assert_memory_equal(top, filtered, sizeof filtered);
    hw_view_free(v);
    hw_attribution_free(a);
}

static void hidden_columns_keep_their_scores_and_are_added_up(void **state) {
    (void)state;
    hw_attribution *a = the_attribution();
    hw_view *plain = view(a, NULL), *v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .hide = "note"});
    static const bool hidden[] = {false, true, false, true};
    double mass = 0;
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal(hw_view_is_hidden(v, k), hidden[k]);
        assert_close(hw_view_scores(v)[k], hw_view_scores(plain)[k], 0);
        if (hidden[k]) mass += (double)hw_view_scores(v)[k];
    }
    assert_close(hw_view_hidden_mass(v), mass, 0);
    assert_close(mass, 28 / 96.0, 1e-7);
    hw_view_free(v);
    hw_view_free(plain);
    hw_attribution_free(a);
}

static void normalised_scores_sum_to_one(void **state) {
    (void)state;
    hw_attribution *a = the_attribution();
    hw_view *plain = view(a, NULL),
            *v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .hide = "first", .normalise = true});
    double sum = 0, profile = 0, share = 1 - 20 / 96.0;
    for (size_t k = 0; k < 4; k++) {
        sum += (double)hw_view_scores(v)[k];
        assert_close(hw_view_scores(v)[k], (double)hw_view_scores(plain)[k] / share, 1e-7);
        for (size_t l = 0; l < 3; l++) {
            profile += (double)hw_view_profile(v)[k * 3 + l] / 3;
            assert_close(hw_view_profile(v)[k * 3 + l], (double)hw_view_profile(plain)[k * 3 + l] / share, 1e-7);
        }
    }
    assert_close(sum, 1, 1e-7);
    assert_close(profile, 1, 1e-7);
    assert_close(hw_view_hidden_mass(v), hw_view_scores(v)[0], 0); /* a share of the same whole */
    hw_view_free(v);
    hw_view_free(plain);
    hw_attribution_free(a);
}

static void nothing_to_normalise_stays_zero(void **state) {
    (void)state;
    static const float none[2][4][3] = {0};
    hw_attribution *a = make_attribution(make_run(3, prompt, 4, completion, 2), NULL, 3, &none[0][0][0], NULL);
    hw_view *v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .normalise = true});
    for (size_t k = 0; k < 4; k++) assert_close(hw_view_scores(v)[k], 0, 0);
    hw_view_free(v);
    hw_attribution_free(a);
}

static void all_columns_can_be_hidden_by_their_own_token(void **state) {
    (void)state;
    static const char *const ending[] = {" blue", "."};
    float flat[2 * 6 * 3];
    for (size_t i = 0; i < 36; i++) flat[i] = 1 / 8.0f;
    hw_method_params p = hw_method_params_default();
    p.columns = HW_COLUMNS_ALL;
    hw_attribution *a = make_attribution(make_run(3, prompt, 4, ending, 2), &p, 3, flat, NULL);
    hw_view *v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .hide = "punctuation"});
    assert_int_equal(hw_view_n_columns(v), 6);
    for (size_t k = 0; k < 6; k++) assert_int_equal(hw_view_is_hidden(v, k), k == 1 || k == 5);
    assert_close(hw_view_hidden_mass(v), 0.25, 0);
    hw_view_free(v);
    hw_attribution_free(a);
}

static void group_is_hidden_where_all_its_tokens_are(void **state) {
    (void)state;
    static const int32_t groups[] = {-1, 2, 0, 2}; /* group 1 has no token */
    static const float grouped[2][3][3] = {{{1 / 8.0f}}};
    hw_method_params p = hw_method_params_default();
    p.groups = groups;
    p.n_groups = 3;
    hw_attribution *a = make_attribution(make_run(3, prompt, 4, completion, 2), &p, 3, &grouped[0][0][0], NULL);
    static const struct {
        const char *hide;
        bool hidden[3];
    } cases[] = {
        {"", {false, false, false}},
        {"note", {false, false, true}},
        {"punctuation", {false, false, false}}, /* "is" is left */
        {"first", {false, false, false}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_view *v = view(a, &(hw_view_params){.size = sizeof(hw_view_params), .hide = cases[i].hide});
        for (size_t g = 0; g < 3; g++)
            if (hw_view_is_hidden(v, g) != cases[i].hidden[g]) fail_msg("hide \"%s\", group %zu", cases[i].hide, g);
        hw_view_free(v);
    }
    hw_attribution_free(a);
}

static void ranges_outside_are_named(void **state) {
    (void)state;
    static const struct {
        hw_view_params params;
        const char *part;
    } cases[] = {
        {{.row_begin = 0, .row_end = 3}, "rows 0:3: a range within 0:2"},
        {{.row_begin = 1, .row_end = 1}, "rows 1:1"},
        {{.row_begin = 2, .row_end = 1}, "rows 2:1"},
        {{.row_begin = 2, .row_end = 0}, "rows 2:0"},
        {{.layer_begin = 0, .layer_end = 4}, "layers 0:4: a range within 0:3"},
        {{.layer_begin = 3, .layer_end = 3}, "layers 3:3"},
        {{.hide = "nose"}, "filter \"nose\""},
    };
    hw_attribution *a = the_attribution();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_view *const untouched = (hw_view *)&untouched;
        hw_view *v = untouched;
        hw_error err = {0};
        hw_view_params params = cases[i].params;
        params.size = sizeof params;
        hw_err rc = hw_view_new(&v, a, &params, &err);
        assert_error(&err, rc, HW_ERR_ARGUMENT, cases[i].part);
        assert_ptr_equal(v, untouched);
        assert_int_equal(hw_view_new(&v, a, &params, NULL), HW_ERR_ARGUMENT);
    }
    hw_attribution_free(a);
    hw_view_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_and_profile_are_means),
        cmocka_unit_test(rows_and_layers_are_selected),
        cmocka_unit_test(top_falls_and_ties_go_by_index),
        cmocka_unit_test(hidden_columns_keep_their_scores_and_are_added_up),
        cmocka_unit_test(normalised_scores_sum_to_one),
        cmocka_unit_test(nothing_to_normalise_stays_zero),
        cmocka_unit_test(all_columns_can_be_hidden_by_their_own_token),
        cmocka_unit_test(group_is_hidden_where_all_its_tokens_are),
        cmocka_unit_test(ranges_outside_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
