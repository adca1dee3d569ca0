/*
 * files.h - files for tests: a folder that goes away again, whole files in and out, safetensors files of any bytes.
 *
 * Use files_setup and files_teardown as a group's fixtures.
 */
#ifndef HW_SUPPORT_FILES_H
#define HW_SUPPORT_FILES_H

#include <stdbool.h>
#include <stddef.h>

int files_setup(void **state);
int files_teardown(void **state);

/* Path of `name` in the folder; one of eight buffers, used in turn. */
const char *temp_path(const char *name);
/* Files in the folder, temporary ones of writers included. */
size_t temp_count(void);
void temp_clear(void);

void write_bytes(const char *path, const void *bytes, size_t n);
/* The whole file, malloc'd, with a terminator behind. */
char *read_bytes(const char *path, size_t *n);
/* Changes one byte in place, or cuts the file: much cheaper than writing it anew. */
void patch_byte(const char *path, size_t at, char byte);
void cut_file(const char *path, size_t n);
bool same_file(const char *path, const void *bytes, size_t n);

/* Length, header as it is given, data. */
void write_container(const char *path, const char *header, const void *data, size_t n);

#endif
