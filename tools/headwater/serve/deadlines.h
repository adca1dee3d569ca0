/*
 * deadlines.h - connections that send their request too slowly are closed. libmicrohttpd ends what is idle, but a byte now and then
 * is not idle, and a few dozen such clients would keep everybody else out.
 */
#ifndef HW_SERVE_DEADLINES_H
#define HW_SERVE_DEADLINES_H

#include <microhttpd.h>
#include <stdbool.h>

enum {
    REQUEST_SECONDS = 30, /* from the first byte that could come to the last */
    MOST_CONNECTIONS = 64 /* at once */
};

typedef struct deadlines deadlines;

/* NULL: no memory, or no thread. Freed after the daemon has ended. */
deadlines *deadlines_new(void);
void deadlines_free(deadlines *d);
/* For MHD_OPTION_NOTIFY_CONNECTION with the deadlines as context: a connection has REQUEST_SECONDS for its first request. */
void deadlines_on_connection(void *ctx, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode code);
/* The whole request is there: its answer may take as long as it takes. */
void deadlines_request_read(deadlines *d, struct MHD_Connection *connection);
/* It was answered: REQUEST_SECONDS for the next. */
void deadlines_request_done(deadlines *d, struct MHD_Connection *connection);

#endif
