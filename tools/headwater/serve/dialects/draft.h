/*
 * draft.h - reads the fields of a request by a table, and makes the request for the engine process of them.
 *
 * Every field of an API is a row: those that are used, those without effect here, and those that ask for what one
 * model cannot do, which are refused unless they have their neutral value. Unknown fields are refused.
 */
#ifndef HW_SERVE_DIALECTS_DRAFT_H
#define HW_SERVE_DIALECTS_DRAFT_H

#include "serve/dialects/dialect.h"

/* What the tables of all APIs fill; borrowed from the request. */
typedef struct draft {
    const json_t *messages, *prompt, *system, *documents, *stop, *extra; /* NULL: absent. `extra`: the API's own */
    const json_t *temperature, *top_p, *top_k, *seed;
    int64_t max_tokens, n_top; /* 0; -1: not requested */
    bool stream, usage, citations, numbers, logprobs;
} draft;

typedef enum draft_kind {
    DRAFT_JSON,    /* any value */
    DRAFT_NUMBER,  /* a number, kept as JSON */
    DRAFT_WHOLE,   /* int64_t in [min, max] */
    DRAFT_FLAG,    /* bool */
    DRAFT_IGNORED, /* no effect here */
    DRAFT_REFUSED  /* refused with `text`, unless it is null, false, empty, the number `min` or the word `word` */
} draft_kind;

typedef struct draft_row {
    const char *key;
    draft_kind kind;
    size_t offset; /* in draft */
    double min, max;
    const char *text, *word;
} draft_row;

/* Reads an object by its rows [n]. `where` names it in errors: "the request". */
bool draft_read(draft *d, const char *where, const draft_row *rows, size_t n, const json_t *json, hw_error *err);

/* A text that is being put together of texts and documents. */
typedef struct content {
    buffer text;
    json_t *ranges;    /* [{"message", "begin", "end"}] of documents in all texts; borrowed */
    json_t *documents; /* their descriptions; borrowed */
    size_t message;    /* index of the text */
    bool document_last;
} content;

void content_add_text(content *c, const char *text, size_t n);
/* Adds a document as "TITLE: TEXT". `json`: a string, or an object with "text", and with "id", "title", "url" if
 * known. */
bool content_add_document(content *c, const json_t *json, hw_error *err);
/* The text as JSON, which is then empty; NULL: no memory. */
json_t *content_take(content *c);

/* What an API's reader puts together. */
typedef struct composed {
    json_t *messages, *ranges, *documents; /* owned */
} composed;

bool composed_new(composed *c, hw_error *err);
/* Appends a message, owned by the callee; false when memory runs out. */
bool composed_add(composed *c, const char *role, json_t *text, hw_error *err);
/* Moves what was put together, and the draft's fields, into the call; releases `c`. */
bool composed_finish(chat_call *call, composed *c, const draft *d, hw_error *err);
void composed_free(composed *c);

#define DRAFT_AT(member)  offsetof(draft, member)
#define DRAFT_COUNT(list) (sizeof(list) / sizeof *(list))

#endif
