/*
 * devices.h - the devices that blocks of a model may run on, and the devices that its attention rows are on.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_DEVICES_H
#define HW_ENGINE_LLAMA_DEVICE_DEVICES_H

#include "engine/llama/device/rpc_client.h"

/* Chooses the devices for a model: those of `rpc`, then this machine's GPUs, or only those in `names` ("CUDA0,RPC1";
 * NULL or "": all). out [HW__MAX_DEVICES + 1] ends with NULL, as libllama expects. Error ARGUMENT. */
hw_err hw__devices_choose(ggml_backend_dev_t *out, const hw__rpc *rpc, const char *names, hw_error *err);
/* The same for a worker: only of this machine; the CPU if named, or if there is no GPU. */
hw_err hw__devices_served(ggml_backend_dev_t *out, const char *names, hw_error *err);

/* Number of layers whose attention rows were found on each device; zeroed: none. */
typedef struct hw__placement {
    struct {
        char name[64];
        size_t n;
    } at[HW__MAX_DEVICES + 1];
    size_t n;
    bool remote; /* some rows are outside this process's memory */
} hw__placement;
void hw__placement_note(hw__placement *p, ggml_backend_buffer_t buffer);

/* Weights that the CPU stores a second time, in the order used by its kernels: besides the file's pages, which stay
 * mapped. */
typedef struct hw__repacked {
    ggml_backend_buffer_t buffers[8]; /* each once */
    size_t n;
    uint64_t bytes;
} hw__repacked;
/* Records the weights among a node's sources. */
void hw__repacked_note(hw__repacked *r, const struct ggml_tensor *node);
/* "CPU", or "RPC0 20, CPU 10" if layers are spread. */
void hw__placement_text(char *out, size_t capacity, const hw__placement *p);

#endif
