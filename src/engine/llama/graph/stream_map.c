/*
 * stream_map.c - see stream_map.h.
 *
 * Each step is one operation of the graph, in reverse order; slots hold directions, laid out as the nodes are, fastest
 * dimension first. A step adds to the directions of its operands what the direction of its result implies.
 */
#include "engine/llama/graph/stream_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = HW__NODE_NONE };

typedef struct dims {
    size_t n[4]; /* fastest first */
} dims;

/* The direction at one node. */
typedef struct slot {
    dims shape;
    size_t offset, n; /* in the scratch, in floats */
} slot;

/* Numbers by which a step multiplies: of the row, or weights. */
typedef struct factor {
    dims shape;
    size_t offset;
    bool used, constant;
} factor;

typedef struct step {
    enum ggml_op op;
    int32_t out, operands[2]; /* slots; NONE: an operand that carries nothing */
    factor by[2];
    double scale;
    size_t axes[4];        /* of a permutation; the first one of a concatenation */
    size_t start, jump[4]; /* of a view, in floats of its source */
    bool gated;
} step;

typedef enum read_kind { READ_FACTOR, READ_SCALE, READ_REST } read_kind;

/* A node whose numbers are read: as they are, or 1 / s of each row of a norm. */
typedef struct node_read {
    int32_t number;
    read_kind kind;
    enum ggml_op op;
    char name[GGML_MAX_NAME]; /* ggml numbers nodes without a name, so another graph has other names */
    dims shape;
    size_t offset, n; /* in the row, or in `rest` */
    float eps;
    bool centred; /* a norm that takes the mean off */
} node_read;

/* A contribution that belongs to no source, or a constant. */
typedef struct rest {
    int32_t slot;
    factor constant; /* unused: read in the probe's decode */
    size_t offset;
    double sign;
} rest;

struct hw__stream_map {
    slot *slots;
    step *steps;
    node_read *reads; /* [n_reads] by number */
    rest *rests;
    size_t n_slots, n_steps, n_reads, n_rests, n_embd, n_sources;
    float *constants; /* [n_constants] */
    size_t n_constants, n_scratch, width, rest_width;
    enum ggml_type coarsest; /* type of the constants */
    int32_t *terms;          /* [n_sources] slots */
    int32_t final, embedding;
    float *row, *rest; /* [width], [rest_width] of the decode in progress */
    size_t next;       /* the first read not reached */
};

/* While a map is compiled. */
typedef struct build {
    hw__walk *w;
    hw__stream_map *map;
    int32_t *slot_of;   /* [n] */
    int32_t *source_of; /* [n] whose contribution a node is */
    hw_err rc;
    hw_error *err;
} build;

/* ------------------------------------------------------------------ shapes */

static dims dims_of(const struct ggml_tensor *t) {
    return (dims){{(size_t)t->ne[0], (size_t)t->ne[1], (size_t)t->ne[2], (size_t)t->ne[3]}};
}

static size_t count(const dims *d) { return d->n[0] * d->n[1] * d->n[2] * d->n[3]; }

/* index <- the place of element i. */
static void place(size_t index[4], const dims *d, size_t i) {
    for (int k = 0; k < 4; k++) {
        index[k] = i % d->n[k];
        i /= d->n[k];
    }
}

/* The element at a place, where dimensions repeat. */
static size_t element(const dims *d, const size_t index[4]) {
    size_t i = 0;
    for (int k = 4; k-- > 0;) i = i * d->n[k] + index[k] % d->n[k];
    return i;
}

/* ------------------------------------------------------------------ compiling */

static bool ok(const build *b) { return b->rc == HW_OK && !b->w->e->values_problem[0]; }

static void refuse(build *b, const struct ggml_tensor *t, const char *why) {
    char *to = b->w->e->values_problem;
    if (!to[0]) snprintf(to, HW__LLAMA_TEXT, "the stream is mixed by %s, %s", ggml_op_desc(t), why);
}

