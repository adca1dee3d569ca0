/* open_model.c - opens the model that the options name, with the options' settings. */
#include "job/open_model.h"

#include "cli/interrupt.h"
#include "cli/message.h"
#include "job/fetch_model.h"
#include "models/model_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool model_given(const options *o) { return GIVEN(o, model) || GIVEN(o, hf_repo); }

/* What names a model, the first that is set. */
static bool read_name(char *out, size_t capacity, const options *o) {
    const struct {
        const char *text, *prefix;
    } names[] = {{o->model, ""},
                 {o->hf_repo, "hf:"},
                 {getenv("HEADWATER_MODEL"), ""},
                 {getenv("LLAMA_ARG_MODEL"), ""},
                 {getenv("LLAMA_ARG_HF_REPO"), "hf:"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!names[i].text || (i > 1 && !*names[i].text)) continue;
        snprintf(out, capacity, "%s%s", names[i].prefix, names[i].text);
        return true;
    }
    return false;
}

hw_err model_find(const char **path, const options *o, hw_error *err) {
    static char found[MODEL_PATH_CAPACITY]; /* a program runs one model */
    char name[MODEL_PATH_CAPACITY];
    *path = NULL;
    if (!read_name(name, sizeof name, o)) return HW_OK;
    hw_err rc = model_resolve(found, sizeof found, name, err);
    if (rc != HW_OK && o->download && strncmp(name, "hf:", 3) == 0) {
        rc = fetch_model(name, o, err);
        if (rc == HW_OK) rc = model_resolve(found, sizeof found, name, err);
    }
    if (rc == HW_OK) *path = found;
    if (rc == HW_ERR_CANCELLED) {
        message("%s", err->msg); /* what is kept of the file, and how to go on */
        return (hw_err)ERR_INTERRUPTED;
    }
    return rc == HW_OK ? HW_OK : usage_error_in(err, "-m");
}

hw_err model_path(const char **path, const options *o, hw_error *err) {
    hw_err rc = model_find(path, o, err);
    if (rc == HW_OK && !*path) return usage_error(err, "no model: give -m MODEL, or set HEADWATER_MODEL");
    return rc;
}

/* After a fatal line the engine would abort with a core dump. */
static void print_fatal(void *ctx, hw_log_level level, const char *line) {
    (void)ctx;
    if (level != HW_LOG_FATAL) return;
    message("the engine gave up: %s", line);
    _exit(STATUS_FAILED);
}

static void print_log(void *ctx, hw_log_level level, const char *line) {
    print_fatal(ctx, level, line);
    message("%s", line);
}

void engine_log(const options *o) { hw_log_set(o->verbose ? print_log : print_fatal, NULL); }

/* Makes $XDG_CACHE_HOME/headwater, or ~/.cache/headwater; NULL where that cannot be. */
static const char *cache_folder(void) {
    static char path[4096];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool given = cache && *cache == '/';
    if (!given && !(home && *home == '/')) return NULL;
    int base = snprintf(path, sizeof path, "%s%s", given ? cache : home, given ? "" : "/.cache");
    if (base < 0 || (size_t)base + sizeof "/headwater" > sizeof path) return NULL;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return NULL;
    strcpy(path + base, "/headwater");
    return mkdir(path, 0700) == 0 || errno == EEXIST ? path : NULL;
}

hw_model_params model_params(const options *o) {
    hw_model_params params = hw_model_params_default();
    params.cache = cache_folder();
    params.n_threads = (int32_t)o->threads;
    bool all = (o->rpc || o->device) && !CHOSEN(o, gpu_layers);
    params.n_gpu_layers = all ? -1 : (int32_t)o->gpu_layers;
    params.rpc_servers = o->rpc;
    params.devices = o->device;
    params.n_ctx = (int32_t)o->ctx;
    params.n_ubatch = (int32_t)o->ubatch;
    params.f32_cache = o->f32_cache;
    params.loras = o->lora.at;
    params.n_loras = o->lora.n;
    return params;
}

static bool any_takes_blocks(void) {
    hw_device_list *list;
    bool any = false;
    if (hw_device_list_new(&list, NULL, NULL) != HW_OK) return true; /* the devices are unknown */
    for (size_t i = 0; i < hw_device_list_count(list); i++) any = any || hw_device_list_at(list, i)->takes_blocks;
    hw_device_list_free(list);
    return any;
}

/* Names of devices are checked when the model opens; a number of blocks is a maximum. */
void model_remark_layers(const options *o) {
    if (o->quiet || o->gpu_layers == 0 || o->rpc || o->device || any_takes_blocks()) return;
    message("--gpu-layers %lld has no effect: no device here takes blocks (`headwater info` lists them); all run "
            "on the CPU",
            (long long)o->gpu_layers);
}

static hw_err open_with(hw_model **out, const options *o, const char *path, hw_model_params params, progress *bar,
                        hw_error *err) {
    params.progress = progress_show;
    params.stop = interrupt_stop;
    params.ctx = bar;
    engine_log(o);
    hw_err rc = hw_model_open(out, path, &params, err);
    progress_erase(bar);
    if (rc == HW_OK) model_remark_layers(o);
    return rc;
}

hw_err model_open(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err) {
    return open_with(out, o, path, model_params(o), bar, err);
}

hw_err model_prove(hw_model **out, const options *o, const char *path, progress *bar, hw_error *err) {
    hw_model_params params = model_params(o);
    params.cache = NULL;
    return open_with(out, o, path, params, bar, err);
}
