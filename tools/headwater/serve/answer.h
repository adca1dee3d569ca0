/* answer.h - one request as its handler sees it, and what it answers. */
#ifndef HW_SERVE_ANSWER_H
#define HW_SERVE_ANSWER_H

#include "serve/job_queue.h"
#include "serve/run_store.h"

#include <microhttpd.h>

typedef struct server {
    struct MHD_Daemon *daemon;
    queue *queue;
    store *store;
    const hw_model_info *model;
    struct deadlines *deadlines;
    const char *const *hosts; /* [n_hosts] names beside this machine's own */
    size_t n_hosts;
    bool keeps;       /* runs stay when the program ends */
    atomic_uint port; /* known a moment after the first client may come */
} server;

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

answer answer_bytes(unsigned status, void *bytes, size_t n, enum MHD_ResponseMemoryMode mode, const char *type);
answer answer_error(const hw_error *err);
answer answer_text(unsigned status, buffer *json);  /* takes the text */
answer answer_json(unsigned status, json_t *json);  /* takes the tree over; NULL: there was no memory for it */
/* Whether the client wants server-sent events. */
bool call_wants_events(const call *c);
/* A whole number from 1, at most 18 digits; moves *text behind it. */
bool read_id(const char **text, int64_t *id);

#endif
