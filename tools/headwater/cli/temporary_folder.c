/* temporary_folder.c - see temporary_folder.h. */
#include "cli/temporary_folder.h"

#include <stdlib.h>
#include <string.h>

const char *temporary_folder(size_t max) {
    const char *tmp = getenv("TMPDIR");
    return tmp && *tmp == '/' && strlen(tmp) <= max ? tmp : "/tmp";
}
