/*
 * rpc_client.h - other machines' devices, through ggml's RPC backend.
 *
 * ggml ends the process when a server cannot be reached, speaks another version or dies during a run. So every server is
 * asked for its version first, over a connection of our own that gives up in time. What dies later cannot be caught: the log
 * gets a line of level FATAL. A server takes one client at a time; within a process all models share one connection to it.
 */
#ifndef HW_ENGINE_LLAMA_RPC_CLIENT_H
#define HW_ENGINE_LLAMA_RPC_CLIENT_H

#include "base/error.h"

#include <ggml-backend.h>

/* ggml's own limit of servers, and libllama's of devices that share a model. */
enum { HW__MOST_DEVICES = 16, HW__ENDPOINT = 272 };

/* Servers in use by one model or list; zeroed: none. */
typedef struct hw__rpc {
    struct {
        char endpoint[HW__ENDPOINT]; /* HOST:PORT */
        ggml_backend_reg_t reg;      /* its devices; ggml keeps it for ever */
        ggml_backend_t held;         /* keeps the connection, so that no other client comes between */
    } at[HW__MOST_DEVICES];
    size_t n;
} hw__rpc;

/* Connects to the servers of "HOST:PORT,HOST:PORT" (NULL or "": none). Closed again with hw__rpc_close(), also after an error:
 * ARGUMENT for what is no such list, IO for a server that does not answer, UNSUPPORTED for one of another version. */
hw_err hw__rpc_open(hw__rpc *rpc, const char *servers, hw_error *err);
void hw__rpc_close(hw__rpc *rpc);

/* A function of the RPC backend by name, NULL where this build of ggml has none. */
void *hw__rpc_function(const char *name);

/* Splits "HOST:PORT": host [room] and port 1..65535. Error ARGUMENT. */
hw_err hw__rpc_address(char *host, size_t room, uint16_t *port, const char *endpoint, hw_error *err);

#endif
