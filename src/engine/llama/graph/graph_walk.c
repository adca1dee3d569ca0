/*
 * graph_walk.c - see graph_walk.h.
 *
 *     logits  <- factors, soft cap, bias <- W_out <- factors <- bias, gain, norm <- final stream
 *     stream  <- a sum of terms, each with a factor: found from the final stream backwards through additions, fixed
 *                factors and row selections. Terms are what blocks add; the rest of the graph lies between a sum and
 *                its terms
 *     term    <- bias, norm, gain, factor <- W_O <- gate, norm, gain <- decompression (MLA) <- values x weights
 *                                                                    <- D of the token itself <- a recurrent operation
 *
 * A block's input is the last sum on which its attention weights depend without another sum in between: this
 * distinguishes blocks with parallel attention and MLP from sequential ones.
 */
#include "engine/llama/graph/graph_walk.h"

#include "engine/llama/graph/stream_map.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = HW__NODE_NONE, SEVERAL = HW__NODE_SEVERAL };

typedef hw__node_mark mark;
typedef hw__walk walk;

bool hw__record_node(hw__record *r, struct ggml_tensor *t) {
    if (r->n == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct ggml_tensor **resized = hw__realloc(r->nodes, capacity, sizeof *resized);
        if (!resized) return false;
        r->nodes = resized;
        r->capacity = capacity;
    }
    r->nodes[r->n++] = t;
    return true;
}

void hw__record_free(hw__record *r) {
    free(r->nodes);
    *r = (hw__record){0};
}

/* ------------------------------------------------------------------ nodes */

static bool is_on_cpu(const struct ggml_tensor *weight) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(weight->buffer));
    return !device || ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

static bool is_scalar_weight(const struct ggml_tensor *t) {
    return hw__is_weight(t) && t->type == GGML_TYPE_F32 && ggml_nelements(t) == 1;
}

/* Fixed factor of a node that scales its source. */
static bool fixed_factor(const struct ggml_tensor *t, double *factor) {
    if (t->op == GGML_OP_SCALE && hw__node_param(t, 1) == 0) {
        *factor *= hw__node_param(t, 0);
        return true;
    }
    if (t->op != GGML_OP_MUL || !is_scalar_weight(t->src[1])) return false;
    float value;
    ggml_backend_tensor_get(t->src[1], &value, 0, sizeof value);
    *factor *= value;
    return true;
}

/* Whether a node has the numbers of src[0], all or some rows of them, in another layout. */
static bool same_numbers(const walk *w, const struct ggml_tensor *t) {
    switch (t->op) {
    case GGML_OP_RESHAPE:
    case GGML_OP_CONT:
    case GGML_OP_CPY:
    case GGML_OP_DUP: return true;
    case GGML_OP_VIEW: return ggml_nelements(t) == ggml_nelements(t->src[0]);
    case GGML_OP_GET_ROWS: return hw__node_number(w, t->src[0]) >= 0;
    default: return false;
    }
}

/* The product of a LoRA adapter, factor * B (A x), or NULL. */
static const struct ggml_tensor *lora_of(const struct ggml_tensor *t, const struct ggml_tensor *x) {
    const struct ggml_tensor *b = t && t->op == GGML_OP_SCALE ? t->src[0] : NULL;
    const struct ggml_tensor *a = b && b->op == GGML_OP_MUL_MAT ? b->src[1] : NULL;
    return a && a->op == GGML_OP_MUL_MAT && a->src[1] == x && a->src[0]->op == GGML_OP_NONE ? b : NULL;
}

/* The input of a product with its adapters; NULL if t is not such a product. */
static const struct ggml_tensor *product_input(const struct ggml_tensor *t) {
    while (t && (t->op == GGML_OP_ADD || (t->op == GGML_OP_MUL && is_scalar_weight(t->src[1])))) t = t->src[0];
    return t && t->op == GGML_OP_MUL_MAT ? t->src[1] : NULL;
}

static bool adds_lora(const struct ggml_tensor *t) {
    const struct ggml_tensor *x = t->op == GGML_OP_ADD ? product_input(t->src[0]) : NULL;
    return x && lora_of(t->src[1], x);
}

/* An addition of two computed tensors of the same shape. */
static bool is_sum(const walk *w, const struct ggml_tensor *t) {
    return t->op == GGML_OP_ADD && ggml_are_same_shape(t->src[0], t->src[1]) && hw__node_number(w, t->src[0]) >= 0 &&
           hw__node_number(w, t->src[1]) >= 0 && !adds_lora(t);
}

