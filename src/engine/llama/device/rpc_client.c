/* rpc_client.c - addresses of RPC servers, a check whether they answer, and connections shared in a process. */
#include "engine/llama/device/rpc_client.h"

#include "engine/llama/device/guarded.h"

#include <ggml-rpc.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first exchange of ggml's protocol: one byte, the length of the rest as 8 bytes, 24 bytes of capabilities (none);
 * the answer's length as 8 bytes, then version and capabilities. */
enum { COMMAND_HELLO = 14, ABILITIES = 24, ANSWER = 4 + ABILITIES, TIMEOUT_MS = 5000 };

/* Number of uses of each server in this process: a server in use would not answer a second connection. */
static struct {
    pthread_mutex_t lock;
    struct {
        char endpoint[HW__ENDPOINT];
        size_t users;
    } at[HW__MAX_DEVICES];
} g_servers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ------------------------------------------------------------------ addresses */

hw_err hw__rpc_address(char *host, size_t capacity, uint16_t *port, const char *endpoint, hw_error *err) {
    const char *colon = strchr(endpoint, ':');
    size_t n = colon ? (size_t)(colon - endpoint) : 0;
    char *end = NULL;
    long number = colon && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : 0;
    if (n == 0 || n >= capacity || !end || *end || number < 1 || number > 65535)
        return hw__fail(
            err, HW_ERR_ARGUMENT,
            "\"%s\" is not a worker address: HOST:PORT is expected, HOST a name or IPv4 address, PORT 1..65535",
            endpoint);
    memcpy(host, endpoint, n);
    host[n] = 0;
    *port = (uint16_t)number;
    return HW_OK;
}

/* ------------------------------------------------------------------ does it answer? */

static bool wait_for(int fd, short what) {
    struct pollfd p = {.fd = fd, .events = what};
    int n;
    do n = poll(&p, 1, TIMEOUT_MS);
    while (n < 0 && errno == EINTR);
    if (n == 0) errno = ETIMEDOUT;
    return n == 1;
}

/* A connection to the first address of a name, or -1 with errno set. ggml uses the first address, too. */
static int connect_to(const struct addrinfo *address) {
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0) return -1;
    int failure = 0;
    socklen_t size = sizeof failure;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)
        failure = errno;
    else if (!wait_for(fd, POLLOUT))
        failure = errno;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (!failure) return fd;
    close(fd);
    errno = failure;
    return -1;
}

static bool receive(int fd, unsigned char *to, size_t n) {
    for (size_t done = 0; done < n;) {
        if (!wait_for(fd, POLLIN)) return false;
        ssize_t got = recv(fd, to + done, n - done, 0);
        if (got == 0) errno = ECONNRESET;
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (got > 0) done += (size_t)got;
    }
    return true;
}

/* The server's version in version [3]; false with errno set. */
static bool send_hello(int fd, unsigned char *version) {
    unsigned char question[1 + 8 + ABILITIES] = {COMMAND_HELLO, ABILITIES}, answer[8 + ANSWER]; /* little-endian */
    if (send(fd, question, sizeof question, MSG_NOSIGNAL) != (ssize_t)sizeof question) return false;
    if (!receive(fd, answer, sizeof answer)) return false;
    memcpy(version, answer + 8, 3);
    return true;
}

static hw_err judge_version(const char *endpoint, const unsigned char *v, hw_error *err) {
    if (v[0] == RPC_PROTO_MAJOR_VERSION && v[1] == RPC_PROTO_MINOR_VERSION && v[2] == RPC_PROTO_PATCH_VERSION)
        return HW_OK;
    return hw__fail(
        err, HW_ERR_UNSUPPORTED,
        "the worker %s speaks version %d.%d.%d of ggml's RPC protocol, %d.%d.%d is needed: build both sides "
        "with the same llama.cpp",
        endpoint, v[0], v[1], v[2], RPC_PROTO_MAJOR_VERSION, RPC_PROTO_MINOR_VERSION, RPC_PROTO_PATCH_VERSION);
}

static hw_err check_server(const char *endpoint, hw_error *err) {
    char host[HW__ENDPOINT];
    uint16_t port;
    hw_err rc = hw__rpc_address(host, sizeof host, &port, endpoint, err);
    if (rc != HW_OK) return rc;
    /* ggml supports IPv4 only */
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int unknown = getaddrinfo(host, strchr(endpoint, ':') + 1, &hints, &found);
    if (unknown) return hw__fail(err, HW_ERR_IO, "the worker %s: no IPv4 address: %s", endpoint, gai_strerror(unknown));
    int fd = connect_to(found);
    int failure = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return hw__fail(err, HW_ERR_IO, "the worker %s cannot be reached: %s (is `headwater worker` running there?)",
                        endpoint, strerror(failure));
    unsigned char version[3];
    bool answered = send_hello(fd, version);
    failure = errno;
    close(fd);
    if (answered) return judge_version(endpoint, version, err);
    return hw__fail(err, HW_ERR_IO,
                    failure == ETIMEDOUT
                        ? "the worker %s does not answer within %d s (%s): it serves one client at a time"
                        : "the worker %s hung up within %d s (%s): it is not a ggml RPC server, or of another "
                          "version",
                    endpoint, TIMEOUT_MS / 1000, strerror(failure));
}

