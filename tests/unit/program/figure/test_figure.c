/*
 * test_figure.c - figures before they are drawn: numbers along axes, colours, and where everything stands on a page.
 *
 * Pages are asked, not looked at: the boxes of all labels, the number of bars, the colour of each cell.
 */
#include "support/fixture.h"

#include "figure/axis.h"
#include "figure/figure.h"
#include "figure/kinds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ------------------------------------------------------------------ axes */

static void steps_are_those_of_the_note(void **state) {
    (void)state;
    static const struct {
        double range, length, step;
    } known[] = {/* largest value * 20/19 and height of the plot, read off the note's figures */
                 {0.0304, 270, 0.005},   {0.0325, 270, 0.005},  {0.0188, 270, 0.005}, {0.0119, 266, 0.002},
                 {0.00336, 270, 0.0005}, {0.00452, 270, 0.001}, {0.0267, 270, 0.005}, {0.0515, 288, 0.01},
                 {0.023, 262, 0.005},    {24, 308, 5},          {24, 282, 5}};
    for (size_t i = 0; i < COUNT(known); i++)
        assert_close(axis_step(known[i].range, known[i].length), known[i].step, known[i].step * 1e-9);
    assert_int_equal(axis_whole_step(3, 500), 1);
    assert_true(axis_step(0, 100) > 0 && axis_step(INFINITY, 100) > 0 && axis_step(NAN, 100) > 0);
}

static void short_axes_have_few_numbers(void **state) {
    (void)state;
    for (double length = 40; length < 400; length += 7)
        assert_true(1 / axis_step(1, length) * 14 < length + 14); /* a number every 14 points at most */
}

static void numbers_say_nothing_more_than_needed(void **state) {
    (void)state;
    assert_string_equal(axis_number(0.015, 6).text, "0.015");
    assert_string_equal(axis_number(-0.5, 6).text, "−0.5");
    assert_string_equal(axis_number(-0.0, 6).text, "0");
    assert_string_equal(axis_number(3 * 0.1, 6).text, "0.3");
    assert_string_equal(axis_number(0.0167272, 3).text, "0.0167");
}

static label_line line_of(size_t n, const double *widths, const double *weights, double capacity) {
    return (label_line){.n = n,
                        .first = 20 + capacity / (double)n / 2,
                        .pitch = capacity / (double)n,
                        .line = 10,
                        .widths = widths,
                        .weights = weights,
                        .begin = 0,
                        .end = capacity + 40};
}

static void labels_turn_before_they_are_left_out(void **state) {
    (void)state;
    enum { N = 40 };
    double widths[N], weights[N], angle;
    bool shown[N];
    for (size_t i = 0; i < N; i++) {
        widths[i] = 50;
        weights[i] = (double)(i * 7 % N);
    }
    static const struct {
        double capacity, angle;
    } known[] = {{40 * 60, 0}, {40 * 55, 30}, {40 * 26, 30}, {40 * 20, 90}, {40 * 12.6, 90}, {40 * 11, 90}, {100, 90}};
    for (size_t i = 0; i < COUNT(known); i++) {
        label_line l = line_of(N, widths, weights, known[i].capacity);
        size_t n = 0;
        assert_true(axis_place(&angle, shown, &l));
        assert_true(angle == known[i].angle);
        for (size_t k = 0; k < N; k++) n += shown[k];
        assert_true(known[i].capacity >= 40 * 12.5 ? n == N : n < N && n > 0);
    }
}

static void the_heaviest_labels_stay(void **state) {
    (void)state;
    enum { N = 1000 };
    static double weights[N];
    static bool shown[N];
    for (size_t i = 0; i < N; i++) weights[i] = unit(mix(i));
    weights[500] = NAN;
    assert_true(axis_thin(shown, weights, N, 1, 10));
    for (size_t i = 0; i < N; i++) { /* one that is left out has a heavier one, or an equal earlier one, in its way */
        size_t from = i > 9 ? i - 9 : 0, to = i + 10 < N ? i + 10 : N;
        bool heavier = false;
        for (size_t k = from; k < to; k++) {
            if (k == i || !shown[k]) continue;
            assert_false(shown[i]);
            heavier = heavier || weights[k] >= weights[i] || isnan(weights[i]);
        }
        assert_true(shown[i] || heavier);
    }
}

/* ------------------------------------------------------------------ colours */

