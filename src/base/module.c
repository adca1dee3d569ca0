/* module.c - finds a module beside the code that needs it, and opens it. */
#define _GNU_SOURCE /* dladdr */
#include "base/module.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Opens <folder>/<within>/<file>; NULL: dlerror() has the reason. */
static void *open_in(const char *folder, size_t n, const char *within, const char *file, int how) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%.*s%s%s", (int)n, folder, within, file);
    return length > 0 && (size_t)length < sizeof path ? dlopen(path, how) : NULL;
}

void *hw__open_beside(const char *file, void *beside, int how) {
    Dl_info library;
    const char *slash = dladdr(beside, &library) && library.dli_fname ? strrchr(library.dli_fname, '/') : NULL;
    if (!slash) return NULL;
    size_t n = (size_t)(slash + 1 - library.dli_fname);
    void *handle = open_in(library.dli_fname, n, "headwater/", file, how);
    return handle ? handle : open_in(library.dli_fname, n, "", file, how);
}

hw_err hw__module_open(void **out, const hw__module *module, void *beside, hw_error *err) {
    void *handle = hw__open_beside(module->file, beside, RTLD_LAZY | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, module->symbol) : NULL;
    if (symbol) {
        *out = symbol;
        return HW_OK;
    }
    const char *reason = dlerror();
    return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: %s", module->what,
                    reason ? reason : "the library does not say where it lies");
}
