/* task_kind.h - the kinds of work that a job may be; the server names them, the engine process does them. */
#ifndef HW_SERVE_TASK_KIND_H
#define HW_SERVE_TASK_KIND_H

typedef enum task_kind { TASK_EXPLAIN, TASK_AGAIN, TASK_CHECK, TASK_EXPORT, N_TASK_KINDS } task_kind;

#endif
