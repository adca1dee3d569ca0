/* temporary_folder.h - where temporary files go. */
#ifndef HW_CLI_TEMPORARY_FOLDER_H
#define HW_CLI_TEMPORARY_FOLDER_H

#include <stddef.h>

/* $TMPDIR where it is an absolute path of at most `max` bytes, else /tmp. */
const char *temporary_folder(size_t max);

#endif
