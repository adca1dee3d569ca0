/* graph_ops.c - see graph_ops.h. */
#include "engine/llama/graph/graph_ops.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int hw__block_of(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0) return -1;
    const char *digits = name + n;
    if (!isdigit((unsigned char)*digits)) return -1;
    char *end;
    long block = strtol(digits, &end, 10);
    return *end == 0 && block < INT32_MAX ? (int)block : -1;
}

bool hw__is_recurrent_op(const struct ggml_tensor *t) {
    return t->op == GGML_OP_GATED_DELTA_NET || t->op == GGML_OP_SSM_SCAN || t->op == GGML_OP_SSM_CONV ||
           t->op == GGML_OP_GATED_LINEAR_ATTN || t->op == GGML_OP_RWKV_WKV7;
}

hw_source_kind hw__recurrent_kind(const struct ggml_tensor *t) {
    switch (t->op) {
    case GGML_OP_GATED_DELTA_NET:
    case GGML_OP_GATED_LINEAR_ATTN: /* whose steps remove nothing */
    case GGML_OP_RWKV_WKV7: return HW_SOURCE_DELTA_NET;
    case GGML_OP_SSM_SCAN: return HW_SOURCE_STATE_SPACE;
    default: return HW_SOURCE_CONVOLUTION;
    }
}

int hw__recurrent_state(const struct ggml_tensor *t) {
    switch (t->op) {
    case GGML_OP_GATED_DELTA_NET: return 5;
    case GGML_OP_GATED_LINEAR_ATTN: return 4;
    case GGML_OP_RWKV_WKV7: return 6;
    case GGML_OP_SSM_SCAN: return 0;
    default: return -1;
    }
}

/* The block of a recurrent operation, from the name of the state or the weights that it reads. */
int hw__recurrent_block(const struct ggml_tensor *t) {
    static const char *const prefixes[] = {"cache_s_l", "cache_r_l", "conv_states_all-"}; /* Kimi renames its cache */
    int state = hw__recurrent_state(t);
    const struct ggml_tensor *from = t->src[state < 0 ? 0 : state];
    for (int steps = 0; from && steps < 16; steps++) {
        const char *name = from->view_src ? from->view_src->name : from->name;
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
            int block = hw__block_of(name, prefixes[i]);
            if (block >= 0) return block;
        }
        from = from->src[0];
    }
    return -1;
}
