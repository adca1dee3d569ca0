/* tasks.h - the kinds of work of the engine process: explain_task.c runs the model, stored_run_tasks.c goes back to a saved run. */
#ifndef HW_SERVE_TASKS_H
#define HW_SERVE_TASKS_H

#include "serve/worker.h"

/* False with the task's error filled. */
bool explain_work(worker *w, engine_task *t); /* the result is a RUN */
bool again_work(worker *w, engine_task *t);   /* {"attributions": [...]} */
bool check_work(worker *w, engine_task *t);   /* {"check": ...} */
bool export_work(worker *w, engine_task *t);  /* a file's bytes */

#endif
