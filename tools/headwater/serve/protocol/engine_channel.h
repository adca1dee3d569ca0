/*
 * engine_channel.h - messages between the server and its engine process: frames on a socket pair.
 *
 *     server -> engine     a task; a stop; answers to calls; shutdown
 *     engine -> server     load progress, ready or refused; events; store calls; end of a task; fatal end
 *
 * Both sides are the same program, so a payload is text, or a struct in its memory layout. Several threads may send;
 * one reads. The store stays in the server (remote_store.h is its interface in the engine process).
 */
#ifndef HW_SERVE_PROTOCOL_ENGINE_CHANNEL_H
#define HW_SERVE_PROTOCOL_ENGINE_CHANNEL_H

#include "export/text_buffer.h"
#include "serve/protocol/request.h"

#include <pthread.h>

/* File descriptor of the engine process's end. */
enum { ENGINE_CHANNEL_FD = 3 };

typedef enum frame_type {
    /* to the engine */
    FRAME_TASK = 1, /* JSON: task_to_json() */
    FRAME_STOP,     /* int: STOP_ */
    FRAME_ANSWER,   /* answer to a call: bytes */
    FRAME_REFUSAL,  /* answer to a call: an hw_error */
    FRAME_END,      /* finish the task, and exit */
    /* from it */
    FRAME_LOADING,   /* size_t [2]: done, total */
    FRAME_READY,     /* a model: engine_model_pack() */
    FRAME_REFUSED,   /* an hw_error: the model did not open; the process ends */
    FRAME_EVENT,     /* name and JSON, both terminated */
    FRAME_TOKEN,     /* uint32_t n, [n] bytes of a completion token for the run in the store; then the event's JSON,
                      * terminated, if the client wants events */
    FRAME_USAGE,     /* int64_t [2]: tokens of prompt and completion of an answer that is not stored */
    FRAME_DONE,      /* result of the task: bytes */
    FRAME_DONE_RUN,  /* the result is the run in the store */
    FRAME_DONE_FILE, /* the result is a file in the folder: its name, terminated */
    FRAME_ERROR,     /* the task failed: an hw_error */
    FRAME_FATAL,     /* the engine's last log line, terminated; the process ends */
    /* store calls, for the task's run */
    FRAME_CALL_BEGIN,   /* -> int64_t: its id */
    FRAME_CALL_FINISH,  /* finish_call, completion, document */
    FRAME_CALL_HAS,     /* -> nothing */
    FRAME_CALL_GET,     /* -> the run's JSON, terminated */
    FRAME_CALL_REQUEST, /* -> the request's JSON, terminated */
    FRAME_CALL_TRACE,   /* name of a file in the folder, terminated: the trace is written to it */
    FRAME_CALL_AMEND    /* JSON, terminated: {"attributions": [...] or null, "check": {...} or null} */
} frame_type;

/* Stop level of a running task: see task_is_stopped(), task_is_abandoned(). */
enum { STOP_NONE, STOP_SOON, STOP_NOW };

typedef struct finish_call {
    int64_t n_prompt, n_completion; /* tokens */
    size_t n_bytes;                 /* bytes of the completion */
    bool traced;                    /* the trace is in TRACE_FILE of the folder */
} finish_call;

#define TRACE_FILE "save.safetensors"

typedef struct frame {
    frame_type type;
    const char *bytes; /* [n] valid until the next read; a terminator may follow */
    size_t n;
} frame;

typedef struct channel {
    int fd;
    pthread_mutex_t sending;
    buffer received; /* received bytes; those from `at` are not read yet */
    size_t at;
} channel;

bool channel_open(channel *c, int fd); /* takes ownership of the descriptor */
void channel_close(channel *c);

/* Sends the parts [n <= 4] as one frame. False: the other side has closed, or accepts nothing for 10 s. */
bool channel_send(channel *c, frame_type type, const span_of_text *parts, size_t n);
/* The same with one part. */
bool channel_send_bytes(channel *c, frame_type type, const void *bytes, size_t n);
/* Waits at most `wait_ms` for each piece of a frame (-1: for ever). 1: *out is the next frame; 0: timeout; -1: the
 * channel has ended. */
int channel_read(channel *c, frame *out, int wait_ms);

/* Packs a model's description into bytes, and unpacks it: strings and layers point into the copy in *owner (free
 * it). */
void engine_model_pack(buffer *out, const hw_model_info *info);
bool engine_model_unpack(hw_model_info *out, char **owner, const char *bytes, size_t n);

#endif
