/*
 * web_client.h - one GET over HTTP or HTTPS by libcurl, which is opened at the first request: no other run needs it,
 * and nothing is requested unless the user gave --download.
 */
#ifndef HW_MODELS_WEB_CLIENT_H
#define HW_MODELS_WEB_CLIENT_H

#include "headwater.h"

typedef struct http_request {
    const char *url;
    const char *token;                                    /* bearer token, sent to this host only; NULL or "": none */
    uint64_t first;                                       /* first byte wanted */
    uint64_t max_bytes;                                   /* of what is received; more is an error */
    bool (*take)(void *ctx, const void *bytes, size_t n); /* false ends the request */
    void (*progress)(void *ctx, uint64_t received);       /* nullable; several times a second */
    hw_stop_fn stop;                                      /* nullable */
    void *ctx;
} http_request;

/* Why a request failed, for the caller's message and its next step. */
typedef struct http_failure {
    long status;      /* of HTTP; 0: none arrived */
    bool no_range;    /* the server does not continue at `first` */
    bool lasting;     /* a second attempt would fail, too */
    bool unreachable; /* no connection was made */
    bool untrusted;   /* its certificate is not accepted, or the authorities cannot be read */
    bool not_taken;   /* take() returned false */
    char reason[300];
} http_failure;

/* Errors: UNSUPPORTED (libcurl is not there), CANCELLED, and IO with *failure filled. */
hw_err http_get(http_failure *failure, const http_request *request, hw_error *err);

#endif
