/*
 * graph_walk.c - see graph_walk.h.
 *
 *     logits  <- factors, soft cap, bias <- W_out <- factors <- bias, gain, norm <- final stream
 *     stream  <- a sum of terms, each with a factor: found from the final stream back through additions, fixed factors and
 *                the picking of rows. Terms are what blocks add; the rest of the graph lies between a sum and its terms
 *     term    <- bias, norm, gain, factor <- W_O <- gate, norm, gain <- decompression (MLA) <- values x attention weights
 *
 * A block's input is the last sum that its attention weights depend on without another in between: so blocks whose attention
 * and MLP run side by side are told apart from those where one follows the other.
 */
#include "engine/llama/graph_walk.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, SEVERAL = -2 };

/* What the walk knows about one node. */
typedef struct mark {
    double factor; /* what a row counts for in the final stream */
    int32_t first; /* the first and the last sum that it depends on with no other in between, or NONE */
    int32_t last;
    int32_t block;  /* block of the attention weights that it depends on with no sum in between, NONE or SEVERAL */
    bool has_sum;   /* it is a sum of the stream's kind, or picks rows or scales one */
    bool in_stream; /* on the way through sums to the final stream */
    bool embedding; /* in_stream, and holds a term that depends on no sum: the embedding */
    bool attention; /* in_stream, and holds attention */
    bool term;      /* in_stream, and added as a whole */
} mark;

typedef struct walk {
    hw__llama_engine *e;
    struct ggml_tensor **nodes; /* [n] */
    mark *marks;                /* [n] */
    int32_t *slots;             /* [mask + 1] numbers of nodes by address, NONE where empty */
    bool *anchors;              /* [n] nodes with a name that a later graph of the model has too, and only once */
    size_t n, mask;
    int32_t final, origin; /* numbers of the final stream and of what enters the first block, or NONE */
} walk;

bool hw__record_node(hw__record *r, struct ggml_tensor *t) {
    if (r->n == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct ggml_tensor **grown = hw__realloc(r->nodes, capacity, sizeof *grown);
        if (!grown) return false;
        r->nodes = grown;
        r->capacity = capacity;
    }
    r->nodes[r->n++] = t;
    return true;
}

void hw__record_free(hw__record *r) {
    free(r->nodes);
    *r = (hw__record){0};
}

int hw__block_of(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0) return -1;
    const char *digits = name + n;
    if (!isdigit((unsigned char)*digits)) return -1;
    char *end;
    long block = strtol(digits, &end, 10);
    return *end == 0 && block < INT32_MAX ? (int)block : -1;
}

/* ------------------------------------------------------------------ nodes */

static size_t slot_of(const walk *w, const struct ggml_tensor *t) {
    size_t slot = ((uintptr_t)t >> 4) * 0x9E3779B97F4A7C15u >> 20 & w->mask;
    while (w->slots[slot] >= 0 && w->nodes[w->slots[slot]] != t) slot = (slot + 1) & w->mask;
    return slot;
}

/* What another device computed arrives as a copy without an operation, called DEVICE#NAME#NUMBER. */
static int32_t copied_from(const walk *w, const struct ggml_tensor *t) {
    const char *begin = strchr(t->name, '#'), *end = strrchr(t->name, '#');
    if (!begin || end <= begin + 1) return NONE;
    size_t n = (size_t)(end - begin - 1);
    for (size_t i = w->n; i-- > 0;)
        if (strlen(w->nodes[i]->name) == n && memcmp(w->nodes[i]->name, begin + 1, n) == 0) return (int32_t)i;
    return NONE;
}

/* A tensor's number, or NONE for what is not computed: weights, inputs, the cache. */
static int32_t number_of(const walk *w, const struct ggml_tensor *t) {
    if (!t) return NONE;
    int32_t i = w->slots[slot_of(w, t)];
    return i < 0 && t->op == GGML_OP_NONE ? copied_from(w, t) : i;
}