/* What someone without one of three kinds of cones sees (Machado 2009, severity 1), in linear light. */
static const double visions[4][9] = {
    {1, 0, 0, 0, 1, 0, 0, 0, 1},
    {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
    {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
    {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900}};

static double linear(double v) { return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4); }
static double gamma_of(double v) {
    return v <= 0 ? 0 : v >= 1 ? 1 : v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static rgb seen(rgb c, const double *m) {
    double r = linear(c.r), g = linear(c.g), b = linear(c.b);
    return (rgb){gamma_of(m[0] * r + m[1] * g + m[2] * b), gamma_of(m[3] * r + m[4] * g + m[5] * b),
                 gamma_of(m[6] * r + m[7] * g + m[8] * b)};
}

/* Lightness rises with the value, whatever colours are seen: 0.002 of slack for rounding to the published colours. */
static void maps_rise_in_lightness_for_every_eye(void **state) {
    (void)state;
    for (size_t i = 0; i < maps_count(); i++) {
        const map *m = maps_at(i);
        if (m->diverging) continue;
        for (size_t v = 0; v < COUNT(visions); v++) {
            shader s = {.map = m, .scale = 1};
            double before = -1;
            for (int k = 0; k <= 64; k++) {
                double l = rgb_lightness(seen(shader_color(&s, k / 64.0), visions[v]));
                assert_true(l > before - 0.002);
                before = l;
            }
        }
    }
}

/* The two sides of a diverging map differ in hue for every kind of colour vision, strengths in distance from paper. */
static void signs_differ_without_colour(void **state) {
    (void)state;
    for (int dark = 0; dark < 2; dark++) {
        for (size_t v = 0; v < COUNT(visions) - 1; v++) { /* the fourth lacks blue cones, one in 30,000 */
            shader s = {.map = maps_find("shade"), .dark = dark, .is_signed = true, .scale = 1};
            rgb above = seen(shader_color(&s, 0.6), visions[v]), below = seen(shader_color(&s, -0.6), visions[v]);
            assert_true(fabs(above.r - below.r) + fabs(above.g - below.g) + fabs(above.b - below.b) > 0.5);
        }
        double sign = dark ? 1 : -1, before = -1;
        for (int k = 0; k <= 20; k++) {
            shader s = {.map = maps_find("shade"), .dark = dark, .is_signed = true, .scale = 1};
            double l = sign * rgb_lightness(shader_color(&s, k / 20.0));
            assert_true(k == 0 || l > before);
            before = l;
        }
    }
}

static void plasma_is_interpolated_as_plotly_does(void **state) {
    (void)state;
    shader s = {.map = maps_find("plasma"), .scale = 2};
    assert_int_equal(rgb_pixel(shader_color(&s, 0)), 0xff0d0887);
    assert_int_equal(rgb_pixel(shader_color(&s, 2)), 0xfff0f921);
    assert_int_equal(rgb_pixel(shader_color(&s, 99)), 0xfff0f921);
    assert_int_equal(rgb_pixel(shader_color(&s, -1)), 0xff0d0887);
    assert_int_equal(rgb_pixel(shader_color(&s, 2.0 / 9)), 0xff46039f);
    assert_int_equal(rgb_pixel(shader_color(&s, 1.0 / 9)), 0xff2a0693); /* half way in sRGB */
}

static void text_on_any_colour_has_contrast(void **state) {
    (void)state;
    for (size_t i = 0; i < maps_count(); i++) {
        for (int k = 0; k <= 100; k++) {
            shader s = {.map = maps_at(i), .scale = 1};
            rgb c = shader_color(&s, k / 100.0), t = rgb_readable(c);
            double a = 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b) + 0.05;
            double b = 0.2126 * linear(t.r) + 0.7152 * linear(t.g) + 0.0722 * linear(t.b) + 0.05;
            assert_true((a > b ? a / b : b / a) >= 4.5); /* WCAG AA */
        }
    }
}

/* ------------------------------------------------------------------ pages */

static const char *const nasty[] = {"Die",
                                    " Hauptstadt",
                                    " مصر",
                                    " القاهرة",
                                    " 日本",
                                    "首都",
                                    " 🎉",
                                    " 👩‍👩‍👧",
                                    " שלום",
                                    " नमस्ते",
                                    " ไทย",
                                    "\n",
                                    " e\u0301te\u0301",
                                    "\u202e"
                                    "evil",
                                    "\x1b[31m",
                                    "Z\u0310\u0311\u0342\u0350\u0310\u0311\u0342\u0350\u0310\u0311\u0342\u0350"
                                    "algo",
                                    " Supercalifragilisticexpialidocious and more of it",
                                    " <b>&amp;</b>",
                                    "\xff\xfe",
                                    "",
                                    " end"};

/* [n] prompt words in turn from a list, two of completion, `layers` layers; values from a hash, some below 0. */
static hw_attribution *make_example(const char *const *words, size_t n_words, size_t n, size_t layers, bool is_signed) {
    const char **prompt = calloc(n, sizeof *prompt);
    float *values = calloc(2 * n * layers, sizeof *values);
    for (size_t k = 0; k < n; k++) prompt[k] = words[k % n_words];
    for (size_t i = 0; i < 2 * n * layers; i++) values[i] = (float)(pow(unit(mix(i)), 3) - (is_signed ? 0.3 : 0));
    static const char *const completion[] = {" done", "."};
    hw_attribution *a = make_attribution(make_run(layers, prompt, n, completion, 2), NULL, layers, values, NULL);
    free(prompt);
    free(values);
    return a;
}

typedef struct sheet {
    page p;
    picture from;
    hw_attribution *a;
} sheet;

static const terminal no_terminal = {.depth = DEPTH_NONE, .width = 100};

static sheet make_sheet(hw_attribution *a, layout_fn *layout, style s) {
    static const selection_params everything = {.token = NULL};
    sheet made = {.a = a};
    hw_error err;
    s.n_top = 10;
    assert_true(page_new(&made.p, s.font ? s.font : s.theme->font, rgb_hex(s.theme->paper)));
    assert_int_equal(picture_new(&made.from, &no_terminal, a, &everything, &err), HW_OK);
    assert_int_equal(layout(&made.p, &made.from, &s, &err), HW_OK);
    assert_false(made.p.failed);
    return made;
}

static void sheet_free(sheet *s) {
    picture_free(&s->from);
    page_free(&s->p);
    hw_attribution_free(s->a);
}

/* Corners of where a text has ink, as it stands. */
static void ink_corners(const page *p, const item *i, double corners[8]) {
    extent size = page_measure(p, &i->text);
    double top = size.height / 2 - size.above;
    item ink = *i;
    ink.height = size.above + size.below;
    ink.text.ay = (i->text.ay * i->height - top) / (ink.height > 0 ? ink.height : 1);
    page_corners(&ink, corners);
}

static void span_along(const double c[8], double nx, double ny, double *from, double *to) {
    *from = INFINITY;
    *to = -INFINITY;
    for (int i = 0; i < 4; i++) {
        double d = c[2 * i] * nx + c[2 * i + 1] * ny;
        *from = fmin(*from, d);
        *to = fmax(*to, d);
    }
}

/* Two rectangles overlap unless a line along a side of one of them separates them. */
static bool overlap(const double a[8], const double b[8]) {
    const double *boxes[] = {a, b};
    for (int side = 0; side < 4; side++) {
        const double *c = boxes[side / 2] + 2 * (side % 2);
        double nx = c[3] - c[1], ny = c[0] - c[2], a1, a2, b1, b2;
        if (hypot(nx, ny) < 1e-9) continue;
        span_along(a, nx / hypot(nx, ny), ny / hypot(nx, ny), &a1, &a2);
        span_along(b, nx / hypot(nx, ny), ny / hypot(nx, ny), &b1, &b2);
        if (a2 <= b1 + 0.01 || b2 <= a1 + 0.01) return false;
    }
    return true;
}

static void assert_tidy(const page *p, const char *what) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].kind != ITEM_TEXT) continue;
        double a[8], b[8];
        ink_corners(p, &p->items[i], a);
        for (int k = 0; k < 4; k++)
            if (a[2 * k] < 0 || a[2 * k] > p->width || a[2 * k + 1] < 0 || a[2 * k + 1] > p->height)
                fail_msg("%s: \"%s\" reaches beyond the page", what, p->items[i].text.text);
        for (size_t j = 0; j < i; j++) {
            if (p->items[j].kind != ITEM_TEXT) continue;
            ink_corners(p, &p->items[j], b);
            if (overlap(a, b))
                fail_msg("%s: \"%s\" overlaps \"%s\"", what, p->items[i].text.text, p->items[j].text.text);
        }
    }
}

