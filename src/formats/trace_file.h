/* trace_file.h - a trace out of an open file, for the files that hold more than a trace; see trace_file.c. */
#ifndef HW_FORMATS_TRACE_FILE_H
#define HW_FORMATS_TRACE_FILE_H

#include "engine/engine.h"
#include "base/safetensors.h"
#include "base/sha256.h"
#include "data/trace.h"

/* The tensor of a state that a trace lacks, and what the metadata has of it. */
#define HW__CACHE        "cache"
#define HW__CACHE_SHA256 "cache_sha256"

/* Everything of the trace in the file; hw_trace_free() it. Tensors that are not of traces are left alone. */
hw_err hw__trace_read(hw_trace **out, hw__safetensors *file, hw_error *err);

/* The cache that `model` holds of the trace's tokens: what makes a state of its file. */
hw_err hw__state_cache(hw__cache *out, const hw_trace *trace, hw_model *model, hw_error *err);

/* Of the cache's bytes. False: there is no memory. */
bool hw__cache_sha256(char out[HW__SHA256_ROOM], const hw__cache *cache);

#endif
