/* rpc_worker.c - serves this machine's devices to others through ggml's RPC server. */
#include "engine/llama/device/devices.h"

#include "base/sized.h"
#include "engine/llama/device/backend.h"

#include <ggml-rpc.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef void (*start_server)(const char *endpoint, const char *cache_dir, size_t n_threads, size_t n_devices,
                             ggml_backend_dev_t *devices);
/* Looked up by name, because builds of ggml without RPC lack it; the compiler checks the type here. */
_Static_assert(_Generic(&ggml_backend_rpc_start_server, start_server : 1, default : 0),
               "ggml's RPC server has changed");

void hw_worker_params_init(hw_worker_params *params, size_t size) {
    const hw_worker_params defaults = {.size = sizeof defaults};
    hw__params_fill(params, size, &defaults, sizeof defaults);
}

/* Checks that the address can be listened on, because ggml's server reports neither the error nor its reason. */
static hw_err check_address(const char *host, uint16_t port, hw_error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (port == 0) return hw__fail(err, HW_ERR_ARGUMENT, "port 0: 1..65535 are accepted");
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return hw__fail(err, HW_ERR_ARGUMENT, "host \"%s\": an IPv4 address of this machine is accepted, as 127.0.0.1",
                        host);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_to_use = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    int failure = errno;
    if (fd >= 0) close(fd);
    return free_to_use ? HW_OK
                       : hw__fail(err, HW_ERR_IO, "%s:%d cannot be listened on: %s", host, port, strerror(failure));
}

hw_err hw_worker_run(const hw_worker_params *params, hw_error *err) {
    if (!params) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params with a port are needed");
    hw_worker_params p = hw_worker_params_default();
    hw_err rc = hw__params_read(&p, sizeof p, params, "hw_worker_params", err);
    if (rc != HW_OK) return rc;
    hw__llama_start();
    const char *host = p.host ? p.host : "127.0.0.1";
    ggml_backend_dev_t devices[HW__MAX_DEVICES + 1];
    size_t n = 0;
    int32_t n_threads = p.n_threads;
    rc = check_address(host, p.port, err);
    if (rc == HW_OK) rc = hw__llama_threads(&n_threads, err);
    if (rc == HW_OK) rc = hw__devices_served(devices, p.devices, err);
    if (rc != HW_OK) return rc;
    while (devices[n]) n++;
    start_server start;
    *(void **)&start = hw__rpc_function("ggml_backend_rpc_start_server");
    if (!start) return hw__fail(err, HW_ERR_UNSUPPORTED, "this build of llama.cpp has no RPC backend (GGML_RPC=ON)");
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "%s:%d", host, p.port);
    start(endpoint, NULL, (size_t)n_threads, n, devices);
    return hw__fail(err, HW_ERR_ENGINE, "the worker at %s ended", endpoint);
}
