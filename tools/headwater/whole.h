/* whole.h - a file that is written whole or not at all. */
#ifndef HEADWATER_WHOLE_H
#define HEADWATER_WHOLE_H

#include "headwater.h"

/* Puts [n] bytes into `path`: under another name in the same folder, then renamed over what is there, whose mode is
 * kept. Symbolic links are followed. Error IO: a folder, a device, what cannot be written. */
hw_err whole_write(const char *path, const void *bytes, size_t n, hw_error *err);

#endif
