/* atomic_file.h - a file that is written whole or not at all. */
#ifndef HW_EXPORT_ATOMIC_FILE_H
#define HW_EXPORT_ATOMIC_FILE_H

#include "headwater.h"

#include <stdio.h>

/* Writes all of a file; false, with errno, when it cannot. */
typedef bool (*whole_fn)(FILE *out, void *user);

/* Makes `path` of what `put` writes: under another name in the same folder, then renamed over what is there, whose mode
 * is kept. Symbolic links are followed. Error IO: a folder, a device, what cannot be written. */
hw_err whole_make(const char *path, whole_fn put, void *user, hw_error *err);
/* The same of [n] bytes. */
hw_err whole_write(const char *path, const void *bytes, size_t n, hw_error *err);

#endif
