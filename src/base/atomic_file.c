/*
 * atomic_file.c - a file gets its name only when it is complete, so a process that is killed leaves nothing behind.
 * Before the final rename the file is called ".headwater-PID-N.tmp" in the same folder, because rename() does not cross
 * file systems. A file system without O_TMPFILE gives it that name from the start.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* MAX_NAMES: names tried before giving up. A name is taken only after a crash, or by another thread that writes into
 * the same folder. */
enum { MAX_NAMES = 4096, NAME_BYTES = 64, BUFFER_WORDS = 4096 };

static hw_err fail_write(hw_error *err, const char *path, int error) {
    return hw__fail(err, HW_ERR_IO, "%s cannot be written: %s", path, strerror(error));
}

/* Discards the file: closes the stream and removes the temporary name. */
static void drop(hw__file *file) {
    if (file->stream) fclose(file->stream);
    if (file->temp) unlink(file->temp);
    free(file->bytes);
    free(file->temp);
    free(file->path);
    *file = (hw__file){0};
}

/* ------------------------------------------------------------------ create */

/* Looks at `path`: *mode gets the permissions of the file there, or 0 if there is no file; *target gets the name to
 * replace. */
static hw_err find_target(char **target, mode_t *mode, const char *path, hw_error *err) {
    struct stat st;
    *mode = 0;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) return hw__fail(err, HW_ERR_IO, "%s is a directory: name a file", path);
        if (!S_ISREG(st.st_mode))
            return hw__fail(err, HW_ERR_IO, "%s is a device, pipe or socket: name a regular file", path);
        if (access(path, W_OK) != 0) return fail_write(err, path, errno);
        *mode = st.st_mode & 0777;
        *target = realpath(path, NULL);
        return *target ? HW_OK : fail_write(err, path, errno);
    }
    if (errno != ENOENT) return fail_write(err, path, errno);
    if (lstat(path, &st) == 0)
        return hw__fail(err, HW_ERR_IO, "%s is a symbolic link to a file that does not exist", path);
    *target = hw__strndup(path, strlen(path));
    return *target ? HW_OK : hw__fail_memory(err, "a file name", strlen(path), 1);
}

/* Files hold prompts, so only the owner may read a new one. */
static const mode_t NEW_MODE = 0600;

/* The /proc path of an open file that has no name yet. */
typedef struct proc_name {
    char text[32];
} proc_name;

static proc_name name_of(int fd) {
    proc_name name;
    snprintf(name.text, sizeof name.text, "/proc/self/fd/%d", fd);
    return name;
}

/* Gives `unnamed` (or a new file if it is -1) the first free temporary name beside `target`. Returns the descriptor, or
 * -1 with errno. */
static int take_name(char **temp, const char *target, int unnamed) {
    const char *slash = strrchr(target, '/');
    size_t folder = slash ? (size_t)(slash - target) + 1 : 0;
    char *name = hw__alloc(folder + NAME_BYTES, 1);
    if (!name) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(name, target, folder);
    for (int i = 0; i < MAX_NAMES; i++) {
        snprintf(name + folder, NAME_BYTES, ".headwater-%ld-%d.tmp", (long)getpid(), i);
        int fd = unnamed < 0 ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, NEW_MODE)
                 : linkat(AT_FDCWD, name_of(unnamed).text, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ? unnamed
                                                                                                   : -1;
        if (fd < 0 && errno == EEXIST) continue;
        if (fd >= 0)
            *temp = name;
        else
            free(name);
        return fd;
    }
    free(name);
    return -1;
}

/* Opens a new file in the folder of `target`; -1 with errno on failure. *temp stays NULL if the file has no name
 * yet. */
static int open_temp(char **temp, const char *target) {
    const char *slash = strrchr(target, '/');
    char *folder = slash == target ? hw__strndup("/", 1)
                   : slash         ? hw__strndup(target, (size_t)(slash - target))
                                   : hw__strndup(".", 1);
    int fd = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, NEW_MODE) : -1;
    bool no_memory = !folder;
    free(folder);
    if (fd >= 0 && access(name_of(fd).text, F_OK) == 0) return fd;
    if (fd >= 0) close(fd); /* without /proc the file cannot be named later */
    if (no_memory) errno = ENOMEM;
    return no_memory ? -1 : take_name(temp, target, -1);
}

hw_err hw__file_create(hw__file *out, const char *path, hw_error *err) {
    if (!path || !*path) return hw__fail(err, HW_ERR_ARGUMENT, "no file named to write to");
    if (strcmp(path, "-") == 0)
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "\"-\" (standard output) is not accepted: name a file (one of that name is ./-)");
    hw__file file = {0};
    mode_t mode;
    hw_err rc = find_target(&file.path, &mode, path, err);
    if (rc != HW_OK) return rc;
    int fd = open_temp(&file.temp, file.path);
    if (fd < 0 || (mode && fchmod(fd, mode) != 0) || !(file.stream = fdopen(fd, "wb"))) {
        int error = errno;
        if (fd >= 0) close(fd);
        drop(&file);
        return fail_write(err, path, error);
    }
    *out = file;
    return HW_OK;
}

hw_err hw__file_create_memory(hw__file *file, hw_error *err) {
    *file = (hw__file){0};
    file->stream = open_memstream(&file->bytes, &file->n_bytes);
    return file->stream ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for the result's bytes");
}

