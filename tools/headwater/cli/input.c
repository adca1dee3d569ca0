/* input.c - reads a prompt or another input from a file or standard input, byte for byte except a byte order mark. */
#include "cli/input.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_WAIT_MS = 5000 };   /* waiting time for a pipe's writer */
enum { MAX_BYTES = 16 << 20 }; /* several million tokens: longer than any context, so it is the wrong file */

/* False when memory runs out or the file is longer than the limit; in the latter case errno is 0. */
static bool read_all(input *in, FILE *file) {
    size_t capacity = 0;
    do {
        size_t more = capacity ? capacity * 2 : 1 << 16;
        char *resized = realloc(in->bytes, more); /* sets errno to ENOMEM on failure */
        if (!resized) return false;
        in->bytes = resized;
        capacity = more;
        in->n += fread(in->bytes + in->n, 1, capacity - in->n, file);
    } while (in->n == capacity && capacity <= MAX_BYTES);
    errno = ferror(file) ? errno : 0;
    return !ferror(file) && in->n <= MAX_BYTES;
}

/* Editors put a byte order mark before UTF-8; it is not part of the text. */
static void drop_mark(input *in) {
    static const char mark[] = "\xEF\xBB\xBF";
    enum { N_MARK = sizeof mark - 1 };
    if (in->n < N_MARK || memcmp(in->bytes, mark, N_MARK) != 0) return;
    in->n -= N_MARK;
    memmove(in->bytes, in->bytes + N_MARK, in->n);
}

/* Waits until a pipe with a name has a writer, however long that takes to write. False if none comes in time; *first is
 * a byte that was read meanwhile, or EOF. A pipe made by the shell has no name of its own, and a writer. */
static bool wait_for_writer(int *first, int fd, const char *path) {
    struct stat st;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    unsigned char byte;
    if (lstat(path, &st) != 0 || !S_ISFIFO(st.st_mode) || poll(&ready, 1, MAX_WAIT_MS) != 0) return true;
    ssize_t n = read(fd, &byte, 1); /* 0: there is no writer */
    if (n == 1) *first = byte;
    return n != 0;
}

FILE *input_open(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), first = EOF;
    if (fd < 0) return NULL;
    bool silent = !wait_for_writer(&first, fd, path);
    bool ok = !silent && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0;
    FILE *file = ok ? fdopen(fd, "rb") : NULL;
    if (file && (first == EOF || ungetc(first, file) == first)) return file;
    int error = silent ? ETIMEDOUT : errno;
    if (file)
        fclose(file);
    else
        close(fd);
    errno = error;
    return NULL;
}

const char *input_open_reason(void) {
    return errno == ETIMEDOUT ? "no program has opened this pipe to write into it" : strerror(errno);
}

static hw_err fail_reading(const char *what, const char *name, int reason, hw_error *err) {
    if (reason == ENOMEM) return hw__fail(err, HW_ERR_MEMORY, "%s %s: no memory for it", what, name);
    if (reason) return hw__fail(err, HW_ERR_IO, "%s %s: %s", what, name, strerror(reason));
    return hw__fail(err, HW_ERR_IO, "%s %s: more than %d MiB, which is the most that is read", what, name,
                    MAX_BYTES >> 20);
}

hw_err input_read(input *in, const char *what, const char *path, hw_error *err) {
    bool is_standard = strcmp(path, "-") == 0;
    const char *name = is_standard ? "standard input" : path;
    *in = (input){.n = 0};
    FILE *file = is_standard ? stdin : input_open(path);
    if (!file) return hw__fail(err, HW_ERR_IO, "%s %s: %s", what, name, input_open_reason());
    bool ok = read_all(in, file);
    int reason = errno;
    if (!is_standard) fclose(file);
    if (ok) {
        drop_mark(in);
        return HW_OK;
    }
    free(in->bytes);
    *in = (input){.n = 0};
    return fail_reading(what, name, reason, err);
}
