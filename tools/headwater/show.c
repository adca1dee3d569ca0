/*
 * show.c - the terminal view of an attribution.
 *
 *     method, which tokens            toplist.c: index: token  value  bar  profile over layers
 *     settings                        diagnostics, one line each
 *     shade.c: the prompt
 *
 * The scale runs from 0 to the largest shown value, two kinds of tokens aside: token 0, where a causal model leaves what
 * it needs nowhere, and the position that is explained, whose own stream comes through whatever is attended to. They
 * hold so much that nothing else would be seen beside them; the legend names those that are beyond the scale.
 */
#include "show.h"

#include "text.h"

#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ------------------------------------------------------------------ selection */

/* Index of the first token that can be selected: the completion's, or all where there is none. */
static size_t first_selectable(const hw_run *run) { return hw_run_n_completion(run) ? hw_run_n_prompt(run) : 0; }

static hw_err select_rows(picture *p, const char *token, hw_error *err) {
    p->row_begin = 0;
    p->row_end = hw_attribution_n_rows(p->a);
    if (!token) return HW_OK;
    size_t begin, end;
    hw_err rc = hw_run_select(&begin, &end, p->run, token, err);
    if (rc != HW_OK) return rc;
    size_t base = first_selectable(p->run), first = hw_attribution_first_token(p->a);
    if (base + begin < first || base + end - first > p->row_end) {
        *err = (hw_error){.code = HW_ERR_ARGUMENT};
        snprintf(err->msg, sizeof err->msg, "token \"%.60s\": this result explains tokens %zu to %zu only", token,
                 first - base, first - base + p->row_end - 1);
        return HW_ERR_ARGUMENT;
    }
    p->row_begin = base + begin - first;
    p->row_end = base + end - first;
    return HW_OK;
}

static hw_err select_layers(picture *p, const char *layers, hw_error *err) {
    p->layer_begin = 0;
    p->layer_end = hw_attribution_n_layers(p->a);
    return layers ? hw_attribution_select_layers(&p->layer_begin, &p->layer_end, p->a, layers, err) : HW_OK;
}

static bool is_grouped(const picture *p) { return hw_attribution_params(p->a)->groups != NULL; }

static double size_of(double v) { return v < 0 ? -v : v; }

/* Token 0, or a position that a selected row is the row of. */
static bool is_structural(const picture *p, size_t column) {
    if (is_grouped(p)) return false;
    bool predictor = hw_attribution_params(p->a)->row == HW_ROW_PREDICTOR && hw_run_n_completion(p->run) > 0;
    size_t first = hw_attribution_first_token(p->a) - predictor;
    return column == 0 || (column >= first + p->row_begin && column < first + p->row_end);
}

static void choose_scale(picture *p) {
    const float *scores = hw_view_scores(p->view);
    double structural = 0, most = 0, least = 0;
    for (size_t k = 0; k < hw_view_n_columns(p->view); k++) {
        if (hw_view_is_hidden(p->view, k)) continue;
        double *of = is_structural(p, k) ? &structural : &most;
        if (size_of(scores[k]) > *of) *of = size_of(scores[k]);
        if (scores[k] < least) least = scores[k];
    }
    p->scale = most > 0 ? most : structural > 0 ? structural : 1;
    p->negative = -least >= p->scale * p->t->faint;
}

static hw_err picture_new(picture *p, const terminal *t, const hw_attribution *a, const options *o, hw_error *err) {
    *p = (picture){.t = t, .a = a, .run = hw_attribution_run(a)};
    hw_err rc = select_rows(p, o->token, err);
    if (rc == HW_OK) rc = select_layers(p, o->layers, err);
    if (rc != HW_OK) return rc;
    hw_view_params params = hw_view_params_default();
    params.row_begin = p->row_begin;
    params.row_end = p->row_end;
    params.layer_begin = p->layer_begin;
    params.layer_end = p->layer_end;
    params.hide = o->hide;
    params.normalise = o->normalise;
    rc = hw_view_new(&p->view, a, &params, err);
    if (rc == HW_OK) choose_scale(p);
    return rc;
}

size_t picture_n_tokens(const picture *p) {
    bool all = hw_attribution_params(p->a)->columns == HW_COLUMNS_ALL;
    return all ? hw_run_n_tokens(p->run) : hw_run_n_prompt(p->run);
}

