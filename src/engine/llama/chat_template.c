/* chat_template.c - opens the module that links llama-common, and calls it in a child process. */
#define _GNU_SOURCE /* dladdr */
#include "engine/llama/chat_template.h"

#include "base/child_work.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    __typeof__(headwater_render_template) *render; /* NULL: not opened yet */
} module = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Opens the module at <folder of this library>/<within>/; NULL: dlerror() has the reason. */
static void *open_beside(const char *folder, size_t n, const char *within) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%.*s%s" HW__TEMPLATE_MODULE, (int)n, folder, within);
    return length > 0 && (size_t)length < sizeof path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
}

static hw_err open_module(hw_error *err) {
    Dl_info library;
    const char *slash = dladdr((void *)hw__chat_template_render, &library) && library.dli_fname
                            ? strrchr(library.dli_fname, '/')
                            : NULL;
    size_t n = slash ? (size_t)(slash + 1 - library.dli_fname) : 0;
    void *handle = n ? open_beside(library.dli_fname, n, "headwater/") : NULL;
    if (!handle && n) handle = open_beside(library.dli_fname, n, "");
    if (handle) *(void **)&module.render = dlsym(handle, HW__TEMPLATE_FUNCTION);
    if (module.render) return HW_OK;
    const char *reason = dlerror();
    return hw__fail(err, HW_ERR_UNSUPPORTED,
                    "chat templates cannot be rendered: %s; " HW__TEMPLATE_MODULE
                    " is built where llama.cpp has its library llama-common (scripts/setup-engine.sh builds both)",
                    reason ? reason : "the library does not say where it lies");
}

struct conversation {
    const struct llama_model *model;
    const hw__chat *chat;
};

static hw_err render_here(char **bytes, size_t *n, void *ctx, hw_error *err) {
    const struct conversation *c = ctx;
    return module.render(bytes, n, c->model, c->chat, err);
}

/* A template is a program supplied with the model: it may loop for ever, and a recursive macro overflows the stack. */
hw_err hw__chat_template_render(hw__written *out, const struct llama_model *model, const hw__chat *chat,
                                hw_error *err) {
    const hw__child_limits limits = {.what = "the chat template does not render",
                                     .seconds = 5,
                                     .memory = (size_t)512 << 20,
                                     .output = (size_t)256 << 20,
                                     .stop = chat->stop,
                                     .stop_ctx = chat->stop_ctx};
    struct conversation c = {model, chat};
    pthread_mutex_lock(&module.lock);
    hw_err rc = module.render ? HW_OK : open_module(err);
    pthread_mutex_unlock(&module.lock);
    if (rc != HW_OK) return rc;
    return hw__child_work(&out->bytes, &out->n, &limits, render_here, &c, err);
}
