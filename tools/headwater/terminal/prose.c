/* prose.c - wraps lines between words, and formats percentages without rounding to 0 or 100 %. */
#include "terminal/prose.h"

#include "cli/safe_text.h"

#include <stdio.h>

percent text_percent(double share) {
    percent p;
    if (share > 0 && share < 0.01) {
        snprintf(p.text, sizeof p.text, "<1 %%");
    } else if (share < 1 && share >= 0.995) {
        snprintf(p.text, sizeof p.text, ">99 %%");
    } else {
        snprintf(p.text, sizeof p.text, "%.0f %%", 100 * share);
    }
    return p;
}

void prose_print(const terminal *t, const char *text, void (*style)(const terminal *t)) {
    enum { WIDEST = 96 };
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = text_line(text, t->width < WIDEST ? t->width : WIDEST);
        style(t);
        fwrite(text, 1, n, t->out);
        terminal_plain(t);
        putc('\n', t->out);
    }
}
