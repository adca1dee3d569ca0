/* whole.c - the temporary name is PATH.PID.part: rename does not cross file systems. */
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
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

/* False and errno on failure. */
static bool write_all(int fd, const unsigned char *bytes, size_t n) {
    while (n) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno != EINTR) return false;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return true;
}

static bool fill(const char *beside, mode_t mode, const void *bytes, size_t n) {
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool ok = (!mode || fchmod(fd, mode) == 0) && write_all(fd, bytes, n) && (fsync(fd) == 0 || errno == EINVAL);
    if (close(fd) != 0) ok = false;
    return ok;
}

static bool replace(const char *target, mode_t mode, const void *bytes, size_t n) {
    size_t room = strlen(target) + 32;
    char *beside = malloc(room);
    if (!beside) return false;
    snprintf(beside, room, "%s.%ld.part", target, (long)getpid());
    bool ok = fill(beside, mode, bytes, n) && rename(beside, target) == 0;
    int reason = errno;
    if (!ok && reason != EEXIST) unlink(beside);
    free(beside);
    errno = reason;
    return ok;
}

hw_err whole_write(const char *path, const void *bytes, size_t n, hw_error *err) {
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode)) return refuse(err, path, "it is no regular file");
    char *target = there ? realpath(path, NULL) : strdup(path);
    bool ok =
        target && (!there || access(target, W_OK) == 0) && replace(target, there ? st.st_mode & 0777 : 0, bytes, n);
    int reason = errno;
    free(target);
    return ok ? HW_OK : refuse(err, path, strerror(reason));
}
