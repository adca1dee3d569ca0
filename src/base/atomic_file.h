/*
 * atomic_file.h - files that are whole or not there: written under another name beside the wanted one, then renamed over
 * it; and opening a file to read. Every writer of the library goes through here.
 *
 * Writes are sticky: the first that fails is remembered, later ones do nothing, and hw__file_finish() reports it.
 */
#ifndef HW_BASE_ATOMIC_FILE_H
#define HW_BASE_ATOMIC_FILE_H

#include "base/error.h"

#include <stdio.h>

typedef struct hw__file {
    FILE *stream; /* NULL once finished */
    char *path;   /* malloc'd: the wanted name, symbolic links followed */
    char *temp;   /* malloc'd: its name until the commit; NULL while it has none */
    int error;    /* errno of the first write that failed */
} hw__file;

/* Starts a file for `path`; nothing is seen there before hw__file_commit(). An existing file keeps its mode, a new
 * one is the owner's alone (0600). Errors:
 * ARGUMENT ("" and "-"), IO (a directory, a device, a folder that does not exist or cannot be written). */
hw_err hw__file_create(hw__file *out, const char *path, hw_error *err);

void hw__file_write(hw__file *file, const void *bytes, size_t n);
void hw__file_text(hw__file *file, const char *text);
void hw__file_printf(hw__file *file, const char *fmt, ...) HW_PRINTF(2, 3);
/* [n] numbers of four bytes each, floats or integers, little-endian. */
void hw__file_words(hw__file *file, const void *words, size_t n);
/* `value` in nine digits, which read back to the same float, with a point in any locale; `nan` where it is NaN. */
void hw__file_float(hw__file *file, float value, const char *nan);
/* Whether a write failed, for loops that would work in vain. */
bool hw__file_failed(const hw__file *file);

/* Brings every byte to the disk and closes the temporary file. After an error the file is gone. */
hw_err hw__file_finish(hw__file *file, hw_error *err);
/* Finishes, if that is not done yet, and puts the file in place of what was there. The file is gone from `file` after
 * success and after an error. */
hw_err hw__file_commit(hw__file *file, hw_error *err);
/* Removes what was written. Does nothing to a zeroed or committed file. */
void hw__file_abort(hw__file *file);

/* Makes a file of bytes [n]. */
hw_err hw__file_save(const char *path, const void *bytes, size_t n, hw_error *err);

/* Opens a regular file to read; *n_bytes is its size. */
hw_err hw__file_open(FILE **out, uint64_t *n_bytes, const char *path, hw_error *err);
/* Bytes [n] from `offset` on, wherever others read the file. False where it ends before, or cannot be read: errno is then not 0. */
bool hw__file_read_at(FILE *stream, void *to, size_t n, uint64_t offset);

#endif
