/* value_convolution.c - see value_convolution.h. */
#include "engine/llama/graph/value_convolution.h"

#include <stdlib.h>

enum { MAX_STEPS = 16 };

static const struct ggml_tensor *root_of(const struct ggml_tensor *t) { return t->view_src ? t->view_src : t; }

/* A weight of one type of number, whole, or NULL. */
static const struct ggml_tensor *weight_of(const struct ggml_tensor *t) {
    const struct ggml_tensor *root = t ? root_of(t) : NULL;
    bool whole = root && root->op == GGML_OP_NONE && root->type == GGML_TYPE_F32 && root->buffer &&
                 ggml_nelements(root) == ggml_nelements(t) && ggml_is_contiguous(t);
    return whole ? root : NULL;
}

/* Follows copies and other shapes of the whole. */
static const struct ggml_tensor *unshaped(const struct ggml_tensor *t) {
    for (int steps = 0; t && steps < MAX_STEPS; steps++) {
        bool same = t->op == GGML_OP_RESHAPE || t->op == GGML_OP_CONT ||
                    (t->op == GGML_OP_VIEW && ggml_nelements(t) == ggml_nelements(t->src[0]));
        if (!same) return t;
        t = t->src[0];
    }
    return t;
}

/* The activation whose channels from *first on are the values [d, H, tokens]; NULL if they are none of one. */
static const struct ggml_tensor *activation_of(const struct ggml_tensor *v, size_t *first) {
    while (v->op == GGML_OP_CONT) v = v->src[0];
    const struct ggml_tensor *root = root_of(v);
    bool dense = v->nb[0] == sizeof(float) && v->nb[1] == (size_t)v->ne[0] * sizeof(float) &&
                 v->nb[2] == (size_t)root->ne[0] * sizeof(float);
    bool reshaped = ggml_nelements(v) == ggml_nelements(root) && ggml_is_contiguous(v);
    *first = v->view_offs / sizeof(float);
    if (v->view_offs % sizeof(float) || (!dense && !reshaped)) return NULL;
    return root->op == GGML_OP_UNARY && ggml_get_unary_op(root) == GGML_UNARY_OP_SILU ? root : NULL;
}

/* The convolution below an activation, and its bias. */
static const struct ggml_tensor *convolution_of(const struct ggml_tensor *activation, const struct ggml_tensor **bias) {
    const struct ggml_tensor *t = unshaped(activation->src[0]);
    if (t && t->op == GGML_OP_ADD && (*bias = weight_of(t->src[1]))) t = unshaped(t->src[0]);
    return t && t->op == GGML_OP_SSM_CONV && t->src[0]->type == GGML_TYPE_F32 ? t : NULL;
}

static hw_err read_weights(hw__front *out, const struct ggml_tensor *taps, const struct ggml_tensor *bias,
                           hw_error *err) {
    size_t n = out->n_channels;
    out->taps = hw__alloc(n, out->n_taps * sizeof *out->taps);
    out->bias = hw__alloc(n, sizeof *out->bias);
    if (!out->taps || !out->bias) {
        hw__front_clear(out);
        return hw__fail_memory(err, "taps of a convolution", n, (out->n_taps + 1) * sizeof *out->taps);
    }
    ggml_backend_tensor_get(taps, out->taps, out->first * out->n_taps * sizeof *out->taps,
                            n * out->n_taps * sizeof *out->taps);
    if (bias) ggml_backend_tensor_get(bias, out->bias, out->first * sizeof *out->bias, n * sizeof *out->bias);
    return HW_OK;
}

hw_err hw__front_find(hw__front *out, const struct ggml_tensor *op, hw_error *err) {
    const struct ggml_tensor *bias = NULL, *v = op->op == GGML_OP_GATED_DELTA_NET ? op->src[2]
                                                : op->op == GGML_OP_SSM_SCAN      ? op->src[1]
                                                                                  : NULL;
    size_t first = 0;
    *out = (hw__front){.node = NULL};
    const struct ggml_tensor *activation = v && v->type == GGML_TYPE_F32 ? activation_of(v, &first) : NULL;
    const struct ggml_tensor *conv = activation ? convolution_of(activation, &bias) : NULL;
    const struct ggml_tensor *taps = conv ? weight_of(conv->src[1]) : NULL;
    if (!taps) return HW_OK;
    size_t width = (size_t)(v->ne[0] * v->ne[1]), channels = (size_t)conv->src[1]->ne[1];
    if (first + width > channels || conv->src[0]->ne[1] != conv->src[1]->ne[1] ||
        (bias && (size_t)ggml_nelements(bias) != channels))
        return HW_OK;
    out->node = conv;
    out->first = first;
    out->n_channels = width;
    out->n_taps = (size_t)conv->src[1]->ne[0];
    return read_weights(out, taps, bias, err);
}

void hw__front_clear(hw__front *front) {
    free(front->taps);
    free(front->bias);
    *front = (hw__front){.node = NULL};
}