/* Finds attention by its weights' block, recurrent operations by their order. */
static void find_sources(walk *w) {
    const hw__llama_engine *e = w->e;
    size_t n_ops = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct ggml_tensor *t = w->nodes[i];
        int block = t->op == GGML_OP_SOFT_MAX ? hw__block_of(t->name, "kq_soft_max-") : -1;
        w->source_at[i] = block >= 0 && block < e->info.n_blocks ? e->source_of[block] : NONE;
        if (hw__is_recurrent_op(t) && n_ops < e->recurrent.n) w->source_at[i] = e->recurrent.source_of[n_ops++];
    }
}

static hw_err index_nodes(walk *w, hw_error *err) {
    size_t slots = 4096;
    while (slots < 2 * w->n) slots *= 2;
    w->mask = slots - 1;
    w->marks = hw__alloc(w->n, sizeof *w->marks);
    w->slots = hw__alloc(slots, sizeof *w->slots);
    w->source_at = hw__alloc(w->n, sizeof *w->source_at);
    if (!w->marks || !w->slots || !w->source_at)
        return hw__fail_memory(err, "the graph's nodes", slots, sizeof *w->marks);
    for (size_t i = 0; i < slots; i++) w->slots[i] = NONE;
    for (size_t i = 0; i < w->n; i++) w->slots[hw__node_slot(w, w->nodes[i])] = (int32_t)i;
    find_sources(w);
    return HW_OK;
}

/* ------------------------------------------------------------------ problems */

/* Only the first problem is kept: later ones may be its consequences. */
static void problem(char *to, const char *fmt, ...) HW_PRINTF(2, 3);
static void problem(char *to, const char *fmt, ...) {
    if (to[0]) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(to, HW__LLAMA_TEXT, fmt, args);
    va_end(args);
}

/* ------------------------------------------------------------------ from the logits back to the final stream */

/* Passes logits that the graph replaces in its last step, so that no token of an image is chosen. */
static const struct ggml_tensor *unmasked(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    const struct ggml_tensor *mask = t->op == GGML_OP_SET ? t->src[1] : NULL;
    if (!mask || mask->op != GGML_OP_CLAMP || mask->type != GGML_TYPE_F32 || t->src[0]->ne[0] != w->e->info.n_vocab)
        return t;
    int32_t offset;
    memcpy(&offset, (const char *)t->op_params + 3 * sizeof offset, sizeof offset);
    if (offset < 0 || offset % (int32_t)sizeof(float) || mask->ne[0] != ggml_nelements(mask) ||
        offset / (int64_t)sizeof(float) + mask->ne[0] > w->e->info.n_vocab)
        return t;
    r->mask_first = (size_t)offset / sizeof(float);
    r->n_masked = (size_t)mask->ne[0];
    return t->src[0];
}

/* logits <- post tanh(pre lin): collects the factors before and after a soft cap. */
static const struct ggml_tensor *output_product(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    while (t) {
        if (t->op == GGML_OP_MUL_MAT) return hw__is_weight(t->src[0]) ? t : NULL;
        if (adds_lora(t)) {
            problem(w->e->readout_problem, "an adapter changes the output weights");
            t = t->src[0];
            continue;
        }
        if (t->op == GGML_OP_UNARY && ggml_get_unary_op(t) == GGML_UNARY_OP_TANH && r->cap == 0 && !r->bias[0]) {
            r->cap = (float)r->scale;
        } else if (t->op == GGML_OP_ADD && hw__is_weight(t->src[1]) && !r->bias[0]) {
            snprintf(r->bias, sizeof r->bias, "%s", t->src[1]->name);
            r->bias_scale = r->scale;
        } else if (!fixed_factor(t, &r->scale) && !same_numbers(w, t)) {
            return NULL;
        }
        t = t->src[0];
    }
    return NULL;
}

/* The norm before the output product, with the nodes between; sets the final stream's node. */
static const struct ggml_tensor *final_norm(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    while (t) {
        bool norm = t->op == GGML_OP_RMS_NORM || t->op == GGML_OP_NORM;
        if (norm) {
            r->kind = t->op == GGML_OP_NORM ? HW__NORM_LAYER : HW__NORM_RMS;
            r->eps = hw__node_param(t, 0);
            return t->src[0];
        }
        if (t->op == GGML_OP_ADD && hw__is_weight(t->src[1]) && !r->norm[0] && !r->norm_bias[0]) {
            snprintf(r->norm_bias, sizeof r->norm_bias, "%s", t->src[1]->name);
            r->norm_bias_scale = r->scale;
        } else if (t->op == GGML_OP_MUL && hw__is_weight(t->src[1]) && ggml_nelements(t->src[1]) > 1 && !r->norm[0]) {
            snprintf(r->norm, sizeof r->norm, "%s", t->src[1]->name);
        } else if (!fixed_factor(t, &r->scale) && !same_numbers(w, t)) {
            return NULL;
        }
        t = t->src[0];
    }
    return NULL;
}

