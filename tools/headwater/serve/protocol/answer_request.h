/*
 * answer_request.h - a request for an answer, of whichever API: what the dialects (serve/dialects/) make of their
 * requests, and the engine process reads.
 *
 * The folder headwater/serve/protocol/: requests as checked structs, and the messages between the server and its engine
 * process. Used by both.
 */
#ifndef HW_SERVE_PROTOCOL_ANSWER_REQUEST_H
#define HW_SERVE_PROTOCOL_ANSWER_REQUEST_H

#include "serve/protocol/request.h"

/* Keys of the JSON; all but one of "messages" and "prompt" may be missing. */
#define ANSWER_MESSAGES  "messages"  /* [{"role", "content"}]: texts */
#define ANSWER_PROMPT    "prompt"    /* a text without a chat template */
#define ANSWER_DOCUMENTS "documents" /* [{"message", "begin", "end"}]: bytes of a message, or of the prompt */
#define ANSWER_STOP      "stop"      /* texts that end the answer */
#define ANSWER_MAX       "max_tokens"
#define ANSWER_OPTIONS   "options" /* rows of the table of run options */
#define ANSWER_CITES     "citations"
#define ANSWER_NUMBERS   "attribution"
#define ANSWER_TOP       "top" /* alternatives to report with each token, 0 to HW_N_ALTERNATIVES */

typedef struct answer_request {
    const json_t *messages;  /* checked, as all that follows; NULL: a prompt */
    span_of_text prompt;     /* absent if messages are given */
    const json_t *documents; /* in the order of their texts; NULL: none */
    const json_t *stop;      /* NULL: none */
    int64_t max_tokens;      /* 0: as many as fit */
    hw_run_params run;       /* rows of the table of a run's options; nothing else of it */
    bool cites;              /* citations of the documents */
    bool numbers;            /* all shares of the citations */
    int64_t n_top;           /* -1: no log probabilities */
} answer_request;

/* The result points into `json`, which must outlive it. */
bool request_answer(answer_request *out, const json_t *json, hw_error *err);

#endif
