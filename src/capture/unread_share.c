/* unread_share.c - see unread_share.h. */
#include "capture/unread_share.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 300 };

/* The stream of row q behind the source last shown, or NULL. */
static float *row_after(const hw__unread_share *s, size_t q) {
    return q < s->q0 || q - s->q0 >= s->n_rows ? NULL : s->after + (q - s->q0) * s->n_embd;
}

/* Norm of b - a, or of b. */
static double distance(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t d = 0; d < n; d++) {
        double by = (double)b[d] - (a ? a[d] : 0);
        sum += by * by;
    }
    return sqrt(sum);
}

/* Begins a decode: target rows of q0 .. q0 + n_rows - 1. */
static hw_err begin_rows(hw__unread_share *s, size_t n_rows, size_t q0, hw_error *err) {
    size_t skipped = q0 < s->first ? s->first - q0 : 0;
    s->q0 = q0 + skipped;
    s->n_rows = n_rows > skipped ? n_rows - skipped : 0;
    s->next = 0;
    if (s->n_rows <= s->capacity) return HW_OK;
    free(s->after);
    s->after = hw__alloc(s->n_rows, s->n_embd * sizeof *s->after);
    s->capacity = s->after ? s->n_rows : 0;
    if (s->after) return HW_OK;
    s->n_rows = 0;
    return hw__fail_memory(err, "streams of rows", n_rows, s->n_embd * sizeof *s->after);
}

hw_err hw__unread_origin(hw__unread_share *s, const float *rows, size_t n_rows, size_t q0, hw_error *err) {
    if (!s->unread) return HW_OK;
    hw_err rc = begin_rows(s, n_rows, q0, err);
    for (size_t i = 0; rc == HW_OK && i < n_rows; i++) {
        float *after = row_after(s, q0 + i);
        if (after) memcpy(after, rows + i * s->n_embd, s->n_embd * sizeof *after);
    }
    return rc;
}

/* The change up to a source, or up to the final stream. */
static void add_change(hw__unread_share *s, size_t source, const float *after, const float *row) {
    if (after && s->next == source) s->changed[s->unread[source] > 0] += distance(after, row, s->n_embd);
}

hw_err hw__unread_stream(hw__unread_share *s, size_t source, const hw__stream *stream, hw_error *err) {
    if (!s->unread) return HW_OK;
    bool behind_origin = s->next == 0 && row_after(s, stream->q0 + stream->n_rows - 1);
    hw_err rc = source == 0 && !behind_origin ? begin_rows(s, stream->n_rows, stream->q0, err) : HW_OK;
    if (source == 0 && !behind_origin) s->next = SIZE_MAX; /* the first change is not known */
    for (size_t i = 0; rc == HW_OK && i < stream->n_rows; i++) {
        const float *before = stream->before + i * s->n_embd, *added = stream->added + i * s->n_embd;
        float *after = row_after(s, stream->q0 + i);
        add_change(s, source, after, before);
        if (!after) continue;
        s->changed[0] += distance(NULL, added, s->n_embd);
        for (size_t d = 0; d < s->n_embd; d++) after[d] = before[d] + added[d];
    }
    s->next = source + 1;
    return rc;
}

void hw__unread_final(hw__unread_share *s, const float *rows, size_t n_rows, size_t q0) {
    for (size_t i = 0; s->unread && i < n_rows; i++)
        add_change(s, s->n_sources, row_after(s, q0 + i), rows + i * s->n_embd);
    s->next = SIZE_MAX;
    s->n_rows = 0;
}

hw_err hw__unread_remark(const hw__unread_share *s, hw_run *run, hw_error *err) {
    char line[LINE], share[LINE / 3] = "was not measured";
    double all = s->changed[0] + s->changed[1];
    int32_t n = 0;
    for (size_t i = 0; s->unread && i <= s->n_sources; i++) n += s->unread[i];
    if (n == 0) return HW_OK;
    if (all > 0)
        snprintf(share, sizeof share, "was %.0f %% of what changed the stream here", 100 * s->changed[1] / all);
    snprintf(line, sizeof line,
             "%d of the model's %d blocks read other tokens in a way that no method follows: their part, with their "
             "MLPs, %s and counts as the model's own",
             n, run->model.n_blocks, share);
    return hw__run_add_remark(run, line, err);
}

void hw__unread_free(hw__unread_share *s) {
    free(s->after);
    *s = (hw__unread_share){0};
}
