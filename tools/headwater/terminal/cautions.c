/*
 * cautions.c - the lines under a view that state in plain words and numbers how far it can be trusted.
 *
 * First what depends on the selection (hidden mass, where a logit came from), then diagnostics of the whole
 * attribution, and a warning if little of the explanation is left.
 */
#include "cli/safe_text.h"
#include "terminal/view_parts.h"

#include <math.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct diagnostic {
    const char *label, *grouped; /* label, and the label for grouped columns if it differs */
    bool mass;                   /* a share; else a correlation with a sign */
    size_t mean, last;           /* offsets of doubles in hw_diagnostics */
} diagnostics[] = {
    {"mass on token 0", "mass on token 0's segment", true, offsetof(hw_diagnostics, first_mean),
     offsetof(hw_diagnostics, first_last)},
    {"correlation with position", NULL, false, offsetof(hw_diagnostics, position_mean),
     offsetof(hw_diagnostics, position_last)},
    {"mass outside the prompt", NULL, true, offsetof(hw_diagnostics, outside_mean),
     offsetof(hw_diagnostics, outside_last)},
};
enum { LABEL_WIDTH = 27 };
static const double MIN_ROUNDING = 0.005; /* two digits show a difference of this many nats */

static bool is_composed(const picture *p) { return picture_traits(p) & HW_USES_DIRECTION; }
/* After following through the completion only the mean over layers is a share. */
static bool is_layered(const picture *p) {
    return hw_attribution_n_layers(p->a) > 1 && !hw_attribution_params(p->a).through;
}

static void print_number(FILE *out, const struct diagnostic *d, double v) {
    if (v != v) { /* NaN: too few columns */
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
    fprintf(p->t->out, "  %-*s", LABEL_WIDTH, picture_is_grouped(p) && d->grouped ? d->grouped : d->label);
    print_number(p->t->out, d, mean);
    if (is_layered(p)) {
        fputs(" mean over layers, ", p->t->out);
        print_number(p->t->out, d, last);
        fputs(is_composed(p) ? " at full depth" : " in the last layer", p->t->out);
    }
    putc('\n', p->t->out);
}

static bool all_close(const picture *p, const hw_balance *rows) {
    bool close = true;
    for (size_t i = p->row_begin; i < p->row_end; i++) close = close && hw_balance_closes(&rows[i]);
    return close;
}

/* The parts do not add up to the logit; names the row with the largest gap. */
static void print_open_balance(const picture *p, const hw_balance *rows) {
    size_t worst = p->row_begin;
    for (size_t i = p->row_begin; i < p->row_end; i++)
        if (!(fabs(hw_balance_rest(&rows[i])) <= fabs(hw_balance_rest(&rows[worst])))) worst = i;
    size_t token = hw_attribution_first_token(p->a) + worst - picture_first_selectable(p->run);
    fprintf(
        p->t->out,
        "  ! These parts do not add up to the logit: of token %zu's %+.2f nats they miss %+.2f, more than %g %% of\n"
        "    their sizes, which rounding explains. They are not the whole of where it came from.\n",
        token, rows[worst].logit, hw_balance_rest(&rows[worst]), 100 * HW_BALANCE_LIMIT);
}

/* Sources of the logits, mean over the selected rows. */
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
    bool to_token = picture_against_token(p);
    const char *above = to_token                  ? "logit above the other's"
                        : *hw_run_against(p->run) ? "logit above the expected" /* by the model's probabilities */
                                                  : "logit above the mean logit";
    fprintf(p->t->out, "  %-*s%.2f nats, all layers together", LABEL_WIDTH, above, b.logit);
    if (to_token) fprintf(p->t->out, "; the other: %s", picture_against(p, p->t->width / 3).utf8);
    putc('\n', p->t->out);
    const hw_model_info *model = hw_run_model(p->run);
    fprintf(p->t->out, "  %-*s%s to the prompt %+.2f, to the completion %+.2f,\n", LABEL_WIDTH, "which is the sum of",
            model->n_sources <= model->n_layers ? "attention"
            : model->n_layers > 0               ? "attention and recurrent layers"
                                                : "recurrent layers",
            b.prompt, b.completion);
    /* Recurrent layers that are not read count as the model's own part. */
    bool unread = model->n_layers < model->n_blocks && model->n_sources <= model->n_layers;
    fprintf(p->t->out, "  %-*s%s %+.2f, the last token's embedding %+.2f, biases %+.2f", LABEL_WIDTH, "",
            unread ? "MLPs and blocks without attention" : "MLPs", b.mlp, b.embedding, b.bias);
    double rest = hw_balance_rest(&b);
    bool closes = all_close(p, rows) && hw_balance_closes(&b);
    if (closes && fabs(rest) >= MIN_ROUNDING)
        fprintf(p->t->out, ",\n  %-*srounding of the engine's output product %+.2f", LABEL_WIDTH, "", rest);
    putc('\n', p->t->out);
    if (!closes) print_open_balance(p, rows);
}