static const struct {
    const char *name;
    layout_fn *layout;
} kinds[] = {{"bars", bars_layout},
             {"heatmap", heatmap_layout},
             {"map", map_layout},
             {"text", text_layout},
             {"profile", profile_layout}};

static void no_label_overlaps_another(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 3, 12, 21, 40, 130, 300};
    static const double widths[] = {0, 300, 1000};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t t = 0; t < themes_count(); t++) {
            for (size_t n = 0; n < COUNT(sizes); n++) {
                style s = {.theme = themes_at(t), .width = widths[(n + t) % COUNT(widths)]};
                sheet made =
                    make_sheet(make_example(nasty, COUNT(nasty), sizes[n], 3 + 9 * n, n % 2), kinds[k].layout, s);
                char what[80];
                snprintf(what, sizeof what, "%s, %s, %zu tokens, %g wide", kinds[k].name, s.theme->name, sizes[n],
                         s.width);
                assert_tidy(&made.p, what);
                sheet_free(&made);
            }
        }
    }
}

static size_t count_items(const page *p, item_kind kind) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->items[i].kind == kind;
    return n;
}

static const char *const plain[] = {" a", " b", " c", " d", " e"};

static bool has_text(const page *p, const char *text) {
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].kind == ITEM_TEXT && strstr(p->items[i].text.text, text)) return true;
    return false;
}

