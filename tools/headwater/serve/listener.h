/* listener.h - the socket that the server listens on: an address and a port, or a file. */
#ifndef HW_SERVE_LISTENER_H
#define HW_SERVE_LISTENER_H

#include "cli/error_kinds.h"

typedef struct listener {
    const char *host; /* numeric address; NULL: 127.0.0.1 */
    const char *path; /* of a Unix socket; NULL: none */
    unsigned port;
} listener;

/* Whether only this machine can reach the address; false for what is no numeric address. */
bool listener_is_local(const char *host);
/* Whether it is a numeric address, IPv4 or IPv6. */
bool listener_is_address(const char *host);

/* The listening socket, or -1 with *err set. */
int listener_open(const listener *l, hw_error *err);
/* The address for people, into out [capacity]. `port`: the one in use. */
void listener_describe(char *out, size_t capacity, const listener *l, unsigned port);
/* Removes the file of a Unix socket. */
void listener_remove(const listener *l);

#endif