static bool is_weight(const struct ggml_tensor *t) {
    return t && t->op == GGML_OP_NONE && t->buffer &&
           ggml_backend_buffer_get_usage(t->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

static float param(const struct ggml_tensor *t, size_t i) {
    float v;
    memcpy(&v, (const char *)t->op_params + i * sizeof v, sizeof v);
    return v;
}

static bool is_scalar_weight(const struct ggml_tensor *t) {
    return is_weight(t) && t->type == GGML_TYPE_F32 && ggml_nelements(t) == 1;
}

/* Fixed factor of a node that scales what it is made of. */
static bool fixed_factor(const struct ggml_tensor *t, double *factor) {
    if (t->op == GGML_OP_SCALE && param(t, 1) == 0) {
        *factor *= param(t, 0);
        return true;
    }
    if (t->op != GGML_OP_MUL || !is_scalar_weight(t->src[1])) return false;
    float value;
    ggml_backend_tensor_get(t->src[1], &value, 0, sizeof value);
    *factor *= value;
    return true;
}

/* Whether a node has the numbers of src[0], all or some rows of them, in another place. */
static bool same_numbers(const walk *w, const struct ggml_tensor *t) {
    switch (t->op) {
    case GGML_OP_RESHAPE:
    case GGML_OP_CONT:
    case GGML_OP_CPY:
    case GGML_OP_DUP: return true;
    case GGML_OP_VIEW: return ggml_nelements(t) == ggml_nelements(t->src[0]);
    case GGML_OP_GET_ROWS: return number_of(w, t->src[0]) >= 0;
    default: return false;
    }
}

/* One product of a LoRA adapter, factor * B (A x), or NULL. */
static const struct ggml_tensor *lora_of(const struct ggml_tensor *t, const struct ggml_tensor *x) {
    const struct ggml_tensor *b = t && t->op == GGML_OP_SCALE ? t->src[0] : NULL;
    const struct ggml_tensor *a = b && b->op == GGML_OP_MUL_MAT ? b->src[1] : NULL;
    return a && a->op == GGML_OP_MUL_MAT && a->src[1] == x && a->src[0]->op == GGML_OP_NONE ? b : NULL;
}

/* What a product with its adapters multiplies; NULL if t is no such product. */
static const struct ggml_tensor *product_input(const struct ggml_tensor *t) {
    while (t && (t->op == GGML_OP_ADD || (t->op == GGML_OP_MUL && is_scalar_weight(t->src[1])))) t = t->src[0];
    return t && t->op == GGML_OP_MUL_MAT ? t->src[1] : NULL;
}

static bool adds_lora(const struct ggml_tensor *t) {
    const struct ggml_tensor *x = t->op == GGML_OP_ADD ? product_input(t->src[0]) : NULL;
    return x && lora_of(t->src[1], x);
}

/* An addition of two computed tensors of one shape. */
static bool is_sum(const walk *w, const struct ggml_tensor *t) {
    return t->op == GGML_OP_ADD && ggml_are_same_shape(t->src[0], t->src[1]) && number_of(w, t->src[0]) >= 0 &&
           number_of(w, t->src[1]) >= 0 && !adds_lora(t);
}

static hw_err index_nodes(walk *w, hw_error *err) {
    size_t slots = 4096;
    while (slots < 2 * w->n) slots *= 2;
    w->mask = slots - 1;
    w->marks = hw__alloc(w->n, sizeof *w->marks);
    w->slots = hw__alloc(slots, sizeof *w->slots);
    if (!w->marks || !w->slots) return hw__fail_memory(err, "the graph's nodes", slots, sizeof *w->marks);
    for (size_t i = 0; i < slots; i++) w->slots[i] = NONE;
    for (size_t i = 0; i < w->n; i++) w->slots[slot_of(w, w->nodes[i])] = (int32_t)i;
    return HW_OK;
}

/* ------------------------------------------------------------------ problems */

/* The first problem is kept: what comes after may follow from it. */
static void problem(char *to, const char *fmt, ...) HW_PRINTF(2, 3);
static void problem(char *to, const char *fmt, ...) {
    if (to[0]) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(to, HW__LLAMA_TEXT, fmt, args);
    va_end(args);
}

/* ------------------------------------------------------------------ from the logits back to the final stream */

/* logits <- post tanh(pre lin): factors are gathered before and after a soft cap. */
static const struct ggml_tensor *output_product(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    while (t) {
        if (t->op == GGML_OP_MUL_MAT) return is_weight(t->src[0]) ? t : NULL;
        if (adds_lora(t)) {
            problem(w->e->readout_problem, "an adapter changes the output weights");
            t = t->src[0];
            continue;
        }
        if (t->op == GGML_OP_UNARY && ggml_get_unary_op(t) == GGML_UNARY_OP_TANH && r->cap == 0 && !r->bias[0]) {
            r->cap = (float)r->scale;
        } else if (t->op == GGML_OP_ADD && is_weight(t->src[1]) && !r->bias[0]) {
            snprintf(r->bias, sizeof r->bias, "%s", t->src[1]->name);
            r->bias_scale = r->scale;
        } else if (!fixed_factor(t, &r->scale) && !same_numbers(w, t)) {
            return NULL;
        }
        t = t->src[0];
    }
    return NULL;
}

/* The norm before the output product, with what stands between; fills in the final stream's node. */
static const struct ggml_tensor *final_norm(const walk *w, hw__readout_graph *r, const struct ggml_tensor *t) {
    while (t) {
        bool norm = t->op == GGML_OP_RMS_NORM || t->op == GGML_OP_NORM;
        if (norm) {
            r->kind = t->op == GGML_OP_NORM ? HW__NORM_LAYER : HW__NORM_RMS;
            r->eps = param(t, 0);
            return t->src[0];
        }
        if (t->op == GGML_OP_ADD && is_weight(t->src[1]) && !r->norm[0] && !r->norm_bias[0]) {
            snprintf(r->norm_bias, sizeof r->norm_bias, "%s", t->src[1]->name);
            r->norm_bias_scale = r->scale;
        } else if (t->op == GGML_OP_MUL && is_weight(t->src[1]) && ggml_nelements(t->src[1]) > 1 && !r->norm[0]) {
            snprintf(r->norm, sizeof r->norm, "%s", t->src[1]->name);
        } else if (!fixed_factor(t, &r->scale) && !same_numbers(w, t)) {
            return NULL;
        }
        t = t->src[0];
    }
    return NULL;
}

static void walk_readout(walk *w) {
    hw__llama_engine *e = w->e;
    hw__readout_graph *r = &e->readout;
    const struct ggml_tensor *logits = NULL, *product, *stream;
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->nodes[i]->name, "result_output") == 0) logits = w->nodes[i];
    r->scale = 1;
    if (!logits) {
        problem(e->readout_problem, "the graph has no node for logits (result_output)");
    } else if (!(product = output_product(w, r, logits))) {
        problem(e->readout_problem,
                "what stands between the output weights and the logits is not linear but for a soft cap");
    } else if (!(stream = final_norm(w, r, product->src[1]))) {
        problem(e->readout_problem, "what stands between the final norm and the output weights is not linear");
    } else {
        w->final = number_of(w, stream);
        snprintf(r->weight, sizeof r->weight, "%s", product->src[0]->name);
        r->type = product->src[0]->type;
        if (product->src[0]->ne[0] != e->info.n_embd || product->src[0]->ne[1] != e->info.n_vocab)
            problem(e->readout_problem, "the output weights are not [%d, %d]", e->info.n_vocab, e->info.n_embd);
    }
    if (!e->readout_problem[0] && w->final < 0) problem(e->readout_problem, "the final stream is not computed");
}

