/*
 * rpc_client.h - devices of other machines, through ggml's RPC backend.
 *
 * ggml ends the process if a server cannot be reached, has another version or dies during a run. So every server is
 * first asked for its version, over our own connection with a timeout. A later failure cannot be caught: the log gets a
 * line of level FATAL. A server accepts one client at a time; all models of a process share one connection to it.
 */
#ifndef HW_ENGINE_LLAMA_DEVICE_RPC_CLIENT_H
#define HW_ENGINE_LLAMA_DEVICE_RPC_CLIENT_H

#include "base/error.h"

#include <ggml-backend.h>

/* ggml's own limit of servers, and libllama's of devices for one model. */
enum { HW__MAX_DEVICES = 16, HW__ENDPOINT = 272 };

/* Servers in use by one model or list; zeroed: none. */
typedef struct hw__rpc {
    struct {
        char endpoint[HW__ENDPOINT]; /* HOST:PORT */
        ggml_backend_reg_t reg;      /* its devices; ggml never frees it */
        ggml_backend_t held;         /* keeps the connection, so that no other client can connect */
    } at[HW__MAX_DEVICES];
    size_t n;
} hw__rpc;

/* Connects to the servers of "HOST:PORT,HOST:PORT" (NULL or "": none). Close with hw__rpc_close(), also after an error:
 * ARGUMENT for an invalid list, IO for a server that does not answer, UNSUPPORTED for another version. */
hw_err hw__rpc_open(hw__rpc *rpc, const char *servers, hw_error *err);
void hw__rpc_close(hw__rpc *rpc);

/* A function of the RPC backend by name, NULL if this build of ggml does not have it. */
void *hw__rpc_function(const char *name);

/* Splits "HOST:PORT": host [capacity] and port 1..65535. Error ARGUMENT. */
hw_err hw__rpc_address(char *host, size_t capacity, uint16_t *port, const char *endpoint, hw_error *err);

#endif