/* ------------------------------------------------------------------ connections */

void *hw__rpc_function(const char *name) {
    ggml_backend_reg_t reg = ggml_backend_reg_by_name("RPC");
    return reg ? ggml_backend_reg_get_proc_address(reg, name) : NULL;
}

/* The use count of a server, NULL if the table is full; call with the lock held. */
static size_t *users_of(const char *endpoint) {
    size_t at = HW__MAX_DEVICES;
    for (size_t i = 0; i < HW__MAX_DEVICES; i++) {
        if (g_servers.at[i].users && strcmp(g_servers.at[i].endpoint, endpoint) == 0) return &g_servers.at[i].users;
        if (!g_servers.at[i].users && at == HW__MAX_DEVICES) at = i;
    }
    if (at == HW__MAX_DEVICES) return NULL;
    snprintf(g_servers.at[at].endpoint, HW__ENDPOINT, "%s", endpoint);
    return &g_servers.at[at].users;
}

/* Connects to one server, in the next entry of `rpc`; call with the lock held. */
static hw_err add_server(hw__rpc *rpc, const char *endpoint, hw_error *err) {
    hw__add_server add;
    *(void **)&add = hw__rpc_function("ggml_backend_rpc_add_server");
    if (!add) return hw__fail(err, HW_ERR_UNSUPPORTED, "this build of llama.cpp has no RPC backend (GGML_RPC=ON)");
    for (size_t i = 0; i < rpc->n; i++)
        if (strcmp(rpc->at[i].endpoint, endpoint) == 0)
            return hw__fail(err, HW_ERR_ARGUMENT, "the worker %s is named twice", endpoint);
    size_t *users = rpc->n < HW__MAX_DEVICES ? users_of(endpoint) : NULL;
    if (!users)
        return hw__fail(err, HW_ERR_ARGUMENT, "the worker %s is one too many: at most %d", endpoint, HW__MAX_DEVICES);
    hw_err rc = *users ? HW_OK : check_server(endpoint, err);
    if (rc != HW_OK) return rc;
    ggml_backend_reg_t reg;
    if ((rc = hw__guarded_add_server(&reg, add, endpoint, err)) != HW_OK) return rc;
    if (!reg) return hw__fail(err, HW_ERR_ENGINE, "the worker %s has no devices", endpoint);
    snprintf(rpc->at[rpc->n].endpoint, HW__ENDPOINT, "%s", endpoint);
    rpc->at[rpc->n].reg = reg;
    rpc->at[rpc->n].held = ggml_backend_dev_init(ggml_backend_reg_dev_get(reg, 0), NULL);
    rpc->n++;
    ++*users;
    return HW_OK;
}

hw_err hw__rpc_open(hw__rpc *rpc, const char *servers, hw_error *err) {
    hw_err rc = HW_OK;
    pthread_mutex_lock(&g_servers.lock);
    for (const char *at = servers && *servers ? servers : NULL; rc == HW_OK && at;) {
        size_t n = strcspn(at, ",");
        char endpoint[HW__ENDPOINT];
        if (n < sizeof endpoint) {
            snprintf(endpoint, sizeof endpoint, "%.*s", (int)n, at);
            rc = add_server(rpc, endpoint, err);
        } else { /* a truncated name would be another server's */
            rc = hw__fail(err, HW_ERR_ARGUMENT, "the worker %.40s...: a name of %zu bytes, at most %d are accepted", at,
                          n, HW__ENDPOINT - 1);
        }
        at = at[n] ? at + n + 1 : NULL;
    }
    pthread_mutex_unlock(&g_servers.lock);
    return rc;
}

void hw__rpc_close(hw__rpc *rpc) {
    pthread_mutex_lock(&g_servers.lock);
    for (size_t i = 0; i < rpc->n; i++) {
        if (rpc->at[i].held) ggml_backend_free(rpc->at[i].held);
        --*users_of(rpc->at[i].endpoint);
    }
    pthread_mutex_unlock(&g_servers.lock);
    rpc->n = 0;
}
