/* job_routes.h - routes whose work is a task of the engine process: rows of the table in routes.c. */
#ifndef HW_SERVE_JOB_ROUTES_H
#define HW_SERVE_JOB_ROUTES_H

#include "serve/answer.h"

answer handle_explain(call *c);
answer handle_continue(call *c);
answer handle_retry(call *c);
answer handle_stop(call *c);
answer handle_job_events(call *c);
answer handle_reexplain(call *c);
answer handle_check(call *c);
answer handle_cite(call *c);
answer handle_export(call *c);

#endif
