/* temporary_folder.h - where temporary files go. */
#ifndef HW_CLI_TEMPORARY_FOLDER_H
#define HW_CLI_TEMPORARY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* $TMPDIR where it is an absolute path of at most `max` bytes, else /tmp. */
const char *temporary_folder(size_t max);

/* A folder there that this process has to itself, for files without folders among them. */
typedef struct temporary {
    int fd;
} temporary;

/* Makes one and writes its path to path [n], after removing those of processes that were killed. False, with errno, where it
 * cannot be made. */
bool temporary_folder_make(temporary *out, char *path, size_t n);
/* Removes it and all files in it. */
void temporary_folder_remove(temporary *folder, const char *path);

#endif
