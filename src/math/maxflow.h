/*
 * maxflow.h - maximum flow through a network of pipes (Dinic 1970). Knows nothing of attention.
 *
 * Our own hundred lines, because the graph libraries that implement it are under the GPL and keep global state
 * (igraph), or are C++ (Boost Graph, LEMON).
 */
#ifndef HW_MATH_MAXFLOW_H
#define HW_MATH_MAXFLOW_H

#include "base/error.h"

typedef struct hw__pipes hw__pipes;

/* Allocates pipes between nodes 0..n_nodes-1. */
hw_err hw__pipes_new(hw__pipes **out, size_t n_nodes, size_t n_pipes, hw_error *err);
void hw__pipes_free(hw__pipes *p);

/* Adds a pipe; at most n_pipes, and only before the first hw__pipes_flow(). capacity >= 0. */
void hw__pipes_add(hw__pipes *p, size_t from, size_t to, double capacity);

/* Maximum flow from one node to another. Each call starts from empty pipes. */
double hw__pipes_flow(hw__pipes *p, size_t from, size_t to);

#endif