/* The final stream. With a map a norm may be one of its steps: what enters the output product is then the stream. */
static const struct ggml_tensor *final_stream(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    hw__readout_graph before = *r;
    const struct ggml_tensor *stream = final_norm(w, r, t);
    if (stream || !w->e->mapped) return stream;
    *r = before;
    r->kind = HW__NORM_NONE;
    return t;
}

static void walk_readout(walk *w) {
    hw__llama_engine *e = w->e;
    hw__readout_graph *r = &e->readout;
    const struct ggml_tensor *logits = NULL, *product, *stream;
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->nodes[i]->name, "result_output") == 0) logits = w->nodes[i];
    if (!logits && w->n && w->nodes[w->n - 1]->ne[0] == e->info.n_vocab) logits = w->nodes[w->n - 1]; /* PLaMo 3 */
    r->scale = 1;
    r->has_logits = logits != NULL;
    if (!logits) {
        problem(e->readout_problem, "the graph has no node for logits (result_output)");
    } else if (!(product = output_product(w, r, unmasked(w, r, logits)))) {
        problem(e->readout_problem,
                "what stands between the output weights and the logits is not linear but for a soft cap");
    } else if (!(stream = final_stream(w, r, product->src[1]))) {
        problem(e->readout_problem, "what stands between the final norm and the output weights is not linear");
    } else {
        w->final = hw__node_number(w, stream);
        snprintf(r->weight, sizeof r->weight, "%s", product->src[0]->name);
        r->type = product->src[0]->type;
        r->elsewhere = !is_on_cpu(product->src[0]);
        if (product->src[0]->ne[0] != e->info.n_embd || product->src[0]->ne[1] != e->info.n_vocab)
            problem(e->readout_problem, "the output weights are not [%d, %d]", e->info.n_vocab, e->info.n_embd);
    }
    if (!e->readout_problem[0] && w->final < 0) problem(e->readout_problem, "the final stream is not computed");
}

/* ------------------------------------------------------------------ from the final stream back to its terms */

static bool passes_sum(const walk *w, const struct ggml_tensor *t) {
    double factor = 1;
    int32_t from = hw__node_number(w, t->src[0]);
    return from >= 0 && w->marks[from].has_sum && (fixed_factor(t, &factor) || same_numbers(w, t));
}

static void mark_sums(walk *w) {
    for (size_t i = 0; i < w->n; i++) {
        w->marks[i] = (mark){.first = NONE, .last = NONE, .source = NONE};
        w->marks[i].has_sum = is_sum(w, w->nodes[i]) || passes_sum(w, w->nodes[i]);
    }
}

/* Backwards through sums; afterwards every node in the stream has its factor. */
static void mark_stream(walk *w) {
    w->marks[w->final].in_stream = true;
    w->marks[w->final].factor = 1;
    for (int32_t i = w->final; i >= 0; i--) {
        const struct ggml_tensor *t = w->nodes[i];
        const mark *m = &w->marks[i];
        double factor = m->factor;
        if (!m->in_stream || !m->has_sum) continue;
        bool sum = is_sum(w, t);
        if (!sum) fixed_factor(t, &factor);
        for (int s = 0; s <= (int)sum; s++) {
            mark *from = &w->marks[hw__node_number(w, t->src[s])];
            from->in_stream = true;
            from->factor += factor;
        }
    }
}

/* Forwards: the sums and sources on which a node depends without a sum in between. */
static void mark_dependencies(walk *w) {
    for (size_t i = 0; i < w->n; i++) {
        const struct ggml_tensor *t = w->nodes[i];
        mark *m = &w->marks[i];
        for (int s = 0; s < GGML_MAX_SRC && t->src[s]; s++) {
            int32_t j = hw__node_number(w, t->src[s]);
            if (j < 0) continue;
            const mark *from = &w->marks[j];
            int32_t first = from->in_stream ? j : from->first, last = from->in_stream ? j : from->last;
            if (first >= 0 && (m->first < 0 || first < m->first)) m->first = first;
            if (last > m->last) m->last = last;
            if (from->in_stream || from->source == NONE) continue;
            m->source = m->source == NONE || m->source == from->source ? from->source : SEVERAL;
        }
        if (w->source_at[i] >= 0) m->source = w->source_at[i];
    }
}

/* What each node in the stream contains, and which are added as a whole: the sources' branches, and everything else as
 * far up as it contains neither the embedding nor a source. */
