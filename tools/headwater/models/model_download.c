/* model_download.c - see model_download.h. */
#define _GNU_SOURCE /* flock */
#include "models/model_download.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "models/model_stores.h"
#include "models/remote_repo.h"
#include "models/web_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ATTEMPTS = 3 };

/* One download: a repository and where it goes. */
typedef struct download {
    hub_repo repo;
    char folder[MODEL_PATH_CAPACITY]; /* CACHE/models--OWNER--REPO */
    const model_download_watch *watch;
} download;

/* ------------------------------------------------------------------ folders */

static hw_err make_path(char *out, hw_error *err, const char *folder, const char *below, const char *name) {
    if (snprintf(out, MODEL_PATH_CAPACITY, "%s/%s%s", folder, below, name) < MODEL_PATH_CAPACITY) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "%s: a path of more than %d bytes", folder, MODEL_PATH_CAPACITY);
}

/* Makes the folders that a path lies in. */
static hw_err make_folders(const char *path, hw_error *err) {
    char folder[MODEL_PATH_CAPACITY];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return hw__fail(err, HW_ERR_IO, "%s: the folder cannot be made: %s", folder, strerror(errno));
        *slash = '/';
    }
    return HW_OK;
}

static hw_err name_folder(download *d, const model_source *hub, hw_error *err) {
    char cache[MODEL_PATH_CAPACITY], name[300] = "models--";
    size_t n = strlen(name);
    for (const char *at = d->repo.name; *at && n + 3 < sizeof name; at++) {
        name[n++] = *at == '/' ? '-' : *at;
        if (*at == '/') name[n++] = '-';
    }
    name[n] = 0;
    if (!model_source_folder(cache, hub)) return hw__fail(err, HW_ERR_IO, "no folder for models: set HF_HOME or HOME");
    return make_path(d->folder, err, cache, "", name);
}

/* ------------------------------------------------------------------ one file */

/* A file that arrives. */
typedef struct arriving {
    const download *d;
    const hub_file *file;
    char blob[MODEL_PATH_CAPACITY], partial[MODEL_PATH_CAPACITY], url[HUB_URL_CAPACITY];
    int fd;
    int error; /* errno of a failed write */
    uint64_t n_bytes;
    hw__sha256 hash;
} arriving;

static bool take_bytes(void *ctx, const void *bytes, size_t n) {
    arriving *a = ctx;
    if (a->n_bytes + n > a->file->n_bytes) return false;
    for (size_t done = 0; done < n;) {
        ssize_t wrote = write(a->fd, (const char *)bytes + done, n - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            a->error = errno;
            return false;
        }
        done += (size_t)wrote;
    }
    hw__sha256_add(&a->hash, bytes, n);
    a->n_bytes += n;
    return true;
}

static void show(void *ctx, uint64_t received) {
    const arriving *a = ctx;
    const model_download_watch *w = a->d->watch;
    (void)received;
    if (w->progress) w->progress(w->ctx, a->file->path, a->n_bytes, a->file->n_bytes);
}

static bool stops(void *ctx) {
    const model_download_watch *w = ((const arriving *)ctx)->d->watch;
    return w->stop && w->stop(w->ctx);
}

/* Begins anew. */
static hw_err empty(arriving *a, hw_error *err) {
    a->n_bytes = 0;
    hw__sha256_begin(&a->hash);
    if (ftruncate(a->fd, 0) == 0 && lseek(a->fd, 0, SEEK_SET) == 0) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "%s: %s", a->partial, strerror(errno));
}

