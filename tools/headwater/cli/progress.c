/* progress.c - a bar on standard error, drawn at most ten times a second and erased when done. */
#include "cli/progress.h"

#include "cli/clock.h"
#include "cli/safe_text.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Name of each stage; NULL: no bar, because its output shows the progress. */
static const char *const stage_names[] = {
    [HW_STAGE_LOAD] = "loading the model",
    [HW_STAGE_PREFILL] = "reading the prompt",
    [HW_STAGE_DECODE] = NULL,
    [HW_STAGE_EXPLAIN] = "explaining",
};
enum { BAR_WIDTH = 24, FULL_LINE = BAR_WIDTH + 56, FILE_WIDTH = 24 };
static const double interval_s = 0.1, patience_s = 0.2; /* a stage shorter than this gets no bar */

progress progress_new(bool wanted) { return (progress){.shown = wanted && terminal_has_live_stderr(), .began = -1}; }

void progress_erase(progress *p) {
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

static void draw(progress *p, size_t done, size_t total, double seconds) {
    double part = total ? (double)done / (double)total : 0;
    fprintf(stderr, "\r%s ", stage_names[p->stage]);
    if (terminal_width(stderr) >= FULL_LINE) {
        int drawn = terminal_bar(stderr, part, BAR_WIDTH);
        fprintf(stderr, "%*s", BAR_WIDTH - drawn, "");
    }
    fprintf(stderr, " %3d %%", (int)(part * 100));
    if (p->stage == HW_STAGE_PREFILL && seconds > 0)
        fprintf(stderr, "  %zu/%zu tokens, %.0f/s", done, total, (double)done / seconds);
    fputs("\033[K", stderr);
    p->drawn = true;
}

void progress_bytes(progress *p, const char *file, uint64_t done, uint64_t total) {
    double t = clock_seconds();
    if (!p->shown || t - p->last < interval_s) return;
    if (p->began < 0) p->began = t;
    p->last = t;
    fprintf(stderr, "\rdownloading %s ", text_label(file, strlen(file), FILE_WIDTH).utf8);
    if (terminal_width(stderr) >= FULL_LINE) {
        int drawn = terminal_bar(stderr, total ? (double)done / (double)total : 0, BAR_WIDTH);
        fprintf(stderr, "%*s", BAR_WIDTH - drawn, "");
    }
    fprintf(stderr, " %.1f/%.1f MB\033[K", (double)done / 1e6, (double)total / 1e6);
    p->drawn = true;
}

void progress_show(void *ctx, hw_stage stage, size_t done, size_t total) {
    progress *p = ctx;
    if (!p->shown) return;
    double t = clock_seconds();
    if (p->began < 0 || stage != p->stage) {
        progress_erase(p);
        p->stage = stage;
        p->began = p->last = t;
    }
    bool known = (size_t)stage < COUNT(stage_names) && stage_names[stage];
    if (!known || done >= total) {
        progress_erase(p);
        p->began = -1;
        return;
    }
    if (t - p->began < patience_s || t - p->last < interval_s) return;
    p->last = t;
    draw(p, done, total, t - p->began);
}