static void every_token_has_a_bar_until_they_share(void **state) {
    (void)state;
    style s = {.theme = themes_find("light")};
    sheet few = make_sheet(make_example(plain, 5, 60, 2, false), bars_layout, s);
    assert_int_equal(count_items(&few.p, ITEM_RECT), 60 + 1); /* and the plot's paper */
    assert_true(has_text(&few.p, "59: "));
    sheet_free(&few);
    sheet many = make_sheet(make_example(plain, 5, 1900, 2, false), bars_layout, s);
    assert_int_equal(count_items(&many.p, ITEM_RECT), 950 + 1);
    assert_true(has_text(&many.p, "2 neighbouring tokens share a place"));
    sheet_free(&many);
}

/* One prompt token whose value grows with the layer: where the strongest cell is says which way up layers are. */
static void check_order(const char *theme_name, bool last_at_bottom, const char *bottom_label) {
    static const float values[] = {0, 0, 0, 0, 0, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f}; /* [1, 2, 5] */
    static const char *const done[] = {"."};
    style s = {.theme = themes_find(theme_name), .title = ""};
    sheet made = make_sheet(make_attribution(make_run(5, plain, 2, done, 1), NULL, 5, values, NULL), heatmap_layout, s);
    const item *cells = NULL, *low = NULL;
    for (size_t i = 0; i < made.p.n; i++) {
        const item *at = &made.p.items[i];
        if (at->kind == ITEM_CELLS && !cells) cells = at; /* the other is the colour bar */
        if (at->kind == ITEM_TEXT && strcmp(at->text.text, bottom_label) == 0) low = at;
    }
    shader colors = {.map = maps_find(s.theme->map), .dark = s.theme->dark, .scale = 0.5};
    assert_non_null(cells);
    assert_int_equal(cells->nx, 2);
    assert_int_equal(cells->ny, 5);
    assert_int_equal(cells->cells[1], rgb_pixel(shader_color(&colors, last_at_bottom ? 0.1 : 0.5)));
    assert_int_equal(cells->cells[4 * 2 + 1], rgb_pixel(shader_color(&colors, last_at_bottom ? 0.5 : 0.1)));
    assert_non_null(low);
    assert_true(low->y > cells->y + 0.8 * cells->height);
    sheet_free(&made);
}

/* Both draw recursion step 1 at the bottom; the note names it L. */
static void layers_rise_and_the_note_names_them_backwards(void **state) {
    (void)state;
    check_order("light", false, "1");
    check_order("note", false, "5");
}

static void what_holds_nearly_all_does_not_set_the_scale(void **state) {
    (void)state;
    static const float values[] = {0.9f, 0.02f, 0.01f, 0.05f}; /* [1, 4, 1]; token 3 chose the completion's */
    static const char *const done[] = {"."};
    style s = {.theme = themes_find("light")}, note = {.theme = themes_find("note")};
    selection_params everything = {.token = NULL};
    picture p;
    chart c;
    hw_attribution *a = make_attribution(make_run(1, plain, 4, done, 1), NULL, 1, values, NULL);
    assert_int_equal(picture_new(&p, &no_terminal, a, &everything, NULL), HW_OK);
    assert_int_equal(chart_new(&c, &p, &s, ROWS_MEAN, 0, NULL), HW_OK);
    assert_close(c.scale, 0.02, 1e-6);
    assert_true(chart_is_beyond(&c, 0, 0) && chart_is_beyond(&c, 0, 3) && !chart_is_beyond(&c, 0, 1));
    assert_non_null(strstr(c.remarks, "Beyond the scale: 0: "));
    assert_non_null(strstr(c.remarks, "; unit: share"));
    chart_free(&c);
    assert_int_equal(chart_new(&c, &p, &note, ROWS_MEAN, 0, NULL), HW_OK); /* the note's: the largest shown */
    assert_close(c.scale, 0.9, 1e-6);
    chart_free(&c);
    picture_free(&p);
    hw_attribution_free(a);
}

