/*
 * backend.h - what the process needs of libllama and ggml before any model: the log, ggml's backends, the number of threads.
 */
#ifndef HW_ENGINE_LLAMA_BACKEND_H
#define HW_ENGINE_LLAMA_BACKEND_H

#include "base/error.h"

/* Once per process, before any other call of ggml: its messages become ours. */
void hw__llama_connect_log(void);
/* Once per process, before a model is loaded: connects the log and loads ggml's backends. ggml has one CPU backend per kind of
 * processor; the best that this machine runs is loaded, from the folder that libggml itself lies in and from nowhere else. */
void hw__llama_start(void);
/* The first error that the libraries logged since they were last forgotten, or "no reason given"; forgets it. The first has the
 * reason: what follows tells who gave up because of it. */
void hw__llama_first_error(char *out, size_t capacity);
void hw__llama_forget_errors(void);
/* Whether what the libraries log as errors on this thread is passed on: not in a decode that is broken off on purpose. */
void hw__llama_log_errors(bool passes);
/* Fills in 0, as many as the machine has cores; error ARGUMENT. */
hw_err hw__llama_threads(int32_t *n_threads, hw_error *err);

#endif
