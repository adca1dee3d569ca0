/* atomic_file.c - the temporary name is PATH.PID.part: rename does not cross file systems. */
#include "export/atomic_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static hw_err refuse(hw_error *err, const char *path, const char *reason) {
    *err = (hw_error){.code = HW_ERR_IO};
    snprintf(err->msg, sizeof err->msg, "%s cannot be written: %s", path, reason);
    return err->code;
}

/* What is to be written, and by whom. */
typedef struct content {
    whole_fn put;
    void *user;
} content;

/* False and errno on failure. */
static bool fill(const char *beside, mode_t mode, const content *c) {
    FILE *file = fopen(beside, "wbxe"); /* x: only when there is none; e: not for child processes */
    if (!file) return false;
    int fd = fileno(file);
    bool ok = (!mode || fchmod(fd, mode) == 0) && c->put(file, c->user) && fflush(file) == 0 &&
              (fsync(fd) == 0 || errno == EINVAL);
    int reason = errno;
    if (fclose(file) == 0)
        errno = reason;
    else
        ok = false;
    return ok;
}

static bool replace(const char *target, mode_t mode, const content *c) {
    size_t room = strlen(target) + 32;
    char *beside = malloc(room);
    if (!beside) return false;
    snprintf(beside, room, "%s.%ld.part", target, (long)getpid());
    bool ok = fill(beside, mode, c) && rename(beside, target) == 0;
    int reason = errno;
    if (!ok && reason != EEXIST) unlink(beside);
    free(beside);
    errno = reason;
    return ok;
}

hw_err whole_make(const char *path, whole_fn put, void *user, hw_error *err) {
    const content c = {put, user};
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode)) return refuse(err, path, "it is no regular file");
    char *target = there ? realpath(path, NULL) : strdup(path);
    bool ok = target && (!there || access(target, W_OK) == 0) && replace(target, there ? st.st_mode & 0777 : 0, &c);
    int reason = errno;
    free(target);
    return ok ? HW_OK : refuse(err, path, strerror(reason));
}

typedef struct block {
    const void *bytes; /* [n] */
    size_t n;
} block;

static bool put_block(FILE *out, void *user) {
    const block *b = user;
    return fwrite(b->bytes, 1, b->n, out) == b->n;
}

hw_err whole_write(const char *path, const void *bytes, size_t n, hw_error *err) {
    block b = {bytes, n};
    return whole_make(path, put_block, &b, err);
}
