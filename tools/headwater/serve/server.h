/*
 * server.h - the HTTP server: access checks, limits, and headers of all answers.
 *
 * Each connection has its own thread; their number is limited. Before a handler runs (routes.h) these checks have
 * passed: access.h, the route exists, a body is JSON and not too long.
 */
#ifndef HW_SERVE_SERVER_H
#define HW_SERVE_SERVER_H

#include "serve/answer.h"
#include "serve/listener.h"

enum { DEFAULT_PORT = 4780, MAX_BODY_BYTES = 8 << 20 };

/* Listens; port 0: on DEFAULT_PORT, or on any free port if that is taken. False with *err set. */
bool server_start(server *s, const listener *l, hw_error *err);
/* Closes every connection; close the queue before. */
void server_stop(server *s);

#endif