/* The slot of a node. */
static int32_t slot_for(build *b, int32_t node) {
    hw__stream_map *m = b->map;
    if (b->slot_of[node] < 0) {
        const struct ggml_tensor *t = b->w->nodes[node];
        if (t->type != GGML_TYPE_F32) refuse(b, t, "which is not F32");
        slot s = {dims_of(t), m->n_scratch, (size_t)ggml_nelements(t)};
        m->n_scratch += s.n;
        b->slot_of[node] = (int32_t)m->n_slots;
        m->slots[m->n_slots++] = s;
    }
    return b->slot_of[node];
}

static factor add_read(build *b, int32_t number, read_kind kind, const struct ggml_tensor *norm) {
    hw__stream_map *m = b->map;
    const struct ggml_tensor *t = b->w->nodes[number];
    size_t n = (size_t)ggml_nelements(t), *width = kind == READ_REST ? &m->rest_width : &m->width;
    if (kind == READ_SCALE) n /= (size_t)t->ne[0];
    if (t->type != GGML_TYPE_F32) refuse(b, t, "which is not F32");
    for (size_t i = 0; i < m->n_reads; i++)
        if (m->reads[i].number == number && m->reads[i].kind == kind && kind == READ_FACTOR)
            return (factor){m->reads[i].shape, m->reads[i].offset, true, false};
    node_read r = {.number = number, .kind = kind, .op = t->op, .shape = dims_of(t), .offset = *width, .n = n};
    snprintf(r.name, sizeof r.name, "%s", t->name);
    if (norm) r.eps = hw__node_param(norm, 0);
    if (norm) r.centred = norm->op == GGML_OP_NORM;
    *width += n;
    m->reads[m->n_reads++] = r;
    return (factor){r.shape, r.offset, true, false};
}

static int coarseness(enum ggml_type type) {
    return type == GGML_TYPE_F32 ? 0 : type == GGML_TYPE_F16 ? 1 : type == GGML_TYPE_BF16 ? 2 : 3;
}

enum ggml_type hw__stream_map_type(const hw__stream_map *m) { return m->coarsest; }

/* The floats of a weight, from the file. */
static factor add_constant(build *b, const struct ggml_tensor *t) {
    hw__stream_map *m = b->map;
    size_t n = (size_t)ggml_nelements(t), width = (size_t)t->ne[0];
    factor f = {dims_of(t), m->n_constants, true, true};
    float *resized = hw__realloc(m->constants, m->n_constants + n, sizeof *resized);
    if (!resized) {
        b->rc = hw__fail_memory(b->err, t->name, n, sizeof *resized);
        return f;
    }
    m->constants = resized;
    b->rc = hw__gguf_rows(b->w->e->file, m->constants + m->n_constants, (hw__gguf_part){t->name, 0, n / width, width},
                          b->err);
    m->n_constants += n;
    if (coarseness(t->type) > coarseness(m->coarsest)) m->coarsest = t->type;
    return f;
}

static factor add_factor(build *b, const struct ggml_tensor *t, const struct ggml_tensor *of) {
    if (hw__is_weight(t)) return add_constant(b, t);
    int32_t number = hw__node_number(b->w, t);
    if (number >= 0) return add_read(b, number, READ_FACTOR, NULL);
    refuse(b, of, "whose factor is not computed");
    return (factor){.used = false};
}

static bool carries(const build *b, const struct ggml_tensor *t) {
    int32_t i = hw__node_number(b->w, t);
    return i >= 0 && b->w->marks[i].in_stream;
}

/* An operand in which the step is linear: the stream, a contribution, or a constant. */
static int32_t add_operand(build *b, const struct ggml_tensor *t, const step *s, double sign) {
    int32_t number = hw__node_number(b->w, t);
    if (number >= 0) return slot_for(b, number);
    if (!hw__is_weight(t)) {
        refuse(b, t, "which is an input of the graph");
    } else if (s->op != GGML_OP_ADD && s->op != GGML_OP_SUB) {
        refuse(b, t, "a constant");
    } else {
        b->map->rests[b->map->n_rests++] = (rest){.slot = s->out, .constant = add_constant(b, t), .sign = sign};
    }
    return NONE;
}