/* ------------------------------------------------------------------ from the final stream back to its terms */

static bool passes_sum(const walk *w, const struct ggml_tensor *t) {
    double factor = 1;
    int32_t from = number_of(w, t->src[0]);
    return from >= 0 && w->marks[from].has_sum && (fixed_factor(t, &factor) || same_numbers(w, t));
}

static void mark_sums(walk *w) {
    for (size_t i = 0; i < w->n; i++) {
        w->marks[i] = (mark){.first = NONE, .last = NONE, .block = NONE};
        w->marks[i].has_sum = is_sum(w, w->nodes[i]) || passes_sum(w, w->nodes[i]);
    }
}

/* Backwards through sums; at the end every node in the stream knows what it counts for. */
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
            mark *from = &w->marks[number_of(w, t->src[s])];
            from->in_stream = true;
            from->factor += factor;
        }
    }
}

/* Forwards: which sums and which attention weights a node depends on with no sum in between. */
static void mark_dependencies(walk *w) {
    for (size_t i = 0; i < w->n; i++) {
        const struct ggml_tensor *t = w->nodes[i];
        mark *m = &w->marks[i];
        for (int s = 0; s < GGML_MAX_SRC && t->src[s]; s++) {
            int32_t j = number_of(w, t->src[s]);
            if (j < 0) continue;
            const mark *from = &w->marks[j];
            int32_t first = from->in_stream ? j : from->first, last = from->in_stream ? j : from->last;
            if (first >= 0 && (m->first < 0 || first < m->first)) m->first = first;
            if (last > m->last) m->last = last;
            if (from->in_stream || from->block == NONE) continue;
            m->block = m->block == NONE || m->block == from->block ? from->block : SEVERAL;
        }
        int block = t->op == GGML_OP_SOFT_MAX ? hw__block_of(t->name, "kq_soft_max-") : -1;
        if (block >= 0) m->block = block;
    }
}

