/*
 * citations_view.c - prints an answer with its citations.
 *
 *     Answer                                     the text, with [n] after each part that has marks
 *     Mostly from Report (62 %); ...             the sources of the whole answer
 *     [1] name   share of the answer             marked passages, strongest first:
 *         how it begins
 *           share  part of the answer  peak      the parts for which it is cited
 *     the others, in one line; what a mark means
 */
#include "cli/safe_text.h"
#include "export/cite.h"
#include "picture/selection.h"
#include "terminal/attribution_view.h"
#include "terminal/prose.h"

#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ------------------------------------------------------------------ pieces */

/* What a peak is, by the rule's name. */
static const struct wording {
    const char *rule, *before, *after; /* the number is printed between `before` and `after`, then the token */
    double factor;
    int decimals;
    const char *unit;
} wordings[] = {
    {"share", "peak ", " % of ", 100, 0, " %"},
    {"ratio", "peak ", " x the median, at ", 1, 1, " x the median"},
    {"fall", "", " nats less without it, most at ", 1, 1, " nats"},
    {"weight", "a weight of ", " nats, most at ", 1, 1, " nats"},
};

typedef struct phrase {
    char text[1024];
} phrase;

static const struct wording *wording_of(const hw_citation_rule *rule) {
    size_t i = 0;
    while (i + 1 < COUNT(wordings) && strcmp(wordings[i].rule, rule->name) != 0) i++;
    return &wordings[i];
}

