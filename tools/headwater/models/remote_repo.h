/*
 * remote_repo.h - what a model hub says of a repository: its commit and its files, checked before any of it is used.
 */
#ifndef HW_MODELS_REMOTE_REPO_H
#define HW_MODELS_REMOTE_REPO_H

#include "models/model_list.h"

enum { HUB_URL_CAPACITY = 2048, HUB_COMMIT_CAPACITY = 41, HUB_SHA256_CAPACITY = 65 };

typedef struct hub_file {
    char path[512];                   /* below the snapshot: no "..", not absolute */
    char sha256[HUB_SHA256_CAPACITY]; /* "" if the hub gives none: it is not in large-file storage */
    uint64_t n_bytes;
} hub_file;

typedef struct hub_repo {
    char address[HUB_URL_CAPACITY]; /* of the hub, ending in a slash */
    char name[256];                 /* "owner/name" */
    char branch[128], commit[HUB_COMMIT_CAPACITY];
    hub_file *files; /* [n_files] malloc'd */
    size_t n_files;
    hw_stop_fn stop;
    void *ctx;
} hub_repo;

/* Asks the hub that llama.cpp uses ($MODEL_ENDPOINT, $HF_ENDPOINT, else llama.cpp's default) for `name`. Errors: as
 * model_download(). */
hw_err hub_repo_open(hub_repo *out, const char *name, hw_stop_fn stop, void *ctx, hw_error *err);
void hub_repo_close(hub_repo *repo);

/* Address of a file of the commit. Error ARGUMENT: too long. */
hw_err hub_file_url(char url[HUB_URL_CAPACITY], const hub_repo *repo, const hub_file *file, hw_error *err);
/* $HF_TOKEN, or NULL. */
const char *hub_token(void);
/* Host and port of the hub's address, for messages. */
const char *hub_host(char out[256], const hub_repo *repo);

#endif
