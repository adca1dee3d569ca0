/*
 * stream_mark.c - which nodes of a graph of one token carry the stream: see stream_map.h.
 *
 * Forwards from the embeddings: a node carries the stream if it is linear in a node that does. A source's contribution
 * carries it too: the product with its output weights, and the norm, gain and bias that follow.
 */
#include "engine/llama/graph/stream_map.h"

#include <stdlib.h>

typedef struct marking {
    hw__walk *w;
    int32_t *terms;   /* [n_sources] */
    int32_t *uses;    /* [n] number of nodes that read a node */
    int32_t *term_of; /* [n] source whose contribution the node is, so far, or NONE */
} marking;

static bool carries(const hw__walk *w, const struct ggml_tensor *t) {
    int32_t i = hw__node_number(w, t);
    return i >= 0 && w->marks[i].in_stream;
}

/* A product of streams with weights if these are square, one matrix for each of several streams: those of a block are
 * two-dimensional. */
static bool product_carries(const hw__walk *w, const struct ggml_tensor *t) {
    const struct ggml_tensor *weights = t->src[0];
    bool first = carries(w, weights), second = carries(w, t->src[1]);
    if (!hw__is_weight(weights)) return first != second;
    return second && weights->ne[0] == w->e->info.n_embd && weights->ne[1] == weights->ne[0] && weights->ne[2] > 1;
}

/* Whether a node is linear in operands that carry the stream, all other operands being factors or contributions. */
static bool is_linear(const hw__walk *w, const struct ggml_tensor *t) {
    bool first = t->src[0] && carries(w, t->src[0]), second = t->src[1] && carries(w, t->src[1]);
    if (t->type != GGML_TYPE_F32) return false;
    switch (t->op) {
    case GGML_OP_GET_ROWS: return first || (hw__is_weight(t->src[0]) && ggml_nelements(t) == w->e->info.n_embd);
    case GGML_OP_SCALE: return first && hw__node_param(t, 1) == 0;
    case GGML_OP_DUP:
    case GGML_OP_CPY:
    case GGML_OP_CONT:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE:
    case GGML_OP_REPEAT:
    case GGML_OP_NORM:
    case GGML_OP_RMS_NORM: return first;
    case GGML_OP_ADD:
    case GGML_OP_SUB:
    case GGML_OP_CONCAT:
    case GGML_OP_DSV4_HC_POST: return first || second;
    case GGML_OP_MUL: return first != second;
    case GGML_OP_DIV:
    case GGML_OP_DSV4_HC_PRE: return first && !second;
    case GGML_OP_MUL_MAT: return product_carries(w, t);
    default: return false;
    }
}

/* The sums and sources on which a node depends without a carrier of the stream in between. */
static void mark_dependencies(hw__walk *w, size_t i) {
    const struct ggml_tensor *t = w->nodes[i];
    hw__node_mark *m = &w->marks[i];
    for (int s = 0; s < GGML_MAX_SRC && t->src[s]; s++) {
        int32_t j = hw__node_number(w, t->src[s]);
        if (j < 0) continue;
        const hw__node_mark *from = &w->marks[j];
        int32_t last = from->in_stream ? j : from->last;
        if (last > m->last) m->last = last;
        if (from->in_stream || from->source == HW__NODE_NONE) continue;
        m->source = m->source == HW__NODE_NONE || m->source == from->source ? from->source : HW__NODE_SEVERAL;
    }
    if (w->source_at[i] >= 0) m->source = w->source_at[i];
}

/* Whether a node is a product with weights whose result is as wide as the stream. */
static bool is_wide_product(const hw__walk *w, const struct ggml_tensor *t) {
    return t->op == GGML_OP_MUL_MAT && hw__is_weight(t->src[0]) && t->src[0]->ne[2] == 1 &&
           t->ne[0] == w->e->info.n_embd && ggml_nelements(t) == w->e->info.n_embd;
}

/* Whether a node is only permuted and gated before another such product: then it decompresses values. */
static bool is_projected_again(const marking *k, size_t i) {
    const hw__walk *w = k->w;
    size_t at = i;
    for (size_t j = i + 1; j < w->n && k->uses[at] == 1; j++) {
        const struct ggml_tensor *t = w->nodes[j];
        bool second = hw__node_number(w, t->src[1]) == (int32_t)at;
        if (!second && hw__node_number(w, t->src[0]) != (int32_t)at) continue;
        if (second && is_wide_product(w, t)) return true;
        if (t->op != GGML_OP_RESHAPE && t->op != GGML_OP_CONT && t->op != GGML_OP_PERMUTE && t->op != GGML_OP_MUL)
            return false;
        at = j;
    }
    return false;
}

/* Whether a node is the product of a source's output with its output weights. */
static bool is_output(const marking *k, size_t i) {
    int32_t source = k->w->marks[i].source;
    return source >= 0 && k->terms[source] < 0 && is_wide_product(k->w, k->w->nodes[i]) && !is_projected_again(k, i);
}

/* The contribution that a node only normalises, scales or shifts by weights, or NONE. */
static int32_t continued_term(const marking *k, const struct ggml_tensor *t) {
    int32_t from = t->src[0] ? hw__node_number(k->w, t->src[0]) : HW__NODE_NONE;
    if (from < 0 || k->term_of[from] < 0 || k->uses[from] != 1) return HW__NODE_NONE;
    switch (t->op) {
    case GGML_OP_RMS_NORM:
    case GGML_OP_NORM:
    case GGML_OP_RESHAPE:
    case GGML_OP_CONT:
    case GGML_OP_SCALE: return k->term_of[from];
    case GGML_OP_ADD:
    case GGML_OP_MUL: return hw__is_weight(t->src[1]) ? k->term_of[from] : HW__NODE_NONE;
    default: return HW__NODE_NONE;
    }
}

static void mark_node(marking *k, size_t i) {
    hw__walk *w = k->w;
    const struct ggml_tensor *t = w->nodes[i];
    hw__node_mark *m = &w->marks[i];
    *m = (hw__node_mark){.first = HW__NODE_NONE, .last = HW__NODE_NONE, .source = HW__NODE_NONE};
    mark_dependencies(w, i);
    k->term_of[i] = continued_term(k, t);
    m->in_stream = is_linear(w, t);
    if (!m->in_stream && is_output(k, i)) {
        m->in_stream = true;
        k->term_of[i] = m->source;
    }
    if (k->term_of[i] >= 0) k->terms[k->term_of[i]] = (int32_t)i;
}

bool hw__stream_map_mark(hw__walk *w, int32_t *terms) {
    size_t n = w->n ? w->n : 1;
    marking k = {w, terms, hw__alloc(n, sizeof *k.uses), hw__alloc(n, sizeof *k.term_of)};
    for (int32_t s = 0; s < w->e->info.n_sources; s++) terms[s] = HW__NODE_NONE;
    if (k.uses && k.term_of) {
        for (size_t i = 0; i < w->n; i++)
            for (int s = 0; s < GGML_MAX_SRC && w->nodes[i]->src[s]; s++) {
                int32_t j = hw__node_number(w, w->nodes[i]->src[s]);
                if (j >= 0 && (size_t)j != i) k.uses[j]++; /* the second operand of a copy is the copy itself */
            }
        for (size_t i = 0; i < w->n; i++) mark_node(&k, i);
        for (int32_t s = 0; s < w->e->info.n_sources; s++)
            if (terms[s] >= 0) w->marks[terms[s]].source = s;
    }
    bool ok = k.uses && k.term_of;
    free(k.uses);
    free(k.term_of);
    return ok;
}
