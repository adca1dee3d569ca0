/*
 * atomic_file.h - files that are complete or absent: written under a temporary name in the target's folder, then
 * renamed over the target. Also opens files to read. Every writer of the library uses this module.
 *
 * Write errors are sticky: the first one is remembered, later writes do nothing, and hw__file_finish() reports it.
 *
 * The folder base/: ground of library and program: errors, checked allocation, whole files, JSON, UTF-8, lists of
 * names, checksums, random numbers, modules opened at their first use. It contains no term of Headwater and
 * includes only its own files.
 */
#ifndef HW_BASE_ATOMIC_FILE_H
#define HW_BASE_ATOMIC_FILE_H

#include "base/error.h"

#include <stdio.h>

typedef struct hw__file {
    FILE *stream; /* NULL after finish */
    char *path;   /* malloc'd: the final name, symbolic links followed */
    char *temp;   /* malloc'd: the temporary name until the commit; NULL while the file has none */
    int error;    /* errno of the first failed write */
    char *bytes;  /* [n_bytes] malloc'd: what is written, if it stays in memory; path and temp are NULL then */
    size_t n_bytes;
} hw__file;

/* Starts a file for `path`. Nothing appears there before hw__file_commit(). A replaced file keeps its mode; a new one
 * is readable by its owner only (0600). Errors: ARGUMENT ("" and "-"), IO (a directory or device; a folder that does
 * not exist or is not writable). */
hw_err hw__file_create(hw__file *out, const char *path, hw_error *err);

/* Starts bytes in memory instead of a file; *file must stay where it is until hw__file_take(). Error MEMORY. */
hw_err hw__file_create_memory(hw__file *file, hw_error *err);
/* Ends them: *out [*n_bytes] is malloc'd, with a terminator appended. Afterwards `file` is empty, on success and on
 * error. */
hw_err hw__file_take(hw__file *file, char **out, size_t *n_bytes, hw_error *err);

void hw__file_write(hw__file *file, const void *bytes, size_t n);
void hw__file_text(hw__file *file, const char *text);
void hw__file_printf(hw__file *file, const char *fmt, ...) HW_PRINTF(2, 3);
/* Writes [n] four-byte numbers (floats or integers), little-endian. */
void hw__file_words(hw__file *file, const void *words, size_t n);
/* Writes `value` with nine digits, which read back to the same float, with a decimal point in any locale; writes `nan`
 * for NaN. */
void hw__file_float(hw__file *file, float value, const char *nan);
/* Whether a write has failed, so that loops can stop early. */
bool hw__file_failed(const hw__file *file);

/* Flushes every byte to the disk and closes the temporary file. On an error the file is removed. */
hw_err hw__file_finish(hw__file *file, hw_error *err);
/* Calls hw__file_finish() if it has not been called, then renames the file over the target. Afterwards `file` is empty,
 * on success and on error. */
hw_err hw__file_commit(hw__file *file, hw_error *err);
/* Removes what was written. Does nothing for a zeroed or committed file. */
void hw__file_abort(hw__file *file);

/* Writes bytes [n] to a file in one call. */
hw_err hw__file_save(const char *path, const void *bytes, size_t n, hw_error *err);

/* What is read: a file, or bytes of the caller. */
typedef struct hw__input {
    const char *path;  /* the file; for bytes their name in errors */
    const void *bytes; /* [n_bytes]; NULL: the file */
    size_t n_bytes;
} hw__input;
/* Bytes that a public function was given; reading NULL is error ARGUMENT. */
hw__input hw__input_bytes(const void *bytes, size_t n_bytes);

/* Opens a regular file to read; *n_bytes gets its size. */
hw_err hw__file_open(FILE **out, uint64_t *n_bytes, const char *path, hw_error *err);
/* Reads bytes [n] from `offset`; several threads may read the same file. Returns false if the file ends before that, or
 * on a read error, in which case errno is not 0. */
bool hw__file_read_at(FILE *stream, void *to, size_t n, uint64_t offset);

/* Whether a file name has this extension, ".json", in either case, and something before it. */
bool hw__has_extension(const char *path, const char *extension);

#endif