static void build_view(build *b, step *s, const struct ggml_tensor *t) {
    size_t offset;
    memcpy(&offset, t->op_params, sizeof offset);
    s->start = offset / sizeof(float);
    for (int k = 0; k < 4; k++) s->jump[k] = t->nb[k] / sizeof(float);
    size_t last = s->start;
    for (int k = 0; k < 4; k++) last += ((size_t)t->ne[k] - 1) * s->jump[k];
    if (!ggml_is_contiguous(t->src[0]) || last >= (size_t)ggml_nelements(t->src[0]))
        refuse(b, t, "which reads other memory");
}

/* The operands of a product: one carries the stream, the other one is its factor. */
static void build_product(build *b, step *s, const struct ggml_tensor *t) {
    int stream = carries(b, t->src[0]) ? 0 : 1;
    s->operands[stream] = add_operand(b, t->src[stream], s, 1);
    s->by[0] = add_factor(b, t->src[1 - stream], t);
}

static void build_norm(build *b, step *s, const struct ggml_tensor *t) {
    s->operands[0] = add_operand(b, t->src[0], s, 1);
    if (s->operands[0] >= 0) s->by[0] = add_read(b, hw__node_number(b->w, t->src[0]), READ_SCALE, t);
}

static void build_operands(build *b, step *s, const struct ggml_tensor *t) {
    switch (t->op) {
    case GGML_OP_ADD:
    case GGML_OP_SUB:
    case GGML_OP_CONCAT:
        s->axes[0] = (size_t)t->op_params[0];
        s->operands[0] = add_operand(b, t->src[0], s, 1);
        s->operands[1] = add_operand(b, t->src[1], s, t->op == GGML_OP_SUB ? -1 : 1);
        break;
    case GGML_OP_MUL:
    case GGML_OP_DIV:
    case GGML_OP_MUL_MAT: build_product(b, s, t); break;
    case GGML_OP_NORM:
    case GGML_OP_RMS_NORM: build_norm(b, s, t); break;
    case GGML_OP_DSV4_HC_PRE:
        s->gated = t->op_params[1] != 0;
        s->scale = s->gated ? hw__node_param(t, 0) : 1;
        s->operands[0] = add_operand(b, t->src[0], s, 1);
        s->by[0] = add_factor(b, t->src[1], t);
        break;
    case GGML_OP_DSV4_HC_POST:
        s->operands[0] = add_operand(b, t->src[0], s, 1);
        s->operands[1] = add_operand(b, t->src[1], s, 1);
        s->by[0] = add_factor(b, t->src[2], t);
        if (t->src[3]) s->by[1] = add_factor(b, t->src[3], t);
        break;
    case GGML_OP_VIEW:
        build_view(b, s, t);
        s->operands[0] = add_operand(b, t->src[0], s, 1);
        break;
    default:
        if (t->op != GGML_OP_REPEAT && ggml_nelements(t) != ggml_nelements(t->src[0])) refuse(b, t, "of some rows");
        s->operands[0] = add_operand(b, t->src[0], s, 1);
    }
}

static void build_step(build *b, int32_t node) {
    const struct ggml_tensor *t = b->w->nodes[node];
    step s = {.op = t->op, .out = b->slot_of[node], .operands = {NONE, NONE}, .scale = 1};
    if (t->op == GGML_OP_SCALE) s.scale = hw__node_param(t, 0);
    for (int k = 0; k < 4; k++) s.axes[k] = t->op == GGML_OP_PERMUTE ? (size_t)t->op_params[k] : (size_t)k;
    if (t->op == GGML_OP_TRANSPOSE) s.axes[0] = 1, s.axes[1] = 0;
    build_operands(b, &s, t);
    b->map->steps[b->map->n_steps++] = s;
}

/* A node from which the final stream is linear: a source's contribution, the embedding, any other contribution, or a
 * step of the stream. */
static void build_node(build *b, int32_t node) {
    hw__stream_map *m = b->map;
    const struct ggml_tensor *t = b->w->nodes[node];
    int32_t source = b->source_of[node];
    bool embedding = t->op == GGML_OP_GET_ROWS && hw__is_weight(t->src[0]);
    if (source >= 0) {
        m->terms[source] = b->slot_of[node];
    } else if (embedding && m->embedding < 0) {
        m->embedding = b->slot_of[node];
        b->w->origin = node;
    } else if (embedding || !b->w->marks[node].in_stream) {
        size_t offset = m->rest_width;
        add_read(b, node, READ_REST, NULL);
        m->rests[m->n_rests++] = (rest){.slot = b->slot_of[node], .offset = offset, .sign = 1};
    } else {
        build_step(b, node);
    }
}