static void mark_terms(walk *w) {
    for (int32_t i = 0; i <= w->final; i++) {
        mark *m = &w->marks[i];
        if (!m->in_stream) continue;
        if (!m->has_sum) {
            m->embedding = m->first == NONE;
            m->mixed = m->source != NONE;
            continue;
        }
        for (int s = 0; s <= (int)is_sum(w, w->nodes[i]); s++) {
            const mark *from = &w->marks[hw__node_number(w, w->nodes[i]->src[s])];
            m->embedding = m->embedding || from->embedding;
            m->mixed = m->mixed || from->mixed;
        }
    }
    bool *open = hw__alloc(w->n, sizeof *open);
    w->e->no_memory = w->e->no_memory || !open;
    if (!open) return;
    open[w->final] = true;
    for (int32_t i = w->final; i >= 0; i--) {
        mark *m = &w->marks[i];
        if (!open[i]) continue;
        m->term = !m->has_sum || (!m->embedding && !m->mixed);
        for (int s = 0; !m->term && s <= (int)is_sum(w, w->nodes[i]); s++)
            open[hw__node_number(w, w->nodes[i]->src[s])] = true;
    }
    free(open);
}

/* The input of the first block: the first sum on which any term depends. */
static void find_origin(walk *w) {
    for (int32_t i = 0; i <= w->final; i++) {
        const mark *m = &w->marks[i];
        if (m->term && m->first >= 0 && (w->origin < 0 || m->first < w->origin)) w->origin = m->first;
    }
    if (w->origin >= 0) w->e->readout.origin_factor = w->marks[w->origin].factor;
}

/* ------------------------------------------------------------------ from what attention adds back to its weights */

/* A branch while it is followed from the stream downwards. */
typedef struct branch {
    const walk *w;
    hw__layer_graph *g;
    int32_t source;
    const struct ggml_tensor *op;                 /* operation of a recurrent layer; NULL: attention */
    const struct ggml_tensor *gate, *sub, *mixed; /* nodes whose rows are needed */
    double scale;
    bool below; /* below W_O */
    const char *problem;
} branch;

static bool depends(const branch *b, const struct ggml_tensor *t) {
    int32_t i = hw__node_number(b->w, t);
    return i >= 0 && !b->w->marks[i].in_stream && b->w->marks[i].source == b->source;
}

static const struct ggml_tensor *refuse(branch *b, const char *why) {
    b->problem = why;
    return NULL;
}

static const struct ggml_tensor *follow_norm(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    if (b->below) {
        if (g->decompress[0]) return refuse(b, "a norm of latent values");
        if (t->op != GGML_OP_RMS_NORM || b->sub) return refuse(b, "a norm of heads that is not one RMS norm");
        g->sub_eps = hw__node_param(t, 0);
        g->n_sub = t->ne[0];
        b->sub = t->src[0];
    } else {
        if (t->op != GGML_OP_RMS_NORM || g->kind != HW__NORM_NONE)
            return refuse(b, "a norm after the output projection that is not one RMS norm");
        g->kind = HW__NORM_RMS;
        g->eps = hw__node_param(t, 0);
        b->mixed = t->src[0];
    }
    return t->src[0];
}

/* silu(gate) x */
static const struct ggml_tensor *follow_glu(branch *b, const struct ggml_tensor *t) {
    if (!b->below || b->gate || ggml_get_glu_op(t) != GGML_GLU_OP_SWIGLU || !t->src[1] || depends(b, t->src[0]))
        return refuse(b, "a gate that is not one SwiGLU");
    b->gate = t->src[0];
    b->g->gate_is_silu = true;
    return t->src[1];
}

/* Whether two tensors are the same numbers in the same memory. */
static bool same_place(const struct ggml_tensor *a, const struct ggml_tensor *b) {
    const struct ggml_tensor *root_a = a->view_src ? a->view_src : a, *root_b = b->view_src ? b->view_src : b;
    return root_a == root_b && a->view_offs == b->view_offs && ggml_nelements(a) == ggml_nelements(b);
}

/* The weight [H, S] in RWKV 7's bonus v sum(k r weight); NULL: t is not that. */
static const struct ggml_tensor *bonus_weight(const struct ggml_tensor *op, const struct ggml_tensor *t) {
    while (t->op == GGML_OP_RESHAPE) t = t->src[0];
    const struct ggml_tensor *sum = t->op == GGML_OP_MUL && same_place(t->src[0], op->src[3]) ? t->src[1] : NULL;
    const struct ggml_tensor *all = sum && sum->op == GGML_OP_SUM_ROWS ? sum->src[0] : NULL;
    const struct ggml_tensor *met = all && all->op == GGML_OP_MUL ? all->src[0] : NULL;
    if (!met || met->op != GGML_OP_MUL || !same_place(met->src[0], op->src[2]) || !same_place(met->src[1], op->src[0]))
        return NULL;
    const struct ggml_tensor *weight = all->src[1]->view_src ? all->src[1]->view_src : all->src[1];
    bool fits = weight->op == GGML_OP_NONE && hw__is_weight(weight) && weight->type == GGML_TYPE_F32;
    return fits && ggml_nelements(weight) == op->src[2]->ne[0] * op->src[2]->ne[1] ? weight : NULL;
}

