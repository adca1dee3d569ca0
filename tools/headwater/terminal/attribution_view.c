/*
 * attribution_view.c - the terminal view of an attribution: headings and legend.
 *
 *     first_line.c: a summary in words
 *     method, which tokens            top_tokens.c: index: token  value  bar  profile over layers
 *     settings                        cautions.c: limits of the explanation
 *     shaded_prompt.c: the prompt
 */
#include "terminal/attribution_view.h"

#include "base/error.h"
#include "cli/safe_text.h"
#include "terminal/view_parts.h"

#include <string.h>

/* ------------------------------------------------------------------ headings */

void show_title(const terminal *t, const char *title) {
    terminal_bold(t);
    fputs(title, t->out);
    terminal_plain(t);
    putc('\n', t->out);
}

void show_token(const terminal *t, stream *text, const hw_token *token) {
    bool thinks = token->role == HW_ROLE_THINKING;
    if (thinks) terminal_dim(t);
    stream_write(text, token->bytes, token->n_bytes);
    if (thinks) terminal_plain(t);
}

void show_completion(const terminal *t, const hw_run *run) {
    size_t n;
    hw_run_completion(run, &n);
    if (!n) return; /* an import may have no token names */
    stream s = {.out = t->out};
    show_title(t, "Completion");
    for (size_t i = hw_run_n_prompt(run); i < hw_run_n_tokens(run); i++) {
        hw_token token = hw_run_token(run, i);
        show_token(t, &s, &token);
    }
    stream_end(&s);
}

