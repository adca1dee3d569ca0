/*
 * maxflow.c - Dinic's algorithm: saturate the shortest paths until none is left, then the next longer ones.
 *
 * Every pipe is two arcs, forward with its capacity and backward with none, in one array sorted by their start node.
 * Saturating an arc takes exactly its residual capacity, so "full" is exactly 0 and no tolerance is needed. The
 * shortest path grows from phase to phase, so there are fewer phases than nodes.
 */
#include "math/maxflow.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pipe {
    size_t tail, head;
    double capacity;
} pipe_of;

typedef struct arc {
    size_t head, back; /* target node, and the reverse arc */
    double capacity, left;
} arc;

struct hw__pipes {
    size_t n_nodes, n_pipes, max_pipes;
    pipe_of *pipes; /* [n_pipes] */
    arc *arcs;      /* [2 * n_pipes] by node */
    size_t *first;  /* [n_nodes + 1] first arc of each node */
    size_t *next;   /* [n_nodes] the arc to try next */
    size_t *level;  /* [n_nodes] distance from the source over arcs that are not full; UNSEEN: unreachable */
    size_t *queue;  /* [n_nodes] */
    bool sorted;
};

static const size_t UNSEEN = SIZE_MAX;

hw_err hw__pipes_new(hw__pipes **out, size_t n_nodes, size_t n_pipes, hw_error *err) {
    hw__pipes *p = hw__alloc(1, sizeof *p);
    if (!p) return hw__fail_memory(err, "a network", 1, sizeof *p);
    *p = (hw__pipes){.n_nodes = n_nodes, .max_pipes = n_pipes};
    p->pipes = hw__alloc(n_pipes, sizeof *p->pipes);
    p->arcs = hw__alloc(n_pipes, 2 * sizeof *p->arcs);
    p->first = hw__alloc(n_nodes + 1, sizeof *p->first);
    p->next = hw__alloc(n_nodes, sizeof *p->next);
    p->level = hw__alloc(n_nodes, sizeof *p->level);
    p->queue = hw__alloc(n_nodes, sizeof *p->queue);
    if (p->pipes && p->arcs && p->first && p->next && p->level && p->queue) {
        *out = p;
        return HW_OK;
    }
    hw__pipes_free(p);
    return hw__fail_memory(err, "a network", n_pipes, sizeof *p->pipes + 2 * sizeof *p->arcs);
}

void hw__pipes_free(hw__pipes *p) {
    if (!p) return;
    free(p->pipes);
    free(p->arcs);
    free(p->first);
    free(p->next);
    free(p->level);
    free(p->queue);
    free(p);
}

void hw__pipes_add(hw__pipes *p, size_t from, size_t to, double capacity) {
    assert(!p->sorted && p->n_pipes < p->max_pipes && from < p->n_nodes && to < p->n_nodes && capacity >= 0);
    p->pipes[p->n_pipes++] = (pipe_of){from, to, capacity};
}

static void sort_arcs(hw__pipes *p) {
    for (size_t i = 0; i < p->n_pipes; i++) {
        p->first[p->pipes[i].tail + 1]++;
        p->first[p->pipes[i].head + 1]++;
    }
    for (size_t v = 0; v < p->n_nodes; v++) p->first[v + 1] += p->first[v];
    memcpy(p->next, p->first, p->n_nodes * sizeof *p->next);
    for (size_t i = 0; i < p->n_pipes; i++) {
        const pipe_of *pipe = &p->pipes[i];
        size_t forth = p->next[pipe->tail]++, back = p->next[pipe->head]++;
        p->arcs[forth] = (arc){.head = pipe->head, .back = back, .capacity = pipe->capacity};
        p->arcs[back] = (arc){.head = pipe->tail, .back = forth};
    }
    p->sorted = true;
}

/* Sets levels up to the target's; false if no path leads to the target any more. */
static bool find_ways(hw__pipes *p, size_t from, size_t to) {
    size_t head = 0, tail = 0;
    for (size_t v = 0; v < p->n_nodes; v++) p->level[v] = UNSEEN;
    p->level[from] = 0;
    p->queue[tail++] = from;
    while (head < tail) {
        size_t v = p->queue[head++];
        for (size_t a = p->first[v]; a < p->first[v + 1]; a++) {
            size_t u = p->arcs[a].head;
            if (!(p->arcs[a].left > 0) || p->level[u] != UNSEEN) continue;
            p->level[u] = p->level[v] + 1;
            if (u == to) return true;
            p->queue[tail++] = u;
        }
    }
    return false;
}

/* Sends up to `limit` from node v to the target along ascending levels; returns the amount sent. An arc that carried
 * less than requested is finished for this phase. */
static double fill(hw__pipes *p, size_t v, size_t to, double limit) {
    double sent = 0;
    if (v == to) return limit;
    for (; p->next[v] < p->first[v + 1]; p->next[v]++) {
        arc *a = &p->arcs[p->next[v]];
        if (!(a->left > 0) || p->level[a->head] != p->level[v] + 1) continue;
        double pushed = fill(p, a->head, to, fmin(limit - sent, a->left));
        a->left -= pushed;
        p->arcs[a->back].left += pushed;
        sent += pushed;
        if (!(sent < limit)) break;
    }
    return sent;
}

double hw__pipes_flow(hw__pipes *p, size_t from, size_t to) {
    assert(from < p->n_nodes && to < p->n_nodes && from != to);
    double flow = 0;
    if (!p->sorted) sort_arcs(p);
    for (size_t a = 0; a < 2 * p->n_pipes; a++) p->arcs[a].left = p->arcs[a].capacity;
    while (find_ways(p, from, to)) {
        memcpy(p->next, p->first, p->n_nodes * sizeof *p->next);
        flow += fill(p, from, to, INFINITY);
    }
    return flow;
}
