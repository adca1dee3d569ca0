/*
 * request.h - what a client may ask for, read from JSON that may say anything.
 *
 * Every complaint names the field, its value where it is short, and what is accepted. Unknown fields are refused, for a
 * misspelt one would be a setting that does nothing.
 */
#ifndef HW_SERVE_REQUEST_H
#define HW_SERVE_REQUEST_H

#include "cli/error_kinds.h"
#include "export/method_tables.h"

#include <jansson.h>

/* Text of a request, as long as its JSON. */
typedef struct span_of_text {
    const char *bytes; /* [n]; NULL: not given */
    size_t n;
} span_of_text;

enum { MOST_PASSAGES = 1000, MOST_NAME = 200 };

/* Which methods with which settings. */
typedef struct choice {
    const char *methods[MOST_METHODS]; /* [n] rows of the method table; n = 0: those of the default that are possible */
    size_t n;
    hw_method_params params;           /* rows of the table of settings */
    const char *by; /* segmenter or "passage"; NULL: tokens */
} choice;

typedef struct explain_request {
    span_of_text prompt, completion, name; /* prompt: not given where `messages` are */
    const json_t *messages;                /* borrowed, checked; NULL: none */
    const char *chat_template;             /* borrowed; NULL: the model's own */
    hw_thinking thinking;
    const json_t *spans; /* borrowed; NULL: none */
    const char *versus;  /* borrowed; NULL: none */
    int64_t n_generate, top_k, seed;
    double temperature, top_p;
    bool chat, special;
    hw_fuse fuse;
    choice choice;
} explain_request;

typedef struct check_request {
    choice choice;
    const char *by;
    int64_t ablations, seed;
    int64_t row_begin, row_end; /* 0,0: all */
} check_request;

/* JSON of a body [n]; release with json_decref(). NULL with *err filled. */
json_t *request_parse(const char *body, size_t n, hw_error *err);

/* What is read points into `json`, which must outlive it. */
bool request_explain(explain_request *out, const json_t *json, hw_error *err);
/* What a list of runs shows of it: the prompt, or the last message. */
span_of_text request_preview(const explain_request *r);
bool request_again(choice *out, const json_t *json, hw_error *err);
bool request_check(check_request *out, const json_t *json, hw_error *err);
bool request_name(span_of_text *out, const json_t *json, hw_error *err);

#endif