/* What each node in the stream holds, and which are added as a whole: attention's branches, and all else as far up as it holds
 * neither the embedding nor attention. */
static void mark_terms(walk *w) {
    for (int32_t i = 0; i <= w->final; i++) {
        mark *m = &w->marks[i];
        if (!m->in_stream) continue;
        if (!m->has_sum) {
            m->embedding = m->first == NONE;
            m->attention = m->block != NONE;
            continue;
        }
        for (int s = 0; s <= (int)is_sum(w, w->nodes[i]); s++) {
            const mark *from = &w->marks[number_of(w, w->nodes[i]->src[s])];
            m->embedding = m->embedding || from->embedding;
            m->attention = m->attention || from->attention;
        }
    }
    bool *open = hw__alloc(w->n, sizeof *open);
    w->e->lacked = w->e->lacked || !open;
    if (!open) return;
    open[w->final] = true;
    for (int32_t i = w->final; i >= 0; i--) {
        mark *m = &w->marks[i];
        if (!open[i]) continue;
        m->term = !m->has_sum || (!m->embedding && !m->attention);
        for (int s = 0; !m->term && s <= (int)is_sum(w, w->nodes[i]); s++)
            open[number_of(w, w->nodes[i]->src[s])] = true;
    }
    free(open);
}

/* What enters the first block: the first sum that any term depends on. */
static void find_origin(walk *w) {
    for (int32_t i = 0; i <= w->final; i++) {
        const mark *m = &w->marks[i];
        if (m->term && m->first >= 0 && (w->origin < 0 || m->first < w->origin)) w->origin = m->first;
    }
    if (w->origin >= 0) w->e->readout.origin_reach = w->marks[w->origin].factor;
}

/* ------------------------------------------------------------------ from what attention adds back to its weights */

/* A branch while it is followed from the stream down. */
typedef struct branch {
    const walk *w;
    hw__layer_graph *g;
    int block;
    const struct ggml_tensor *gate, *sub, *mixed; /* whose rows are needed */
    double scale;
    bool below; /* W_O has been passed */
    const char *problem;
} branch;

