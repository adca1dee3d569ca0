/* task_kind.h - the kinds of jobs: the server creates them, the engine process runs them. */
#ifndef HW_SERVE_PROTOCOL_TASK_KIND_H
#define HW_SERVE_PROTOCOL_TASK_KIND_H

typedef enum task_kind {
    TASK_EXPLAIN,
    TASK_REEXPLAIN,
    TASK_CHECK,
    TASK_EXPORT,
    TASK_CITE,
    TASK_ANSWER,
    N_TASK_KINDS
} task_kind;

#endif
