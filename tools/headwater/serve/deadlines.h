/*
 * deadlines.h - closes connections that send their request too slowly. libmicrohttpd closes idle connections, but one
 * that sends a byte from time to time is not idle, and a few dozen such clients would block all others.
 */
#ifndef HW_SERVE_DEADLINES_H
#define HW_SERVE_DEADLINES_H

#include <microhttpd.h>
#include <stdbool.h>

enum {
    REQUEST_SECONDS = 30, /* from the opening of the connection to the last byte of the request */
    MAX_CONNECTIONS = 64  /* concurrent connections */
};

typedef struct deadlines deadlines;

/* NULL: memory ran out, or no thread could be started. Free after the daemon has stopped. */
deadlines *deadlines_new(void);
void deadlines_free(deadlines *d);
/* Callback of MHD_OPTION_NOTIFY_CONNECTION with the deadlines as context: a connection has REQUEST_SECONDS for its
 * first request. */
void deadlines_on_connection(void *ctx, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode code);
/* The request is complete: there is no limit for its answer. */
void deadlines_request_read(deadlines *d, struct MHD_Connection *connection);
/* The request was answered: REQUEST_SECONDS for the next one. */
void deadlines_request_done(deadlines *d, struct MHD_Connection *connection);

#endif