static phrase peak_of(const cite_facts *f, const hw_citation_link *link) {
    enum { TOKEN_WIDTH = 16 };
    const struct wording *w = wording_of(hw_citation_rule_used(f->citation));
    phrase p;
    snprintf(p.text, sizeof p.text, "%s%.*f%s%s", w->before, w->decimals, w->factor * link->peak, w->after,
             picture_token(f->run, hw_run_n_prompt(f->run) + link->peak_token, TOKEN_WIDTH).utf8);
    return p;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* The beginning of a range: one line of at most `width` columns, without the white space around it. */
static label excerpt(const char *text, size_t begin, size_t end, int width) {
    while (begin < end && is_space(text[begin])) begin++;
    size_t n = 0;
    while (begin + n < end && text[begin + n] != '\n' && text[begin + n] != '\r') n++;
    while (n && is_space(text[begin + n - 1])) n--;
    return text_label(text + begin, n, width);
}

/* A passage without the "NAME: " before it in a prompt. */
static label passage_excerpt(const cite_facts *f, size_t passage, int width) {
    const hw_span *s = hw_segments_at(f->passages, passage);
    const char *text = hw_run_prompt(f->run, NULL);
    size_t begin = s->begin, n = s->name ? strlen(s->name) : 0;
    bool named = n && s->end - begin > n + 1 && memcmp(text + begin, s->name, n) == 0 && text[begin + n] == ':';
    return excerpt(text, named ? begin + n + 1 : begin, s->end, width);
}

static label passage_label(const cite_facts *f, size_t passage, int width) {
    const char *name = hw_segments_at(f->passages, passage)->name;
    return name && *name ? text_label(name, strlen(name), width) : passage_excerpt(f, passage, width);
}

/* ------------------------------------------------------------------ the answer */

static void print_marks(const terminal *t, const cite_facts *f, size_t part) {
    size_t n_marked;
    const size_t *order = hw_citation_order(f->citation, &n_marked);
    bool any = false;
    for (size_t i = 0; i < n_marked; i++) {
        if (!hw_citation_at(f->citation, part, order[i]).marked) continue;
        if (!any) putc(' ', t->out);
        if (!any) terminal_bold(t);
        fprintf(t->out, "[%zu]", i + 1);
        any = true;
    }
    if (any) terminal_plain(t);
}

static void print_answer(const terminal *t, const cite_facts *f) {
    size_t n, at = 0;
    const char *text = hw_run_completion(f->run, &n);
    show_title(t, "Answer");
    for (size_t s = 0; s < hw_segments_count(f->answer); s++) {
        const hw_span *span = hw_segments_at(f->answer, s);
        size_t end = span->end;
        while (end > span->begin && is_space(text[end - 1])) end--;
        text_print(t->out, text + at, end - at, true);
        print_marks(t, f, s);
        at = end;
    }
    while (n > at && is_space(text[n - 1])) n--; /* without blank lines at the end */
    text_print(t->out, text + at, n - at, true);
    putc('\n', t->out);
}

/* ------------------------------------------------------------------ where it came from at all */

static double share_of_passages(const cite_facts *f) {
    double sum = 0;
    size_t whole = hw_citation_n_parts(f->citation);
    for (size_t p = 0; p < hw_citation_n_passages(f->citation); p++) sum += hw_citation_at(f->citation, whole, p).share;
    return sum;
}

/* The first passages by descending share of the whole answer that the first sentence names. */
enum { MAX_NAMED = 3 };
static const double MIN_NAMED = 0.05;

static size_t named_passages(size_t *out, const cite_facts *f) {
    size_t n = 0, whole = hw_citation_n_parts(f->citation);
    for (size_t p = 0; p < hw_citation_n_passages(f->citation); p++) {
        double share = hw_citation_at(f->citation, whole, p).share;
        size_t at = n < MAX_NAMED ? n : MAX_NAMED;
        if (share < MIN_NAMED) continue;
        for (; at > 0 && hw_citation_at(f->citation, whole, out[at - 1]).share < share; at--)
            if (at < MAX_NAMED) out[at] = out[at - 1];
        if (at < MAX_NAMED) out[at] = p;
        n += n < MAX_NAMED;
    }
    return n;
}

static void append(phrase *p, const char *text) {
    size_t n = strlen(p->text);
    snprintf(p->text + n, sizeof p->text - n, "%s", text);
}

/* "Mostly from Report (62 %) and Notes (20 %)" */
static phrase headline_of(const cite_facts *f) {
    enum { NAME_WIDTH = 32 };
    size_t named[MAX_NAMED], n = named_passages(named, f), whole = hw_citation_n_parts(f->citation);
    double sum = 0;
    phrase p, one;
    for (size_t i = 0; i < n; i++) sum += hw_citation_at(f->citation, whole, named[i]).share;
    snprintf(p.text, sizeof p.text, n == 0 ? "Hardly from the passages (%s)" : "%s",
             n == 0       ? text_percent(share_of_passages(f)).text
             : sum >= 0.5 ? "Mostly from "
                          : "From ");
    for (size_t i = 0; i < n; i++) {
        snprintf(one.text, sizeof one.text, "%s%s (%s)",
                 i == 0      ? ""
                 : i + 1 < n ? ", "
                             : " and ",
                 passage_label(f, named[i], NAME_WIDTH).utf8,
                 text_percent(hw_citation_at(f->citation, whole, named[i]).share).text);
        append(&p, one.text);
    }
    return p;
}

/* "; 4 % the rest of the prompt, 11 % the model itself." */
static void append_elsewhere(phrase *p, const hw_citation_elsewhere *e) {
    const struct {
        double share;
        const char *what;
    } parts[] = {{e->model, "the model itself"}, {e->answer, "the answer so far"}, {e->rest, "the rest of the prompt"}};
    bool any = false;
    for (size_t i = 0; i < COUNT(parts); i++) {
        phrase one;
        if (parts[i].share < 0.005) continue;
        snprintf(one.text, sizeof one.text, "%s%s %s", any ? ", " : "; ", text_percent(parts[i].share).text,
                 parts[i].what);
        append(p, one.text);
        any = true;
    }
    append(p, ".");
}

/* Whether the parts of a token's logit differ from it by more than rounding. */
static bool has_open_balance(const hw_attribution *a) {
    const hw_balance *rows = hw_attribution_balance(a);
    size_t i = 0, n = rows ? hw_attribution_n_rows(a) : 0;
    while (i < n && hw_balance_closes(&rows[i])) i++;
    return i < n;
}

static phrase sources_of(const cite_facts *f) {
    hw_citation_elsewhere e = hw_citation_from_elsewhere(f->citation, hw_citation_n_parts(f->citation));
    const char *method = hw_attribution_method(f->a);
    phrase p = headline_of(f), more;
    if (hw_attribution_balance(f->a)) {
        append_elsewhere(&p, &e);
    } else if (e.rest > 0 || e.model > 0) {
        snprintf(more.text, sizeof more.text,
                 "; %s the rest, in which %s does not tell the rest of the prompt%s the model apart.",
                 text_percent(e.rest + e.model).text, method,
                 hw_attribution_through_rows(f->a) ? " and" : ", the answer so far and");
        append(&p, more.text);
    } else {
        snprintf(more.text, sizeof more.text, "; how much came from elsewhere is not known by %s.", method);
        append(&p, more.text);
    }
    if (e.through >= 0.005) {
        double thinking = picture_through_thinking(f->a, 0, hw_attribution_n_rows(f->a));
        snprintf(more.text, sizeof more.text, " %s of all came through earlier words of the answer",
                 text_percent(e.through).text);
        append(&p, more.text);
        if (thinking >= 0.005)
            snprintf(more.text, sizeof more.text, ", %s through its thinking", text_percent(thinking).text);
        append(&p, thinking >= 0.005 ? more.text : "");
        append(&p, ".");
    }
    return p;
}

static void print_sources(const terminal *t, const cite_facts *f) {
    putc('\n', t->out);
    prose_print(t, sources_of(f).text, terminal_bold);
    if (has_open_balance(f->a))
        prose_print(t,
                    "! The parts of a logit do not add up to it here, by more than rounding explains: the shares are "
                    "not the whole of where the answer came from.",
                    terminal_bold);
}

/* ------------------------------------------------------------------ passages */

enum { SHARE_WIDTH = 11, GAP = 3, MIN_TEXT = 24 };

static label part_label(const cite_facts *f, size_t part, int width) {
    const hw_span *span = hw_segments_at(f->answer, part);
    return excerpt(hw_run_completion(f->run, NULL), span->begin, span->end, width);
}

/* Columns for the text of the parts for which a passage is cited; 0: not enough space beside the peaks. */
static int part_width(const terminal *t, const cite_facts *f, size_t passage) {
    int widest = 0, capacity = t->width;
    for (size_t s = 0; s < hw_citation_n_parts(f->citation); s++) {
        hw_citation_link link = hw_citation_at(f->citation, s, passage);
        if (!link.marked) continue;
        /* bytes, at least as many as columns */
        int left = t->width - SHARE_WIDTH - 2 - GAP - (int)strlen(peak_of(f, &link).text);
        int width = part_label(f, s, t->width).width;
        if (left < capacity) capacity = left;
        if (width > widest) widest = width;
    }
    return capacity < MIN_TEXT ? 0 : capacity < widest ? capacity : widest;
}

/* "       31 %  It is in the blue cup.   peak 52 % of ·blue" */
static void print_part(const terminal *t, const cite_facts *f, size_t part, size_t passage, int width) {
    hw_citation_link link = hw_citation_at(f->citation, part, passage);
    label text = part_label(f, part, width ? width : t->width - SHARE_WIDTH - 3);
    fprintf(t->out, "%*s  %s", SHARE_WIDTH, text_percent(link.share).text, text.utf8);
    if (width) {
        fprintf(t->out, "%*s", width - text.width + GAP, "");
        terminal_dim(t);
        fputs(peak_of(f, &link).text, t->out);
        terminal_plain(t);
    }
    putc('\n', t->out);
}

/* ", 6.2 nats less without it" */
static void print_fall(const terminal *t, const cite_facts *f, size_t passage) {
    size_t other, whole = hw_citation_n_parts(f->citation);
    if (!f->confirmation || !hw_confirmation_measured(f->confirmation, passage)) return;
    double fall = hw_confirmation_drop(f->confirmation, whole, passage);
    if (hw_confirmation_stand_in(f->confirmation, passage, &other)) {
        fprintf(t->out, ", %.1f nats less without it and %s, which has the same content", 2 * fall,
                passage_label(f, other, t->width / 3).utf8);
    } else {
        fprintf(t->out, ", %.1f nats %s without it", fall < 0 ? -fall : fall, fall < 0 ? "more" : "less");
    }
}

static void print_passage(const terminal *t, const cite_facts *f, size_t number, size_t passage) {
    enum { SUFFIX_WIDTH = 22 }; /* "  100 % of the answer" */
    size_t whole = hw_citation_n_parts(f->citation);
    const char *name = hw_segments_at(f->passages, passage)->name;
    char head[32];
    int n = snprintf(head, sizeof head, "[%zu] ", number), capacity = t->width - n - SUFFIX_WIDTH;
    percent share = text_percent(hw_citation_at(f->citation, whole, passage).share);
    putc('\n', t->out);
    terminal_bold(t);
    fprintf(t->out, "%s%s", head, passage_label(f, passage, capacity > 8 ? capacity : 8).utf8);
    terminal_plain(t);
    fprintf(t->out, "  %s of the answer", share.text);
    print_fall(t, f, passage);
    putc('\n', t->out);
    if (name && *name) fprintf(t->out, "%*s%s\n", n, "", passage_excerpt(f, passage, t->width - n - 1).utf8);
    int width = part_width(t, f, passage);
    for (size_t s = 0; s < whole; s++)
        if (hw_citation_at(f->citation, s, passage).marked) print_part(t, f, s, passage, width);
}

/* Prints the passages without a mark, strongest first. */
static void print_others(const terminal *t, const cite_facts *f, const size_t *order, size_t n) {
    size_t whole = hw_citation_n_parts(f->citation);
    double sum = 0, max = n ? hw_citation_at(f->citation, whole, order[0]).share : 0;
    for (size_t i = 0; i < n; i++) sum += hw_citation_at(f->citation, whole, order[i]).share;
    if (!n) return;
    phrase p, together = {""}, name = {""};
    if (n > 1 && sum > 0)
        snprintf(together.text, sizeof together.text, " together, at most %s", text_percent(max).text);
    if (n == 1 || sum > 0)
        snprintf(name.text, sizeof name.text, " (%s)", passage_label(f, order[0], t->width / 3).utf8);
    snprintf(p.text, sizeof p.text, "%zu passage%s without a mark: %s of the answer%s%s", n, n == 1 ? "" : "s",
             text_percent(sum).text, together.text, name.text);
    putc('\n', t->out);
    prose_print(t, p.text, terminal_plain);
}

/* " has 67 % and Diary 33 %": named passages with a main share. */
static phrase main_shares(const cite_facts *f, const size_t *named, size_t n, int width) {
    size_t whole = hw_citation_n_parts(f->citation), n_main = 0;
    phrase p = {""}, one;
    while (n_main < n && hw_citation_main_share(f->citation, whole, named[n_main]) > 0) n_main++;
    for (size_t i = 0; i < n_main; i++) {
        snprintf(one.text, sizeof one.text, "%s%s%s %s",
                 i == 0           ? ""
                 : i + 1 < n_main ? ", "
                                  : " and ",
                 passage_label(f, named[i], width).utf8, i ? "" : " has",
                 text_percent(hw_citation_main_share(f->citation, whole, named[i])).text);
        append(&p, one.text);
    }
    return p;
}

/* Prints "Without the 9 passages that have less than a fifth of the highest share (24 % of the answer, spread thinly),
 * Notes has 100 % of what came from passages." */
static void print_main(const terminal *t, const cite_facts *f) {
    size_t whole = hw_citation_n_parts(f->citation), n_thin = 0, named[MAX_NAMED], n = named_passages(named, f);
    double thin = 0;
    phrase p;
    for (size_t k = 0; k < hw_citation_n_passages(f->citation); k++) {
        hw_citation_link link = hw_citation_at(f->citation, whole, k);
        if (link.share <= 0 || hw_citation_main_share(f->citation, whole, k) > 0) continue;
        if (link.marked) return; /* a source of few words is not spread thinly */
        thin += link.share;
        n_thin++;
    }
    if (n_thin < 2 || thin < MIN_NAMED || n == 0) return;
    snprintf(p.text, sizeof p.text,
             "Without the %zu passages that have less than a fifth of the highest share (%s of the answer, spread "
             "thinly), ",
             n_thin, text_percent(thin).text);
    append(&p, main_shares(f, named, n, t->width / 3).text);
    append(&p, " of what came from passages.");
    prose_print(t, p.text, terminal_plain);
}

/* Prints the passage that came nearest to a mark. */
static void print_none(const terminal *t, const cite_facts *f, const size_t *order) {
    size_t whole = hw_citation_n_parts(f->citation), best = order[0];
    for (size_t i = 1; i < hw_citation_n_passages(f->citation); i++)
        if (hw_citation_at(f->citation, whole, order[i]).peak > hw_citation_at(f->citation, whole, best).peak)
            best = order[i];
    hw_citation_link link = hw_citation_at(f->citation, whole, best);
    phrase p, nearest = {""};
    if (link.peak > 0)
        snprintf(nearest.text, sizeof nearest.text, " Nearest to a mark: %s, %s",
                 passage_label(f, best, t->width / 3).utf8, peak_of(f, &link).text);
    snprintf(p.text, sizeof p.text, "No passage stands out, so none is cited.%s", nearest.text);
    putc('\n', t->out);
    prose_print(t, p.text, terminal_plain);
}

static void print_legend(const terminal *t, const cite_facts *f) {
    const hw_citation_rule *rule = hw_citation_rule_used(f->citation);
    const struct wording *w = wording_of(rule);
    phrase p;
    snprintf(p.text, sizeof p.text, "Shares are of %s. A mark needs a peak of %g%s: %s.", rule->shares,
             w->factor * hw_citation_min_peak(f->citation), w->unit, rule->peak);
    if (f->confirmation) {
        size_t n = strlen(p.text);
        snprintf(p.text + n, sizeof p.text - n,
                 " Passages that were left out have marks where a part loses %g nats or more without them.",
                 HW_CONFIRMED_FALL);
    }
    putc('\n', t->out);
    prose_print(t, p.text, terminal_dim);
}

void cite_print(const terminal *t, const cite_facts *f) {
    size_t n_marked;
    const size_t *order = hw_citation_order(f->citation, &n_marked);
    print_answer(t, f);
    show_run(t, f->run);
    print_sources(t, f);
    if (!n_marked) print_none(t, f, order);
    for (size_t i = 0; i < n_marked; i++) print_passage(t, f, i + 1, order[i]);
    if (n_marked) print_others(t, f, order + n_marked, hw_citation_n_passages(f->citation) - n_marked);
    if (n_marked) print_main(t, f);
    print_legend(t, f);
}
