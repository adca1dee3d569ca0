/*
 * answer.h - one HTTP request as passed to its handler, and the answer.
 */
#ifndef HW_SERVE_ANSWER_H
#define HW_SERVE_ANSWER_H

#include "serve/dialects/chat_call.h"
#include "serve/jobs/job_queue.h"
#include "serve/jobs/metrics.h"
#include "serve/jobs/run_store.h"

#include <microhttpd.h>

typedef struct server {
    struct MHD_Daemon *daemon;
    queue *queue;
    store *store;
    const hw_model_info *model;
    char model_id[256]; /* as clients of other APIs name it */
    struct deadlines *deadlines;
    metrics metrics;
    events news;       /* what changes in the list of runs, for every page that watches; nobody reads it directly */
    const char *token; /* that requests must have; NULL: none */
    const char *const *hosts; /* [n_hosts] accepted host names besides this machine's own */
    size_t n_hosts;
    bool keeps;       /* runs are kept when the program ends */
    atomic_uint port; /* set shortly after the first client can connect */
} server;

/* One accepted request. */
typedef struct call {
    server *server;
    struct MHD_Connection *connection;
    const dialect *dialect; /* the API that the address belongs to; NULL: Headwater's own */
    const char *path;       /* decoded */
    int64_t id;             /* {id} in the path, else 0 */
    json_t *body;           /* of POST and PATCH; the handler may take ownership and set it to NULL */
} call;

/* The answer; the caller releases `response`. */
typedef struct answer {
    unsigned status;
    struct MHD_Response *response; /* NULL: memory ran out, the connection is closed */
} answer;

answer answer_bytes(unsigned status, void *bytes, size_t n, enum MHD_ResponseMemoryMode mode, const char *type);
answer answer_error(const hw_error *err);
/* The same in the form of another API; NULL: Headwater's own. */
answer answer_error_in(const dialect *d, const hw_error *err);
answer answer_text(unsigned status, buffer *json); /* takes ownership of the text */
answer answer_json(unsigned status, json_t *json); /* takes ownership of the tree; NULL: memory ran out */
/* Whether the client wants server-sent events. */
bool call_wants_events(const call *c);
/* Reads a whole number from 1, at most 18 digits; advances *text. */
bool read_id(const char **text, int64_t *id);

#endif
