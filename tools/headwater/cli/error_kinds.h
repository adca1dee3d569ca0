/*
 * error_kinds.h - what each error is at the program's edges: an HTTP status, a name in the API, an exit status.
 *
 * The program has one type of error, the library's hw_error. Its code is one of the library's hw_err or one of those below; only
 * the edges (serve/answer.c, cli/message.c) turn it into a status, by this table.
 */
#ifndef HW_CLI_ERROR_KINDS_H
#define HW_CLI_ERROR_KINDS_H

#include "headwater.h"

/* Exit statuses. */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_INTERRUPTED = 130 };

/* Codes of the program, below those of hw_err. */
enum {
    ERR_BAD_HOST = -100,   /* a request to a name that the server does not have */
    ERR_BAD_ORIGIN,        /* a request of another site's page */
    ERR_NOT_FOUND,         /* no such route, run, job */
    ERR_BAD_METHOD,        /* a route that takes another HTTP method */
    ERR_MEDIA_TYPE,        /* a body that is not declared as JSON */
    ERR_TOO_LARGE,         /* a body that is too long */
    ERR_BAD_JSON,          /* a body that is not a JSON object */
    ERR_BUSY,              /* too many jobs wait */
    ERR_CLOSING,           /* the server is stopping */
    ERR_UNFINISHED,        /* a run that is being made */
    ERR_RUN_FAILED,        /* a run that failed */
    ERR_NOT_FAILED,        /* a run that did not fail */
    ERR_NO_TRACE,          /* a run whose trace was not saved */
    ERR_STORE,             /* the database of runs */
    ERR_STORE_FULL,        /* the same: it cannot be written */
    ERR_ENGINE_ENDED       /* the engine's process ended */
};

typedef struct error_kind {
    int code;
    unsigned http;    /* status of the answer */
    const char *name; /* in the API's {"error": {"code": ...}} */
    int exit;         /* status of the program */
} error_kind;

/* The row of a code; for an unknown one that of an internal error. */
const error_kind *error_kind_of(int code);
/* Every row, up to NULL. */
const error_kind *error_kind_at(size_t i);

/* Fills `err` (nullable) and returns false. */
bool error_set(hw_error *err, int code, const char *fmt, ...) HW_PRINTF(3, 4);

#endif
