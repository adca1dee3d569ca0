/*
 * server.c - sets up libmicrohttpd with limits, and the checks that every request must pass before its route is run.
 *
 *     headers -> access.h (token, Host, Origin) -> route -> body (type, length) -> JSON -> handler -> answer
 */
#include "serve/server.h"

#include "cli/clock.h"
#include "serve/access.h"
#include "serve/deadlines.h"
#include "serve/routes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* DROPPED_BYTES: an answer before the end of a body is lost to most clients, so the body of a refused request is read
 * and dropped first, up to this length. */
enum { IDLE_SECONDS = 30, HEADER_BYTES = 32 << 10, DROPPED_BYTES = 64 << 20 };
static const double CLOSING_S = 5, LAST_WORDS_S = 0.5;

/* A request being received. */
typedef struct incoming {
    const route *route;
    const dialect *dialect; /* as in call */
    int64_t id;
    buffer body;
    bool too_large, refused;
    hw_error refusal; /* if refused: why */
    char allowed[64]; /* the methods of the path, if the method is not among them; else "" */
} incoming;

/* ------------------------------------------------------------------ answers */

static const struct {
    const char *name, *value;
} headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};
/* The page declares the scripts that it runs; no other script can run. */
static const char page_policy[] = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'";
static const char data_policy[] = "default-src 'none'; frame-ancestors 'none'; sandbox";

static enum MHD_Result reply(server *s, struct MHD_Connection *connection, answer a, bool is_page) {
    if (!a.response) return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(a.response, headers[i].name, headers[i].value);
    MHD_add_response_header(a.response, "Content-Security-Policy", is_page ? page_policy : data_policy);
    if (a.status == 503) MHD_add_response_header(a.response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    if (is_page) access_remember(s, connection, a.response);
    metrics_count_request(&s->metrics, a.status);
    enum MHD_Result rc = MHD_queue_response(connection, a.status, a.response);
    MHD_destroy_response(a.response);
    return rc;
}

/* ------------------------------------------------------------------ what is asked */

static bool is_json(const char *type) {
    static const char json[] = "application/json";
    size_t n = strlen(json);
    return type && strncasecmp(type, json, n) == 0 && (type[n] == 0 || type[n] == ';' || type[n] == ' ');
}

/* Checks a body's headers. */
static bool check_body(struct MHD_Connection *connection, uint64_t length, hw_error *err) {
    bool twice = false;
    const char *type = access_header(connection, MHD_HTTP_HEADER_CONTENT_TYPE, &twice);
    if (!is_json(type) || twice)
        return error_set(err, ERR_MEDIA_TYPE, "the body must be JSON: Content-Type: application/json");
    if (length > MAX_BODY_BYTES)
        return error_set(err, ERR_TOO_LARGE, "the body has more than %d bytes", MAX_BODY_BYTES);
    return true;
}

static bool has_body(const route *r) { return strcmp(r->method, "POST") == 0 || strcmp(r->method, "PATCH") == 0; }

static const route *find_route(incoming *in, const char *method, const char *path) {
    const route *r = routes_find(method, path, &in->id, in->allowed, sizeof in->allowed);
    if (r) return r;
    if (*in->allowed)
        error_set(&in->refusal, ERR_BAD_METHOD, "%.20s is not accepted here, but %s", method, in->allowed);
    else
        error_set(&in->refusal, ERR_NOT_FOUND, "unknown address");
    return NULL;
}

static enum MHD_Result refuse(server *s, struct MHD_Connection *connection, const incoming *in) {
    answer a = answer_error_in(in->dialect, &in->refusal);
    if (a.response && *in->allowed) MHD_add_response_header(a.response, MHD_HTTP_HEADER_ALLOW, in->allowed);
    return reply(s, connection, a, false);
}

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The headers are there. *state becomes the request's state, or stays NULL if memory runs out. */
static enum MHD_Result begin(server *s, struct MHD_Connection *connection, const char *path, const char *method,
                             void **state) {
    const char *announced = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = announced ? strtoull(announced, NULL, 10) : 0;
    incoming *in = calloc(1, sizeof *in);
    if (!in) {
        hw_error err;
        error_set(&err, HW_ERR_MEMORY, "no memory for the request");
        return reply(s, connection, answer_error_in(dialect_of(path), &err), false);
    }
    *state = in;
    in->dialect = dialect_of(path);
    in->refused = !access_check(s, connection, path, &in->refusal) || !(in->route = find_route(in, method, path)) ||
                  (has_body(in->route) && !check_body(connection, length, &in->refusal));
    bool waits = header(connection, MHD_HTTP_HEADER_EXPECT) != NULL; /* for the answer, before it sends the body */
    return in->refused && (waits || length > DROPPED_BYTES) ? refuse(s, connection, in) : MHD_YES;
}

/* ------------------------------------------------------------------ handling */

/* The body's JSON; an absent body counts as {} if the route needs none. */
static json_t *parse_body(const incoming *in, hw_error *err) {
    if (in->too_large) {
        error_set(err, ERR_TOO_LARGE, "the body has more than %d bytes", MAX_BODY_BYTES);
        return NULL;
    }
    if (in->body.failed) {
        error_set(err, HW_ERR_MEMORY, "no memory for the request");
        return NULL;
    }
    if (in->body.n == 0 && !in->route->takes_json) return json_object();
    json_t *json = request_parse(in->body.n ? in->body.bytes : "", in->body.n, err);
    if (!json || in->route->takes_json || json_object_size(json) == 0) return json;
    json_decref(json);
    error_set(err, HW_ERR_ARGUMENT, "this takes no fields");
    return NULL;
}

static enum MHD_Result handle(server *s, struct MHD_Connection *connection, const char *path, incoming *in) {
    hw_error err;
    call c = {.server = s, .connection = connection, .dialect = in->dialect, .path = path, .id = in->id};
    deadlines_request_read(s->deadlines, connection);
    if (in->refused) return refuse(s, connection, in);
    if (has_body(in->route)) {
        c.body = parse_body(in, &err);
        if (!c.body) return reply(s, connection, answer_error_in(in->dialect, &err), false);
        buffer_free(&in->body); /* freed early, because a job may keep the connection open for a long time */
    }
    answer a = in->route->handle(&c);
    json_decref(c.body);
    return reply(s, connection, a, strcmp(in->route->path, "/") == 0);
}

/* Called by libmicrohttpd with the headers, with each piece of the body, and at the end. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state) {
    (void)version;
    incoming *in = *state;
    if (!in) return begin(ctx, connection, path, method, state);
    if (*upload_size) {
        in->too_large =
            in->too_large || in->refused || in->body.n + *upload_size > MAX_BODY_BYTES || !has_body(in->route);
        if (!in->too_large) buffer_add(&in->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    return handle(ctx, connection, path, in);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    server *s = ctx;
    (void)why;
    incoming *in = *state;
    deadlines_request_done(s->deadlines, connection);
    if (!in) return;
    buffer_free(&in->body);
    free(in);
    *state = NULL;
}

static void no_log(void *ctx, const char *fmt, va_list args) {
    (void)ctx;
    (void)fmt;
    (void)args;
}

/* ------------------------------------------------------------------ listening */

/* Takes ownership of the socket. */
static struct MHD_Daemon *serve_on(server *s, int fd) {
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, deadlines_on_connection,
        s->deadlines, MHD_OPTION_END);
    if (!daemon) close(fd);
    return daemon;
}

