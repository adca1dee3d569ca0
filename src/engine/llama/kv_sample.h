/*
 * kv_sample.h - whether a context's cache still holds what its last graph wrote.
 *
 * Positions and masks do not show that the caller replaced the cache's numbers (llama_state_set_data() and the like)
 * by those of as many other tokens. The last token's key in the deepest layer does: it depends on all tokens and all
 * layers before it. A recurrent layer has its state in place of a key. A few kilobytes of it are kept after each graph,
 * and compared before the next one.
 */
#ifndef HW_ENGINE_LLAMA_KV_SAMPLE_H
#define HW_ENGINE_LLAMA_KV_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include <ggml.h>

enum { HW__KV_SAMPLE_BYTES = 4096 };

typedef struct hw__kv_sample {
    struct ggml_tensor leaf; /* the cache's tensor of the deepest layer seen; no name: none */
    size_t at, n;            /* bytes [at, at + n) of it are kept; n 0: none */
    unsigned char bytes[HW__KV_SAMPLE_BYTES];
} hw__kv_sample;

void hw__kv_sample_clear(hw__kv_sample *s);
/* `node` is about to be computed: remembers the tensor that it writes into, if it is one of the cache. */
void hw__kv_sample_see(hw__kv_sample *s, const struct ggml_tensor *node);
/* Keeps what the graph wrote there for the token in cell `cell`. */
void hw__kv_sample_take(hw__kv_sample *s, size_t cell);
/* Whether it is still there; true if nothing was kept. */
bool hw__kv_sample_holds(const hw__kv_sample *s);

#endif
