/*
 * web_client.c - see web_client.h. libcurl's functions are looked up by name and its options given by number, which
 * are parts of its stable binary interface: building needs no headers of it, and a machine without it can do all else.
 */
#include "models/web_client.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of curl/curl.h. */
enum {
    OPTION_WRITE_DATA = 10001,
    OPTION_URL = 10002,
    OPTION_ERROR_BUFFER = 10010,
    OPTION_USER_AGENT = 10018,
    OPTION_LOW_SPEED_LIMIT = 19,
    OPTION_LOW_SPEED_TIME = 20,
    OPTION_NO_PROGRESS = 43,
    OPTION_FAIL_ON_ERROR = 45,
    OPTION_FOLLOW_LOCATION = 52,
    OPTION_MAX_REDIRECTS = 68,
    OPTION_CONNECT_TIMEOUT = 78,
    OPTION_NO_SIGNAL = 99,
    OPTION_HTTP_AUTH = 107,
    OPTION_PROTOCOLS = 181,
    OPTION_REDIRECT_PROTOCOLS = 182,
    OPTION_PROGRESS_DATA = 10057,
    OPTION_AUTHORITIES = 10065,
    OPTION_BEARER = 10220,
    OPTION_WRITE_FUNCTION = 20011,
    OPTION_PROGRESS_FUNCTION = 20219,
    OPTION_RESUME_FROM = 30116,
    INFO_STATUS = 0x200002,
    PROTOCOLS_HTTP = 1 | 2,
    PROTOCOL_HTTPS = 2,
    AUTH_BEARER = 1 << 6,
    ERROR_CAPACITY = 256
};
enum result {
    RESULT_OK = 0,
    RESULT_BAD_PROTOCOL = 1,
    RESULT_BAD_URL = 3,
    RESULT_NO_PROXY = 5,
    RESULT_NO_HOST = 6,
    RESULT_NO_CONNECTION = 7,
    RESULT_HTTP_ERROR = 22,
    RESULT_NO_RANGE = 33,
    RESULT_BAD_CERTIFICATE = 60,
    RESULT_BAD_AUTHORITIES = 77
};

static struct {
    void *(*init)(void);
    int (*set)(void *handle, int option, ...);
    int (*perform)(void *handle);
    int (*info)(void *handle, int info, ...);
    void (*cleanup)(void *handle);
    const char *(*text)(int result);
    bool ready;
} curl;

static hw_err open_library(hw_error *err) {
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    const struct {
        const char *name;
        void *pointer;
    } functions[] = {{"curl_easy_init", &curl.init},       {"curl_easy_setopt", &curl.set},
                     {"curl_easy_perform", &curl.perform}, {"curl_easy_getinfo", &curl.info},
                     {"curl_easy_cleanup", &curl.cleanup}, {"curl_easy_strerror", &curl.text}};
    void *library = NULL;
    if (curl.ready) return HW_OK;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = library ? dlsym(library, functions[i].name) : NULL;
        if (!function)
            return hw__fail(err, HW_ERR_UNSUPPORTED,
                            "nothing can be downloaded: the library libcurl is not there (%s); on Debian: apt install "
                            "libcurl4",
                            dlerror());
        memcpy(functions[i].pointer, &function, sizeof function);
    }
    curl.ready = true;
    return HW_OK;
}

/* The request in progress. */
typedef struct transfer {
    const http_request *request;
    http_failure *failure;
    void *handle;
    uint64_t received;
    bool stopped;
} transfer;

static size_t take_bytes(char *bytes, size_t size, size_t n, void *ctx) {
    transfer *t = ctx;
    n *= size;
    curl.info(t->handle, INFO_STATUS, &t->failure->status);
    if (t->request->first && t->failure->status != 206) {
        t->failure->no_range = true;
        return 0;
    }
    t->received += n;
    t->failure->not_taken = t->received > t->request->max_bytes || !t->request->take(t->request->ctx, bytes, n);
    return t->failure->not_taken ? 0 : n;
}

static int watch(void *ctx, int64_t total, int64_t now, int64_t up_total, int64_t up_now) {
    transfer *t = ctx;
    (void)total, (void)now, (void)up_total, (void)up_now;
    if (t->request->progress) t->request->progress(t->request->ctx, t->received);
    t->stopped = t->request->stop && t->request->stop(t->request->ctx);
    return t->stopped;
}