static unsigned port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return 0;
    bool v6 = a.ss_family == AF_INET6;
    return ntohs(v6 ? ((struct sockaddr_in6 *)&a)->sin6_port : ((struct sockaddr_in *)&a)->sin_port);
}

/* Without a port: the default one, or any that is free. */
static int open_listener(const listener *l, hw_error *err) {
    listener by_default = *l;
    if (l->path || l->port) return listener_open(l, err);
    by_default.port = DEFAULT_PORT;
    int fd = listener_open(&by_default, err);
    return fd >= 0 ? fd : listener_open(l, err);
}

bool server_start(server *s, const listener *l, hw_error *err) {
    int fd = open_listener(l, err);
    if (fd < 0) return false;
    unsigned port = l->path ? 0 : port_of(fd);
    s->deadlines = deadlines_new();
    if (!s->deadlines) close(fd);
    s->daemon = s->deadlines ? serve_on(s, fd) : NULL;
    if (s->deadlines && !s->daemon) deadlines_free(s->deadlines);
    if (!s->daemon) return error_set(err, HW_ERR_MEMORY, "no memory for the server");
    s->port = port;
    return true;
}

/* Waits until there are no jobs and their clients have read the reason, with a time limit. */
static void wait_for_answers(const server *s) {
    static const struct timespec moment = {.tv_nsec = 20000000};
    double until = clock_seconds() + CLOSING_S;
    while (queue_size(s->queue) > 0 && clock_seconds() < until) nanosleep(&moment, NULL);
    until = clock_seconds() + LAST_WORDS_S;
    while (clock_seconds() < until) {
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (!info || info->num_connections == 0) return;
        nanosleep(&moment, NULL);
    }
}

void server_stop(server *s) {
    events_end(&s->news);
    MHD_socket listening = MHD_quiesce_daemon(s->daemon);
    if (listening != MHD_INVALID_SOCKET) close(listening);
    wait_for_answers(s);
    MHD_stop_daemon(s->daemon);
    deadlines_free(s->deadlines);
}
