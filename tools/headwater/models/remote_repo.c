/* remote_repo.c - see remote_repo.h. */
#include "models/remote_repo.h"

#include "base/error.h"
#include "base/json.h"
#include "base/module.h"
#include "models/web_client.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER_BYTES = 64 << 20, MAX_FILES = 100000 };

const char *hub_token(void) {
    const char *token = getenv("HF_TOKEN");
    return token && *token ? token : NULL;
}

const char *hub_host(char out[256], const hub_repo *repo) {
    const char *begin = strstr(repo->address, "://");
    begin = begin ? begin + 3 : repo->address;
    snprintf(out, 256, "%.*s", (int)strcspn(begin, "/"), begin);
    return out;
}

/* llama.cpp's default address is a function of its library llama-common. */
static hw_err read_address(char *out, size_t capacity, hw_error *err) {
    static const hw__module module = {"libheadwater-templates.so", "headwater_model_endpoint",
                                      "the hub's address is not known (set HF_ENDPOINT)"};
    const char *address = getenv("MODEL_ENDPOINT");
    if (!address || !*address) address = getenv("HF_ENDPOINT");
    if (!address || !*address) {
        void *symbol;
        hw_err rc = hw__module_open(&symbol, &module, (void *)hw_version, err);
        if (rc != HW_OK) return rc;
        const char *(*endpoint)(void);
        memcpy(&endpoint, &symbol, sizeof endpoint);
        address = endpoint();
    }
    size_t n = strlen(address);
    bool http = strncmp(address, "http://", 7) == 0 || strncmp(address, "https://", 8) == 0;
    if (!http)
        return hw__fail(err, HW_ERR_ARGUMENT, "HF_ENDPOINT \"%s\": must begin with http:// or https://", address);
    if (snprintf(out, capacity, "%s%s", address, n && address[n - 1] == '/' ? "" : "/") >= (int)capacity)
        return hw__fail(err, HW_ERR_ARGUMENT, "HF_ENDPOINT: an address of more than %zu bytes", capacity - 2);
    return HW_OK;
}

/* ------------------------------------------------------------------ requests */

typedef struct answer {
    const hub_repo *repo;
    char *bytes;
    size_t n, capacity;
} answer;

static bool take_answer(void *ctx, const void *bytes, size_t n) {
    answer *a = ctx;
    if (a->n + n > a->capacity) {
        size_t capacity = 2 * (a->n + n);
        char *resized = realloc(a->bytes, capacity);
        if (!resized) return false;
        a->bytes = resized;
        a->capacity = capacity;
    }
    memcpy(a->bytes + a->n, bytes, n);
    a->n += n;
    return true;
}

static bool is_stopped(void *ctx) {
    const hub_repo *repo = ((const answer *)ctx)->repo;
    return repo->stop && repo->stop(repo->ctx);
}

static hw_err explain(const hub_repo *repo, const http_failure *f, hw_error *err) {
    char host[256];
    hub_host(host, repo);
    if (f->unreachable)
        return hw__fail(err, HW_ERR_IO,
                        "%s cannot be reached (%s): is there a network? `headwater models` lists what is on this "
                        "machine",
                        host, f->reason);
    if (f->untrusted)
        return hw__fail(err, HW_ERR_IO,
                        "the certificate of %s is not accepted: %s (CURL_CA_BUNDLE or SSL_CERT_FILE names a file with "
                        "the certificates of authorities in place of the system's)",
                        host, f->reason);
    if (f->status == 401 || f->status == 403)
        return hw__fail(err, HW_ERR_IO, "%s refuses access to %s (%ld): set HF_TOKEN to a token that may read it", host,
                        repo->name, f->status);
    if (f->status == 404) return hw__fail(err, HW_ERR_ARGUMENT, "%s has no model %s", host, repo->name);
    return hw__fail(err, HW_ERR_IO, "%s does not answer: %s", host, f->reason);
}

/* The hub's answer to `what` of the repository. */
static hw_err get_json(json_t **out, const hub_repo *repo, const char *what, hw_error *err) {
    char url[HUB_URL_CAPACITY], host[256];
    answer a = {.repo = repo};
    http_failure failure;
    if (snprintf(url, sizeof url, "%sapi/models/%s/%s", repo->address, repo->name, what) >= (int)sizeof url)
        return hw__fail(err, HW_ERR_ARGUMENT, "the hub's address is too long");
    hw_err rc = http_get(&failure,
                         &(http_request){.url = url,
                                         .token = hub_token(),
                                         .max_bytes = MAX_ANSWER_BYTES,
                                         .take = take_answer,
                                         .stop = is_stopped,
                                         .ctx = &a},
                         err);
    if (rc == HW_ERR_IO) rc = explain(repo, &failure, err);
    if (rc == HW_OK && hw__json_parse(out, a.bytes ? a.bytes : "", a.n, err) != HW_OK) {
        char reason[200];
        snprintf(reason, sizeof reason, "%.199s", err ? err->msg : "");
        rc = hw__fail(err, HW_ERR_IO, "%s does not answer as a model hub does: %s", hub_host(host, repo), reason);
    }
    free(a.bytes);
    return rc;
}

/* ------------------------------------------------------------------ what it says */

