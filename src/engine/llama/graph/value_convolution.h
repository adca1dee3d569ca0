/*
 * value_convolution.h - finds the short convolution that makes a recurrent layer's values:
 *
 *     values <- some channels of silu(convolution + bias) <- SSM_CONV(inputs of this and earlier tokens, taps)
 *
 * A value then holds a part of the tokens before its own: see math/short_convolution.h. What is found is compared with
 * the operation's values at load (recurrent_tap.c).
 */
#ifndef HW_ENGINE_LLAMA_GRAPH_VALUE_CONVOLUTION_H
#define HW_ENGINE_LLAMA_GRAPH_VALUE_CONVOLUTION_H

#include "engine/llama/graph/llama_engine.h"

struct hw__front {
    const struct ggml_tensor *node; /* the convolution in the recorded graph */
    float *taps;                    /* [n_channels, n_taps], the last one for the token itself; NULL: none */
    float *bias;                    /* [n_channels] */
    size_t first;                   /* channel of the convolution whose output is the first value */
    size_t n_channels, n_taps;
};

/* out <- the convolution in front of the values of a recorded operation; out->node is NULL if there is none of this
 * form. Errors: MEMORY. */
hw_err hw__front_find(hw__front *out, const struct ggml_tensor *op, hw_error *err);
void hw__front_clear(hw__front *front);

/* recurrent_tap.c: the convolution in front of a source's values, whose taps are NULL if there is none. */
hw__front *hw__recurrent_front(hw__llama_engine *e, size_t source);

#endif
