/*
 * access.h - which requests are answered: by host name, by origin, and by the server's token.
 *
 * A page of another site must not reach this server through the user's browser: it can send only its own name as Host
 * (so a name that resolves to this machine is refused), its Origin is refused, and bodies are JSON, which it may send
 * only after a CORS preflight, which is never answered. Whoever has the token is no such page, under whatever name the
 * server was reached.
 *
 * The folder headwater/serve/: the HTTP server and its routes. protocol/ has what server and engine process exchange,
 * jobs/ the queue and the stored runs, engine/ the process that runs the model, dialects/ other servers' APIs.
 */
#ifndef HW_SERVE_ACCESS_H
#define HW_SERVE_ACCESS_H

#include "serve/answer.h"

enum { MIN_TOKEN_BYTES = 16, MAX_TOKEN_BYTES = 200 };

/* Reads the token from a file: one line; *out is malloc'd. Errors: IO, FORMAT (characters that no header can hold, too
 * short, too long), MEMORY. */
hw_err access_read_token(char **out, const char *path, hw_error *err);

/* False with *err set: the request is refused. */
bool access_check(const server *s, struct MHD_Connection *connection, const char *path, hw_error *err);

/* A page that was opened with ?token=TOKEN gets the token as a cookie, for its own requests. */
void access_remember(const server *s, struct MHD_Connection *connection, struct MHD_Response *response);

/* A header that occurs once; NULL if it is missing. *twice: it occurs more than once. */
const char *access_header(struct MHD_Connection *connection, const char *name, bool *twice);

#endif
