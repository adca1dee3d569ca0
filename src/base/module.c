/* module.c - finds a module beside the code that needs it, and opens it. */
#define _GNU_SOURCE /* dladdr */
#include "base/module.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Opens <folder>/<within>/<file>; NULL: dlerror() has the reason. */
static void *open_in(const char *folder, size_t n, const char *within, const char *file) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%.*s%s%s", (int)n, folder, within, file);
    return length > 0 && (size_t)length < sizeof path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
}

hw_err hw__module_open(void **out, const hw__module *module, void *beside, hw_error *err) {
    Dl_info library;
    const char *slash = dladdr(beside, &library) && library.dli_fname ? strrchr(library.dli_fname, '/') : NULL;
    size_t n = slash ? (size_t)(slash + 1 - library.dli_fname) : 0;
    void *handle = n ? open_in(library.dli_fname, n, "headwater/", module->file) : NULL;
    if (!handle && n) handle = open_in(library.dli_fname, n, "", module->file);
    void *symbol = handle ? dlsym(handle, module->symbol) : NULL;
    if (symbol) {
        *out = symbol;
        return HW_OK;
    }
    const char *reason = n ? dlerror() : NULL;
    return hw__fail(err, HW_ERR_UNSUPPORTED, "%s: %s", module->what,
                    reason ? reason : "the library does not say where it lies");
}
