/*
 * engine_channel.h - what the server and its engine process say to each other: frames on a pair of sockets.
 *
 *     server -> engine     a task; a stop; answers to its calls; the end
 *     engine -> server     how far loading is, ready or refused; events; calls of the store; a task's end; its own
 *
 * Both sides are one program, so a frame's payload is text, or a struct as it lies in memory. Several threads may send; one reads.
 * The store stays with the server (remote_store.h is its face in the engine process).
 */
#ifndef HW_SERVE_ENGINE_CHANNEL_H
#define HW_SERVE_ENGINE_CHANNEL_H

#include "export/text_buffer.h"
#include "serve/request.h"

#include <pthread.h>

/* The engine process finds its end at this descriptor. */
enum { ENGINE_CHANNEL_FD = 3 };

typedef enum frame_type {
    /* to the engine */
    FRAME_TASK = 1, /* JSON: task_to_json() */
    FRAME_STOP,     /* int: STOP_ */
    FRAME_ANSWER,   /* to a call: bytes */
    FRAME_REFUSAL,  /* to a call: an hw_error */
    FRAME_END,      /* finish, and exit */
    /* from it */
    FRAME_LOADING,   /* size_t [2]: done, total */
    FRAME_READY,     /* a model: engine_model_pack() */
    FRAME_REFUSED,   /* an hw_error: the model did not open; the process ends */
    FRAME_EVENT,     /* name and JSON, both terminated */
    FRAME_DONE,      /* the task's result: bytes */
    FRAME_DONE_RUN,  /* the result is the run as the store has it */
    FRAME_DONE_FILE, /* the result lies in this file of the folder: its name, terminated */
    FRAME_ERROR,     /* the task failed: an hw_error */
    FRAME_FATAL,     /* the engine's last line, terminated; the process ends */
    /* calls of the store, about the task's run */
    FRAME_CALL_BEGIN,   /* -> int64_t: its id */
    FRAME_CALL_TOKEN,   /* bytes of one more completion token; no answer */
    FRAME_CALL_FINISH,  /* finish_call, completion, document */
    FRAME_CALL_HAS,     /* -> nothing */
    FRAME_CALL_GET,     /* -> the run's JSON, terminated */
    FRAME_CALL_REQUEST, /* -> the request's JSON, terminated */
    FRAME_CALL_TRACE,   /* name of a file of the folder, terminated: the trace is written there */
    FRAME_CALL_AMEND    /* JSON, terminated: {"attributions": [...] or null, "check": {...} or null} */
} frame_type;

/* How much a running task is to stop: see task_is_stopped(), task_is_abandoned(). */
enum { STOP_NONE, STOP_SOON, STOP_NOW };

typedef struct finish_call {
    int64_t n_prompt, n_completion; /* tokens */
    size_t n_bytes;                 /* of the completion */
    bool traced;                    /* the trace lies in TRACE_FILE of the folder */
} finish_call;

#define TRACE_FILE "save.safetensors"

typedef struct frame {
    frame_type type;
    const char *bytes; /* [n] until the next read; a terminator may follow */
    size_t n;
} frame;

typedef struct channel {
    int fd;
    pthread_mutex_t sending;
    buffer in; /* received; from `at` on not read yet */
    size_t at;
} channel;

bool channel_open(channel *c, int fd); /* takes the descriptor over */
void channel_close(channel *c);

/* Sends the parts [n <= 4] as one frame. False: the other side is gone, or takes nothing for 10 s. */
bool channel_send(channel *c, frame_type type, const span_of_text *parts, size_t n);
/* The same of one part. */
bool channel_send_bytes(channel *c, frame_type type, const void *bytes, size_t n);
/* Waits at most `wait_ms` for each piece of a frame (-1: for ever). 1: *out is the next frame; 0: none came; -1: none will come. */
int channel_read(channel *c, frame *out, int wait_ms);

/* A model's description as bytes, and back: strings and layers point into the copy that *owner has (to be freed). */
void engine_model_pack(buffer *out, const hw_model_info *info);
bool engine_model_unpack(hw_model_info *out, char **owner, const char *bytes, size_t n);

#endif
