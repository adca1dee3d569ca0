/* test_full_disk.c - runs are deleted, and their text is gone, where no file can grow by a byte. */
#define _GNU_SOURCE /* memmem */
#include "support/files.h"
#include "support/fixture.h"

#include "serve/jobs/run_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool disk_full;
static off_t n_free; /* bytes that a full disk has all the same, because a file was removed */
static const hw_model_info model = {.name = "Toy", .path = "toy.gguf", .sample_sha256 = "abc"};
static const char secret[] = "the key lies in the blue cup";

/* ------------------------------------------------------------------ a disk that is full */

static bool fits(int fd, off_t end) {
    struct stat info;
    if (!disk_full || fstat(fd, &info) != 0 || end <= info.st_size) return true;
    if (end - info.st_size > n_free) {
        errno = ENOSPC;
        return false;
    }
    n_free -= end - info.st_size;
    return true;
}

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t at) {
    return fits(fd, at + (off_t)n) ? pwrite(fd, bytes, n, at) : -1;
}

static ssize_t write_here(int fd, const void *bytes, size_t n) {
    return fits(fd, lseek(fd, 0, SEEK_CUR) + (off_t)n) ? write(fd, bytes, n) : -1;
}

static int allocate(int fd, off_t at, off_t n) { return fits(fd, at + n) ? posix_fallocate(fd, at, n) : ENOSPC; }

static int remove_file(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0) n_free += info.st_size;
    return unlink(path);
}

static void fill_disk(void) {
    disk_full = true;
    n_free = 0;
}

static int replace_calls(void **state) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_initialize();
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_at); /* not there on every system */
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)write_at);
    bool ok = vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)write_here) == SQLITE_OK &&
              vfs->xSetSystemCall(vfs, "fallocate", (sqlite3_syscall_ptr)allocate) == SQLITE_OK &&
              vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)remove_file) == SQLITE_OK;
    return ok ? files_setup(state) : -1;
}

/* ------------------------------------------------------------------ runs */

static store *opened(const char *path) {
    store *s;
    hw_error err;
    if (!store_open(&s, path, &err)) fail_msg("%s", err.msg);
    return s;
}

/* A finished run whose document, request and trace hold the secret; 0 with `err` if it cannot be saved. */
static int64_t saved(store *s, size_t n_trace, hw_error *err) {
    char request[128], document[128], *trace = calloc(1, n_trace);
    assert_non_null(trace);
    for (size_t at = 0; at + sizeof secret < n_trace; at += 1000) memcpy(trace + at, secret, sizeof secret);
    write_bytes(temp_path("trace"), trace, n_trace);
    free(trace);
    snprintf(request, sizeof request, "{\"prompt\":\"%s\"}", secret);
    snprintf(document, sizeof document, "{\"text\":\"%s\"}", secret);
    explain_request r = {.prompt = {secret, strlen(secret)}};
    int64_t id = store_begin(s, &r, request, &model, err);
    finished what = {.completion = {secret, strlen(secret)}, .document = document, .trace_path = temp_path("trace")};
    return id && store_finish(s, id, &what, err) ? id : 0;
}

static void delete_run(store *s, int64_t id) {
    hw_error err;
    if (!store_delete(s, id, &err)) fail_msg("%s", err.msg);
    assert_false(store_has(s, id, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void assert_no_secret(const char *path) {
    size_t n;
    char *bytes = read_bytes(path, &n);
    assert_null(memmem(bytes, n, secret, sizeof secret - 1));
    free(bytes);
}

static void runs_that_are_in_the_log_alone_are_deleted(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("runs.sqlite"));
    store *s = opened(path);
    hw_error err;
    int64_t ids[3];
    for (int i = 0; i < 3; i++) assert_true((ids[i] = saved(s, 300000, &err)) != 0);
    fill_disk();
    assert_int_equal(saved(s, 3000000, &err), 0);
    assert_int_equal(err.code, ERR_STORE_FULL);
    for (int i = 0; i < 3; i++) delete_run(s, ids[i]);
    store_close(s);
    s = opened(path); /* the disk is still full */
    store_close(s);
    disk_full = false;
    assert_no_secret(path);
    temp_clear();
}

static void a_run_that_is_larger_than_the_log_is_deleted(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("runs.sqlite"));
    store *s = opened(path);
    hw_error err;
    int64_t id = saved(s, 3000000, &err), other = saved(s, 1000, &err);
    assert_true(id && other);
    store_close(s);
    s = opened(path); /* its log begins anew */
    fill_disk();
    delete_run(s, id);
    assert_true(store_has(s, other, &err));
    delete_run(s, other);
    store_close(s);
    disk_full = false;
    assert_no_secret(path);
    temp_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_that_are_in_the_log_alone_are_deleted),
        cmocka_unit_test(a_run_that_is_larger_than_the_log_is_deleted),
    };
    return cmocka_run_group_tests(tests, replace_calls, files_teardown);
}
