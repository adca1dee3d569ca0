/*
 * temporary_folder.c - see temporary_folder.h. A folder belongs to the process that has locked it: the kernel releases
 * the lock when the process ends, in any container.
 */
#define _DEFAULT_SOURCE /* flock */
#include "cli/temporary_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char PREFIX[] = ".headwater-tmp-";
enum { MAX_FOLDER = 4096, MAX_TRIES = 16 };

const char *temporary_folder(size_t max) {
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp == '/' && strlen(tmp) <= max ? tmp : "/tmp";
}

/* Opens one of our folders and locks it: -1 if another process has locked it, or it is not such a folder. */
static int lock(const char *path) {
    struct stat is, named;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    bool ours = fstat(fd, &is) == 0 && is.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
                lstat(path, &named) == 0 && named.st_ino == is.st_ino && named.st_dev == is.st_dev;
    if (ours) return fd;
    close(fd);
    return -1;
}

/* Removes the folder and the files in it; `fd` is the folder's descriptor. */
static void clear(int fd, const char *path) {
    int copy = dup(fd);
    DIR *open = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *e; open && (e = readdir(open)) != NULL;) unlinkat(fd, e->d_name, 0);
    if (open)
        closedir(open);
    else if (copy >= 0)
        close(copy);
    rmdir(path);
}

static void sweep(const char *tmp) {
    char path[MAX_FOLDER];
    DIR *open = opendir(tmp);
    for (struct dirent *e; open && (e = readdir(open)) != NULL;) {
        if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) != 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", tmp, e->d_name) >= (int)sizeof path) continue;
        int fd = lock(path);
        if (fd < 0) continue;
        clear(fd, path);
        close(fd);
    }
    if (open) closedir(open);
}

bool temporary_folder_make(temporary *out, char *path, size_t n) {
    const char *tmp = temporary_folder(n > 32 ? n - 32 : 0);
    sweep(tmp);
    for (int i = 0; i < MAX_TRIES; i++) {
        snprintf(path, n, "%s/%sXXXXXX", tmp, PREFIX);
        if (!mkdtemp(path)) return false;
        int fd = lock(path); /* fails if another process removed it between the two calls */
        if (fd < 0) continue;
        *out = (temporary){.fd = fd};
        return true;
    }
    errno = EBUSY;
    return false;
}

void temporary_folder_remove(temporary *folder, const char *path) {
    clear(folder->fd, path);
    close(folder->fd);
}