static int by_number(const void *a, const void *b) {
    const node_read *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : (x->kind > y->kind) - (x->kind < y->kind);
}

static void check_complete(build *b) {
    const hw__llama_engine *e = b->w->e;
    char *to = b->w->e->values_problem;
    for (int32_t s = 0; ok(b) && s < e->info.n_sources; s++) {
        int32_t at = b->map->terms[s];
        if (at < 0 || b->map->slots[at].n != (size_t)e->info.n_embd)
            snprintf(to, HW__LLAMA_TEXT, "block %d: %s does not reach the final stream by linear steps",
                     e->sources[s].block, hw_source_kind_name(e->sources[s].kind));
    }
    if (ok(b) && b->map->embedding < 0)
        snprintf(to, HW__LLAMA_TEXT, "the final stream does not depend on the embeddings by linear steps");
}

static hw_err build_map(build *b) {
    hw__stream_map *m = b->map;
    int32_t final = b->w->final;
    const char *problem = b->w->e->values_problem;
    if (!problem[0] && ggml_nelements(b->w->nodes[final]) != b->w->e->info.n_embd)
        refuse(b, b->w->nodes[final], "the final stream has another width");
    m->final = slot_for(b, final);
    for (int32_t i = final; ok(b) && i >= 0; i--)
        if (b->slot_of[i] >= 0) build_node(b, i);
    check_complete(b);
    if (b->rc != HW_OK) return b->rc;
    qsort(m->reads, m->n_reads, sizeof *m->reads, by_number);
    m->row = hw__alloc(m->width + 1, sizeof *m->row);
    m->rest = hw__alloc(m->rest_width + 1, sizeof *m->rest);
    if (m->row && m->rest) return HW_OK;
    return hw__fail_memory(b->err, "factors of the stream", m->width + m->rest_width, sizeof(float));
}

hw_err hw__stream_map_new(hw__walk *w, const int32_t *terms, hw_error *err) {
    size_t n = w->n, n_sources = (size_t)w->e->info.n_sources;
    hw__stream_map *m = hw__alloc(1, sizeof *m);
    build b = {.w = w, .map = m, .err = err};
    b.slot_of = hw__alloc(n, sizeof *b.slot_of);
    b.source_of = hw__alloc(n, sizeof *b.source_of);
    if (m) {
        *m = (hw__stream_map){
            .n_embd = (size_t)w->e->info.n_embd, .n_sources = n_sources, .embedding = NONE, .coarsest = GGML_TYPE_F32};
        m->slots = hw__alloc(n + 1, sizeof *m->slots);
        m->steps = hw__alloc(n + 1, sizeof *m->steps);
        m->reads = hw__alloc(3 * n + 1, sizeof *m->reads);
        m->rests = hw__alloc(2 * n + 1, sizeof *m->rests);
        m->terms = hw__alloc(n_sources + 1, sizeof *m->terms);
    }
    if (!m || !m->slots || !m->steps || !m->reads || !m->rests || !m->terms || !b.slot_of || !b.source_of) {
        b.rc = hw__fail_memory(err, "the steps of the stream", n, sizeof(step));
    } else {
        for (size_t i = 0; i < n; i++) b.slot_of[i] = b.source_of[i] = NONE;
        for (size_t s = 0; s < n_sources; s++) {
            m->terms[s] = NONE;
            if (terms[s] >= 0) b.source_of[terms[s]] = (int32_t)s;
        }
        b.rc = build_map(&b);
    }
    free(b.slot_of);
    free(b.source_of);
    if (b.rc == HW_OK && !w->e->values_problem[0]) {
        w->e->map = m;
    } else {
        hw__stream_map_free(m);
    }
    return b.rc;
}

void hw__stream_map_free(hw__stream_map *m) {
    if (!m) return;
    free(m->slots);
    free(m->steps);
    free(m->reads);
    free(m->rests);
    free(m->terms);
    free(m->constants);
    free(m->row);
    free(m->rest);
    free(m);
}

/* ------------------------------------------------------------------ during a decode */

