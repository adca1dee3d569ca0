/* tasks.h - the kinds of work that the worker does: explain_task.c runs the model, stored_run_tasks.c goes back to a saved run. */
#ifndef HW_SERVE_TASKS_H
#define HW_SERVE_TASKS_H

#include "serve/worker.h"

bool explain_work(worker *w, task *t); /* the result is a RUN */
bool again_work(worker *w, task *t);   /* {"attributions": [...]} */
bool check_work(worker *w, task *t);   /* {"check": ...} */
bool export_work(worker *w, task *t);  /* a file's bytes */

/* Finishes a run that a crash left: explains the tokens that were there, or runs the request anew where there was none. */
void explain_lost(worker *w, const lost_run *lost);

#endif
