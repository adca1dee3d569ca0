/* listener.c - see listener.h. */
#include "serve/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un file;
} address;

/* Length of the address; 0: `host` is none. */
static socklen_t parse(address *out, const char *host, unsigned port) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1) return 0;
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons((uint16_t)port);
    return sizeof out->v6;
}

bool listener_is_address(const char *host) {
    address a;
    return parse(&a, host, 0) > 0;
}

bool listener_is_local(const char *host) {
    address a;
    if (parse(&a, host, 0) == 0) return false;
    if (a.any.sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
    return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
}

/* False, with the socket closed, on failure. */
static bool begin(int fd, const address *a, socklen_t n) {
    if (bind(fd, &a->any, n) == 0 && listen(fd, BACKLOG) == 0) return true;
    int reason = errno;
    close(fd);
    errno = reason;
    return false;
}

/* A socket that no server listens on any more is removed; anything else at that path stays. */
static void remove_stale(const address *a, socklen_t n) {
    struct stat info;
    if (lstat(a->file.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &a->any, n) != 0 && errno == ECONNREFUSED) unlink(a->file.sun_path);
    if (fd >= 0) close(fd);
}

static int open_file(const char *path, hw_error *err) {
    address a = {.file = {.sun_family = AF_UNIX}};
    if (!*path || strlen(path) >= sizeof a.file.sun_path) {
        error_set(err, HW_ERR_ARGUMENT, "socket \"%.200s\": the path must have 1 to %zu bytes", path,
                  sizeof a.file.sun_path - 1);
        return -1;
    }
    strcpy(a.file.sun_path, path);
    remove_stale(&a, sizeof a.file);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177); /* only its owner may connect, from the first moment on */
    bool ok = fd >= 0 && begin(fd, &a, sizeof a.file);
    int reason = errno;
    umask(before);
    if (ok) return fd;
    error_set(err, HW_ERR_IO, "cannot listen on %.200s: %s", path, strerror(reason));
    return -1;
}

int listener_open(const listener *l, hw_error *err) {
    address a;
    const int on = 1;
    const char *host = l->host ? l->host : "127.0.0.1";
    if (l->path) return open_file(l->path, err);
    socklen_t n = parse(&a, host, l->port);
    int fd = n ? socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && a.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd >= 0 && begin(fd, &a, n)) return fd;
    error_set(err, HW_ERR_IO, "cannot listen on %.60s:%u: %s", host, l->port,
              errno == EADDRINUSE || errno == EACCES ? "the port is in use, or not yours to take" : strerror(errno));
    return -1;
}

void listener_describe(char *out, size_t capacity, const listener *l, unsigned port) {
    const char *host = l->host ? l->host : "127.0.0.1";
    if (l->path)
        snprintf(out, capacity, "unix:%s", l->path);
    else
        snprintf(out, capacity, strchr(host, ':') ? "http://[%s]:%u/" : "http://%s:%u/", host, port);
}

void listener_remove(const listener *l) {
    if (l->path) unlink(l->path);
}