static bool is_hex(const char *text, size_t n) {
    return text && strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* Letters, digits, _ and, between them, one of / . - with exactly one slash, as llama.cpp's hf-cache.cpp has it. */
static bool is_repo_name(const char *name) {
    size_t n_slashes = 0;
    bool mark = true;
    for (const char *at = name; *at; at++) {
        bool letter = isalnum((unsigned char)*at) || *at == '_';
        if (!letter && (mark || !strchr("/.-", *at))) return false;
        n_slashes += *at == '/';
        mark = !letter;
    }
    return !mark && n_slashes == 1 && strlen(name) < 200;
}

/* A relative path of plain names. */
static bool is_safe_path(const char *path) {
    if (!*path || *path == '/' || strlen(path) >= sizeof((hub_file *)0)->path) return false;
    for (const char *at = path; at; at = strchr(at, '/'), at = at ? at + 1 : NULL) {
        size_t n = strcspn(at, "/");
        if (n == 0 || at[0] == '.') return false; /* "..", ".", and names that are hidden */
    }
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127 || *at == '\\') return false;
    return true;
}

static hw_err read_branch(hub_repo *repo, const json_t *json, hw_error *err) {
    const json_t *branches;
    char host[256];
    hw_err rc = hw__json_array(&branches, json, "branches", err);
    for (size_t i = 0; rc == HW_OK && i < json_array_size(branches); i++) {
        const json_t *b = json_array_get(branches, i);
        const char *name = json_string_value(json_object_get(b, "name")),
                   *commit = json_string_value(json_object_get(b, "targetCommit"));
        if (!name || !is_hex(commit, 40) || !is_safe_path(name) || strlen(name) >= sizeof repo->branch) continue;
        bool main = strcmp(name, "main") == 0;
        if (*repo->commit && !main) continue;
        snprintf(repo->branch, sizeof repo->branch, "%s", name);
        snprintf(repo->commit, sizeof repo->commit, "%s", commit);
        if (main) break;
    }
    if (rc == HW_OK && *repo->commit) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "%s names no commit of %s", hub_host(host, repo), repo->name);
}

static bool read_file(hub_file *out, const json_t *item) {
    const json_t *lfs = json_object_get(item, "lfs"), *size = json_object_get(item, "size");
    const char *type = json_string_value(json_object_get(item, "type")),
               *path = json_string_value(json_object_get(item, "path")),
               *oid = json_string_value(json_object_get(lfs, "oid"));
    if (json_is_integer(json_object_get(lfs, "size"))) size = json_object_get(lfs, "size");
    if (!type || strcmp(type, "file") != 0 || !path) return false;
    if (json_string_length(json_object_get(item, "path")) != strlen(path)) return false;
    if (!is_safe_path(path) || !json_is_integer(size) || json_integer_value(size) < 0) return false;
    *out = (hub_file){.n_bytes = (uint64_t)json_integer_value(size)};
    snprintf(out->path, sizeof out->path, "%s", path);
    if (is_hex(oid, 64)) snprintf(out->sha256, sizeof out->sha256, "%s", oid);
    return true;
}

static hw_err read_files(hub_repo *repo, const json_t *json, hw_error *err) {
    size_t n = json_array_size(json);
    char host[256];
    if (!json_is_array(json) || n > MAX_FILES)
        return hw__fail(err, HW_ERR_IO, "%s gives no list of the files of %s", hub_host(host, repo), repo->name);
    repo->files = hw__alloc(n, sizeof *repo->files);
    if (!repo->files) return hw__fail_memory(err, "the files of a model", n, sizeof *repo->files);
    for (size_t i = 0; i < n; i++) repo->n_files += read_file(&repo->files[repo->n_files], json_array_get(json, i));
    return HW_OK;
}

hw_err hub_repo_open(hub_repo *out, const char *name, hw_stop_fn stop, void *ctx, hw_error *err) {
    json_t *json = NULL;
    char tree[128];
    *out = (hub_repo){.stop = stop, .ctx = ctx};
    if (!is_repo_name(name))
        return hw__fail(err, HW_ERR_ARGUMENT, "\"%s\" names no repository: must be OWNER/REPO", name);
    snprintf(out->name, sizeof out->name, "%s", name);
    hw_err rc = read_address(out->address, sizeof out->address, err);
    if (rc == HW_OK) rc = get_json(&json, out, "refs", err);
    if (rc == HW_OK) rc = read_branch(out, json, err);
    json_decref(json);
    json = NULL;
    snprintf(tree, sizeof tree, "tree/%s?recursive=true", out->commit);
    if (rc == HW_OK) rc = get_json(&json, out, tree, err);
    if (rc == HW_OK) rc = read_files(out, json, err);
    json_decref(json);
    if (rc != HW_OK) hub_repo_close(out);
    return rc;
}

void hub_repo_close(hub_repo *repo) {
    free(repo->files);
    repo->files = NULL;
    repo->n_files = 0;
}

hw_err hub_file_url(char url[HUB_URL_CAPACITY], const hub_repo *repo, const hub_file *file, hw_error *err) {
    static const char plain[] = "/-._~";
    int n = snprintf(url, HUB_URL_CAPACITY, "%s%s/resolve/%s/", repo->address, repo->name, repo->commit);
    for (const char *at = file->path; *at && n < HUB_URL_CAPACITY - 4; at++) {
        bool as_is = isalnum((unsigned char)*at) || strchr(plain, *at);
        n += snprintf(url + n, (size_t)(HUB_URL_CAPACITY - n), as_is ? "%c" : "%%%02X", (unsigned char)*at);
    }
    return n < HUB_URL_CAPACITY - 4 ? HW_OK
                                    : hw__fail(err, HW_ERR_ARGUMENT, "the address of %s is too long", file->path);
}
