/* access.c - see access.h. */
#include "serve/access.h"

#include "base/error.h"
#include "cli/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char cookie_name[] = "headwater-token", health_path[] = "/health";

/* ------------------------------------------------------------------ host and origin */

typedef struct header_count {
    const char *name;
    int n;
} header_count;

static enum MHD_Result count_header(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value) {
    header_count *c = ctx;
    (void)kind;
    (void)value;
    c->n += strcasecmp(key, c->name) == 0;
    return MHD_YES;
}

/* A header that occurs once; NULL if it is missing. *twice: it occurs more than once. */
const char *access_header(struct MHD_Connection *connection, const char *name, bool *twice) {
    header_count c = {name, 0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &c);
    if (c.n > 1) *twice = true;
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Whether the name in `host`, with or without a port, is `name`. Any port is accepted: a tunnel has its own. */
static bool is_named(const char *host, const char *name) {
    size_t n = strlen(name);
    if (strncasecmp(host, name, n) != 0) return false;
    if (!host[n]) return true;
    size_t digits = host[n] == ':' ? strspn(host + n + 1, "0123456789") : 0;
    return digits > 0 && digits <= 5 && !host[n + 1 + digits];
}

/* The names given by --allow-host. */
static bool is_allowed(const server *s, const char *host) {
    for (size_t i = 0; i < s->n_hosts; i++)
        if (is_named(host, s->hosts[i])) return true;
    return false;
}

/* Names to which another site's page cannot direct a browser: those of this machine, and those given by
 * --allow-host. */
static bool is_own_host(const server *s, const char *host) {
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_named(host, names[i])) return true;
    return is_allowed(s, host);
}

static bool check_host(const server *s, struct MHD_Connection *connection, hw_error *err) {
    bool twice = false;
    const char *host = access_header(connection, MHD_HTTP_HEADER_HOST, &twice);
    if (host && !twice && is_own_host(s, host)) return true;
    return error_set(err, ERR_BAD_HOST,
                     "this server answers to localhost, 127.0.0.1, [::1] and the names that --allow-host gave it");
}

/* An origin without its scheme; NULL for other schemes than http, and https for the names given by --allow-host. */
static const char *origin_host(const server *s, const char *origin) {
    static const char plain[] = "http://", encrypted[] = "https://";
    if (strncmp(origin, plain, strlen(plain)) == 0) return origin + strlen(plain);
    if (strncmp(origin, encrypted, strlen(encrypted)) != 0) return NULL;
    return is_allowed(s, origin + strlen(encrypted)) ? origin + strlen(encrypted) : NULL;
}

static bool check_origin(const server *s, struct MHD_Connection *connection, bool is_page, hw_error *err) {
    bool twice = false;
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin = access_header(connection, MHD_HTTP_HEADER_ORIGIN, &twice);
    const char *asking = origin ? origin_host(s, origin) : NULL;
    bool own = !origin || (!twice && asking && host && strcasecmp(asking, host) == 0);
    if (!own) return error_set(err, ERR_BAD_ORIGIN, "requests of other sites are not answered");
    const char *site = access_header(connection, "Sec-Fetch-Site", &twice);
    if (!site || is_page || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0) return true;
    return error_set(err, ERR_BAD_ORIGIN, "requests of other sites are not answered");
}

/* ------------------------------------------------------------------ the token */

/* Characters that a header and a cookie can hold. */
static bool is_token(const char *text, size_t n) {
    static const char accepted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    return n >= MIN_TOKEN_BYTES && n <= MAX_TOKEN_BYTES && strspn(text, accepted) == n;
}

hw_err access_read_token(char **out, const char *path, hw_error *err) {
    input file;
    hw_err rc = input_read(&file, "token", path, err);
    if (rc != HW_OK) return rc;
    size_t n = file.n;
    while (n > 0 && (file.bytes[n - 1] == '\n' || file.bytes[n - 1] == '\r')) n--;
    char *token = hw__strndup(n ? file.bytes : "", n);
    free(file.bytes);
    if (token && is_token(token, n)) {
        *out = token;
        return HW_OK;
    }
    free(token);
    if (!token) return hw__fail(err, HW_ERR_MEMORY, "no memory for token %s", path);
    return hw__fail(err, HW_ERR_FORMAT, "token %s: must be one line of %d to %d letters, digits and -._~+/=", path,
                    MIN_TOKEN_BYTES, MAX_TOKEN_BYTES);
}

/* Compares all bytes, so that the time says nothing about how many are right. */
static bool is_equal(const char *given, const char *token) {
    size_t n = strlen(token), n_given = strlen(given);
    unsigned char differs = n != n_given;
    for (size_t i = 0; i < n; i++) differs |= (unsigned char)(token[i] ^ (n_given ? given[i % n_given] : 0));
    return !differs;
}

/* The token of a request: as OpenAI's and Cohere's clients send it, as Anthropic's do, and as the page does. */
static const char *given_token(struct MHD_Connection *connection) {
    static const char bearer[] = "Bearer ";
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (value && strncasecmp(value, bearer, strlen(bearer)) == 0) return value + strlen(bearer);
    value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "x-api-key");
    return value ? value : MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, cookie_name);
}

static const char *query_token(struct MHD_Connection *connection) {
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "token");
}

static bool has_token(const server *s, struct MHD_Connection *connection, bool is_page) {
    const char *given = given_token(connection), *query = is_page ? query_token(connection) : NULL;
    return (given && is_equal(given, s->token)) || (query && is_equal(query, s->token));
}

void access_remember(const server *s, struct MHD_Connection *connection, struct MHD_Response *response) {
    char value[MAX_TOKEN_BYTES + 100];
    if (!s->token || !query_token(connection)) return;
    snprintf(value, sizeof value, "%s=%s; Path=/; HttpOnly; SameSite=Strict", cookie_name, s->token);
    MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, value);
}

bool access_check(const server *s, struct MHD_Connection *connection, const char *path, hw_error *err) {
    bool is_page = strcmp(path, "/") == 0, is_open = strcmp(path, health_path) == 0;
    bool known = s->token && has_token(s, connection, is_page);
    if (s->token && !known && !is_open)
        return error_set(err, ERR_NO_TOKEN,
                         "this server wants its token: as Authorization: Bearer TOKEN, as x-api-key: TOKEN, or for the "
                         "page as /?token=TOKEN");
    bool is_foreign = is_open && s->token; /* a probe from another machine */
    return (known || is_foreign || check_host(s, connection, err)) && check_origin(s, connection, is_page, err);
}