size_t hw__stream_map_width(const hw__stream_map *m) { return m->width; }

void hw__stream_map_begin(hw__stream_map *m) { m->next = 0; }

bool hw__stream_map_wants(hw__llama_engine *e, const struct ggml_tensor *t, size_t number) {
    hw__stream_map *m = e->map;
    (void)t;
    while (!e->proof && m->next < m->n_reads && m->reads[m->next].kind == READ_REST) m->next++;
    return m->next < m->n_reads && (size_t)m->reads[m->next].number == number;
}

/* out [n] <- 1 / s of rows of `width` numbers. */
static void row_scales(float *out, const float *rows, size_t n, size_t width, const node_read *r) {
    for (size_t i = 0; i < n; i++) {
        const float *row = rows + i * width;
        double mean = 0, squares = 0;
        for (size_t c = 0; r->centred && c < width; c++) mean += row[c] / (double)width;
        for (size_t c = 0; c < width; c++) squares += (row[c] - mean) * (row[c] - mean);
        out[i] = (float)(1 / sqrt(squares / (double)width + r->eps));
    }
}

/* The numbers of a tensor in the order of its dimensions; NULL when memory runs out. */
static float *read_numbers(hw__llama_engine *e, const struct ggml_tensor *t, const dims *of) {
    size_t n = count(of), at[4];
    float *out = hw__alloc(n, sizeof *out);
    const unsigned char *bytes = out ? hw__device_read_bytes(e->device_read, t) : NULL;
    for (size_t i = 0; bytes && i < n; i++) {
        place(at, of, i);
        memcpy(out + i, bytes + at[0] * t->nb[0] + at[1] * t->nb[1] + at[2] * t->nb[2] + at[3] * t->nb[3], sizeof *out);
    }
    if (bytes) return out;
    free(out);
    return NULL;
}

static void take_numbers(hw__stream_map *m, const node_read *r, const float *numbers) {
    float *to = r->kind == READ_REST ? m->rest : m->row;
    if (r->kind == READ_SCALE) {
        row_scales(to + r->offset, numbers, r->n, r->shape.n[0], r);
    } else {
        memcpy(to + r->offset, numbers, r->n * sizeof *to);
    }
}

bool hw__stream_map_show(hw__llama_engine *e, const struct ggml_tensor *t) {
    hw__stream_map *m = e->map;
    const node_read *first = &m->reads[m->next];
    dims now = dims_of(t);
    if (t->op != first->op || t->type != GGML_TYPE_F32 || memcmp(&now, &first->shape, sizeof now) != 0 ||
        strcmp(t->name, first->name) != 0) {
        e->failed = hw__fail(&e->failure, HW_ERR_UNSUPPORTED,
                             "the graph of one token has %s (%s) where that of the probe has %s (%s)", t->name,
                             ggml_op_desc(t), first->name, ggml_op_name(first->op));
        return false;
    }
    float *numbers = read_numbers(e, t, &now);
    if (!numbers) {
        e->failed = hw__fail_memory(&e->failure, t->name, count(&now), sizeof *numbers);
        return false;
    }
    for (; m->next < m->n_reads && m->reads[m->next].number == first->number; m->next++)
        take_numbers(m, &m->reads[m->next], numbers);
    free(numbers);
    return true;
}

const float *hw__stream_map_row(const hw__stream_map *m) {
    size_t next = m->next;
    while (next < m->n_reads && m->reads[next].kind == READ_REST) next++;
    return next == m->n_reads ? m->row : NULL;
}

/* ------------------------------------------------------------------ directions */

/* One step while a direction is carried back. */
typedef struct carry {
    const hw__stream_map *map;
    const step *s;
    const float *by[2];
    const float *out;      /* direction of the result */
    float *operands[2];    /* those of its operands, NULL if it carries nothing */
    dims shape, shapes[2]; /* of the result and of the operands */
} carry;

static void carry_copy(const carry *c) {
    size_t n = count(&c->shape);
    for (size_t i = 0; i < n; i++) c->operands[0][i] += (float)(c->s->scale * c->out[i]);
}