static size_t count_texts(const page *p, const char *part) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->items[i].kind == ITEM_TEXT && strstr(p->items[i].text.text, part) != NULL;
    return n;
}

/* Two lines of the paper's colour across a bar, or one across the corner of a cell. */
static size_t count_lines(const page *p, double thickness) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->items[i].kind == ITEM_LINE && p->items[i].thickness == thickness;
    return n;
}

static void marks_beyond_the_scale_are_broken_and_numbered(void **state) {
    (void)state;
    static const float values[] = {0.9f, 0.02f, 0.01f, 0.05f}; /* [1, 4, 1] */
    static const char *const done[] = {"."};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        style s = {.theme = themes_find("light")};
        hw_attribution *a = make_attribution(make_run(1, plain, 4, done, 1), NULL, 1, values, NULL);
        sheet made = make_sheet(a, kinds[k].layout, s);
        bool bars = kinds[k].layout == bars_layout, text = kinds[k].layout == text_layout;
        bool cells = kinds[k].layout == heatmap_layout || kinds[k].layout == map_layout, ramp = cells || text;
        assert_int_equal(count_texts(&made.p, "≥ 0.02"), ramp);
        assert_true(count_texts(&made.p, "0.9") >= 1u + bars); /* the remarks, and over the bar */
        if (bars) {
            assert_int_equal(count_lines(&made.p, 1.5), 4);
            assert_int_equal(count_texts(&made.p, "0.05"), 2);
        }
        if (cells) assert_int_equal(count_lines(&made.p, 6.0 / 5), 2);
        sheet_free(&made);
    }
}

static void values_that_are_no_numbers_are_left_blank(void **state) {
    (void)state;
    static const float values[] = {NAN, 0.02f, INFINITY, -0.01f, NAN, NAN, NAN, NAN}; /* [1, 4, 2] */
    static const char *const done[] = {"."};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        style s = {.theme = themes_find("dark")};
        sheet made =
            make_sheet(make_attribution(make_run(2, plain, 4, done, 1), NULL, 2, values, NULL), kinds[k].layout, s);
        for (size_t i = 0; i < made.p.n; i++) {
            const item *at = &made.p.items[i];
            assert_true(isfinite(at->x) && isfinite(at->y) && isfinite(at->width) && isfinite(at->height));
        }
        assert_true(made.p.width < 2000 && made.p.height < 2000);
        sheet_free(&made);
    }
}

static void a_note_page_is_as_large_as_the_notes(void **state) {
    (void)state;
    style s = {.theme = themes_find("note"), .title = "", .font = "DejaVu Sans"};
    for (size_t k = 0; k < 2; k++) {
        sheet made = make_sheet(make_example(plain, 5, 16, 24, false), kinds[k].layout, s);
        assert_close(made.p.width, 700, 0);
        assert_close(made.p.height, 450, 0);
        sheet_free(&made);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_the_note),
        cmocka_unit_test(short_axes_have_few_numbers),
        cmocka_unit_test(numbers_say_nothing_more_than_needed),
        cmocka_unit_test(labels_turn_before_they_are_left_out),
        cmocka_unit_test(the_heaviest_labels_stay),
        cmocka_unit_test(maps_rise_in_lightness_for_every_eye),
        cmocka_unit_test(signs_differ_without_colour),
        cmocka_unit_test(plasma_is_interpolated_as_plotly_does),
        cmocka_unit_test(text_on_any_colour_has_contrast),
        cmocka_unit_test(no_label_overlaps_another),
        cmocka_unit_test(every_token_has_a_bar_until_they_share),
        cmocka_unit_test(layers_rise_and_the_note_names_them_backwards),
        cmocka_unit_test(what_holds_nearly_all_does_not_set_the_scale),
        cmocka_unit_test(marks_beyond_the_scale_are_broken_and_numbered),
        cmocka_unit_test(values_that_are_no_numbers_are_left_blank),
        cmocka_unit_test(a_note_page_is_as_large_as_the_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