/* The contribution of a token to its own row in a state space model: D x. */
static bool adds_own(const branch *b, const struct ggml_tensor *t) {
    const struct ggml_tensor *own = t->src[1];
    return b->op && b->op->op == GGML_OP_SSM_SCAN && b->below && !b->g->own && own->op == GGML_OP_MUL &&
           hw__is_weight(own->src[1]) && own->src[1]->type == GGML_TYPE_F32 &&
           ggml_nelements(own->src[1]) == b->op->src[1]->ne[1] && same_place(own->src[0], b->op->src[1]);
}

static const struct ggml_tensor *follow_factor(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    if (fixed_factor(t, &b->scale)) return t->src[0];
    if (g->decompress[0]) return refuse(b, "a gate of latent values");
    if (hw__is_weight(t->src[1])) {
        char *gain = b->below ? g->sub_gain : g->gain;
        if (gain[0]) return refuse(b, "two gains one after the other");
        if (b->below) g->n_sub_gain = ggml_nelements(t->src[1]);
        if (!b->below && g->kind != HW__NORM_NONE) return refuse(b, "a gain before the norm");
        snprintf(gain, GGML_MAX_NAME, "%s", t->src[1]->name);
        return t->src[0];
    }
    bool first = depends(b, t->src[0]);
    if (first && depends(b, t->src[1])) return refuse(b, "a product of attention with itself");
    if (!b->below) return refuse(b, "a gate after the output projection");
    if (b->gate) return refuse(b, "two gates");
    b->gate = t->src[first ? 1 : 0];
    return t->src[first ? 0 : 1];
}

static const struct ggml_tensor *follow_add(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    if (adds_lora(t)) {
        const struct ggml_tensor *product = t->src[1]->src[0];
        if (b->below || g->n_lora == HW__MAX_LORA) return refuse(b, "an adapter in an unexpected place");
        g->lora[g->n_lora++] = (hw__lora){product->src[1]->src[0], product->src[0], hw__node_param(t->src[1], 0)};
        return t->src[0];
    }
    if (adds_own(b, t)) {
        g->own = t->src[1]->src[1];
        return t->src[0];
    }
    bool may_add = b->op && b->op->op == GGML_OP_RWKV_WKV7 && b->below && !g->own && !b->sub;
    if (may_add && (g->own = bonus_weight(b->op, t->src[1]))) return t->src[0];
    if (!hw__is_weight(t->src[1])) return refuse(b, "an addition of something else");
    if (b->below || g->bias[0]) return refuse(b, "more than one bias");
    if (g->kind == HW__NORM_NONE && g->gain[0]) return refuse(b, "a bias before the gain");
    snprintf(g->bias, sizeof g->bias, "%s", t->src[1]->name);
    g->bias_after_norm = g->kind == HW__NORM_NONE;
    g->bias_scale = (float)b->scale;
    return t->src[0];
}

static const struct ggml_tensor *follow_product(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    const struct ggml_tensor *weight = t->src[0];
    if (!hw__is_weight(weight)) return refuse(b, "a product of two computed tensors");
    if (!b->below) {
        b->below = true;
        g->wo_type = weight->type;
        g->wo_width = weight->ne[0];
        if (weight->ne[1] != b->w->e->info.n_embd || weight->ne[2] != 1)
            return refuse(b, "an output projection of another shape");
        snprintf(g->wo, sizeof g->wo, "%s", weight->name);
    } else {
        if (g->decompress[0]) return refuse(b, "a second projection");
        g->decompressed = weight->ne[1];
        snprintf(g->decompress, sizeof g->decompress, "%s", weight->name);
    }
    return t->src[1];
}

static const struct ggml_tensor *follow(branch *b, const struct ggml_tensor *t) {
    if (same_numbers(b->w, t)) return t->src[0];
    switch (t->op) {
    case GGML_OP_PERMUTE: return b->below ? t->src[0] : refuse(b, "a permutation");
    case GGML_OP_SCALE:
    case GGML_OP_MUL: return follow_factor(b, t);
    case GGML_OP_ADD: return follow_add(b, t);
    case GGML_OP_RMS_NORM:
    case GGML_OP_NORM: return follow_norm(b, t);
    case GGML_OP_MUL_MAT: return follow_product(b, t);
    case GGML_OP_GLU: return follow_glu(b, t);
    default: return refuse(b, ggml_op_desc(t));
    }
}

