/*
 * probe_cache.h - what the probe found of a model, kept in a file: a model that was proven is not proven again at each
 * start of a program.
 *
 * An entry counts only where the model's file, the libraries of engine and Headwater (device, inode, size, time of the
 * last change each), the processor's features and the settings of the engine are those that it was written with. An
 * entry that is damaged, or of another user, is passed over.
 */
#ifndef HW_ENGINE_LLAMA_FILE_PROBE_CACHE_H
#define HW_ENGINE_LLAMA_FILE_PROBE_CACHE_H

#include "base/sha256.h"
#include "headwater.h"

/* What only a decode shows. */
typedef struct hw__probe_findings {
    double row_error;
    bool has_sinks;
    int32_t n_heads_kv;
    char device[256];
} hw__probe_findings;

typedef struct hw__probe_identity {
    char path[4096]; /* of the entry */
    char text[4096]; /* its first lines */
} hw__probe_identity;

/* `settings`: one line. False if something has no identity, e.g. a file that cannot be examined. */
bool hw__probe_identify(hw__probe_identity *out, const char *folder, const char *model, const char *settings);

bool hw__probe_cache_read(hw__probe_findings *out, const hw__probe_identity *identity);
/* Replaces the entry; without effect where it cannot be written. */
void hw__probe_cache_write(const hw__probe_identity *identity, const hw__probe_findings *findings);

#endif
