/* tasks.h - the functions of the kinds of jobs: explain_task.c runs the model, stored_run_tasks.c works on saved
 * runs. */
#ifndef HW_SERVE_ENGINE_TASKS_H
#define HW_SERVE_ENGINE_TASKS_H

#include "serve/engine/worker.h"

/* They return false with the task's error set. */
bool explain_work(worker *w, engine_task *t);   /* the result is a RUN */
bool answer_work(worker *w, engine_task *t);    /* text, finish reason, usage, citations: answer_task.c */
bool reexplain_work(worker *w, engine_task *t); /* {"attributions": [...]} */
bool check_work(worker *w, engine_task *t);     /* {"check": ...} */
bool cite_work(worker *w, engine_task *t);      /* {"citation": ...} */
bool export_work(worker *w, engine_task *t);    /* bytes of a file */

#endif