void show_run(const terminal *t, const hw_run *run) {
    static const char *const stops[] = {[HW_STOP_LENGTH] = "stopped at the limit",
                                        [HW_STOP_END] = "ended by the model",
                                        [HW_STOP_GIVEN] = "given",
                                        [HW_STOP_CANCELLED] = "interrupted"};
    const hw_model_info *model = hw_run_model(run);
    size_t n = hw_run_n_completion(run);
    terminal_dim(t);
    if (n) {
        fprintf(t->out, "%zu token%s, %s, after a prompt of %zu", n, n == 1 ? "" : "s",
                stops[hw_run_finish_reason(run)], hw_run_n_prompt(run));
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

/* "completion token 3: ·sunny" */
static void print_rows(const picture *p, bool mean) {
    FILE *out = p->t->out;
    size_t n = p->row_end - p->row_begin, first = hw_attribution_first_token(p->a) + p->row_begin;
    size_t index = first - picture_first_selectable(p->run);
    const char *noun = hw_run_n_completion(p->run) ? "completion token" : "token";
    hw_token begin = hw_run_token(p->run, first), end = hw_run_token(p->run, first + n - 1);
    if (n == 1) {
        fprintf(out, "%s %zu", noun, index);
        if (begin.n_bytes) fprintf(out, ": %s", picture_token(p->run, first, p->t->width / 2).utf8);
    } else if (n == hw_attribution_n_rows(p->a)) {
        fprintf(out, "all %zu %ss%s", n, noun, mean ? ", mean" : "");
    } else {
        fprintf(out, "%ss %zu to %zu%s", noun, index, index + n - 1, mean ? ", mean" : "");
        const char *text = hw_run_completion(p->run, NULL) + begin.begin;
        if (first >= hw_run_n_prompt(p->run) && end.end > begin.begin)
            fprintf(out, ": %s", text_label(text, end.end - begin.begin, p->t->width / 2).utf8);
    }
}

void show_heading(const picture *p, bool mean) {
    fprintf(p->t->out, "%s · ", hw_attribution_method(p->a));
    print_rows(p, mean);
}

static void print_layers(const picture *p) {
    const int32_t *layers = hw_attribution_layers(p->a);
    size_t n = hw_attribution_n_layers(p->a);
    if (layers[p->layer_begin] < 0) {
        fputs("one value for all layers", p->t->out);
    } else if (p->layer_end - p->layer_begin == 1) {
        fprintf(p->t->out, "layer %d of %d", layers[p->layer_begin] + 1, layers[n - 1] + 1);
    } else {
        fprintf(p->t->out, "layers %d-%d of %d", layers[p->layer_begin] + 1, layers[p->layer_end - 1] + 1,
                layers[n - 1] + 1);
    }
}

static bool is_shown(const picture *p, const hw_setting_info *s) {
    const hw_method_params m = hw_attribution_params(p->a);
    if (!s->before) return false;
    if (s->shown == HW_SHOWN_ALWAYS) return true;
    if (s->uses && !(picture_traits(p) & s->uses)) return false;
    for (size_t i = 0; i < hw_setting_count(); i++) { /* an enum setting: its name replaces the number */
        const hw_setting_info *other = hw_setting_at(i);
        if (other->option_word && s->option && !s->option_word && strcmp(other->option, s->option) == 0 &&
            hw_setting_value(&m, other) != 0)
            return false;
    }
    return s->shown == HW_SHOWN_WHERE_USED || hw_setting_value(&m, s) != s->default_value;
}

/* Prints the settings that changed the numbers; rarely used ones only if they were set. */
void show_settings(const picture *p) {
    const hw_method_params m = hw_attribution_params(p->a);
    FILE *out = p->t->out;
    char text[64];
    for (size_t i = 0; i < hw_setting_count(); i++) {
        const hw_setting_info *s = hw_setting_at(i);
        if (is_shown(p, s))
            fprintf(out, "%s%s%s, ", s->before,
                    s->type == HW_SETTING_FLAG ? "" : hw_setting_text(text, sizeof text, &m, s), s->after);
        if (i == 0 && picture_traits(p) & HW_USES_FUSE) fprintf(out, "heads %s, ", hw_fuse_name(hw_run_fuse(p->run)));
    }
    if (picture_traits(p) & HW_USES_AGAINST && *hw_run_against(p->run))
        fprintf(out, "against %s, ", picture_against(p, p->t->width / 3).utf8);
    print_layers(p);
    if (p->select.lift) fputs(", lift over uniform", out);
}

/* Whether a column is shown and its value, of sign `sign`, is beyond full strength. */
static bool is_beyond(const picture *p, size_t column, int sign) {
    double level = hw_view_scores(p->view)[column] / p->scale;
    return !hw_view_is_hidden(p->view, column) && level * sign > 0 && terminal_is_beyond(level);
}

static bool any_beyond(const picture *p, int sign) {
    size_t n = hw_view_n_columns(p->view), k = 0;
    while (k < n && !is_beyond(p, k, sign)) k++;
    return k < n;
}

/* "; beyond the scale, marked ^: token 0 (0.8712), 7 (0.0880)" */
static void print_beyond(const picture *p) {
    enum { MAX_NAMED = 8 };
    const char *mark = p->t->depth == DEPTH_NONE ? "^" : "by a line";
    size_t n = 0;
    for (size_t k = 0; k < hw_view_n_columns(p->view); k++) {
        if (!is_beyond(p, k, 1) && !is_beyond(p, k, -1)) continue;
        n++;
        if (n == 1)
            fprintf(p->t->out, "; beyond the scale, marked %s: %s", mark, picture_is_grouped(p) ? "segment" : "token");
        if (n <= MAX_NAMED)
            fprintf(p->t->out, "%s %zu (%.4g)", n == 1 ? "" : ",", k, (double)hw_view_scores(p->view)[k]);
    }
    if (n > MAX_NAMED) fprintf(p->t->out, " and %zu more", n - MAX_NAMED);
}

/* Explains full strength: a strip of the colours, or the blocks used without colours. */
static void print_legend(const picture *p) {
    enum { CELLS = 16 };
    FILE *out = p->t->out;
    bool plain = p->t->depth == DEPTH_NONE;
    if (p->negative) fprintf(out, "\n  %s%.4g ", any_beyond(p, -1) ? "≤ " : "", -p->scale);
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
    fprintf(out, " %s%.4g", any_beyond(p, 1) ? "≥ " : "", p->scale);
    print_beyond(p);
    fputs("\n\n", out);
}

static void print_settings(const picture *p) {
    terminal_dim(p->t);
    show_settings(p);
    terminal_plain(p->t);
    fputs("\n\n", p->t->out);
}

static hw_err drawn_or_not(bool drawn, hw_error *err) {
    if (drawn) return HW_OK;
    return hw__fail(err, HW_ERR_MEMORY, "no memory to draw the view");
}

/* ------------------------------------------------------------------ part by part (--answer-by) */

/* Rows of a part: from its first token to its last. False if it has none. */
static bool select_part(picture *p, const hw_segments *parts, size_t part) {
    size_t n, end = 0;
    const int32_t *groups = hw_segments_groups(parts, &n);
    p->row_begin = n;
    for (size_t i = 0; i < n; i++) {
        if (groups[i] != (int32_t)part) continue;
        if (i < p->row_begin) p->row_begin = i;
        end = i + 1;
    }
    p->row_end = end;
    return end > 0;
}

/* The list of one part; `scale` is common to all parts, so that bars can be compared. */
static hw_err show_part(picture p, size_t n_top, double scale, hw_error *err) {
    hw_err rc = picture_fill(&p, err);
    if (rc != HW_OK) return rc;
    p.scale = scale;
    print_rows(&p, true);
    putc('\n', p.t->out);
    rc = drawn_or_not(toplist_print(&p, n_top), err);
    picture_free(&p);
    return rc;
}

/* The largest scale of all parts. */
static hw_err scale_of_parts(double *scale, picture p, const hw_segments *parts, hw_error *err) {
    hw_err rc = HW_OK;
    *scale = 0;
    for (size_t s = 0; s < hw_segments_count(parts) && rc == HW_OK; s++) {
        if (!select_part(&p, parts, s)) continue;
        rc = picture_fill(&p, err);
        if (rc == HW_OK && p.scale > *scale) *scale = p.scale;
        picture_free(&p);
        p.view = NULL;
    }
    return rc;
}

static hw_err show_parts(const picture *whole, const view_params *view, const hw_segments *parts, hw_error *err) {
    picture p = *whole;
    double scale;
    terminal_bold(p.t);
    fprintf(p.t->out, "%s · completion by ", hw_attribution_method(p.a));
    text_puts(p.t->out, view->answer_by);
    terminal_plain(p.t);
    putc('\n', p.t->out);
    print_settings(whole);
    hw_err rc = scale_of_parts(&scale, p, parts, err);
    for (size_t s = 0; s < hw_segments_count(parts) && rc == HW_OK; s++) {
        if (!select_part(&p, parts, s)) continue;
        if (s > 0) putc('\n', p.t->out);
        rc = show_part(p, view->n_top, scale, err);
    }
    return rc;
}

static hw_err refuse_parts(const picture *p, size_t n_tokens, hw_error *err) {
    *err = (hw_error){.code = HW_ERR_ARGUMENT};
    snprintf(err->msg, sizeof err->msg,
             "this result explains %zu of the completion's %zu tokens: its parts cannot be shown",
             hw_attribution_n_rows(p->a), n_tokens);
    return err->code;
}

static hw_err show_by_parts(const picture *p, const view_params *view, hw_error *err) {
    hw_segments *parts;
    size_t n;
    hw_err rc = hw_segments_new(&parts, p->run, HW_SIDE_COMPLETION, view->answer_by, err);
    if (rc != HW_OK) return rc;
    hw_segments_groups(parts, &n);
    rc = n == hw_attribution_n_rows(p->a) ? show_parts(p, view, parts, err) : refuse_parts(p, n, err);
    hw_segments_free(parts);
    return rc;
}

/* ------------------------------------------------------------------ a contrast with the chosen token */

/* Whether logits of row i are contrasted with the chosen token itself: its text without any difference. */
static bool is_own_contrast(const picture *p, size_t i) {
    const char *other = hw_run_against(p->run);
    if (*other == '=') other++;
    hw_token t = hw_run_token(p->run, hw_attribution_first_token(p->a) + i);
    return hw_attribution_balance(p->a)[i].logit == 0 && t.n_bytes == strlen(other) &&
           memcmp(t.bytes, other, t.n_bytes) == 0;
}

/* Warns about zeros that look like an explanation. */
static void print_own_contrasts(const picture *p) {
    enum { MAX_LISTED = 8 };
    FILE *out = p->t->out;
    size_t n = 0, first = hw_attribution_first_token(p->a) - picture_first_selectable(p->run);
    if (!picture_against_token(p) || !hw_attribution_balance(p->a)) return;
    for (size_t i = p->row_begin; i < p->row_end; i++) {
        if (!is_own_contrast(p, i)) continue;
        n++;
        if (n == 1)
            fputs("  ! The other token is the one that was chosen, so that every value is 0: completion token", out);
        if (n <= MAX_LISTED) fprintf(out, "%s %zu", n == 1 ? "" : ",", first + i);
    }
    if (n > MAX_LISTED) fprintf(out, " and %zu more", n - MAX_LISTED);
    if (n) fputs("\n", out);
}

/* ------------------------------------------------------------------ the view */

static hw_err show_tokens(const picture *p, size_t n_top, hw_error *err) {
    if (!first_line_print(p)) return drawn_or_not(false, err);
    terminal_bold(p->t);
    show_heading(p, true);
    terminal_plain(p->t);
    putc('\n', p->t->out);
    print_settings(p);
    bool drawn = shade_print(p);
    if (drawn) print_legend(p);
    return drawn_or_not(drawn && toplist_print(p, n_top), err);
}

hw_err show_attribution(const terminal *t, const hw_attribution *a, const view_params *view, hw_error *err) {
    picture p;
    hw_err rc = picture_new(&p, t, a, &view->select, err);
    if (rc != HW_OK) return rc;
    rc = view->answer_by ? show_by_parts(&p, view, err) : show_tokens(&p, view->n_top, err);
    if (rc == HW_OK) diagnose_print(&p);
    if (rc == HW_OK) print_own_contrasts(&p);
    picture_free(&p);
    return rc;
}