/* Opens the partial file and takes in what an earlier download left. */
static hw_err open_partial(arriving *a, hw_error *err) {
    static char bytes[1 << 16];
    ssize_t n;
    hw_err rc = make_folders(a->partial, err);
    if (rc != HW_OK) return rc;
    a->fd = open(a->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (a->fd < 0) return hw__fail(err, HW_ERR_IO, "%s: %s", a->partial, strerror(errno));
    if (flock(a->fd, LOCK_EX | LOCK_NB) != 0)
        return hw__fail(err, HW_ERR_IO, "%s: another process is downloading it", a->file->path);
    hw__sha256_begin(&a->hash);
    while ((n = read(a->fd, bytes, sizeof bytes)) > 0) {
        hw__sha256_add(&a->hash, bytes, (size_t)n);
        a->n_bytes += (uint64_t)n;
        if (stops(a)) return hw__fail(err, HW_ERR_CANCELLED, "stopped");
    }
    return n < 0 || a->n_bytes > a->file->n_bytes ? empty(a, err) : HW_OK;
}

static hw_err check_space(const arriving *a, hw_error *err) {
    struct statvfs fs;
    uint64_t left = a->file->n_bytes - a->n_bytes;
    if (fstatvfs(a->fd, &fs) != 0) return HW_OK;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= left) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "%s needs %.2f GB more, %s has %.2f GB: free some, or set HF_HOME to another disk",
                    a->file->path, (double)left / 1e9, a->d->folder, (double)free_bytes / 1e9);
}

/* Waits between two attempts; false if the user stops. */
static bool pause_for(const arriving *a, int seconds) {
    const struct timespec tick = {.tv_nsec = 50 * 1000 * 1000};
    for (int i = 0; i < seconds * 20; i++) {
        if (stops((void *)a)) return false;
        nanosleep(&tick, NULL);
    }
    return true;
}

static hw_err explain(const arriving *a, const http_failure *f, hw_error *err) {
    char host[256];
    hub_host(host, &a->d->repo);
    if (a->error)
        return hw__fail(err, HW_ERR_IO, "%s cannot be written: %s; the same command continues after %.1f MB",
                        a->partial, strerror(a->error), (double)a->n_bytes / 1e6);
    if (f->not_taken)
        return hw__fail(err, HW_ERR_IO, "%s sends more of %s than its %llu bytes", host, a->file->path,
                        (unsigned long long)a->file->n_bytes);
    if (f->status == 401 || f->status == 403)
        return hw__fail(err, HW_ERR_IO, "%s refuses access to %s (%ld): set HF_TOKEN to a token that may read it", host,
                        a->file->path, f->status);
    return hw__fail(err, HW_ERR_IO,
                    "the download of %s broke off after %.1f of %.1f MB (%s); the same command continues there",
                    a->file->path, (double)a->n_bytes / 1e6, (double)a->file->n_bytes / 1e6, f->reason);
}

/* One request from where the file ends; *again: another may bring more. */
static hw_err fetch_rest(arriving *a, http_failure *failure, bool *again, hw_error *err) {
    uint64_t before = a->n_bytes;
    hw_err rc = http_get(failure,
                         &(http_request){.url = a->url,
                                         .token = hub_token(),
                                         .first = a->n_bytes,
                                         .max_bytes = a->file->n_bytes - a->n_bytes,
                                         .take = take_bytes,
                                         .progress = show,
                                         .stop = stops,
                                         .ctx = a},
                         err);
    *again = rc == HW_ERR_IO && !failure->lasting && !a->error;
    if (rc == HW_ERR_IO && failure->no_range) {
        rc = empty(a, err);
        *again = rc == HW_OK;
    } else if (rc == HW_OK && a->n_bytes < a->file->n_bytes) { /* without a length a break looks like an end */
        snprintf(failure->reason, sizeof failure->reason, "the connection ended");
        *again = a->n_bytes > before;
        rc = HW_ERR_IO;
    }
    return rc;
}