/* A trace or result without contributions: the model's part of tokens on the way is divided as their other parts. */
static void print_not_gathered(const picture *p, const hw_through *rows) {
    bool known = !hw_attribution_balance(p->a); /* only logit has such a part */
    for (size_t i = p->row_begin; i < p->row_end && !known; i++) known = rows[i].gathered || rows[i].raised == 0;
    if (!known)
        fputs("  ! What the MLPs of earlier tokens had read is not kept here (contribution): their part is divided as\n"
              "    the direct parts of these tokens.\n",
              p->t->out);
}

/* Shares after following the completion's own tokens, mean over the selected rows. */
static void print_through(const picture *p, const hw_through *rows) {
    FILE *out = p->t->out;
    double n = (double)(p->row_end - p->row_begin), prompt = 0, model = 0, at_once = 0;
    size_t first = hw_attribution_first_token(p->a) - picture_first_selectable(p->run), empty = 0;
    for (size_t i = p->row_begin; i < p->row_end; i++) {
        prompt += 100 * rows[i].prompt / n;
        model += 100 * rows[i].model / n;
        at_once += 100 * (rows[i].prompt_direct + rows[i].model_direct) / n;
        empty += rows[i].raised == 0;
    }
    fprintf(out, "  %-*sprompt %.1f %%, the model itself %.1f %%;\n", LABEL_WIDTH, "followed to the end", prompt,
            model);
    fprintf(out, "  %-*s%.1f %% at once, %.1f %% through earlier tokens of the completion\n", LABEL_WIDTH, "", at_once,
            100 - at_once);
    double thinking = picture_through_thinking(p->a, p->row_begin, p->row_end);
    if (thinking >= 0.0005) fprintf(out, "  %-*s%.1f %% through its thinking\n", LABEL_WIDTH, "", 100 * thinking);
    if (at_once < 99.95) print_not_gathered(p, rows);
    for (size_t i = p->row_begin; i < p->row_end && empty; i++) {
        if (rows[i].raised > 0) continue;
        fprintf(out, "  ! Nothing raised the logit of completion token %zu%s: it counts as the model's own.\n",
                first + i, empty > 1 ? " and of others" : "");
        empty = 0;
    }
}

static bool is_order(double correlation) { return correlation >= 0.9 || correlation <= -0.9; } /* false for NaN */

/* Explains the diagnostics if they leave little of the explanation. */
static void print_warnings(const picture *p) {
    const hw_diagnostics *d = hw_attribution_diagnostics(p->a);
    FILE *out = p->t->out;
    bool deep = is_layered(p) && is_composed(p);
    if (hw_attribution_n_columns(p->a) < 4) return; /* the order of few tokens is random */
    bool grouped = picture_is_grouped(p);
    if (deep && d->first_last >= 0.9)
        fprintf(
            out,
            "  ! At full depth nearly all of the mass is on token 0%s: the rest carries little information there.\n",
            grouped ? "'s segment" : "");
    if (deep && is_order(d->position_last))
        fputs("  ! At full depth the ranking is almost only the order in the prompt, regardless of its content.\n",
              out);
    if (is_order(d->position_mean))
        fputs("  ! The ranking shown is almost only the order in the prompt, regardless of its content.\n", out);
    if (d->first_mean >= 0.5 && !p->select.hide && !grouped)
        fputs("  Hide token 0 from the view with --hide first.\n", out);
}

static bool hides_nothing(const picture *p) {
    for (size_t k = 0; k < hw_view_n_columns(p->view); k++)
        if (hw_view_is_hidden(p->view, k)) return false;
    return true;
}

static void print_hidden(const picture *p, const char *filters) {
    fprintf(p->t->out, "  %-*s%.3f by --hide ", LABEL_WIDTH, "hidden from this view", hw_view_hidden_mass(p->view));
    text_puts(p->t->out, filters);
    if (picture_is_grouped(p) && hides_nothing(p))
        fputs(": a segment is hidden where all of its tokens are, and none is", p->t->out);
    putc('\n', p->t->out);
}

/* Notes on the selection: sources of the logits, and what the filter hides. */
static void print_selection(const picture *p) {
    const hw_balance *balance = hw_attribution_balance(p->a);
    const hw_through *through = hw_attribution_through_rows(p->a);
    if (!balance && !through && !p->select.hide) return;
    putc('\n', p->t->out);
    if (balance) print_balance(p, balance);
    if (through) print_through(p, through);
    if (p->select.hide) print_hidden(p, p->select.hide);
}

/* What a method of attention weights cannot see of a model that has recurrent layers too. */
static void print_unseen(const picture *p) {
    const hw_method_info *method = hw_method_find(hw_attribution_method(p->a));
    double share = hw_run_recurrent_share(p->run);
    if (!method || method->rows == HW_ROWS_NONE || share != share) return;
    fprintf(
        p->t->out,
        "  ! Recurrent layers, which %s cannot see, gave %.0f %% of what layers that read other tokens added here;\n"
        "    contribution and logit read both kinds.\n",
        method->name, 100 * share);
}

void diagnose_print(const picture *p) {
    bool shares = picture_traits(p) & HW_GIVES_SHARES;
    size_t n = hw_attribution_n_rows(p->a);
    print_selection(p);
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
        if (shares || !diagnostics[i].mass) print_diagnostic(p, &diagnostics[i]);
    if (shares) print_warnings(p);
    print_unseen(p);
}