bool picture_column(const picture *p, size_t token, size_t *column) {
    const int32_t *groups = hw_attribution_params(p->a)->groups;
    if (groups && groups[token] < 0) return false;
    *column = groups ? (size_t)groups[token] : token;
    return *column < hw_view_n_columns(p->view);
}

/* ------------------------------------------------------------------ headings */

void show_title(const terminal *t, const char *title) {
    terminal_bold(t);
    fputs(title, t->out);
    terminal_plain(t);
    putc('\n', t->out);
}

void show_completion(const terminal *t, const hw_run *run) {
    if (!hw_run_n_completion(run)) return;
    size_t n;
    const char *bytes = hw_run_completion(run, &n);
    stream s = {.out = t->out};
    show_title(t, "Completion");
    stream_write(&s, bytes, n);
    stream_end(&s);
}

void show_run(const terminal *t, const hw_run *run) {
    static const char *const stops[] = {[HW_STOP_LENGTH] = "stopped at the limit", [HW_STOP_END] = "ended by the model",
                                        [HW_STOP_GIVEN] = "given", [HW_STOP_CANCELLED] = "interrupted"};
    const hw_model_info *model = hw_run_model(run);
    size_t n = hw_run_n_completion(run);
    terminal_dim(t);
    if (n) {
        fprintf(t->out, "%zu token%s, %s, after a prompt of %zu", n, n == 1 ? "" : "s", stops[hw_run_stop(run)],
                hw_run_n_prompt(run));
    } else {
        fprintf(t->out, "%zu tokens", hw_run_n_tokens(run));
    }
    fputs("; ", t->out);
    text_puts(t->out, *model->name ? model->name : model->path);
    if (*model->quantisation) fputs(", ", t->out);
    text_puts(t->out, model->quantisation);
    terminal_plain(t);
    putc('\n', t->out);
}

static void print_label(const picture *p, const char *bytes, size_t n) {
    if (n) fprintf(p->t->out, ": %s", text_label(bytes, n, p->t->width / 2).utf8);
}

/* "rollout · completion token 3: ·sunny" */
static void print_heading(const picture *p) {
    FILE *out = p->t->out;
    size_t n = p->row_end - p->row_begin, first = hw_attribution_first_token(p->a) + p->row_begin;
    size_t index = first - first_selectable(p->run);
    const char *noun = hw_run_n_completion(p->run) ? "completion token" : "token";
    hw_token begin = hw_run_token(p->run, first), end = hw_run_token(p->run, first + n - 1);
    terminal_bold(p->t);
    fprintf(out, "%s · ", hw_attribution_method(p->a));
    if (n == 1) {
        fprintf(out, "%s %zu", noun, index);
        print_label(p, begin.bytes, begin.n_bytes);
    } else if (n == hw_attribution_n_rows(p->a)) {
        fprintf(out, "all %zu %ss, mean", n, noun);
    } else {
        fprintf(out, "%ss %zu to %zu, mean", noun, index, index + n - 1);
        if (begin.role == HW_ROLE_COMPLETION)
            print_label(p, hw_run_completion(p->run, NULL) + begin.begin, end.end - begin.begin);
    }
    terminal_plain(p->t);
    putc('\n', out);
}

static void print_layers(const picture *p) {
    const int32_t *layers = hw_attribution_layers(p->a);
    size_t n = hw_attribution_n_layers(p->a);
    if (layers[p->layer_begin] < 0) {
        fputs("mean of all layers", p->t->out);
    } else if (p->layer_end - p->layer_begin == 1) {
        fprintf(p->t->out, "layer %d of %d", layers[p->layer_begin] + 1, layers[n - 1] + 1);
    } else {
        fprintf(p->t->out, "layers %d-%d of %d", layers[p->layer_begin] + 1, layers[p->layer_end - 1] + 1,
                layers[n - 1] + 1);
    }
}

/* What a method's settings change in it; the line under the heading names only those. */
enum { USES_FUSE = 1, USES_RESIDUAL = 2, USES_DIRECTION = 4, USES_MEASURE = 8 };
static const struct {
    const char *method;
    unsigned uses;
} method_uses[] = {
    {"rollout", USES_FUSE | USES_RESIDUAL | USES_DIRECTION},
    {"uniform", USES_RESIDUAL | USES_DIRECTION},
    {"attention", USES_FUSE},
    {"contribution", USES_MEASURE},
};

static unsigned uses(const picture *p) {
    for (size_t i = 0; i < COUNT(method_uses); i++)
        if (strcmp(method_uses[i].method, hw_attribution_method(p->a)) == 0) return method_uses[i].uses;
    return 0;
}

