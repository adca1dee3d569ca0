/* whole_file.c - write beside, flush, rename. */
#include "whole_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool put(FILE *file, const char *bytes, size_t n) {
    bool ok = fwrite(bytes, 1, n, file) == n && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int reason = errno;
    if (fclose(file) != 0 && ok) return false;
    errno = reason;
    return ok;
}

bool whole_file_write(const char *path, const char *bytes, size_t n) {
    size_t room = strlen(path) + 32;
    char *beside = malloc(room);
    if (!beside) return false;
    snprintf(beside, room, "%s.%ld.part", path, (long)getpid());
    errno = 0;
    FILE *file = fopen(beside, "wx");
    bool ok = file && put(file, bytes, n) && rename(beside, path) == 0;
    if (!ok && file) {
        int reason = errno;
        remove(beside);
        errno = reason;
    }
    free(beside);
    return ok;
}

const char *whole_file_reason(void) { return strerror(errno ? errno : EIO); }
