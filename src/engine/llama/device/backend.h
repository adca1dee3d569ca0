/*
 * backend.h - process-wide set-up of libllama and ggml before any model is opened: the log, ggml's backends, the number
 * of threads.
 *
 * The folder engine/llama/device/: the devices that compute: ggml's backends, devices of this and of other machines,
 * reads from their memory, and C functions that catch libllama's exceptions.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_BACKEND_H
#define HW_ENGINE_LLAMA_DEVICE_BACKEND_H

#include "base/error.h"

/* Once per process, before any other call of ggml: redirects its messages to our log. */
void hw__llama_connect_log(void);
/* Once per process, before a model is loaded: connects the log and loads ggml's backends. ggml has one CPU backend per
 * processor type; the best one that this machine supports is loaded, only from the folder of libggml. */
void hw__llama_start(void);
/* The first error that the libraries have logged since the last call, or "no reason given"; clears it. The first error
 * has the reason; later ones are its consequences. */
void hw__llama_first_error(char *out, size_t capacity);
void hw__llama_forget_errors(void);
/* out <- why libllama did not load a model of this architecture: its first error, and its version. */
void hw__llama_load_problem(char *out, size_t capacity, const char *architecture);
/* Whether errors that the libraries log on this thread are passed on: disabled for a decode that is aborted on
 * purpose. */
void hw__llama_log_errors(bool passes);
/* Replaces 0 by the number of cores; error ARGUMENT. */
hw_err hw__llama_threads(int32_t *n_threads, hw_error *err);

#endif