static hw_err fetch(arriving *a, hw_error *err) {
    http_failure failure = {.status = 0};
    hw_err rc = HW_OK;
    bool again = true;
    for (int attempt = 0; a->n_bytes < a->file->n_bytes && again; attempt++) {
        uint64_t before = a->n_bytes;
        if (attempt > 0 && !failure.no_range && !pause_for(a, attempt))
            return hw__fail(err, HW_ERR_CANCELLED, "stopped");
        rc = fetch_rest(a, &failure, &again, err);
        if (a->n_bytes > before) attempt = 0;
        again = again && attempt + 1 < MAX_ATTEMPTS;
        if (rc == HW_OK && !failure.no_range) break;
    }
    if (rc == HW_ERR_IO) return explain(a, &failure, err);
    return rc;
}

/* The file gets its name only if it is what the hub announced. */
static hw_err finish(arriving *a, hw_error *err) {
    char sha256[HW__SHA256_CAPACITY];
    hw__sha256_hex(&a->hash, sha256);
    if (strcmp(sha256, a->file->sha256) != 0) {
        unlink(a->partial);
        return hw__fail(err, HW_ERR_IO,
                        "the checksum of %s differs: SHA-256 %.12s..., the hub says %.12s...; what was downloaded is "
                        "removed: try again",
                        a->file->path, sha256, a->file->sha256);
    }
    if (fsync(a->fd) != 0 || rename(a->partial, a->blob) != 0)
        return hw__fail(err, HW_ERR_IO, "%s: %s", a->blob, strerror(errno));
    return HW_OK;
}

static bool has_size(const char *path, uint64_t n_bytes) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n_bytes;
}

static hw_err fetch_file(const download *d, const hub_file *file, hw_error *err) {
    arriving a = {.d = d, .file = file, .fd = -1};
    char host[256];
    if (!*file->sha256)
        return hw__fail(err, HW_ERR_IO, "the hub gives no SHA-256 of %s: it cannot be verified", file->path);
    hw_err rc = make_path(a.blob, err, d->folder, "blobs/", file->sha256);
    if (rc == HW_OK && has_size(a.blob, file->n_bytes)) return HW_OK;
    if (rc == HW_OK && snprintf(a.partial, sizeof a.partial, "%s.downloadInProgress", a.blob) >= (int)sizeof a.partial)
        rc = hw__fail(err, HW_ERR_IO, "%s: the path is too long", a.blob);
    if (rc == HW_OK) rc = hub_file_url(a.url, &d->repo, file, err);
    if (rc == HW_OK && d->watch->start)
        d->watch->start(d->watch->ctx, file->path, file->n_bytes, hub_host(host, &d->repo));
    if (rc == HW_OK) rc = open_partial(&a, err);
    if (rc == HW_OK) rc = check_space(&a, err);
    if (rc == HW_OK) rc = fetch(&a, err);
    if (rc == HW_OK) rc = finish(&a, err);
    if (rc == HW_ERR_CANCELLED)
        rc = hw__fail(err, rc, "stopped; %.1f of %.1f MB of %s are kept: the same command continues there",
                      (double)a.n_bytes / 1e6, (double)file->n_bytes / 1e6, file->path);
    if (a.fd >= 0) close(a.fd);
    return rc;
}

/* ------------------------------------------------------------------ the repository */

/* snapshots/COMMIT/FILE -> ../../blobs/SHA256, replaced in one step. */
static hw_err link_file(const download *d, const hub_file *file, hw_error *err) {
    char path[MODEL_PATH_CAPACITY], made[MODEL_PATH_CAPACITY], target[MODEL_PATH_CAPACITY] = "", below[64];
    size_t n = 0;
    snprintf(below, sizeof below, "snapshots/%s/", d->repo.commit);
    hw_err rc = make_path(path, err, d->folder, below, file->path);
    if (rc == HW_OK) rc = make_folders(path, err);
    if (rc != HW_OK) return rc;
    for (const char *at = file->path; at; at = strchr(at, '/'), at = at ? at + 1 : NULL) {
        if (at != file->path && n + 4 < sizeof target) n += (size_t)snprintf(target + n, sizeof target - n, "../");
    }
    snprintf(target + n, sizeof target - n, "../../blobs/%s", file->sha256);
    if (snprintf(made, sizeof made, "%s.link", path) >= (int)sizeof made)
        return hw__fail(err, HW_ERR_IO, "%s: the path is too long", path);
    unlink(made);
    if (symlink(target, made) == 0 && rename(made, path) == 0) return HW_OK;
    return hw__fail(err, HW_ERR_IO, "%s: %s", path, strerror(errno));
}

