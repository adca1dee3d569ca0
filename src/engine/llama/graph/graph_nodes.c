/* graph_nodes.c - see graph_nodes.h. */
#include "engine/llama/graph/graph_nodes.h"

#include <string.h>

enum { NONE = HW__NODE_NONE };

size_t hw__node_slot(const hw__walk *w, const struct ggml_tensor *t) {
    size_t slot = ((uintptr_t)t >> 4) * 0x9E3779B97F4A7C15u >> 20 & w->mask;
    while (w->slots[slot] >= 0 && w->nodes[w->slots[slot]] != t) slot = (slot + 1) & w->mask;
    return slot;
}

/* The result of another device arrives as a copy without an operation, named DEVICE#NAME#NUMBER. */
static int32_t copied_from(const hw__walk *w, const struct ggml_tensor *t) {
    const char *begin = strchr(t->name, '#'), *end = strrchr(t->name, '#');
    if (!begin || end <= begin + 1) return NONE;
    size_t n = (size_t)(end - begin - 1);
    for (size_t i = w->n; i-- > 0;)
        if (strlen(w->nodes[i]->name) == n && memcmp(w->nodes[i]->name, begin + 1, n) == 0) return (int32_t)i;
    return NONE;
}

int32_t hw__node_number(const hw__walk *w, const struct ggml_tensor *t) {
    if (!t) return NONE;
    int32_t i = w->slots[hw__node_slot(w, t)];
    return i < 0 && t->op == GGML_OP_NONE ? copied_from(w, t) : i;
}

bool hw__is_weight(const struct ggml_tensor *t) {
    return t && t->op == GGML_OP_NONE && t->buffer &&
           ggml_backend_buffer_get_usage(t->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

float hw__node_param(const struct ggml_tensor *t, size_t i) {
    float v;
    memcpy(&v, (const char *)t->op_params + i * sizeof v, sizeof v);
    return v;
}
