/*
 * fail_alloc.c - a library for LD_PRELOAD: the FAIL_ALLOC_AT-th allocation fails, counted from 1, and with
 * FAIL_ALLOC_STAY all after it. Without FAIL_ALLOC_AT nothing fails. FAIL_ALLOC_COUNT names a file that gets how many
 * there were.
 *
 * With FAIL_ALLOC_SIZE only allocations of exactly so many bytes count. FAIL_ALLOC_FIRSTS names a file that gets the
 * number of the first allocation of each site: of each chain of DEPTH callers.
 *
 * Only calls by Headwater itself and by the libraries count that report a lack of memory to it (FAIL_ALLOC_OF, parts of
 * file names): others, as GLib, end the process by design, or belong to the engine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static atomic_long n_calls;
static atomic_int ready;
static long fail_at;
static size_t only_size; /* 0: any */
static bool stays;
static const char *objects; /* "headwater:jansson" */
static int firsts = -1;     /* of FAIL_ALLOC_FIRSTS */
enum { DEPTH = 5, MAX_SITES = 1 << 14, OWN_FRAMES = 3 };
static _Atomic(unsigned long) sites[MAX_SITES]; /* hashed; 0: free */
static _Thread_local bool inside;

__attribute__((constructor)) static void start(void) {
    const char *at = getenv("FAIL_ALLOC_AT");
    fail_at = at ? atol(at) : 0;
    const char *size = getenv("FAIL_ALLOC_SIZE");
    only_size = size ? strtoul(size, NULL, 10) : 0;
    stays = getenv("FAIL_ALLOC_STAY") != NULL;
    objects = getenv("FAIL_ALLOC_OF");
    const char *path = getenv("FAIL_ALLOC_FIRSTS");
    if (path) firsts = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    atomic_store(&ready, 1);
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAIL_ALLOC_COUNT");
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&n_calls)), fd;
    if (!path || (fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0) return;
    if (write(fd, text, (size_t)n) != n) abort();
    close(fd);
}

/* Whether the code at `caller` is of one of the objects. */
static bool counts(const void *caller) {
    Dl_info info;
    if (!objects) return true;
    if (!dladdr(caller, &info) || !info.dli_fname) return false;
    const char *slash = strrchr(info.dli_fname, '/'), *file = slash ? slash + 1 : info.dli_fname;
    for (const char *name = objects; *name;) {
        size_t n = strcspn(name, ":");
        char part[64];
        if (n > 0 && n < sizeof part) {
            memcpy(part, name, n);
            part[n] = 0;
            if (strstr(file, part)) return true;
        }
        name += n + (name[n] == ':');
    }
    return false;
}

/* Writes the number of a call whose chain of callers is new. */
static void note_site(long call) {
    void *frames[OWN_FRAMES + DEPTH];
    unsigned long hash = 1469598103934665603UL;
    int n = backtrace(frames, OWN_FRAMES + DEPTH);
    for (int i = OWN_FRAMES; i < n; i++) hash = (hash ^ (unsigned long)frames[i]) * 1099511628211UL;
    hash += hash == 0;
    for (size_t at = hash % MAX_SITES, tries = 0; tries < MAX_SITES; at = (at + 1) % MAX_SITES, tries++) {
        unsigned long there = 0;
        if (atomic_compare_exchange_strong(&sites[at], &there, hash)) break;
        if (there == hash) return;
    }
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", call);
    if (write(firsts, text, (size_t)length) != length) abort();
}

static bool fails(const void *caller, size_t n) {
    if (!atomic_load(&ready) || inside || (only_size && n != only_size)) return false;
    inside = true;
    bool counted = counts(caller);
    inside = false;
    if (!counted) return false;
    long call = atomic_fetch_add(&n_calls, 1) + 1;
    if (firsts >= 0) {
        inside = true;
        note_site(call);
        inside = false;
    }
    if (!fail_at || (stays ? call < fail_at : call != fail_at)) return false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n) { return fails(CALLER, n) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return fails(CALLER, n * size) ? NULL : __libc_calloc(n, size); }
void *realloc(void *block, size_t n) { return fails(CALLER, n) ? NULL : __libc_realloc(block, n); }
void *aligned_alloc(size_t alignment, size_t n) { return fails(CALLER, n) ? NULL : __libc_memalign(alignment, n); }

int posix_memalign(void **out, size_t alignment, size_t n) {
    void *block = fails(CALLER, n) ? NULL : __libc_memalign(alignment, n);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}
