/* trace_file.h - traces and states in safetensors files: names that tests need; see trace_file.c. */
#ifndef HW_FORMATS_TRACE_FILE_H
#define HW_FORMATS_TRACE_FILE_H

#include "base/safetensors.h"
#include "base/sha256.h"
#include "data/trace.h"
#include "engine/engine.h"

/* The tensor that distinguishes a state from a trace, and the metadata key of its checksum. */
#define HW__CACHE        "cache"
#define HW__CACHE_SHA256 "cache_sha256"

/* SHA-256 of the cache's bytes. */
void hw__cache_sha256(char out[HW__SHA256_CAPACITY], const hw__cache *cache);

#endif