/* Whether t multiplies values by this source's attention weights, or is the output of its recurrent operation without
 * the state. */
static bool is_weighted_sum(const branch *b, const struct ggml_tensor *t) {
    const walk *w = b->w;
    const struct ggml_tensor *of = t->op == GGML_OP_VIEW && t->view_offs == 0 ? t->src[0] : t;
    if (b->op) return of == b->op && (t == of || ggml_is_contiguous(t));
    int32_t i = t->op == GGML_OP_MUL_MAT ? hw__node_number(w, t->src[1]) : NONE;
    return i >= 0 && w->source_at[i] == b->source;
}

static void follow_branch(branch *b, const struct ggml_tensor *t) {
    while (t && !is_weighted_sum(b, t)) t = follow(b, t);
    b->g->scale = (float)b->scale;
    if (t && !b->below) b->problem = "no output projection";
}

/* ------------------------------------------------------------------ taps */

static int by_name(const void *a, const void *b) {
    return strcmp((*(struct ggml_tensor *const *)a)->name, (*(struct ggml_tensor *const *)b)->name);
}

static hw_err find_anchors(walk *w, hw_error *err) {
    struct ggml_tensor **sorted = hw__alloc(w->n, sizeof *sorted);
    w->anchors = hw__alloc(w->n, sizeof *w->anchors);
    if (!sorted || !w->anchors) {
        free(sorted);
        return hw__fail_memory(err, "names of nodes", w->n, sizeof *sorted);
    }
    memcpy(sorted, w->nodes, w->n * sizeof *sorted);
    qsort(sorted, w->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < w->n; i++) {
        const char *name = sorted[i]->name;
        bool once = (i == 0 || strcmp(sorted[i - 1]->name, name) != 0) &&
                    (i + 1 == w->n || strcmp(sorted[i + 1]->name, name) != 0);
        if (once && name[0] && !strpbrk(name, "(#") && hw__block_of(name, "node_") < 0)
            w->anchors[hw__node_number(w, sorted[i])] = true;
    }
    free(sorted);
    return HW_OK;
}

static hw_err add_tap(walk *w, const struct ggml_tensor *node, hw__role role, int32_t source, hw_error *err) {
    hw__llama_engine *e = w->e;
    int32_t i = hw__node_number(w, node);
    hw__tap tap = {.number = i, .role = role, .source = source, .factor = w->marks[i].factor};
    bool wide = role == HW__TAP_GATE || role == HW__TAP_SUB;
    size_t anchor = (size_t)i;
    tap.width = wide ? ggml_nelements(node) / (int64_t)e->n_rows : node->ne[0];
    while (anchor > 0 && !w->anchors[anchor]) anchor--;
    snprintf(tap.anchor, sizeof tap.anchor, "%s", w->nodes[anchor]->name);
    tap.offset = (size_t)i - anchor;
    tap.op = node->op;
    if (node->type != GGML_TYPE_F32 || !ggml_is_contiguous(node) || node->ne[3] != 1 || tap.width < 1 ||
        (!wide && (tap.width != e->info.n_embd || node->ne[2] != 1)))
        problem(e->values_problem, "node %s is not F32 [tokens, %d]", node->name, e->info.n_embd);
    if (e->n_taps == e->taps_capacity) {
        size_t capacity = e->taps_capacity ? 2 * e->taps_capacity : 256;
        hw__tap *resized = hw__realloc(e->taps, capacity, sizeof *resized);
        if (!resized) return hw__fail_memory(err, "taps", capacity, sizeof *resized);
        e->taps = resized;
        e->taps_capacity = capacity;
    }
    e->taps[e->n_taps++] = tap;
    return HW_OK;
}

static int by_number(const void *a, const void *b) {
    const hw__tap *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : (x->role > y->role) - (x->role < y->role);
}

/* ------------------------------------------------------------------ sources */

/* The only term of a source, or NONE with the reason. */
static int32_t term_of(const walk *w, int32_t source, const char **why) {
    int32_t found = NONE;
    *why = "does not reach the stream by additions alone";
    for (int32_t i = 0; i <= w->final; i++) {
        if (!w->marks[i].term || w->marks[i].source != source) continue;
        if (found >= 0) {
            *why = "reaches the stream in two places";
            return NONE;
        }
        found = i;
    }
    return found;
}

/* The node of a source's attention weights, or of its operation. */
static int32_t node_of(const walk *w, int32_t source) {
    for (size_t i = 0; i < w->n; i++)
        if (w->source_at[i] == source) return (int32_t)i;
    return NONE;
}

/* An independent node of which t is another view. */
static const struct ggml_tensor *unshaped(const struct ggml_tensor *t) {
    while (t->op == GGML_OP_RESHAPE) t = t->src[0];
    return t;
}

