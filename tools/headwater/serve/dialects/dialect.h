/*
 * dialect.h - the APIs of other servers that clients of Headwater may speak: one row each.
 *
 *     request of the API -> read -> answer_request.h (engine process) -> sentences with sources -> whole, or event by
 *         event -> the API's answer
 */
#ifndef HW_SERVE_DIALECTS_DIALECT_H
#define HW_SERVE_DIALECTS_DIALECT_H

#include "export/text_buffer.h"
#include "serve/protocol/answer_request.h"

typedef struct dialect dialect;

/* One request, and how far its answer is written. */
typedef struct chat_call {
    const dialect *dialect;
    const char *model_id; /* the loaded model, borrowed */
    json_t *request;      /* owned: for the engine process; NULL once it was passed on */
    json_t *documents;    /* owned: [{"id", "title", "url", "text", "data"}], all but id and text may be null */
    bool stream, usage;   /* `usage`: a stream ends with the numbers of tokens */
    char id[48];
    int64_t created; /* seconds since 1970 */
    /* of a stream */
    json_int_t prompt_tokens;
    size_t n_blocks, n_citations, n_characters;
    bool open;  /* a block of text is open */
    bool begun; /* something was written */
} chat_call;

struct dialect {
    const char *name;
    const char *id_prefix;
    /* Sets request, documents, stream and usage. False with *err set. */
    bool (*read)(chat_call *call, const json_t *json, hw_error *err);
    /* The answer to a request without stream; `answer` as answer_task.c makes it. NULL: no memory. */
    json_t *(*whole)(const chat_call *call, const json_t *answer);
    /* Appends what a client gets for an event of the engine process: "prompt", "text", "sentence", "done"; and for
     * "error", whose data is what error() gives. */
    void (*event)(chat_call *call, buffer *out, const char *name, const json_t *data);
    /* The body of an answer that is an error. */
    json_t *(*error)(const hw_error *err);
};

extern const dialect dialect_openai_chat, dialect_openai_text, dialect_anthropic, dialect_cohere;

#endif
