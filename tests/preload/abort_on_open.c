/* abort_on_open.c - a library for LD_PRELOAD: opening a file whose name holds $ABORT_ON ends the process, as an
 * assertion of the engine does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef FILE *(*open_fn)(const char *path, const char *mode);

static FILE *open_or_abort(const char *function, const char *path, const char *mode) {
    const char *part = getenv("ABORT_ON");
    if (part && strstr(path, part)) abort();
    open_fn next;
    *(void **)&next = dlsym(RTLD_NEXT, function);
    return next(path, mode);
}

FILE *fopen(const char *path, const char *mode) { return open_or_abort("fopen", path, mode); }
FILE *fopen64(const char *path, const char *mode) { return open_or_abort("fopen64", path, mode); }