/* File of certificates of authorities that the user trusts, as curl reads it; NULL: the system's. */
static const char *authorities(void) {
    const char *file = getenv("CURL_CA_BUNDLE");
    if (!file || !*file) file = getenv("SSL_CERT_FILE");
    return file && *file ? file : NULL;
}

static bool set_options(transfer *t, char *text) {
    const http_request *r = t->request;
    bool secure = strncmp(r->url, "https://", 8) == 0; /* then it stays so */
    const struct {
        int option;
        long value;
    } numbers[] = {{OPTION_NO_SIGNAL, 1},
                   {OPTION_NO_PROGRESS, 0},
                   {OPTION_FAIL_ON_ERROR, 1},
                   {OPTION_FOLLOW_LOCATION, 1},
                   {OPTION_MAX_REDIRECTS, 8},
                   {OPTION_CONNECT_TIMEOUT, 20},
                   {OPTION_LOW_SPEED_LIMIT, 1},
                   {OPTION_LOW_SPEED_TIME, 60},
                   {OPTION_PROTOCOLS, PROTOCOLS_HTTP},
                   {OPTION_REDIRECT_PROTOCOLS, secure ? PROTOCOL_HTTPS : PROTOCOLS_HTTP}};
    bool ok = curl.set(t->handle, OPTION_URL, r->url) == RESULT_OK &&
              curl.set(t->handle, OPTION_USER_AGENT, "headwater/" HW_VERSION) == RESULT_OK &&
              curl.set(t->handle, OPTION_ERROR_BUFFER, text) == RESULT_OK &&
              curl.set(t->handle, OPTION_WRITE_FUNCTION, take_bytes) == RESULT_OK &&
              curl.set(t->handle, OPTION_WRITE_DATA, t) == RESULT_OK &&
              curl.set(t->handle, OPTION_PROGRESS_FUNCTION, watch) == RESULT_OK &&
              curl.set(t->handle, OPTION_PROGRESS_DATA, t) == RESULT_OK &&
              curl.set(t->handle, OPTION_RESUME_FROM, (int64_t)r->first) == RESULT_OK;
    for (size_t i = 0; ok && i < sizeof numbers / sizeof *numbers; i++)
        ok = curl.set(t->handle, numbers[i].option, numbers[i].value) == RESULT_OK;
    if (ok && authorities()) ok = curl.set(t->handle, OPTION_AUTHORITIES, authorities()) == RESULT_OK;
    if (ok && r->token && *r->token)
        ok = curl.set(t->handle, OPTION_HTTP_AUTH, (long)AUTH_BEARER) == RESULT_OK &&
             curl.set(t->handle, OPTION_BEARER, r->token) == RESULT_OK;
    return ok;
}

static void explain_failure(transfer *t, int result, const char *text) {
    http_failure *f = t->failure;
    curl.info(t->handle, INFO_STATUS, &f->status);
    f->no_range = f->no_range || result == RESULT_NO_RANGE || (t->request->first && f->status == 416);
    f->unreachable = result == RESULT_NO_HOST || result == RESULT_NO_CONNECTION || result == RESULT_NO_PROXY;
    f->untrusted = result == RESULT_BAD_CERTIFICATE || result == RESULT_BAD_AUTHORITIES;
    bool refused = result == RESULT_HTTP_ERROR && f->status < 500 && f->status != 429;
    f->lasting = f->unreachable || f->not_taken || refused || f->untrusted || result == RESULT_BAD_URL ||
                 result == RESULT_BAD_PROTOCOL;
    snprintf(f->reason, sizeof f->reason, "%s", *text ? text : curl.text(result));
}

hw_err http_get(http_failure *failure, const http_request *request, hw_error *err) {
    char text[ERROR_CAPACITY] = "";
    *failure = (http_failure){.status = 0};
    hw_err rc = open_library(err);
    if (rc != HW_OK) return rc;
    transfer t = {.request = request, .failure = failure, .handle = curl.init()};
    if (!t.handle) return hw__fail(err, HW_ERR_MEMORY, "no memory for a request");
    if (!set_options(&t, text)) {
        failure->lasting = true;
        rc = hw__fail(err, HW_ERR_IO, "libcurl does not accept the request");
    } else {
        int result = curl.perform(t.handle);
        if (result != RESULT_OK) explain_failure(&t, result, text);
        if (t.stopped)
            rc = hw__fail(err, HW_ERR_CANCELLED, "stopped");
        else if (result != RESULT_OK)
            rc = hw__fail(err, HW_ERR_IO, "%s", failure->reason);
    }
    curl.cleanup(t.handle);
    return rc;
}
