/* chat_template.c - opens the module that links llama-common, and calls it in a child process. */
#include "engine/llama/chat_template.h"

#include "base/child_work.h"
#include "base/module.h"

#include <llama.h>
#include <pthread.h>

static struct {
    pthread_mutex_t lock;
    __typeof__(headwater_render_template) *render; /* NULL: not opened yet */
} module = {.lock = PTHREAD_MUTEX_INITIALIZER};

static hw_err open_module(hw_error *err) {
    static const hw__module file = {HW__TEMPLATE_MODULE, HW__TEMPLATE_FUNCTION,
                                    "chat templates cannot be rendered (" HW__TEMPLATE_MODULE
                                    " is built where llama.cpp has its library llama-common; scripts/setup-engine.sh "
                                    "builds both)"};
    void *function;
    hw_err rc = hw__module_open(&function, &file, (void *)hw__chat_template_render, err);
    /* A program that is linked with the archive lies elsewhere: the engine that it loads lies beside the module. */
    if (rc != HW_OK) rc = hw__module_open(&function, &file, (void *)llama_backend_init, err);
    if (rc == HW_OK) *(void **)&module.render = function;
    return rc;
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
