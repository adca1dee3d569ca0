/* fetch_model.c - see fetch_model.h. */
#include "job/fetch_model.h"

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "models/model_download.h"

typedef struct fetching {
    progress bar;
    bool quiet;
} fetching;

static void show_start(void *ctx, const char *file, uint64_t n_bytes, const char *hub) {
    fetching *f = ctx;
    progress_erase(&f->bar);
    f->bar.began = f->bar.last = -1;
    if (!f->quiet) message("downloading %s (%.1f MB) from %s", file, (double)n_bytes / 1e6, hub);
}

static void show_bytes(void *ctx, const char *file, uint64_t done, uint64_t n_bytes) {
    progress_bytes(&((fetching *)ctx)->bar, file, done, n_bytes);
}

hw_err fetch_model(const char *name, const options *o, hw_error *err) {
    char repo[MODEL_PATH_CAPACITY], tag[MODEL_PATH_CAPACITY];
    const model_source *hub = model_name_split(repo, tag, sizeof repo, name);
    if (!hub || !hub->hub)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s: --download fetches models named hf:OWNER/REPO[:QUANT]", name);
    fetching f = {.bar = progress_new(!o->quiet), .quiet = o->quiet};
    const model_download_watch watch = {.start = show_start, .progress = show_bytes, .stop = interrupt_stop, .ctx = &f};
    interrupt_catch();
    hw_err rc = model_download(hub, repo, tag, &watch, err);
    progress_erase(&f.bar);
    return rc;
}