hw_err hw__file_take(hw__file *file, char **out, size_t *n_bytes, hw_error *err) {
    bool failed = file->error != 0;
    if (fclose(file->stream) != 0) failed = true;
    file->stream = NULL;
    if (failed) {
        drop(file);
        return hw__fail(err, HW_ERR_MEMORY, "no memory for the result's bytes");
    }
    *out = file->bytes;
    if (n_bytes) *n_bytes = file->n_bytes;
    *file = (hw__file){0};
    return HW_OK;
}

/* ------------------------------------------------------------------ write */

void hw__file_write(hw__file *file, const void *bytes, size_t n) {
    if (file->error || n == 0) return;
    errno = 0;
    if (fwrite(bytes, 1, n, file->stream) != n) file->error = errno ? errno : EIO;
}

void hw__file_text(hw__file *file, const char *text) { hw__file_write(file, text, strlen(text)); }

void hw__file_words(hw__file *file, const void *words, size_t n) {
    const unsigned char *from = words;
    unsigned char buffer[BUFFER_WORDS * 4];
    for (size_t i = 0; i < n && !file->error;) {
        size_t part = n - i < BUFFER_WORDS ? n - i : BUFFER_WORDS;
        for (size_t w = 0; w < part; w++) {
            uint32_t bits;
            memcpy(&bits, from + 4 * (i + w), 4);
            for (int b = 0; b < 4; b++) buffer[4 * w + b] = (unsigned char)(bits >> (8 * b));
        }
        hw__file_write(file, buffer, part * 4);
        i += part;
    }
}

void hw__file_printf(hw__file *file, const char *fmt, ...) {
    if (file->error) return;
    va_list args;
    va_start(args, fmt);
    errno = 0;
    if (vfprintf(file->stream, fmt, args) < 0) file->error = errno ? errno : EIO;
    va_end(args);
}

void hw__file_float(hw__file *file, float value, const char *nan) {
    char text[32], *point;
    if (isnan(value)) {
        hw__file_text(file, nan);
        return;
    }
    snprintf(text, sizeof text, value == 0 && signbit(value) ? "-0.0" : "%.9g", (double)value);
    point = text + strspn(text, "-+0123456789einf");
    if (*point) { /* a locale's decimal point has one or more bytes */
        char *digits = point + strcspn(point, "0123456789");
        *point = '.';
        memmove(point + 1, digits, strlen(digits) + 1);
    }
    hw__file_text(file, text);
}

bool hw__file_failed(const hw__file *file) { return file->error != 0; }

/* ------------------------------------------------------------------ finish */

hw_err hw__file_finish(hw__file *file, hw_error *err) {
    int error = file->error, fd = fileno(file->stream);
    if (!error && fflush(file->stream) != 0) error = errno;
    if (!error && fsync(fd) != 0 && errno != EINVAL) error = errno; /* EINVAL: the file system does not support fsync */
    if (!error && !file->temp && take_name(&file->temp, file->path, fd) < 0) error = errno;
    if (fclose(file->stream) != 0 && !error) error = errno;
    file->stream = NULL;
    if (!error) return HW_OK;
    hw_err rc = fail_write(err, file->path, error);
    drop(file);
    return rc;
}

hw_err hw__file_commit(hw__file *file, hw_error *err) {
    if (file->stream) {
        hw_err rc = hw__file_finish(file, err);
        if (rc != HW_OK) return rc;
    }
    hw_err rc = rename(file->temp, file->path) == 0 ? HW_OK : fail_write(err, file->path, errno);
    if (rc == HW_OK) {
        free(file->temp); /* the file has its final name now */
        file->temp = NULL;
    }
    drop(file);
    return rc;
}

void hw__file_abort(hw__file *file) { drop(file); }

/* ------------------------------------------------------------------ read */

hw_err hw__file_save(const char *path, const void *bytes, size_t n, hw_error *err) {
    hw__file file;
    hw_err rc = hw__file_create(&file, path, err);
    if (rc != HW_OK) return rc;
    hw__file_write(&file, bytes, n);
    return hw__file_commit(&file, err);
}

hw__input hw__input_bytes(const void *bytes, size_t n_bytes) {
    return bytes ? (hw__input){"(memory)", bytes, n_bytes} : (hw__input){NULL, NULL, 0};
}

hw_err hw__file_open(FILE **out, uint64_t *n_bytes, const char *path, hw_error *err) {
    if (!path || !*path) return hw__fail(err, HW_ERR_ARGUMENT, "no file named to read, and no bytes given");
    struct stat st;
    if (stat(path, &st) != 0) return hw__fail(err, HW_ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    /* checked before opening, because opening a pipe would block until the other end opens */
    if (S_ISDIR(st.st_mode)) return hw__fail(err, HW_ERR_IO, "%s is a directory: name a file", path);
    if (!S_ISREG(st.st_mode))
        return hw__fail(err, HW_ERR_IO, "%s is a device, pipe or socket: name a regular file", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK in case the file has become a pipe
                                                               meanwhile */
    FILE *stream = fd >= 0 && fstat(fd, &st) == 0 ? fdopen(fd, "rb") : NULL;
    if (!stream) {
        int error = errno;
        if (fd >= 0) close(fd);
        return hw__fail(err, HW_ERR_IO, "%s cannot be read: %s", path, strerror(error));
    }
    *out = stream;
    *n_bytes = (uint64_t)st.st_size;
    return HW_OK;
}

bool hw__file_read_at(FILE *stream, void *to, size_t n, uint64_t offset) {
    unsigned char *at = to;
    errno = 0;
    while (n > 0) {
        ssize_t got = pread(fileno(stream), at, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

bool hw__has_extension(const char *path, const char *extension) {
    size_t n = strlen(path), m = strlen(extension);
    return n > m && strcasecmp(path + n - m, extension) == 0;
}