static bool depends(const branch *b, const struct ggml_tensor *t) {
    int32_t i = number_of(b->w, t);
    return i >= 0 && !b->w->marks[i].in_stream && b->w->marks[i].block == b->block;
}

static const struct ggml_tensor *refuse(branch *b, const char *why) {
    b->problem = why;
    return NULL;
}

static const struct ggml_tensor *follow_norm(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    if (b->below) {
        if (t->op != GGML_OP_RMS_NORM || b->sub) return refuse(b, "a norm of heads that is not one RMS norm");
        g->sub_eps = param(t, 0);
        b->sub = t->src[0];
    } else {
        if (t->op != GGML_OP_RMS_NORM || g->kind != HW__NORM_NONE)
            return refuse(b, "a norm after the output projection that is not one RMS norm");
        g->kind = HW__NORM_RMS;
        g->eps = param(t, 0);
        b->mixed = t->src[0];
    }
    return t->src[0];
}

static const struct ggml_tensor *follow_factor(branch *b, const struct ggml_tensor *t) {
    hw__layer_graph *g = b->g;
    if (fixed_factor(t, &b->scale)) return t->src[0];
    if (is_weight(t->src[1])) {
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
        g->lora[g->n_lora++] = (hw__lora){product->src[1]->src[0], product->src[0], param(t->src[1], 0)};
        return t->src[0];
    }
    if (!is_weight(t->src[1])) return refuse(b, "an addition of something else");
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
    if (!is_weight(weight)) return refuse(b, "a product of two computed tensors");
    if (!b->below) {
        b->below = true;
        g->wo_type = weight->type;
        g->wo_width = weight->ne[0];
        if (weight->ne[1] != b->w->e->info.n_embd || weight->ne[2] != 1)
            return refuse(b, "an output projection of another shape");
        snprintf(g->wo, sizeof g->wo, "%s", weight->name);
    } else {
        if (g->decompress[0] || b->gate || b->sub) return refuse(b, "a second projection");
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
    default: return refuse(b, ggml_op_desc(t));
    }
}

/* Whether t multiplies values by this block's attention weights. */
static bool is_weighted_sum(const walk *w, const struct ggml_tensor *t, int block) {
    int32_t i = t->op == GGML_OP_MUL_MAT ? number_of(w, t->src[1]) : NONE;
    return i >= 0 && w->nodes[i]->op == GGML_OP_SOFT_MAX && hw__block_of(w->nodes[i]->name, "kq_soft_max-") == block;
}

static void follow_branch(branch *b, const struct ggml_tensor *t) {
    while (t && !is_weighted_sum(b->w, t, b->block)) t = follow(b, t);
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
            w->anchors[number_of(w, sorted[i])] = true;
    }
    free(sorted);
    return HW_OK;
}

static hw_err add_tap(walk *w, const struct ggml_tensor *node, hw__role role, int32_t layer, hw_error *err) {
    hw__llama_engine *e = w->e;
    int32_t i = number_of(w, node);
    hw__tap tap = {.number = i, .role = role, .layer = layer, .factor = w->marks[i].factor};
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
        hw__tap *grown = hw__realloc(e->taps, capacity, sizeof *grown);
        if (!grown) return hw__fail_memory(err, "taps", capacity, sizeof *grown);
        e->taps = grown;
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

/* ------------------------------------------------------------------ layers */

/* The one term of a block's attention, or NONE with the reason. */
static int32_t term_of(const walk *w, int block, const char **why) {
    int32_t found = NONE;
    *why = "does not reach the stream by additions alone";
    for (int32_t i = 0; i <= w->final; i++) {
        if (!w->marks[i].term || w->marks[i].block != block) continue;
        if (found >= 0) {
            *why = "reaches the stream in two places";
            return NONE;
        }
        found = i;
    }
    return found;
}

static int32_t weights_of(const walk *w, int block) {
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i]->op == GGML_OP_SOFT_MAX && hw__block_of(w->nodes[i]->name, "kq_soft_max-") == block)
            return (int32_t)i;
    return NONE;
}

