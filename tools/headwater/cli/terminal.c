/*
 * terminal.c - capabilities of standard output: colours, width, and the palette for shading.
 *
 * Positive values are shaded in one hue, negative ones in a second, stronger for larger values. On a dark background
 * shades get lighter, on a light one darker; on an unknown background only the saturation changes, which works on both.
 */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

typedef struct rgb {
    int r, g, b;
} rgb;

/* sRGB at equal steps in OKLCh, hue 55 to 65 degrees for positive and 250 for negative values, interpolated; for 256
 * colours the nearest ones that keep the order. */
enum { STEPS = 5 };
typedef struct ramp {
    rgb steps[STEPS];
    int indices[STEPS];
} ramp;

/* `faint` is higher if the weakest colour cannot blend into the background, so that fewer tokens are shaded. */
struct palette {
    ramp above, below;
    double faint;
};
static const struct palette dark = {
    .above = {{{49, 35, 23}, {96, 65, 34}, {147, 97, 43}, {201, 130, 50}, {255, 165, 56}}, {236, 94, 130, 172, 214}},
    .below = {{{27, 40, 53}, {44, 71, 98}, {61, 104, 147}, {78, 139, 200}, {96, 176, 255}}, {236, 24, 31, 32, 75}},
    .faint = 1.0 / 24,
};
static const struct palette light = {
    .above = {{{255, 240, 231}, {250, 209, 182}, {243, 177, 132}, {235, 144, 78}, {224, 110, 0}},
              {230, 223, 216, 209, 202}},
    .below = {{{236, 245, 253}, {190, 217, 245}, {144, 189, 236}, {96, 160, 225}, {39, 132, 213}},
              {195, 153, 117, 75, 33}},
    .faint = 1.0 / 24,
};
static const struct palette unknown = {
    .above = {{{135, 126, 119}, {164, 131, 105}, {192, 135, 87}, {220, 138, 62}, {248, 139, 0}},
              {244, 137, 173, 172, 208}},
    .below = {{{122, 129, 137}, {112, 137, 163}, {101, 144, 189}, {87, 151, 214}, {68, 157, 240}},
              {244, 67, 68, 32, 33}},
    .faint = 1.0 / 8,
};
static const double faint_block = 1.0 / 16;

static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const bar_ends[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static bool is_dumb(void) { return !*variable("TERM") || strcmp(variable("TERM"), "dumb") == 0; }

static color_depth detect_depth(color_mode mode) {
    if (mode == COLOR_NEVER) return DEPTH_NONE;
    if (mode == COLOR_AUTO && (*variable("NO_COLOR") || is_dumb() || !isatty(STDOUT_FILENO))) return DEPTH_NONE;
    const char *term = variable("COLORTERM");
    if (strcmp(term, "truecolor") == 0 || strcmp(term, "24bit") == 0) return DEPTH_24BIT;
    return DEPTH_256;
}

/* COLORFGBG is "foreground;background" (or with a word between) in the 16 basic colours. */
static const struct palette *detect_palette(void) {
    const char *last = strrchr(variable("COLORFGBG"), ';');
    if (!last || last[1] < '0' || last[1] > '9') return &unknown;
    int background = atoi(last + 1);
    return background == 7 || background == 15 ? &light : &dark;
}

int terminal_width(FILE *stream) {
    struct winsize size = {0};
    int width = 0;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0) width = size.ws_col;
    if (width <= 0) width = atoi(variable("COLUMNS"));
    if (width <= 0 || width > 1000) width = 80;
    return width < 20 ? 20 : width;
}

bool terminal_has_live_stderr(void) { return isatty(STDERR_FILENO) && !is_dumb(); }

terminal terminal_detect(color_mode mode) {
    terminal t = {
        .out = stdout, .depth = detect_depth(mode), .width = terminal_width(stdout), .palette = detect_palette()};
    t.faint = t.depth == DEPTH_NONE ? faint_block : t.palette->faint;
    return t;
}

static void put(const terminal *t, const char *sequence) {
    if (t->depth != DEPTH_NONE) fputs(sequence, t->out);
}

void terminal_bold(const terminal *t) { put(t, "\033[1m"); }
void terminal_dim(const terminal *t) { put(t, "\033[2m"); }
void terminal_plain(const terminal *t) { put(t, "\033[0m"); }
void terminal_underline(const terminal *t) { put(t, "\033[4m"); }

static rgb ramp_at(const ramp *colors, double level) {
    double at = level * (STEPS - 1);
    int below = at < STEPS - 1 ? (int)at : STEPS - 2;
    double part = at - below;
    const rgb *a = &colors->steps[below], *b = a + 1;
    return (rgb){(int)(a->r + part * (b->r - a->r)), (int)(a->g + part * (b->g - a->g)),
                 (int)(a->b + part * (b->b - a->b))};
}

static double strength(double level) {
    double size = level < 0 ? -level : level;
    return size > 1 ? 1 : size;
}

void terminal_shade(const terminal *t, double level) {
    if (t->depth == DEPTH_NONE) return;
    const ramp *colors = level < 0 ? &t->palette->below : &t->palette->above;
    double size = strength(level);
    rgb c = ramp_at(colors, size);
    int text = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b > 110 ? 16 : 231; /* black or white, by luma */
    if (t->depth == DEPTH_24BIT) {
        fprintf(t->out, "\033[38;5;%d;48;2;%d;%d;%dm", text, c.r, c.g, c.b);
    } else {
        fprintf(t->out, "\033[38;5;%d;48;5;%dm", text, colors->indices[(int)(size * (STEPS - 1) + 0.5)]);
    }
}

const char *terminal_block(double level) {
    int top = (int)COUNT(blocks) - 1;
    int step = (int)(level * (top + 1) - 1e-6); /* a level of 3/8 fills exactly three eighths */
    if (level < -faint_block) return "-";
    return blocks[step < 0 ? 0 : step > top ? top : step];
}

bool terminal_is_beyond(double level) { return level > 1 + 1e-6 || level < -1 - 1e-6; }

/* A bar that is longer than its space. */
static int broken_bar(FILE *out, double level, int width) {
    const char *stroke = level < 0 ? "/" : "\u2571";
    for (int i = 0; i < width; i++)
        fputs(i == width - 3 || i == width - 2 ? stroke : level < 0 ? "-" : terminal_block(1), out);
    return width;
}

int terminal_bar(FILE *out, double level, int width) {
    if (terminal_is_beyond(level)) return broken_bar(out, level, width);
    int eighths = (int)(strength(level) * width * 8 + 0.5);
    int full = level < 0 ? (eighths + 4) / 8 : eighths / 8, part = level < 0 ? 0 : eighths % 8;
    for (int i = 0; i < full; i++) fputs(level < 0 ? "-" : terminal_block(1), out);
    fputs(bar_ends[part], out);
    return full + (part > 0);
}
