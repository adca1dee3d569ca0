/*
 * module.h - opens shared libraries that only some runs need, at their first use: each library that a process starts
 * with costs time.
 */
#ifndef HW_BASE_MODULE_H
#define HW_BASE_MODULE_H

#include "headwater.h"

/* *out <- `symbol` of the module `file`, which lies in the folder "headwater" beside the library or program that
 * `beside` is a function of, or next to that library. The module stays open. UNSUPPORTED if it cannot be opened: the
 * message says `what` cannot be done. */
typedef struct hw__module {
    const char *file, *symbol, *what;
} hw__module;
hw_err hw__module_open(void **out, const hw__module *module, void *beside, hw_error *err);

/* Opens a library that lies in these places, with dlopen()'s flags `how`; NULL if none can be opened. */
void *hw__open_beside(const char *file, void *beside, int how);

#endif
