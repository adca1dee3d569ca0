/* temporary_folder.h - folders for temporary files. */
#ifndef HW_CLI_TEMPORARY_FOLDER_H
#define HW_CLI_TEMPORARY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* $TMPDIR if it is an absolute path of at most `max` bytes, else /tmp. */
const char *temporary_folder(size_t max);

/* A temporary folder for this process only; it holds files but no folders. */
typedef struct temporary {
    int fd;
} temporary;

/* Makes a folder and writes its path to path [n], after removing the folders of processes that have died. False with
 * errno on failure. */
bool temporary_folder_make(temporary *out, char *path, size_t n);
/* Removes the folder and all files in it. */
void temporary_folder_remove(temporary *folder, const char *path);

#endif