/* The gate may be some channels of a larger product. */
static hw_err tap_gate(walk *w, const branch *b, hw_error *err) {
    const struct ggml_tensor *gate = unshaped(b->gate);
    size_t n = w->e->n_rows;
    b->g->gate_width = (size_t)ggml_nelements(gate) / n;
    if (gate->op == GGML_OP_VIEW && !ggml_is_contiguous(gate)) {
        const struct ggml_tensor *root = gate->view_src;
        size_t row = ggml_nbytes(root) / n;
        bool rows = gate->ne[0] == (int64_t)b->g->gate_width && gate->nb[0] == sizeof(float) && gate->nb[1] == row;
        if (!rows || hw__node_number(w, root) < 0 || gate->view_offs % sizeof(float))
            return hw__fail(err, HW_ERR_UNSUPPORTED, "its gate is not some channels of each token");
        b->g->gate_offset = (int64_t)(gate->view_offs / sizeof(float));
        gate = root;
    }
    return add_tap(w, gate, HW__TAP_GATE, b->source, err);
}

static hw_err tap_source(walk *w, const branch *b, int32_t input, int32_t term, hw_error *err) {
    hw_err rc = add_tap(w, w->nodes[input], HW__TAP_BEFORE, b->source, err);
    if (rc == HW_OK && b->gate) rc = tap_gate(w, b, err);
    if (rc == HW_OK && b->sub && !b->g->sub_is_output) rc = add_tap(w, unshaped(b->sub), HW__TAP_SUB, b->source, err);
    if (rc == HW_OK && b->mixed) rc = add_tap(w, b->mixed, HW__TAP_MIXED, b->source, err);
    return rc == HW_OK ? add_tap(w, w->nodes[term], HW__TAP_ADDED, b->source, err) : rc;
}

/* Where a source is in the graph: its weights or operation, its block's input, its contribution. */
typedef struct source_place {
    int32_t node, input, term;
    const char *why; /* it has no term */
} source_place;

static hw_err follow_source(walk *w, int32_t source, const source_place *at, hw_error *err) {
    hw__llama_engine *e = w->e;
    const hw_source *of = &e->sources[source];
    hw__layer_graph *g = &e->graphs[source];
    char *lacks = of->layer < 0 ? e->recurrent_problem : e->values_problem;
    const char *name = hw_source_kind_name(of->kind);
    if (at->term < 0 || at->input < 0 || w->marks[at->input].factor == 0) {
        problem(lacks, "block %d: %s %s", of->block, name, at->term < 0 ? at->why : "depends on no residual stream");
        return HW_OK;
    }
    g->n_heads = of->layer < 0 ? 0 : (int32_t)w->nodes[at->node]->ne[2];
    branch b = {.w = w, .g = g, .source = source, .scale = 1, .op = of->layer < 0 ? w->nodes[at->node] : NULL};
    follow_branch(&b, w->nodes[at->term]);
    if (b.problem) {
        problem(lacks, "block %d: between %s and the stream stands %s", of->block, name, b.problem);
        return HW_OK;
    }
    g->stream_factor = w->marks[at->input].factor;
    g->relative = (float)(w->marks[at->term].factor / w->marks[at->input].factor);
    g->gated = b.gate != NULL;
    g->normed_heads = b.sub != NULL;
    g->sub_is_output = b.op && b.sub && is_weighted_sum(&b, b.sub);
    return tap_source(w, &b, at->input, at->term, err);
}

static hw_err walk_source(walk *w, int32_t source, hw_error *err) {
    source_place at = {.node = node_of(w, source)};
    at.term = term_of(w, source, &at.why);
    at.input = at.node >= 0 ? w->marks[at.node].last : NONE;
    return follow_source(w, source, &at, err);
}

/* The remaining additions; only the proof uses them. Embeddings that are part of the origin are not terms of their
 * own. */
static hw_err walk_rest(walk *w, hw_error *err) {
    hw_err rc = HW_OK;
    for (int32_t i = w->origin + 1; rc == HW_OK && i <= w->final; i++)
        if (w->marks[i].term && w->marks[i].source < 0) rc = add_tap(w, w->nodes[i], HW__TAP_REST, NONE, err);
    return rc;
}

static hw_err walk_stream(walk *w, hw_error *err) {
    hw__llama_engine *e = w->e;
    mark_sums(w);
    mark_stream(w);
    mark_dependencies(w);
    mark_terms(w);
    find_origin(w);
    if (w->origin < 0) {
        problem(e->values_problem, "the final stream is not the sum of the outputs of the blocks");
        return HW_OK;
    }
    hw_err rc = find_anchors(w, err);
    if (rc == HW_OK) rc = add_tap(w, w->nodes[w->origin], HW__TAP_ORIGIN, NONE, err);
    for (int32_t s = 0; rc == HW_OK && s < e->info.n_sources; s++) rc = walk_source(w, s, err);
    if (rc == HW_OK) rc = walk_rest(w, err);
    return rc == HW_OK ? add_tap(w, w->nodes[w->final], HW__TAP_FINAL, NONE, err) : rc;
}

