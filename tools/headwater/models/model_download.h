/*
 * model_download.h - fetches a model of Hugging Face's hub into its cache, as llama.cpp lays it out: --download.
 *
 *     CACHE/models--OWNER--REPO/blobs/SHA256.downloadInProgress   the bytes so far, kept when a download breaks off
 *                               blobs/SHA256                      complete, and its checksum is right
 *                               snapshots/COMMIT/FILE             link to it
 *                               refs/main                         COMMIT, written last
 *
 * A model is listed by its link, so that nothing is opened before all of its files are complete and verified. What the
 * server says is not trusted: names must stay below the snapshot, checksums be SHA-256, sizes hold.
 *
 * The folder headwater/models/: models by name: the sources that a name's prefix selects, the models that other
 * programs have stored on this machine, and downloads from a model hub.
 */
#ifndef HW_MODELS_MODEL_DOWNLOAD_H
#define HW_MODELS_MODEL_DOWNLOAD_H

#include "models/model_source.h"

typedef struct model_download_watch {
    void (*start)(void *ctx, const char *file, uint64_t n_bytes, const char *hub); /* before each file */
    void (*progress)(void *ctx, const char *file, uint64_t done, uint64_t n_bytes);
    hw_stop_fn stop;
    void *ctx;
} model_download_watch;

/* Fetches what is missing of the model `repo` with `tag` ("": as model_resolve() chooses), then resolves its name.
 * Errors: ARGUMENT (no such repository or tag, with what there is), IO (the network, the disk, a checksum; with the
 * remedy), UNSUPPORTED (no libcurl), CANCELLED, MEMORY. */
hw_err model_download(const model_source *hub, const char *repo, const char *tag, const model_download_watch *watch,
                      hw_error *err);

#endif