/* Links all files whose blobs are there: those of an earlier commit too. */
static hw_err link_files(const download *d, hw_error *err) {
    char blob[MODEL_PATH_CAPACITY], ref[MODEL_PATH_CAPACITY];
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < d->repo.n_files; i++) {
        const hub_file *f = &d->repo.files[i];
        if (!*f->sha256 || make_path(blob, NULL, d->folder, "blobs/", f->sha256) != HW_OK) continue;
        if (has_size(blob, f->n_bytes)) rc = link_file(d, f, err);
    }
    if (rc == HW_OK) rc = make_path(ref, err, d->folder, "refs/", d->repo.branch);
    if (rc == HW_OK) rc = make_folders(ref, err);
    return rc == HW_OK ? hw__file_save(ref, d->repo.commit, strlen(d->repo.commit), err) : rc;
}

/* The chosen file and, of a split, the others. */
static hw_err fetch_parts(const download *d, const char *first, hw_error *err) {
    int part, n_parts;
    bool split = model_file_part(&part, &n_parts, first);
    size_t n_front = strlen(first) - (split ? MODEL_PART_LENGTH : 0);
    int n_found = 0;
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < d->repo.n_files; i++) {
        const hub_file *f = &d->repo.files[i];
        int other, n_others;
        bool wanted = split ? model_file_part(&other, &n_others, f->path) && n_others == n_parts &&
                                  strlen(f->path) == strlen(first) && strncmp(f->path, first, n_front) == 0
                            : strcmp(f->path, first) == 0;
        if (!wanted) continue;
        n_found++;
        rc = fetch_file(d, f, err);
    }
    if (rc == HW_OK && split && n_found != n_parts)
        return hw__fail(err, HW_ERR_IO, "half a model: the hub has %d of the %d files of %s", n_found, n_parts, first);
    return rc;
}

static hw_err fetch_model(const download *d, const model_source *hub, const char *tag, hw_error *err) {
    model_list list = {.at = NULL};
    const model_entry *chosen = NULL;
    for (size_t i = 0; i < d->repo.n_files; i++) {
        int part = 1, n_parts;
        if (model_file_part(&part, &n_parts, d->repo.files[i].path) && part != 1) continue;
        model_list_add_file(&list, d->repo.name, d->repo.files[i].path);
    }
    hw_err rc = list.out_of_memory ? hw__fail_memory(err, "the list of models", list.n, sizeof *list.at) : HW_OK;
    if (rc == HW_OK && list.n == 0) rc = hw__fail(err, HW_ERR_ARGUMENT, "%s has no GGUF file of a model", d->repo.name);
    if (rc == HW_OK) rc = model_choose(&chosen, hub, &list, d->repo.name, tag, err);
    if (rc == HW_OK) rc = fetch_parts(d, chosen->file, err);
    model_list_free(&list);
    return rc == HW_OK ? link_files(d, err) : rc;
}

hw_err model_download(const model_source *hub, const char *repo, const char *tag, const model_download_watch *watch,
                      hw_error *err) {
    download d = {.watch = watch};
    hw_err rc = hub_repo_open(&d.repo, repo, watch->stop, watch->ctx, err);
    if (rc == HW_OK) rc = name_folder(&d, hub, err);
    if (rc == HW_OK) rc = fetch_model(&d, hub, tag, err);
    hub_repo_close(&d.repo);
    return rc;
}