static hw_err walk_layer(walk *w, int32_t layer, hw_error *err) {
    hw__llama_engine *e = w->e;
    int block = e->layers[layer];
    hw__layer_graph *g = &e->graphs[block];
    const char *why;
    int32_t term = term_of(w, block, &why), weights = weights_of(w, block);
    int32_t input = weights >= 0 ? w->marks[weights].last : NONE;
    if (term < 0 || input < 0 || w->marks[input].factor == 0) {
        problem(e->values_problem, "block %d: attention %s", block, term < 0 ? why : "depends on no residual stream");
        return HW_OK;
    }
    branch b = {.w = w, .g = g, .block = block, .scale = 1};
    follow_branch(&b, w->nodes[term]);
    if (b.problem) {
        problem(e->values_problem, "block %d: between attention and the stream stands %s", block, b.problem);
        return HW_OK;
    }
    g->reach = w->marks[input].factor;
    g->relative = (float)(w->marks[term].factor / w->marks[input].factor);
    g->gated = b.gate != NULL;
    g->normed_heads = b.sub != NULL;
    hw_err rc = add_tap(w, w->nodes[input], HW__TAP_BEFORE, layer, err);
    if (rc == HW_OK && b.gate) rc = add_tap(w, b.gate, HW__TAP_GATE, layer, err);
    if (rc == HW_OK && b.sub) rc = add_tap(w, b.sub, HW__TAP_SUB, layer, err);
    if (rc == HW_OK && b.mixed) rc = add_tap(w, b.mixed, HW__TAP_MIXED, layer, err);
    return rc == HW_OK ? add_tap(w, w->nodes[term], HW__TAP_ADDED, layer, err) : rc;
}

/* What else is added; only the proof looks at it. Embeddings that the origin holds are no terms of their own. */
static hw_err walk_rest(walk *w, hw_error *err) {
    hw_err rc = HW_OK;
    for (int32_t i = w->origin + 1; rc == HW_OK && i <= w->final; i++)
        if (w->marks[i].term && w->marks[i].block < 0) rc = add_tap(w, w->nodes[i], HW__TAP_REST, NONE, err);
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
        problem(e->values_problem, "the final stream is no sum of what blocks add");
        return HW_OK;
    }
    hw_err rc = find_anchors(w, err);
    if (rc == HW_OK) rc = add_tap(w, w->nodes[w->origin], HW__TAP_ORIGIN, NONE, err);
    for (int32_t l = 0; rc == HW_OK && l < e->info.n_layers; l++) rc = walk_layer(w, l, err);
    if (rc == HW_OK) rc = walk_rest(w, err);
    if (rc == HW_OK) rc = add_tap(w, w->nodes[w->final], HW__TAP_FINAL, NONE, err);
    if (rc == HW_OK) qsort(e->taps, e->n_taps, sizeof *e->taps, by_number);
    return rc;
}

hw_err hw__graph_walk(hw__llama_engine *e, hw_error *err) {
    walk w = {.e = e, .nodes = e->record.nodes, .n = e->record.n, .final = NONE, .origin = NONE};
    if (w.n > INT32_MAX / 4) return hw__fail(err, HW_ERR_UNSUPPORTED, "a graph of %zu nodes", w.n);
    hw_err rc = index_nodes(&w, err);
    if (rc == HW_OK) walk_readout(&w);
    if (rc == HW_OK && w.final >= 0) rc = walk_stream(&w, err);
    if (w.final < 0) problem(e->values_problem, "the final stream was not found: %s", e->readout_problem);
    free(w.marks);
    free(w.slots);
    free(w.anchors);
    return rc;
}
