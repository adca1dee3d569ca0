/*
 * routes.h - the HTTP API: one table of routes. docs/reference/openapi.yaml says the same, and the tests hold them together.
 */
#ifndef HW_SERVE_ROUTES_H
#define HW_SERVE_ROUTES_H

#include "serve/server.h"

/* One request that may be answered. */
typedef struct call {
    server *server;
    struct MHD_Connection *connection;
    int64_t id;   /* of {id} in the path, else 0 */
    json_t *body; /* of POST and PATCH; the handler may take it over and set it NULL */
} call;

/* What is sent back; `response` is released by the caller. */
typedef struct answer {
    unsigned status;
    struct MHD_Response *response; /* NULL: no memory, the connection ends */
} answer;

typedef struct route {
    const char *method, *path; /* {id} stands for a number from 1 */
    answer (*handle)(call *c);
    bool takes_json; /* a body; false: an empty one or {} */
    const char *summary;
} route;

const route *routes_at(size_t i); /* up to NULL */
/* The route, and the number in its path. NULL: none; *allowed [room] then lists the methods that the path has, "" for
 * no such path. */
const route *routes_find(const char *method, const char *path, int64_t *id, char *allowed, size_t room);

/* A whole number from 1, at most 18 digits; moves *text behind it. */
bool routes_read_id(const char **text, int64_t *id);
answer answer_fault(const fault *f);
answer answer_json(unsigned status, buffer *text); /* takes the text */
/* Whether the client wants server-sent events. */
bool call_wants_events(const call *c);

/* job_routes.c: routes whose work is a task of the worker's. */
answer handle_explain(call *c);
answer handle_stop(call *c);
answer handle_again(call *c);
answer handle_check(call *c);
answer handle_export(call *c);

#endif