static void print_settings(const picture *p) {
    const hw_method_params *m = hw_attribution_params(p->a);
    FILE *out = p->t->out;
    terminal_dim(p->t);
    fprintf(out, "row %s, ", hw_row_name(m->row));
    if (uses(p) & USES_FUSE) fprintf(out, "heads %s, ", hw_fuse_name(hw_run_fuse(p->run)));
    if (uses(p) & USES_RESIDUAL) fprintf(out, "residual %g, ", m->residual);
    if (uses(p) & USES_DIRECTION) fprintf(out, "direction %s, ", hw_direction_name(m->direction));
    if (uses(p) & USES_MEASURE) fprintf(out, "measure %s, ", hw_measure_name(m->measure));
    print_layers(p);
    if (m->columns != HW_COLUMNS_PROMPT) fprintf(out, ", columns %s", hw_columns_name(m->columns));
    terminal_plain(p->t);
    fputs("\n\n", out);
}

static void print_beyond(const picture *p) {
    enum { MOST = 3 };
    const float *scores = hw_view_scores(p->view);
    size_t n = 0;
    for (size_t k = 0; k < hw_view_n_columns(p->view) && n <= MOST; k++) {
        if (hw_view_is_hidden(p->view, k) || size_of(scores[k]) <= p->scale) continue;
        n++;
        if (n == 1) fputs("; beyond the scale: token", p->t->out);
        if (n <= MOST) fprintf(p->t->out, "%s %zu", n == 1 ? "" : ",", k);
    }
    if (n > MOST) fputs(" and others", p->t->out);
}

/* What full strength means: a strip of the colours, or the blocks that stand in for them. */
static void print_legend(const picture *p) {
    enum { CELLS = 16 };
    FILE *out = p->t->out;
    bool plain = p->t->depth == DEPTH_NONE;
    if (p->negative) fprintf(out, "\n  %.4g ", -p->scale);
    if (p->negative && plain) fputs("--------", out);
    for (int i = CELLS; p->negative && !plain && i > 0; i--) {
        terminal_shade(p->t, -(double)i / CELLS);
        putc(' ', out);
    }
    if (!p->negative) fputs("\n  0 ", out);
    for (int i = 1; i <= CELLS; i++) {
        double level = (double)i / CELLS;
        terminal_shade(p->t, level);
        if (!plain) {
            putc(' ', out);
        } else if (i % 2 == 0) {
            fputs(terminal_block(level), out);
        }
    }
    terminal_plain(p->t);
    fprintf(out, " %.4g", p->scale);
    print_beyond(p);
    fputs("\n\n", out);
}

/* ------------------------------------------------------------------ diagnostics */

static const struct diagnostic {
    const char *label;
    bool mass; /* else a correlation, with its sign */
    size_t mean, last; /* offsets of doubles in hw_diagnostics */
} diagnostics[] = {
    {"mass on token 0", true, offsetof(hw_diagnostics, first_mean), offsetof(hw_diagnostics, first_last)},
    {"correlation with position", false, offsetof(hw_diagnostics, position_mean),
     offsetof(hw_diagnostics, position_last)},
    {"mass outside the prompt", true, offsetof(hw_diagnostics, outside_mean), offsetof(hw_diagnostics, outside_last)},
};
enum { LABEL_WIDTH = 27 };

static bool is_composed(const picture *p) { return uses(p) & USES_DIRECTION; }
static bool is_layered(const picture *p) { return hw_attribution_n_layers(p->a) > 1; }

static void print_number(FILE *out, const struct diagnostic *d, double v) {
    if (v != v) { /* NaN: too few columns to tell */
        fputs("unknown", out);
    } else if (d->mass) {
        fprintf(out, "%.3f", v);
    } else {
        fprintf(out, "%+.2f", v);
    }
}

static void print_diagnostic(const picture *p, const struct diagnostic *d) {
    const char *values = (const char *)hw_attribution_diagnostics(p->a);
    double mean, last;
    memcpy(&mean, values + d->mean, sizeof mean);
    memcpy(&last, values + d->last, sizeof last);
    fprintf(p->t->out, "  %-*s", LABEL_WIDTH, d->label);
    print_number(p->t->out, d, mean);
    if (is_layered(p)) {
        fputs(" mean over layers, ", p->t->out);
        print_number(p->t->out, d, last);
        fputs(is_composed(p) ? " at full depth" : " in the last layer", p->t->out);
    }
    putc('\n', p->t->out);
}

