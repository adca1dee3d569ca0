/*
 * request.h - requests of clients, parsed from untrusted JSON.
 *
 * Every error names the field, its value if it is short, and what is accepted. Unknown fields are rejected, because a
 * misspelt setting would have no effect.
 */
#ifndef HW_SERVE_PROTOCOL_REQUEST_H
#define HW_SERVE_PROTOCOL_REQUEST_H

#include "cli/error_kinds.h"
#include "export/method_tables.h"

#include <jansson.h>

/* A text of a request; its JSON must outlive it. */
typedef struct span_of_text {
    const char *bytes; /* [n]; NULL: absent */
    size_t n;
} span_of_text;

enum { MAX_PASSAGES = 1000, MAX_NAME = 200 };

/* Methods with their settings. */
typedef struct choice {
    const char *methods[MAX_METHODS]; /* [n] rows of the method table; n = 0: the default methods that the model
                                          supports */
    size_t n;
    hw_method_params params; /* values for the table of settings */
    const char *by;          /* segmenter or "passage"; NULL: tokens */
} choice;

typedef struct explain_request {
    span_of_text prompt, completion, name; /* prompt: absent if `messages` are given */
    const json_t *messages;                /* borrowed, checked; NULL: none */
    const json_t *spans;                   /* borrowed; NULL: none */
    const json_t *begun;                   /* borrowed: ids that the completion begins with; NULL: none */
    hw_run_params run;                     /* rows of the table of a run's options; nothing else of it */
    choice choice;
} explain_request;

typedef struct check_request {
    choice choice;
    const char *by;
    int64_t ablations, seed;
    int64_t row_begin, row_end; /* 0,0: all */
    bool rewrite;               /* also generates the completion again without the top segments */
} check_request;

typedef struct cite_request {
    choice choice;         /* one method, n = 0: CITING_METHODS */
    bool through_given;    /* settings.through is the client's; else as hw_citation_rule.through */
    const char *by;        /* NULL: the run's passages if it has any, else sentences */
    const char *answer_by; /* a segmenter */
    double min_peak;       /* 0: the default of the method's rule */
    int64_t confirm;       /* passages to leave out, one forward pass each; 0: none */
} cite_request;

/* Parses a body [n]; release with json_decref(). NULL with *err set. */
json_t *request_parse(const char *body, size_t n, hw_error *err);

/* The results point into `json`, which must outlive them. */
bool request_explain(explain_request *out, const json_t *json, hw_error *err);
/* Text shown in the list of runs: the prompt, or the last message. */
span_of_text request_preview(const explain_request *r);
bool request_reexplain(choice *out, const json_t *json, hw_error *err);
bool request_check(check_request *out, const json_t *json, hw_error *err);
bool request_cite(cite_request *out, const json_t *json, hw_error *err);
/* Options of a run, by the rows of their table. */
bool request_options(hw_run_params *out, const json_t *json, hw_error *err);
/* Tokens to generate after those of a finished run; 0: as many as the run's request says. */
bool request_continue(int64_t *n_generate, const json_t *json, hw_error *err);
bool request_name(span_of_text *out, const json_t *json, hw_error *err);

#endif
