/*
 * error_kinds.h - HTTP status, API name and exit status of each error.
 *
 * The program has one error type, the library's hw_error. Its code is one of the library's hw_err or one of those
 * below. Functions return it to their caller; only main.c (by cli/message.c) and serve/answer.c turn it into a status,
 * using this table.
 */
#ifndef HW_CLI_ERROR_KINDS_H
#define HW_CLI_ERROR_KINDS_H

#include "headwater.h"

/* Exit statuses. */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_INTERRUPTED = 130 };

/* Codes of the program, below those of hw_err. */
enum {
    ERR_BAD_HOST = -100, /* a request to an unknown host name */
    ERR_BAD_ORIGIN,      /* a request of another site's page */
    ERR_NOT_FOUND,       /* no such route, run, job */
    ERR_BAD_METHOD,      /* a route that takes another HTTP method */
    ERR_MEDIA_TYPE,      /* the body is not declared as JSON */
    ERR_TOO_LARGE,       /* the body is too long */
    ERR_BAD_JSON,        /* the body is not a JSON object */
    ERR_BUSY,            /* too many jobs are waiting */
    ERR_CLOSING,         /* the server is stopping */
    ERR_UNFINISHED,      /* the run is in progress */
    ERR_RUN_FAILED,      /* the run failed */
    ERR_NOT_FAILED,      /* the run did not fail */
    ERR_NO_TRACE,        /* the run's trace was not saved */
    ERR_STORE,           /* error of the run database */
    ERR_STORE_FULL,      /* the run database cannot be written */
    ERR_ENGINE_ENDED,    /* the engine's process ended */
    ERR_CONTEXT,         /* the prompt does not fit the context */
    ERR_NO_MODEL,        /* a request names a model that is not loaded */
    ERR_NO_TOKEN,        /* a request without the server's token */
    ERR_USAGE,           /* a wrong command line */
    ERR_REPORTED,        /* the command failed in part or in whole, and every message is printed */
    ERR_INTERRUPTED      /* the command ended after an interrupt, and every message is printed */
};

typedef struct error_kind {
    int code;
    unsigned http;    /* HTTP status of the answer */
    const char *name; /* name in the API's {"error": {"code": ...}} */
    int exit;         /* exit status of the program */
    bool printed;     /* its messages are printed when they occur */
} error_kind;

/* The row of a code; for an unknown one that of an internal error. */
const error_kind *error_kind_of(int code);
/* All rows; NULL past the end. */
const error_kind *error_kind_at(size_t i);

/* After an interrupt or when memory runs out a run ends; any other error concerns one method or item. */
bool error_ends_run(hw_err code);

/* Fills `err` (nullable) and returns false. */
bool error_set(hw_error *err, int code, const char *fmt, ...) HW_PRINTF(3, 4);
/* Fills `err` with the code ERR_USAGE and returns it. */
hw_err usage_error(hw_error *err, const char *fmt, ...) HW_PRINTF(2, 3);
/* The library's error of a value of the command line: prepends "what: " (NULL: nothing), and returns ERR_USAGE where
 * the value is outside what is accepted, else the code. */
hw_err usage_error_in(hw_error *err, const char *what);

#endif