/* Where the logits came from, mean over the selected rows. */
static void print_balance(const picture *p, const hw_balance *rows) {
    double n = (double)(p->row_end - p->row_begin);
    hw_balance b = {0};
    for (size_t i = p->row_begin; i < p->row_end; i++) {
        b.prompt += rows[i].prompt / n;
        b.completion += rows[i].completion / n;
        b.bias += rows[i].bias / n;
        b.mlp += rows[i].mlp / n;
        b.embedding += rows[i].embedding / n;
        b.logit += rows[i].logit / n;
    }
    fprintf(p->t->out, "  %-*s%.2f nats\n", LABEL_WIDTH, "logit above the mean logit", b.logit);
    fprintf(p->t->out, "  %-*sattention to the prompt %+.2f, to the completion %+.2f,\n", LABEL_WIDTH, "which is the sum of",
            b.prompt, b.completion);
    fprintf(p->t->out, "  %-*sMLPs %+.2f, the last token itself %+.2f, biases %+.2f\n", LABEL_WIDTH, "", b.mlp,
            b.embedding, b.bias);
}

static bool is_order(double correlation) { return size_of(correlation) >= 0.9; } /* false for NaN */

/* What the numbers mean for the reader, where they leave little of the explanation. */
static void print_warnings(const picture *p, const options *o) {
    const hw_diagnostics *d = hw_attribution_diagnostics(p->a);
    FILE *out = p->t->out;
    bool deep = is_layered(p) && is_composed(p);
    if (hw_attribution_n_columns(p->a) < 4) return; /* few tokens are ordered by chance */
    if (deep && d->first_last >= 0.9)
        fputs("  ! At full depth nearly all of the mass is on token 0: what is left says little there.\n", out);
    if (deep && is_order(d->position_last))
        fputs("  ! At full depth the ranking is almost only the order of the tokens, whatever they say.\n", out);
    if (is_order(d->position_mean))
        fputs("  ! The ranking shown is almost only the order of the tokens, whatever they say.\n", out);
    if (d->first_mean >= 0.5 && !o->hide) fputs("  Hide token 0 from the view with --hide first.\n", out);
}

static void print_hidden(const picture *p, const char *filters) {
    fprintf(p->t->out, "  %-*s%.3f by --hide ", LABEL_WIDTH, "mass hidden from this view",
            hw_view_hidden_mass(p->view));
    text_puts(p->t->out, filters);
    putc('\n', p->t->out);
}

/* What belongs to the selection: mass that the filter hides, or where the logits came from. */
static void print_selection(const picture *p, const options *o) {
    const hw_balance *balance = hw_attribution_balance(p->a);
    if (!balance && !o->hide) return;
    putc('\n', p->t->out);
    if (balance) {
        print_balance(p, balance);
    } else {
        print_hidden(p, o->hide);
    }
}

static void print_diagnostics(const picture *p, const options *o) {
    bool nats = hw_attribution_balance(p->a); /* logits are no mass */
    size_t n = hw_attribution_n_rows(p->a);
    putc('\n', p->t->out);
    terminal_dim(p->t);
    if (n == 1) {
        fputs("Over the one token explained:", p->t->out);
    } else {
        fprintf(p->t->out, "Over all %zu tokens explained:", n);
    }
    terminal_plain(p->t);
    putc('\n', p->t->out);
    for (size_t i = 0; i < COUNT(diagnostics); i++)
        if (!nats || !diagnostics[i].mass) print_diagnostic(p, &diagnostics[i]);
    if (!nats) print_warnings(p, o);
}

hw_err show_attribution(const terminal *t, const hw_attribution *a, const options *o, hw_error *err) {
    picture p;
    hw_err rc = picture_new(&p, t, a, o, err);
    if (rc != HW_OK) return rc;
    print_heading(&p);
    print_settings(&p);
    bool drawn = shade_print(&p);
    if (drawn) print_legend(&p);
    drawn = drawn && toplist_print(&p, (size_t)o->top);
    if (drawn) print_selection(&p, o);
    if (drawn) print_diagnostics(&p, o);
    hw_view_free(p.view);
    if (drawn) return HW_OK;
    *err = (hw_error){.code = HW_ERR_MEMORY, .msg = "no memory to draw the view"};
    return err->code;
}