static void carry_sum(const carry *c) {
    size_t n = count(&c->shape), at[4];
    float sign = c->s->op == GGML_OP_SUB ? -1 : 1;
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shape, i);
        if (c->operands[0]) c->operands[0][element(&c->shapes[0], at)] += c->out[i];
        if (c->operands[1]) c->operands[1][element(&c->shapes[1], at)] += sign * c->out[i];
    }
}

static void carry_concat(const carry *c) {
    size_t n = count(&c->shape), at[4], axis = c->s->axes[0], first = c->shapes[0].n[axis];
    if (!c->operands[0]) first = c->shape.n[axis] - c->shapes[1].n[axis];
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shape, i);
        int of = at[axis] >= first;
        if (of) at[axis] -= first;
        if (c->operands[of]) c->operands[of][element(&c->shapes[of], at)] += c->out[i];
    }
}

static void carry_factor(const carry *c) {
    size_t n = count(&c->shape), at[4];
    const dims *by = &c->s->by[0].shape;
    int of = c->operands[0] ? 0 : 1;
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shape, i);
        float f = c->by[0][element(by, at)];
        c->operands[of][element(&c->shapes[of], at)] += c->s->op == GGML_OP_DIV ? c->out[i] / f : c->out[i] * f;
    }
}

static void carry_norm(const carry *c) {
    size_t width = c->shape.n[0], n = count(&c->shape) / width;
    for (size_t i = 0; i < n; i++) {
        const float *out = c->out + i * width;
        double mean = 0;
        for (size_t k = 0; c->s->op == GGML_OP_NORM && k < width; k++) mean += out[k] / (double)width;
        for (size_t k = 0; k < width; k++) c->operands[0][i * width + k] += (float)((out[k] - mean) * c->by[0][i]);
    }
}

/* out[m,n] = sum_k a[k,m] b[k,n]; a is repeated over the last two dimensions of b. */
static void carry_matmul(const carry *c) {
    bool first = c->operands[0] != NULL;
    const dims *a = first ? &c->shapes[0] : &c->s->by[0].shape, *b = first ? &c->s->by[0].shape : &c->shapes[1];
    size_t K = a->n[0], n = count(&c->shape), at[4], two = b->n[2] / a->n[2], three = b->n[3] / a->n[3];
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shape, i);
        size_t of_a = element(a, (size_t[4]){0, at[0], at[2] / two, at[3] / three});
        size_t of_b = element(b, (size_t[4]){0, at[1], at[2], at[3]});
        for (size_t k = 0; k < K; k++) {
            if (first) {
                c->operands[0][of_a + k] += c->out[i] * c->by[0][of_b + k];
            } else {
                c->operands[1][of_b + k] += c->out[i] * c->by[0][of_a + k];
            }
        }
    }
}

static void carry_permuted(const carry *c) {
    size_t n = count(&c->shapes[0]), at[4], to[4];
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shapes[0], i);
        for (int k = 0; k < 4; k++) to[c->s->axes[k]] = at[k];
        c->operands[0][i] += c->out[element(&c->shape, to)];
    }
}

static void carry_view(const carry *c) {
    size_t n = count(&c->shape), at[4];
    for (size_t i = 0; i < n; i++) {
        place(at, &c->shape, i);
        size_t from = c->s->start;
        for (int k = 0; k < 4; k++) from += at[k] * c->s->jump[k];
        c->operands[0][from] += c->out[i];
    }
}

/* out[d] = sum_h x[d,h] w[h], or scale * x[d,h] sigmoid(gate[d,h]). */
static void carry_streams_in(const carry *c) {
    size_t D = c->shapes[0].n[0], n = count(&c->shapes[0]);
    for (size_t i = 0; i < n; i++) {
        double w = c->s->gated ? c->s->scale / (1 + exp(-(double)c->by[0][i])) : c->by[0][i / D];
        c->operands[0][i] += (float)(w * c->out[i % D]);
    }
}

/* out[d,to] = x[d] post[to] + sum_from streams[d,from] comb[to,from]; without comb each stream is its own. */
static void carry_streams_out(const carry *c) {
    size_t D = c->shape.n[0], hc = c->shape.n[1];
    for (size_t to = 0; to < hc; to++) {
        const float *out = c->out + to * D;
        for (size_t d = 0; c->operands[0] && d < D; d++) c->operands[0][d] += c->by[0][to] * out[d];
        for (size_t from = 0; c->operands[1] && from < hc; from++) {
            float w = c->by[1] ? c->by[1][to + hc * from] : (float)(to == from);
            for (size_t d = 0; w != 0 && d < D; d++) c->operands[1][from * D + d] += w * out[d];
        }
    }
}

