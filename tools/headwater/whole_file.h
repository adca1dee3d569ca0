/* whole_file.h - a file written under a name beside its own and renamed when it is whole: an earlier file of that name
 * stays as it was until then. */
#ifndef HEADWATER_WHOLE_FILE_H
#define HEADWATER_WHOLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* False when it could not be written; whole_file_reason() then says why, until errno changes. */
bool whole_file_write(const char *path, const char *bytes, size_t n);
const char *whole_file_reason(void);

#endif
