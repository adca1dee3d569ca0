/*
 * server.h - the HTTP server on 127.0.0.1: who may ask, how much, and with which headers everything is answered.
 *
 * Each connection has a thread of its own, of a fixed number. Before a handler runs (routes.h) the request has passed:
 * Host and Origin are this server's own, the route exists, a body is JSON and not too long.
 */
#ifndef HW_SERVE_SERVER_H
#define HW_SERVE_SERVER_H

#include "serve/answer.h"

enum { DEFAULT_PORT = 4780, MOST_BODY_BYTES = 8 << 20 };

/* Listens on `port`; 0: on DEFAULT_PORT, or on any free one where that is taken. False with *err filled. */
bool server_start(server *s, unsigned port, hw_error *err);
/* Ends every connection; the queue is closed before. */
void server_stop(server *s);

#endif
