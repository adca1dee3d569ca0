/* kv_sample.c - see kv_sample.h. */
#include "engine/llama/kv_sample.h"

#include <ggml-backend.h>

#include <string.h>

void hw__kv_sample_clear(hw__kv_sample *s) {
    s->leaf.name[0] = 0;
    s->n = 0;
}

/* libllama's names: cache_k_l5 (keys, of whole or sliding attention with a tag before the k), cache_r_l5 and
 * cache_s_l5 (recurrent states). Values are stored transposed, a token's are not adjacent. */
static bool is_sampled(const struct ggml_tensor *t) {
    if (t->op != GGML_OP_NONE || strncmp(t->name, "cache_", 6) != 0) return false;
    return strstr(t->name, "k_l") || strstr(t->name, "r_l") || strstr(t->name, "s_l");
}

void hw__kv_sample_see(hw__kv_sample *s, const struct ggml_tensor *node) {
    if ((node->op == GGML_OP_SET_ROWS || node->op == GGML_OP_CPY) && node->view_src && is_sampled(node->view_src))
        s->leaf = *node->view_src;
}

void hw__kv_sample_take(hw__kv_sample *s, size_t cell) {
    bool keys = strstr(s->leaf.name, "k_l");
    s->n = 0;
    if (!s->leaf.name[0] || !s->leaf.buffer || (keys && cell >= (size_t)s->leaf.ne[1])) return;
    size_t n = ggml_row_size(s->leaf.type, s->leaf.ne[0]);
    s->n = n < sizeof s->bytes ? n : sizeof s->bytes;
    s->at = keys ? cell * s->leaf.nb[1] : 0;
    ggml_backend_tensor_get(&s->leaf, s->bytes, s->at, s->n);
}

bool hw__kv_sample_holds(const hw__kv_sample *s) {
    unsigned char there[HW__KV_SAMPLE_BYTES];
    if (s->n == 0) return true;
    ggml_backend_tensor_get(&s->leaf, there, s->at, s->n);
    return memcmp(there, s->bytes, s->n) == 0;
}