static void carry_step(const carry *c) {
    switch (c->s->op) {
    case GGML_OP_ADD:
    case GGML_OP_SUB:
    case GGML_OP_REPEAT: carry_sum(c); break;
    case GGML_OP_CONCAT: carry_concat(c); break;
    case GGML_OP_MUL:
    case GGML_OP_DIV: carry_factor(c); break;
    case GGML_OP_NORM:
    case GGML_OP_RMS_NORM: carry_norm(c); break;
    case GGML_OP_MUL_MAT: carry_matmul(c); break;
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: carry_permuted(c); break;
    case GGML_OP_VIEW: carry_view(c); break;
    case GGML_OP_DSV4_HC_PRE: carry_streams_in(c); break;
    case GGML_OP_DSV4_HC_POST: carry_streams_out(c); break;
    default: carry_copy(c);
    }
}

/* scratch [n_scratch] <- the directions of all slots. */
static void carry_all(const hw__stream_map *m, float *scratch, const float *z, const float *row) {
    memset(scratch, 0, m->n_scratch * sizeof *scratch);
    memcpy(scratch + m->slots[m->final].offset, z, m->n_embd * sizeof *scratch);
    for (size_t i = 0; i < m->n_steps; i++) {
        const step *s = &m->steps[i];
        carry c = {.map = m, .s = s, .out = scratch + m->slots[s->out].offset, .shape = m->slots[s->out].shape};
        for (int k = 0; k < 2; k++) {
            if (s->by[k].used) c.by[k] = (s->by[k].constant ? m->constants : row) + s->by[k].offset;
            if (s->operands[k] < 0) continue;
            c.operands[k] = scratch + m->slots[s->operands[k]].offset;
            c.shapes[k] = m->slots[s->operands[k]].shape;
        }
        if (c.operands[0] || c.operands[1]) carry_step(&c);
    }
}

static float *new_scratch(const hw__stream_map *m, hw_error *err, hw_err *rc) {
    float *scratch = hw__alloc(m->n_scratch, sizeof *scratch);
    *rc = scratch ? HW_OK : hw__fail_memory(err, "directions of the stream", m->n_scratch, sizeof *scratch);
    return scratch;
}

hw_err hw__stream_map_carry(const hw__stream_map *m, float *out, const float *z, const float *row, hw_error *err) {
    hw_err rc;
    float *scratch = new_scratch(m, err, &rc);
    if (rc != HW_OK) return rc;
    carry_all(m, scratch, z, row);
    for (size_t s = 0; s <= m->n_sources; s++) {
        const slot *at = &m->slots[s < m->n_sources ? m->terms[s] : m->embedding];
        memcpy(out + s * m->n_embd, scratch + at->offset, m->n_embd * sizeof *out);
    }
    free(scratch);
    return HW_OK;
}

hw_err hw__llama_carry(const hw__engine *base, float *out, const float *z, const float *mixing, hw_error *err) {
    return hw__stream_map_carry(((const hw__llama_engine *)base)->map, out, z, mixing, err);
}

hw_err hw__stream_map_rest(const hw__stream_map *m, double *sum, const float *z, const float *row, hw_error *err) {
    hw_err rc;
    float *scratch = new_scratch(m, err, &rc);
    if (rc != HW_OK) return rc;
    carry_all(m, scratch, z, row);
    *sum = 0;
    for (size_t i = 0; i < m->n_rests; i++) {
        const rest *r = &m->rests[i];
        const slot *of = &m->slots[r->slot];
        const float *values = r->constant.used ? m->constants + r->constant.offset : m->rest + r->offset;
        size_t at[4];
        for (size_t k = 0; k < of->n; k++) {
            place(at, &of->shape, k);
            size_t v = r->constant.used ? element(&r->constant.shape, at) : k;
            *sum += r->sign * scratch[of->offset + k] * values[v];
        }
    }
    free(scratch);
    return HW_OK;
}
