/* additive.c - a fake model whose answer depends on its prompt by addition. */
#include "support/additive.h"

#include <math.h>
#include <string.h>

static double logit_of(const additive *a, size_t i, const char *present) {
    double logit = a->base[i];
    for (size_t c = 0; a->chars[c]; c++)
        if (strchr(present, a->chars[c])) logit += a->effect[i][c];
    return logit;
}

/* The characters of ids before the completion's, which are 'X', 'Y', 'Z'. */
static void read_prompt(char *present, const int32_t *ids, size_t n) {
    size_t at = 0;
    for (size_t t = 0; t < n && at < 63; t++)
        if (ids[t] < 256 && !(ids[t] >= 'X' && ids[t] < 'X' + ADDITIVE_TOKENS)) present[at++] = (char)ids[t];
    present[at] = 0;
}

void additive_logits(const void *ctx, float *out, const int32_t *ids, size_t n) {
    const additive *a = ctx;
    char present[64];
    int32_t last = ids[n - 1];
    size_t i = last >= 'X' && last < 'X' + ADDITIVE_TOKENS - 1 ? (size_t)(last - 'X') + 1 : 0;
    for (size_t v = 0; v < fake_n_vocab(); v++) out[v] = -INFINITY;
    read_prompt(present, ids, n);
    out['.'] = 0;
    if (!a->never || strchr(present, a->chars[0])) out['X' + i] = (float)logit_of(a, i, present);
}

double additive_logprob(const additive *a, size_t i, const char *present) {
    return -log1p(exp(-logit_of(a, i, present)));
}

fake_params additive_params(const additive *a) {
    fake_params p = fake_params_default();
    p.adds_bos = false;
    p.logits = additive_logits;
    p.ctx = a;
    return p;
}