/* ------------------------------------------------------------------ a stream that is mixed */

/* The stream before norm, gain and square weights. */
static int32_t before_norm(const walk *w, int32_t i) {
    while (i >= 0) {
        const struct ggml_tensor *t = w->nodes[i];
        bool norm = t->op == GGML_OP_RMS_NORM || t->op == GGML_OP_NORM;
        bool shift = (t->op == GGML_OP_MUL || t->op == GGML_OP_ADD) && hw__is_weight(t->src[1]);
        bool product = t->op == GGML_OP_MUL_MAT && hw__is_weight(t->src[0]);
        if (!norm && !shift && !product && !same_numbers(w, t)) break;
        int32_t from = hw__node_number(w, t->src[product ? 1 : 0]);
        if (from < 0) break;
        i = from;
    }
    return i;
}

/* What a contribution is added to: the other operand of the sum that it enters. If it enters none, the input of its
 * block. */
static int32_t mapped_input(const walk *w, int32_t node, int32_t term) {
    int32_t at = term;
    for (int32_t i = term + 1; i <= w->final; i++) {
        const struct ggml_tensor *t = w->nodes[i];
        bool first = hw__node_number(w, t->src[0]) == at, second = hw__node_number(w, t->src[1]) == at;
        if (!first && !second) continue;
        if (is_sum(w, t)) return hw__node_number(w, t->src[first ? 1 : 0]);
        if (!first || !same_numbers(w, t)) break;
        at = i;
    }
    return before_norm(w, w->marks[node].last);
}

static hw_err walk_mapped_source(walk *w, int32_t source, int32_t term, hw_error *err) {
    source_place at = {.node = node_of(w, source), .term = term, .why = "has no output weights", .input = NONE};
    if (at.node >= 0 && term >= 0) at.input = mapped_input(w, at.node, term);
    if (at.input >= 0) w->marks[at.input].factor = w->marks[term].factor = 1;
    return follow_source(w, source, &at, err);
}

static hw_err walk_mapped(walk *w, hw_error *err) {
    hw__llama_engine *e = w->e;
    int32_t *terms = hw__alloc((size_t)e->info.n_sources + 1, sizeof *terms);
    if (!terms || !hw__stream_map_mark(w, terms)) {
        free(terms);
        return hw__fail_memory(err, "the graph's nodes", w->n, sizeof *w->marks);
    }
    hw_err rc = find_anchors(w, err);
    if (rc == HW_OK) rc = hw__stream_map_new(w, terms, err);
    for (int32_t s = 0; rc == HW_OK && s < e->info.n_sources; s++) rc = walk_mapped_source(w, s, terms[s], err);
    if (rc == HW_OK && w->origin >= 0) rc = add_tap(w, w->nodes[w->origin], HW__TAP_ORIGIN, NONE, err);
    if (rc == HW_OK) rc = add_tap(w, w->nodes[w->final], HW__TAP_FINAL, NONE, err);
    e->readout.origin_factor = 1;
    free(terms);
    return rc;
}

/* Sorts the taps, and marks the last one of each source. */
static void order_taps(hw__llama_engine *e) {
    qsort(e->taps, e->n_taps, sizeof *e->taps, by_number);
    for (int32_t s = 0; s < e->info.n_sources; s++) {
        hw__tap *last = NULL;
        for (size_t i = 0; i < e->n_taps; i++)
            if (e->taps[i].source == s) last = &e->taps[i];
        if (last) last->completes = true;
    }
}

hw_err hw__graph_walk(hw__llama_engine *e, hw_error *err) {
    walk w = {.e = e, .nodes = e->record.nodes, .n = e->record.n, .final = NONE, .origin = NONE};
    if (w.n > INT32_MAX / 4) return hw__fail(err, HW_ERR_UNSUPPORTED, "a graph of %zu nodes", w.n);
    hw_err rc = index_nodes(&w, err);
    if (rc == HW_OK) walk_readout(&w);
    if (rc == HW_OK && w.final >= 0) rc = e->mapped ? walk_mapped(&w, err) : walk_stream(&w, err);
    if (rc == HW_OK) order_taps(e);
    if (w.final < 0) problem(e->values_problem, "the final stream was not found: %s", e->readout_problem);
    free(w.marks);
    free(w.slots);
    free(w.source_at);
    free(w.anchors);
    return rc;
}
