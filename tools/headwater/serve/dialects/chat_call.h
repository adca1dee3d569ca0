/*
 * chat_call.h - a request of another API from its JSON to its answer, by the API's row (dialect.h).
 *
 * The folder headwater/serve/dialects/: requests and answers of other servers' APIs, as JSON and as event streams; it
 * knows nothing of HTTP connections.
 */
#ifndef HW_SERVE_DIALECTS_CHAT_CALL_H
#define HW_SERVE_DIALECTS_CHAT_CALL_H

#include "serve/dialects/dialect.h"

/* The API that an address belongs to; NULL: Headwater's own. */
const dialect *dialect_of(const char *path);

/* Reads a request; `model`: the loaded one. NULL with *err set. Free with chat_call_free(). */
chat_call *chat_call_new(const dialect *d, const json_t *json, const hw_model_info *model, const char *model_id,
                         hw_error *err);
void chat_call_free(chat_call *call);
/* Writes an event of the engine process as the API has it; `json` is its data. Nothing is written before "prompt": an
 * earlier error is an answer of its own, with a status. */
void chat_call_write(void *call, buffer *out, const char *name, const char *json);

#endif
